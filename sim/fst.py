"""Waveforms in GTKWave's Fast Signal Trace format, written with NumPy and zlib.

Of the format's choices this writes the one that every reader knows: blocks of value changes packed
by zlib, no aliases between signals. Integers are big-endian; a *varint* has seven bits a byte,
lowest first.
"""

import gzip
import struct
import zlib
from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ionspike.sim.tracks import Block, Track, tree

__all__ = ["write"]

_HEADER, _CHANGES, _GEOMETRY, _HIERARCHY = 0, 8, 3, 4
_SCOPE, _UPSCOPE, _MODULE = 254, 255, 0
_KINDS = {"real": 3, "bits": 16, "text": 21}
_NANOSECONDS = -9
_ZLIB_LEVEL = 4     # that of GTKWave's own writer
_LONGEST_VARINT = 10


def write(file: IO[bytes], tracks: list[Track], blocks: Iterable[Block], *, version: str) -> None:
    """Write tracks whose changes come in blocks, one after the other in time."""
    file.write(_header(tracks, 0, 0, 0, version))
    last: list[bytes] = [_unknown(track) for track in tracks]
    count, first, end = 0, 0, 0
    for block in blocks:
        if not any(len(times) for times, _ in block):
            continue
        begin, end = _changes(file, tracks, block, last)
        first = begin if not count else first
        count += 1
    geometry = b"".join(_varint({"real": 0, "bits": track.width, "text": 0xFFFFFFFF}[track.kind])
                        for track in tracks)
    packed = _packed(geometry)
    file.write(struct.pack(">BQQQ", _GEOMETRY, 24 + len(packed), len(geometry), len(tracks)) + packed)
    names = _hierarchy(tracks)
    packed = gzip.compress(names, mtime=0)
    file.write(struct.pack(">BQQ", _HIERARCHY, 16 + len(packed), len(names)) + packed)
    file.seek(0)
    file.write(_header(tracks, first, end, count, version))


def _header(tracks: list[Track], first: int, end: int, blocks: int, version: str) -> bytes:
    scopes = sum(record[0] == "scope" for record in tree(tracks))
    return struct.pack(
        ">BQQQ", _HEADER, 329, first, end) + struct.pack("=d", 2.7182818284590452354) + struct.pack(
        ">QQQQQb128s119sBq", 0, scopes, len(tracks), len(tracks), blocks, _NANOSECONDS,
        version.encode(), b"", 0, 0)


def _hierarchy(tracks: list[Track]) -> bytes:
    out = bytearray()
    for kind, name, track in tree(tracks):
        if kind == "scope":
            out += bytes((_SCOPE, _MODULE)) + name.encode() + b"\0\0"
        elif kind == "end":
            out.append(_UPSCOPE)
        elif track is not None:
            length = {"real": 8, "bits": track.width, "text": 0}[track.kind]
            out += bytes((_KINDS[track.kind], 0)) + name.encode() + b"\0" + _varint(length) + b"\0"
    return bytes(out)


def _changes(file: IO[bytes], tracks: list[Track], block: Block,
             last: list[bytes]) -> tuple[int, int]:
    """One block; ``last`` has every track's value before it, and is brought up to date."""
    instants = np.unique(np.concatenate([times for times, _ in block]))
    frame = b"".join(last)
    chains, offsets, at = [], bytearray(), 1    # the packing's letter comes before the first chain
    before = empty = unpacked = 0
    for number, (track, (times, values)) in enumerate(zip(tracks, block, strict=True)):
        if not len(times):
            empty += 1
            continue
        if empty:
            offsets += _varint(empty << 1)
            empty = 0
        offsets += _signed_varint((at - before) << 1 | 1)
        before = at
        steps = np.diff(np.searchsorted(instants, times), prepend=0)
        chain = _chain(track, steps.astype(np.uint64), values)
        unpacked += len(chain)
        packed = zlib.compress(chain, _ZLIB_LEVEL)
        chains.append(_varint(len(chain)) + packed if len(packed) < len(chain) else b"\0" + chain)
        at += len(chains[-1])
        last[number] = _shown(track, values[-1])
    if empty:
        offsets += _varint(empty << 1)
    frame_packed = _packed(frame)
    ticks = _varints(np.diff(instants, prepend=0).astype(np.uint64))
    ticks_packed = _packed(ticks)
    body = b"".join((
        struct.pack(">QQQ", int(instants[0]), int(instants[-1]), unpacked),
        _varint(len(frame)), _varint(len(frame_packed)), _varint(len(tracks)), frame_packed,
        _varint(len(tracks)), b"Z", *chains, offsets, struct.pack(">Q", len(offsets)),
        ticks_packed, struct.pack(">QQQ", len(ticks), len(ticks_packed), len(instants))))
    file.write(struct.pack(">BQ", _CHANGES, 8 + len(body)) + body)
    return int(instants[0]), int(instants[-1])


