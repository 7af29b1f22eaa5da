"""A spoken digit on its way through a network, as a picture that is read as well in grey."""

from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.demo_speech import Heard, Sounding, spoken

__all__ = ["draw"]


def draw(path: Path, sounding: Sounding, heard: Heard, title: str) -> None:
    """Write a PNG: sound, spikes in of its first view, spikes of the neurons that are no outputs, or with votes of all, and
    the score of each class."""
    import matplotlib
    from matplotlib.figure import Figure
    audio, frame, result, first_view = sounding.audio, sounding.frame, heard.results[0], sounding.inputs[0]
    votes = result.network.votes is not None
    figure = Figure(figsize=(8, 10), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(8, 3))
    upper, lower = parts
    sound, inputs, hidden = upper.subplots(3, 1, sharex=True, height_ratios=(1.2, 3, 3))
    figure.suptitle(title, parse_math=False)

    sound.plot(np.arange(len(audio.samples)) / audio.rate_Hz, audio.samples, color="0.0",
               linewidth=0.4)
    sound.set_ylabel("sound\n(of full scale)")
    later = f" from {sounding.start_s:.3f} s on" if sounding.start_s else ""
    tick, index = first_view.events()
    width = first_view.width - sounding.bias
    sounds = index < width
    inputs.scatter(tick[sounds] * frame.bin_s, index[sounds], s=4, marker="|", color="0.0")
    views = len(frame.views)
    which = f"\nview 1 of {views}" if views > 1 else ""
    inputs.set_ylabel(f"input\n(high tones first){which}")
    inputs.set_ylim(width, -1)
    for k, level in enumerate(frame.levels):
        first = k * width // len(frame.levels)
        if k:
            inputs.axhline(first - 0.5, color="0.0", linewidth=0.8, linestyle=":")
        if len(frame.levels) > 1:
            inputs.text(1.01, 1 - (k + 0.5) / len(frame.levels), f"{level} or more spikes",
                        transform=inputs.transAxes, rotation=270, va="center", fontsize=8)

    among = np.arange(result.spikes.width)
    if not votes:
        among = np.setdiff1d(among, result.outputs)
    tick, index = np.nonzero(result.spikes.raster[:, among])
    hidden.scatter(tick * frame.bin_s, index, s=4, marker="|", color="0.0")
    hidden.set_ylabel(("neuron" if votes else "hidden neuron") + which)
    hidden.set_ylim(-1, max(1, len(among)))
    hidden.set_xlabel(f"time of the sound{later} (s); the device takes {1e3 * result.spikes.dt_s:g} ms for "
                      f"{1e3 * frame.bin_s:g} ms of it")
    hidden.set_xlim(0, frame.ticks * frame.bin_s)

    axes = lower.subplots()
    shades = ["0.0" if k == heard.answer else "0.75" for k in range(len(heard.scores))]
    axes.bar(np.arange(len(heard.scores)), heard.scores, color=shades, edgecolor="0.0",
             linewidth=0.6)
    for k, score in enumerate(heard.scores):
        axes.annotate(f"{score:,}", (k, score), (0, 2 if score >= 0 else -2), textcoords="offset points",
                      ha="center", va="bottom" if score >= 0 else "top", fontsize=6)
    axes.margins(y=0.15)
    if votes:
        axes.axhline(0, color="0.0", linewidth=0.6)
    else:
        axes.set_ylim(bottom=0, top=None if heard.scores.any() else 1)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(("votes of the neurons' spikes" if votes else "output spikes")
                    + (f",\n{views} views together" if views > 1 else ""))
    digits = [spoken(heard.classes, k) for k in range(len(heard.classes))]
    languages = list(dict.fromkeys(each[1] for each in digits if each is not None))
    names = [name if digit is None else str(digit[0])
             for name, digit in zip(heard.classes, digits, strict=True)]
    axes.set_xticks(np.arange(len(names)), names, parse_math=False)
    axes.set_xlabel("class; the answer is black" if not languages else
                    f"class: digits in {', then in '.join(languages)}; the answer is black")
    if languages:
        axes.axvline(len(names) / len(languages) - 0.5, color="0.0", linestyle=":", linewidth=0.8)
    with matplotlib.rc_context({"svg.hashsalt": "ionspike"}):
        figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
