"""What drove every neuron of a run, from its inputs, its spikes and the network."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ionspike.host.spikes import Spikes
from ionspike.spec import formats as fmt

if TYPE_CHECKING:
    from ionspike.host.network import Network

__all__ = ["drives_V"]

#: Ticks at a time: bounds the memory of long runs.
_CHUNK_TICKS = 2048
_ACC_MAX = (1 << fmt.ACC_BITS - 1) - 1
_V_MAX = (1 << fmt.G_BITS) - 1


def drives_V(network: "Network", inputs: Spikes, spikes: Spikes) -> Iterator[NDArray[np.float64]]:
    """Drive of every neuron in every tick, volts, ``[some ticks, neurons]`` at a time.

    Equal to the board's, but for three things: weights that were under way before the first tick;
    inputs that the board counted as late or dropped; and sums that saturate within a tick, which
    it counts too, and come back from there, for here they saturate at its end.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    weights = [p.weights.astype(np.float32) for p in network.projections]
    for start in range(0, spikes.ticks, _CHUNK_TICKS):
        stop = min(start + _CHUNK_TICKS, spikes.ticks)
        # Sums in float are exact below 2**24.
        acc = np.zeros((stop - start, network.neurons), np.float32)
        with threadpool_limits(limits=1, user_api="blas"):
            for p, w in zip(network.projections, weights, strict=True):
                raster, shift = (inputs.raster, p.delay) if p.source == "inputs" \
                    else (spikes.raster, p.delay + 1)
                rows = raster[max(0, start - shift):max(0, stop - shift),
                              p.source_start:p.source_start + w.shape[0]]
                acc[len(acc) - len(rows):, p.target_start:p.target_start + w.shape[1]] \
                    += rows.astype(np.float32) @ w
        units = np.clip(acc, -_ACC_MAX - 1, _ACC_MAX).astype(np.int64)
        yield np.clip(units * network.scale >> fmt.SCALE_SHIFT, 0, _V_MAX) / (1 << fmt.G_FRAC)