def _chain(track: Track, steps: NDArray[np.uint64], values: NDArray[Any]) -> bytes:
    """Changes of one track: after how many instants, and to what."""
    one, two = np.uint64(1), np.uint64(2)
    if track.kind == "bits" and track.width == 1:
        return _varints(steps << two | values.astype(np.uint64) << one)
    if track.kind == "real":
        heads, content = steps << one | one, values.astype("=f8").view(np.uint8).reshape(-1, 8)
        lengths = np.full(len(values), 8)
    elif track.kind == "bits":
        size = -(-track.width // 8)
        shift = np.uint64(8 * size - track.width)
        heads = steps << one
        ordered = (values.astype(np.uint64) << shift).astype(">u8")
        content = ordered.view(np.uint8).reshape(-1, 8)[:, 8 - size:]
        lengths = np.full(len(values), size)
    else:
        heads = steps << one
        texts = [_varint(len(name.encode())) + name.encode() for name in track.names]
        longest = max(map(len, texts))
        table = np.frombuffer(b"".join(text.ljust(longest, b"\0") for text in texts), np.uint8)
        content = table.reshape(-1, longest)[values.astype(np.int64)]
        lengths = np.array([len(text) for text in texts])[values.astype(np.int64)]
    digits, sizes = _digits(heads)
    used = np.concatenate((np.arange(_LONGEST_VARINT) < sizes[:, None],
                           np.arange(content.shape[1]) < lengths[:, None]), axis=1)
    return np.concatenate((digits, content), axis=1)[used].tobytes()


def _shown(track: Track, value: Any) -> bytes:
    """A value as it stands in a frame."""
    if track.kind == "real":
        return struct.pack("=d", float(value))
    if track.kind == "text":
        return b""
    return format(int(value), f"0{track.width}b").encode()


def _unknown(track: Track) -> bytes:
    return {"real": struct.pack("=d", float("nan")), "text": b"",
            "bits": b"x" * track.width}[track.kind]


def _packed(data: bytes) -> bytes:
    """Packed, or as it is if that is not shorter: readers tell by the length."""
    packed = zlib.compress(data, _ZLIB_LEVEL)
    return packed if len(packed) < len(data) else data


def _digits(values: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Varints as rows of bytes, and how many of each row's bytes count."""
    shifts = np.arange(0, 7 * _LONGEST_VARINT, 7, dtype=np.uint64)
    rest = values[:, None] >> shifts
    more = (rest >> np.uint64(7)) > 0
    digits = (rest & np.uint64(0x7F)).astype(np.uint8) | (more.astype(np.uint8) << 7)
    return digits, 1 + more.sum(axis=1)


def _varints(values: NDArray[np.uint64]) -> bytes:
    digits, sizes = _digits(values)
    return digits[np.arange(_LONGEST_VARINT) < sizes[:, None]].tobytes()


def _varint(value: int) -> bytes:
    return _varints(np.array([value], np.uint64))


def _signed_varint(value: int) -> bytes:
    """A positive number whose last digit must not look like a sign."""
    out = bytearray()
    while value >= 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
