"""Save files of GTKWave: which signals are shown, and how."""

import math
from itertools import groupby
from pathlib import Path

from ionspike.sim.tracks import Track

__all__ = ["is_ours", "text"]

_MARK = "[*] made by ionspike"

# Of GTKWave's analyzer.h: bits of a trace's flags.
_HEX, _DECIMAL, _BINARY, _RIGHT = 0x2, 0x4, 0x8, 0x20
_BLANK, _SIGNED, _STEP, _STRETCH, _FULL_SCALE = 0x200, 0x400, 0x8000, 0x20000, 0x80000
_COLLAPSED, _CLOSED, _BEGIN, _END = 0x1000, 0x400000, 0x800000, 0x1000000

_HEXADECIMAL = {"digest", "lfsr", "received"}
_WIDTH_PX, _HEIGHT_PX, _NAMES_PX, _WAVES_PX = 1400, 900, 220, 1080
_FRAME_PX = 200         # a zoom of -z shows 2**z ns in so many
_ANALOG_ROWS = 1        # of height besides its own
_OPEN_NEURONS = 4       # more would not fit a screen; the others are one click away
_OPEN = {"core"}


def text(dump: str, tracks: list[Track], duration_ns: int) -> str:
    """The save file of a dump: a group per scope, the whole time in view."""
    frame_ns = max(1.0, duration_ns * _FRAME_PX / _WAVES_PX)
    lines = [
        _MARK, f'[dumpfile] "{dump}"', "[timestart] 0",
        f"[size] {_WIDTH_PX} {_HEIGHT_PX}", "[pos] -1 -1",
        "*" + " ".join([f"{-math.log2(frame_ns):.6f}", *["-1"] * 27]),
        f"[signals_width] {_NAMES_PX}", "[sst_expanded] 0"]
    shown = 0
    scopes = [(scope, list(group)) for scope, group in groupby(tracks, key=lambda t: t.scope)]
    # Neurons first after the core: they are what is looked for.
    scopes.sort(key=lambda item: 0 if item[0] == "core" else 1 if "[" in item[0] else 2)
    for scope, group in scopes:
        is_neuron = "[" in scope
        shown += is_neuron
        closed = 0 if scope in _OPEN or is_neuron and shown <= _OPEN_NEURONS else _CLOSED
        lines += [_flags(_BEGIN | _BLANK | closed), f"-{scope}"]
        for track in group:
            lines += _trace(track)
        # Without the flag the line of the end would stay.
        hidden = closed and closed | _COLLAPSED
        lines += [_flags(_END | _BLANK | hidden), f"-{scope}"]
    return "\n".join(lines) + "\n"


def is_ours(path: Path) -> bool:
    """Whether a save file is as :func:`text` made it; GTKWave's own begin otherwise."""
    return path.read_bytes().startswith(f"{_MARK}\n".encode())


def _trace(track: Track) -> list[str]:
    # GTKWave names a vector with its range.
    span = f"[{track.width - 1}:0]" if track.kind == "bits" and track.width > 1 else ""
    name = f"{track.scope}.{track.name}{span}"
    if track.kind == "real":
        return [_flags(_FULL_SCALE | _STEP | _SIGNED | _RIGHT), name,
                *[_flags(_STRETCH), "-"] * _ANALOG_ROWS]
    if track.kind == "text":
        return [_flags(_HEX | _RIGHT), name]
    radix = _BINARY if track.width == 1 else _HEX if track.name in _HEXADECIMAL else _DECIMAL
    return [_flags(radix | _RIGHT), name]


def _flags(value: int) -> str:
    return f"@{value:x}"
