"""A run as a picture that is read as well in grey."""

from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.result import Result
from ionspike.host.spikes import Spikes

__all__ = ["draw"]

_LINES = ("-", "--", ":", "-.")
_SHADES = ("0.0", "0.35", "0.55", "0.2")


def draw(path: Path, inputs: Spikes, result: Result, title: str) -> None:
    """Write a PNG: spikes in, spikes out, filament plus residue and gate of the probed neurons."""
    import matplotlib
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 9), layout="constrained")
    top, middle, length, gate = figure.subplots(4, 1, sharex=True,
                                                height_ratios=(3, 3, 2, 2))
    figure.suptitle(title)
    dt_ms = 1e3 * inputs.dt_s

    def raster(axes: Any, spikes: Spikes, name: str, colour: str = "0.0") -> None:
        tick, index = spikes.events()
        axes.scatter(tick * dt_ms, index, s=4, marker="|", color=colour)
        axes.set_ylabel(name)
        axes.set_ylim(-1, spikes.width)

    raster(top, inputs, "input")
    raster(middle, result.spikes, "neuron", "0.5")
    tick, index = result.spikes.events()
    if len(result.outputs) < result.spikes.width:
        chosen = np.isin(index, result.outputs)
        middle.scatter(tick[chosen] * dt_ms, index[chosen], s=14, marker="|", color="0.0",
                       label="output neurons")
        middle.legend(loc="lower right", bbox_to_anchor=(1, 1), borderpad=0.2, frameon=False)
    if result.probes is not None:
        time_ms = np.arange(1, result.ticks + 1) * dt_ms
        bridge = result.probes.filament + result.probes.residue
        for k, neuron in enumerate(result.probes.neurons):
            style = {"linestyle": _LINES[k % 4], "color": _SHADES[k % 4],
                     "label": f"neuron {neuron}"}
            length.plot(time_ms, bridge[:, k], **style)
            gate.plot(time_ms, result.probes.gate_V[:, k], **style)
        length.axhline(1, color="0.8", linewidth=0.8)
        length.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderpad=0.2, frameon=False)
    length.set_ylabel("filament + residue\n(1 bridges the gap)")
    gate.set_ylabel("gate (V)")
    gate.set_xlabel("time (ms)")
    for axes in (top, middle, length, gate):
        axes.set_xlim(0, result.ticks * dt_ms)
    with matplotlib.rc_context({"svg.hashsalt": "ionspike"}):
        figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
