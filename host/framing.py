"""Frames: pure functions from bytes to bytes; see :mod:`ionspike.spec.wire`."""

import zlib
from typing import NamedTuple

from ionspike.spec.wire import FRAME_OVERHEAD, PAYLOAD_BYTES, Kind, Nack

__all__ = ["Ack", "Deframer", "Frame", "FrameError", "cobs_decode", "cobs_encode", "pack",
           "pack_ack", "parse", "parse_ack"]

#: Bytes between delimiters of the longest frame.
_LONGEST = PAYLOAD_BYTES + FRAME_OVERHEAD - 1
_CODES = [bytes([k]) for k in range(256)]
_KINDS = frozenset(map(int, Kind))


class FrameError(ValueError):
    """Bytes that are no frame."""


class Frame(NamedTuple):
    """What is between two delimiters."""

    kind: int
    seq: int
    payload: bytes = b""


class Ack(NamedTuple):
    """What an ACK frame says. ``limit`` is None if it is as it was."""

    seq: int
    limit: int | None
    reason: Nack


def cobs_encode(data: bytes) -> bytes:
    """Replace zeros by distances to the next; the delimiter is not included.

    Raises
    ------
    ValueError
        If ``data`` is longer than the 253 bytes that always make a single block.
    """
    if len(data) > 253:
        raise ValueError(f"{len(data)} bytes do not fit one COBS block of 253")
    return b"".join([_CODES[len(run) + 1] + run for run in data.split(b"\0")])


def cobs_decode(block: bytes) -> bytes:
    """Undo :func:`cobs_encode`.

    Raises
    ------
    FrameError
        If ``block`` holds a zero, or a distance leads beyond its end.
    """
    runs = []
    at, end = 0, len(block)
    while at < end:
        code = block[at]
        runs.append(block[at + 1:at + code])
        at += code or end + 1
    if at != end or b"\0" in block:
        raise FrameError(f"a COBS code of a block of {end} bytes points beyond its end")
    return b"\0".join(runs)


def pack(kind: int, seq: int, payload: bytes = b"") -> bytes:
    """The bytes of a frame, delimiter included.

    Raises
    ------
    ValueError
        If the payload is longer than ``PAYLOAD_BYTES``.
    """
    if len(payload) > PAYLOAD_BYTES:
        raise ValueError(f"a payload of {len(payload)} bytes, {PAYLOAD_BYTES} fit a frame")
    body = bytes((kind, seq)) + payload
    return cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"


def parse(block: bytes) -> Frame:
    """The frame encoded in the bytes between two delimiters.

    Raises
    ------
    FrameError
        If it is none; says why.
    """
    if len(block) > _LONGEST:
        raise FrameError(f"{len(block)} bytes without a delimiter, a frame has at most {_LONGEST}")
    data = cobs_decode(block)
    if len(data) < 6:
        raise FrameError(f"{len(data)} bytes, a frame has at least 6")
    body, crc = data[:-4], int.from_bytes(data[-4:], "little")
    if (actual := zlib.crc32(body)) != crc:
        raise FrameError(f"CRC is {crc:#010x}, should be {actual:#010x}")
    if body[0] not in _KINDS:
        raise FrameError(f"kind {body[0]:#04x} is not one of {', '.join(k.name for k in Kind)}")
    return Frame(body[0], body[1], body[2:])


def pack_ack(seq: int, limit: int | None = None, reason: Nack = Nack.OK) -> bytes:
    """An ACK frame; without a limit it is shorter and leaves the receiver's as it is.

    Raises
    ------
    ValueError
        For a reason without a limit: the short form always says OK.
    """
    if limit is None:
        if reason:
            raise ValueError(f"an ACK with reason {reason.name} needs a limit")
        return pack(Kind.ACK, seq)
    return pack(Kind.ACK, seq, (limit & 0xFFFF).to_bytes(2, "little") + _CODES[reason])


def parse_ack(frame: Frame) -> Ack:
    """What an ACK frame says.

    Raises
    ------
    FrameError
        If its payload is not that of an ACK.
    """
    payload = frame.payload
    if not payload:
        return Ack(frame.seq, None, Nack.OK)
    if len(payload) != 3 or payload[2] > max(Nack):
        raise FrameError(f"payload {payload.hex(' ')} is not that of an ACK")
    return Ack(frame.seq, int.from_bytes(payload[:2], "little"), Nack(payload[2]))


class Deframer:
    """Finds the frames in a run of bytes, however it is cut up and whatever else is in it.

    Attributes
    ----------
    errors : runs of bytes that were not frames.
    last_error : what was wrong with the latest.
    """

    def __init__(self) -> None:
        self.errors = 0
        self.last_error: FrameError | None = None
        self._partial = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete."""
        *blocks, partial = (self._partial + data).split(b"\0")
        # Kept no longer than needed to tell that it is too long: garbage costs no memory.
        self._partial = partial[:_LONGEST + 1]
        frames = []
        for block in blocks:
            if block:
                try:
                    frames.append(parse(block))
                except FrameError as error:
                    self.errors += 1
                    self.last_error = error
        return frames
