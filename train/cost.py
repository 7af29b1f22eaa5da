"""What an answer costs: synaptic operations, and the emulated chip's energy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.host.board import Board
from ionspike.host.frame import with_bias
from ionspike.host.network import Network
from ionspike.host.spikes import Spikes
from ionspike.train.evaluate import shape_for

__all__ = ["Cost", "cost"]


@dataclass(frozen=True)
class Cost:
    """Means over items.

    Parameters
    ----------
    sops : synaptic operations, one for each weight other than 0 that a spike adds, those of the
        inputs that carry the bias included, and one for each vote.
    spikes : of neurons.
    chip_J : see :class:`~ionspike.host.estimate.Estimate`; an estimate.
    """

    sops: float
    spikes: float
    chip_J: float


def cost(network: Network, raster: NDArray[np.bool_], seed: int) -> Cost:
    """Of items ``[items, ticks, inputs]`` or ``[views, items, ticks, inputs]`` without the bias, on the golden
    model, all views of an item together; item k of view v has the seed ``seed + k + v items``."""
    views = len(raster) if raster.ndim == 4 else 1
    raster = raster.reshape(-1, *raster.shape[-2:])
    inputs, neurons = (np.zeros(n, np.int64) for n in (network.inputs, network.neurons))
    for p in network.projections:
        fan_out = inputs if p.source == "inputs" else neurons
        fan_out[p.source_start:p.source_start + len(p.weights)] += np.count_nonzero(p.weights, axis=1)
    if network.votes is not None:
        neurons[network.outputs] += np.count_nonzero(network.votes, axis=1)
    items = [Spikes(item, network.dt_s) for item in with_bias(network, raster)]
    with Board.open(backend="golden", shape=shape_for(network)) as board:
        board.load(network)
        results = board.run_many(items, seeds=[seed + k for k in range(len(items))])
    sops = [item.raster.sum(0) @ inputs + result.spikes.raster.sum(0) @ neurons
            for item, result in zip(items, results, strict=True)]
    estimates = [result.estimate for result in results]
    return Cost(*(views * float(np.mean(each)) for each in (
        sops, [result.spikes.count for result in results], [e.chip_J for e in estimates if e is not None])))
