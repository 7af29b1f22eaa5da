"""Blocks of a file that grows: each is whole or not there, whenever its writer dies.

A file is a magic number, a version and blocks. A block is a head of 16 bytes, a payload and a
CRC-32 of both. The head has a CRC-32 of its own, so that a file that ends early can be told from
one whose lengths were changed.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ionspike.host.errors import InputError
from ionspike.host.files import readable

__all__ = ["MAGIC", "MOST_BYTES", "VERSION", "Block", "pack", "preamble", "read"]

#: Begins with a byte that no text has; a transfer as text would change its last.
MAGIC = b"\x89IONREC\n"
VERSION = 1
_FILE, _HEAD, _CRC = struct.Struct("<8sI"), struct.Struct("<BxxxII"), struct.Struct("<I")
#: Longest payload; the largest network is far below.
MOST_BYTES = 1 << 26


class Block(NamedTuple):
    """One block: where it begins in the file, what kind it is, and what it holds."""

    at: int
    number: int
    kind: int
    payload: bytes


def preamble() -> bytes:
    """The beginning of a file."""
    return _FILE.pack(MAGIC, VERSION)


def pack(kind: int, number: int, payload: bytes) -> bytes:
    """The bytes of a block.

    Raises
    ------
    ValueError
        For a payload longer than ``MOST_BYTES``.
    """
    if len(payload) > MOST_BYTES:
        raise ValueError(f"a block of {len(payload)} bytes; {MOST_BYTES} are the most")
    head = _HEAD.pack(kind, number, len(payload))
    body = head + _CRC.pack(zlib.crc32(head)) + payload
    return body + _CRC.pack(zlib.crc32(body))


def read(path: Path) -> Iterator[Block]:
    """Every whole block, in order; a last one that is cut off is left out.

    Raises
    ------
    InputError
        For a file that is no recording, or of another version, or damaged: which block, and where.
    """
    with readable(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = _begin(path, file.read(_FILE.size))
        number = 0
        while head := file.read(_HEAD.size + _CRC.size):
            if len(head) < _HEAD.size + _CRC.size:
                return
            kind, found, length = _HEAD.unpack_from(head)
            if zlib.crc32(head[:_HEAD.size]) != _CRC.unpack_from(head, _HEAD.size)[0]:
                raise _damaged(path, number, at, "wrong checksum of its head")
            if found != number or length > MOST_BYTES:
                raise _damaged(path, number, at, f"its head says block {found} of {length} bytes")
            end = at + len(head) + length + _CRC.size
            if end > size:
                return
            rest = file.read(length + _CRC.size)
            if len(rest) < length + _CRC.size:
                return
            payload = rest[:length]
            if zlib.crc32(payload, zlib.crc32(head)) != _CRC.unpack_from(rest, length)[0]:
                raise _damaged(path, number, at, f"wrong checksum of its {length} bytes")
            yield Block(at, number, kind, payload)
            at, number = end, number + 1


def _damaged(path: Path, number: int, at: int, why: str) -> InputError:
    return InputError(f"{path}: damaged: block {number}, at byte {at}: {why}")


def _begin(path: Path, start: bytes) -> int:
    if not start:
        raise InputError(f"{path}: is empty")
    if not start.startswith(MAGIC[:len(start)]):
        raise InputError(f"{path}: not a recording: begins with {start[:8].hex(' ')}, recordings "
                         f"with {MAGIC.hex(' ')}")
    if len(start) < _FILE.size:
        raise InputError(f"{path}: ends within its header, after {len(start)} bytes")
    _, version = _FILE.unpack(start)
    if version != VERSION:
        raise InputError(f"{path}: format version {version}; this ionspike reads version {VERSION}")
    return _FILE.size
