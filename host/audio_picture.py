"""Sound and its spikes as a picture."""

from pathlib import Path

import numpy as np

from ionspike.host.audio import Audio
from ionspike.host.spikes import Spikes

__all__ = ["draw"]


def draw(path: Path, audio: Audio, spikes: Spikes, title: str) -> None:
    """Write a PNG: the sound over time, below it the spikes, high tones at the top."""
    import matplotlib
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 6), layout="constrained")
    sound, raster = figure.subplots(2, 1, sharex=True, height_ratios=(1, 4))
    figure.suptitle(title, parse_math=False)
    sound.plot(np.arange(len(audio.samples)) / audio.rate_Hz, audio.samples, color="0.0",
               linewidth=0.4)
    sound.set_ylabel("sound")
    tick, channel = spikes.events()
    raster.scatter(tick * spikes.dt_s, channel, s=1, marker=".", color="0.0", linewidths=0)
    raster.set_ylabel("channel (high tones first)")
    raster.set_ylim(spikes.width, -1)
    raster.set_xlabel("time (s)")
    raster.set_xlim(0, spikes.ticks * spikes.dt_s)
    with matplotlib.rc_context({"svg.hashsalt": "ionspike"}):
        figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
