"""Waveforms as Value Change Dump, IEEE 1364; ``text`` is GTKWave's extension, which Surfer knows."""

from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from ionspike.sim.tracks import Block, Track, tree

__all__ = ["write"]

_FIRST, _LAST = 33, 126     # printable characters, of which identifiers are made
_TYPES = {"bits": "wire", "real": "real", "text": "string"}


def write(file: IO[bytes], tracks: list[Track], blocks: Iterable[Block], *, version: str) -> None:
    """Write tracks whose changes come in blocks, one after the other in time."""
    keys = {track: _key(number) for number, track in enumerate(tracks)}
    lines = [f"$version {version} $end", "$timescale 1 ns $end"]
    for kind, name, track in tree(tracks):
        if kind == "scope":
            lines.append(f"$scope module {name} $end")
        elif kind == "end":
            lines.append("$upscope $end")
        elif track is not None:
            width = {"bits": track.width, "real": 64, "text": 1}[track.kind]
            lines.append(f"$var {_TYPES[track.kind]} {width} {keys[track]} {name} $end")
    lines.append("$enddefinitions $end")
    file.write(("\n".join(lines) + "\n").encode())
    now = None
    for block in blocks:
        times = np.concatenate([times for times, _ in block])
        texts = [text for track, (_, values) in zip(tracks, block, strict=True)
                 for text in _values(track, keys[track], values.tolist())]
        out = []
        for at in np.argsort(times, kind="stable").tolist():
            if times[at] != now:
                now = times[at]
                out.append(f"#{now}")
            out.append(texts[at])
        file.write(("\n".join(out) + "\n").encode() if out else b"")


def _values(track: Track, key: str, values: list[Any]) -> list[str]:
    if track.kind == "real":
        return [f"r{value!r} {key}" for value in values]
    if track.kind == "text":
        return [f"s{track.names[int(value)]} {key}" for value in values]
    if track.width == 1:
        return [f"{int(value)}{key}" for value in values]
    return [f"b{int(value):b} {key}" for value in values]


def _key(number: int) -> str:
    base, key = _LAST - _FIRST + 1, ""
    while True:
        key += chr(_FIRST + number % base)
        number //= base
        if not number:
            return key
