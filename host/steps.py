"""Between the steps of inputs and the ticks of a core, of which a step may take several."""

from pathlib import Path

import numpy as np

from ionspike.host.network import Network
from ionspike.host.spikes import Spikes

__all__ = ["load_input", "to_steps", "to_ticks"]


def load_input(path: str | Path, network: Network) -> Spikes:
    """Spikes from a file, on a network's ticks; see :meth:`Spikes.load`."""
    return to_ticks(Spikes.load(path, dt_s=network.step_s, width=network.inputs), network)


def to_ticks(spikes: Spikes, network: Network) -> Spikes:
    """Steps as ticks: what fires in a step fires in its first tick."""
    ratio = network.ticks_per_step
    raster = np.zeros((spikes.ticks * ratio, spikes.width), bool)
    raster[::ratio] = spikes.raster
    return Spikes(raster, network.dt_s, merged=spikes.merged)


def to_steps(spikes: Spikes, network: Network) -> Spikes:
    """Ticks as steps: what fires in any tick of a step fires in it; a part of a step is one.

    ``merged`` counts the spikes of a step beyond the first.
    """
    ratio = network.ticks_per_step
    steps = -(-spikes.ticks // ratio)
    raster = np.zeros((steps * ratio, spikes.width), bool)
    raster[:spikes.ticks] = spikes.raster
    counts = raster.reshape(steps, ratio, spikes.width).sum(axis=1)
    return Spikes(counts > 0, network.step_s, merged=int((counts - (counts > 0)).sum()))
