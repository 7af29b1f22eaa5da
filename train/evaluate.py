"""Answers of a network on the bit-exact golden model; needs no torch."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ionspike.host import compared
from ionspike.host.board import Board
from ionspike.host.compiler import compile
from ionspike.host.demo import encode
from ionspike.host.errors import InputError
from ionspike.host.frame import with_bias
from ionspike.host.network import Network
from ionspike.host.seeds import lfsr_state
from ionspike.host.spikes import Spikes
from ionspike.sim.model import Model
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["accuracy", "answers", "different", "read", "shape_for"]

#: Items side by side: what a tick touches of them stays in the cache.
_SIDE_BY_SIDE = 128


def answers(network: Network, images: NDArray[np.uint8], seed: int) -> NDArray[np.int64]:
    """The class each image ``[images, pixels]`` is read as; see :func:`read`."""
    return read(network, np.stack([item.raster for item in encode(network, images)]), seed)


def read(network: Network, raster: NDArray[np.bool_], seed: int,
         shape: CoreShape = DEFAULT_SHAPE) -> NDArray[np.int64]:
    """The class each item is read as.

    Parameters
    ----------
    raster : ``[items, ticks, inputs]`` or ``[views, items, ticks, inputs]``, without the inputs of a bias;
        see :func:`ionspike.host.frame.with_bias`.

    Item k of view v runs from rest with the seed ``seed + k + v items``. As for ``Result.answer``, the class
    with the highest score wins, the first of several; the scores of views are added.
    """
    items = raster.shape[-3]
    scores = _scores(network, raster.reshape(-1, *raster.shape[-2:]), seed, shape)
    return np.argmax(scores.reshape(-1, items, scores.shape[-1]).sum(0), axis=-1)


def _scores(network: Network, raster: NDArray[np.bool_], seed: int, shape: CoreShape) -> NDArray[np.int64]:
    compiled = compile(network, shape)
    outputs = compiled.neuron_slots[network.outputs]
    found = []
    for start in range(0, len(raster), _SIDE_BY_SIDE):
        items = compiled.to_board(with_bias(network, raster[start:start + _SIDE_BY_SIDE]))
        model = Model(compiled.image, [lfsr_state(seed + start + k) for k in range(len(items))])
        counts = np.zeros((len(items), len(outputs)), np.int64)
        for t in range(items.shape[1]):
            counts += model.step(items[:, t])[:, outputs]
        found.append(network.scores(counts))
    return np.concatenate(found)


def accuracy(network: Network, images: NDArray[np.uint8], labels: NDArray[np.uint8],
             seed: int) -> float:
    """Share of right answers."""
    return float(np.mean(answers(network, images, seed) == labels))


def different(board: Board, network: Network, raster: NDArray[np.bool_], seed: int) -> list[int]:
    """Items, as for :func:`read`, those of one view after the other, whose spikes, final state or LFSR on a
    board are not those of the golden model."""
    compiled = board.load(network)
    raster = raster.reshape(-1, *raster.shape[-2:])
    seeds = [seed + k for k in range(len(raster))]
    items = [Spikes(item, network.dt_s) for item in with_bias(network, raster)]
    return compared.different(compiled, items, seeds, board.run_many(items, seeds=seeds))


def shape_for(network: Network) -> CoreShape:
    """The least core that holds a network: the default one, a board's, or one twice as large.

    Raises
    ------
    InputError
        For a network that none holds: what is short in the largest.
    """
    from ionspike.boards.table import BOARDS
    shapes = sorted({facts.shape for facts in BOARDS.values()} - {DEFAULT_SHAPE},
                    key=lambda shape: shape.words * shape.lanes)
    largest = replace(shapes[-1], words=2 * shapes[-1].words)
    # A word may hold twice as many weights, of four bits.
    shapes = [DEFAULT_SHAPE, *(s for s in shapes if 2 * s.words * s.lanes >= network.synapses), largest]
    for shape in shapes[:-1]:
        try:
            compile(network, shape)
        except InputError:
            continue
        return shape
    compile(network, shapes[-1])
    return shapes[-1]
