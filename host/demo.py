"""Handwritten digits through a board, and the same through the golden model."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import encoders
from ionspike.host.board import Board
from ionspike.host.compared import different
from ionspike.host.errors import InputError
from ionspike.host.network import Network
from ionspike.host.result import Result
from ionspike.host.spikes import Spikes

__all__ = ["Demo", "encode", "load_network", "run"]

_ROUND_TRIPS = 200
_TRACES = 3


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Parameters
    ----------
    results, answers, labels : of each image.
    different : images whose spikes, final state or LFSR differ from the golden model's.
    wall_s : seconds for all images.
    events : spikes in and out of the board.
    round_trips_s : of MARKs, one after the other.
    traced : the first image once more, with its spikes in and probes.
    """

    results: list[Result]
    answers: NDArray[np.int64]
    labels: NDArray[np.int64]
    different: list[int]
    wall_s: float
    events: int
    round_trips_s: NDArray[np.float64]
    inputs: Spikes
    traced: Result

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.answers == self.labels))

    @property
    def ticks(self) -> int:
        return sum(result.ticks for result in self.results)

    @property
    def counters(self) -> dict[str, int]:
        """The board's counters, summed over all images."""
        return {name: sum(result.counters[name] for result in self.results)
                for name in self.results[0].counters}

    @property
    def losses(self) -> dict[str, int]:
        return {name: sum(result.losses.get(name, 0) for result in self.results)
                for name in self.results[0].counters
                if any(name in result.losses for result in self.results)}


def load_network() -> Network:
    """The trained network that comes with the package."""
    with as_file(files("ionspike.host") / "digits.ion") as path:
        return Network.load(path)


def encode(network: Network, images: NDArray[Any]) -> list[Spikes]:
    """Images as spikes, by the encoder that the network's metadata name."""
    try:
        chosen = network.metadata["encoder"]
        encoder = getattr(encoders, chosen["name"])
        rasters = encoder(images, chosen["ticks"], **chosen.get("options", {}))
    except (KeyError, AttributeError, TypeError) as error:
        raise InputError(f"the network's metadata do not say how to encode images "
                         f"({type(error).__name__}: {error})") from error
    return [Spikes(raster, network.dt_s) for raster in rasters]


def run(board: Board, network: Network, images: NDArray[Any], labels: NDArray[Any], *, seed: int,
        progress: Callable[[int, int], None] | None = None) -> Demo:
    """Stream images as one run each; image k has the seed ``seed + k``."""
    compiled = board.load(network)
    items = encode(network, images)
    seeds = [seed + k for k in range(len(items))]
    begun = time.perf_counter()
    results = board.run_many(items, seeds=seeds, progress=progress)
    wall_s = time.perf_counter() - begun
    round_trips_s = np.array([board.round_trip_s() for _ in range(_ROUND_TRIPS)])
    traced = board.run(items[0], seed=seed, probes=_liveliest(results[0]))
    return Demo(
        results=results, answers=np.array([result.answer for result in results]),
        labels=np.asarray(labels, np.int64), different=different(compiled, items, seeds, results), wall_s=wall_s,
        events=sum(item.count + result.spikes.count
                   for item, result in zip(items, results, strict=True)),
        round_trips_s=round_trips_s, inputs=items[0], traced=traced)


def _liveliest(result: Result) -> list[int]:
    """The output that won and the neurons that fired most."""
    counts = result.spikes.raster.sum(axis=0)
    order = [int(n) for n in np.argsort(-counts, kind="stable")]
    winner = int(result.outputs[np.argmax(result.output_counts)])
    return [winner, *(n for n in order if n != winner)][:_TRACES]
