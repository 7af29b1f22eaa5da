"""Records to and from bytes; pure functions, vectorised over events. Layouts: ``spec.wire``."""

import struct
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.spec.wire import LIST_END, LIST_SKIP, PAYLOAD_BYTES, STATE_STRIDE, Op

__all__ = [
    "ECHO_BYTES", "READ_WORDS", "advance", "clear", "echo", "encode_events",
    "encode_lists", "list_indices", "mark", "read", "record_size", "write",
]

_STAMP, _STAMP_N = struct.Struct("<BH"), struct.Struct("<BHB")
#: Bytes of a WRITE, and of the answer to a READ, before their words: op, address and n.
_HEAD = 5
#: Bytes of one ECHO.
ECHO_BYTES = PAYLOAD_BYTES - 2
#: Words of one READ.
READ_WORDS = 252
#: A stamp is compared modulo 2**16, so no step forward may reach half of that.
_FARTHEST = 30_000


def write(address: int, words: NDArray[np.uint16],
          frame_bytes: Callable[[], int] = lambda: PAYLOAD_BYTES) -> Iterator[bytes]:
    """Write consecutive words, as many records as it takes for each to fit a frame."""
    at = 0
    while at < len(words):
        part = np.ascontiguousarray(words[at:at + (frame_bytes() - _HEAD) // 2], "<u2")
        yield b"%c%s%c%s" % (Op.WRITE, (address + at).to_bytes(3, "little"), len(part),
                             part.tobytes())
        at += len(part)


def read(address: int, words: int,
         frame_bytes: Callable[[], int] = lambda: PAYLOAD_BYTES) -> Iterator[bytes]:
    """Ask for consecutive words, as many records as it takes.

    Where frames are not full ones, the answer to each fits one, and no neuron's state is cut in two.
    """
    at = 0
    while at < words:
        size = frame_bytes()
        most = READ_WORDS if size == PAYLOAD_BYTES else (
            (size - _HEAD) // 2 // STATE_STRIDE * STATE_STRIDE)
        count = min(most, words - at)
        yield b"%c%s%c" % (Op.READ, (address + at).to_bytes(3, "little"), count)
        at += count


def clear(state: bool, counters: bool) -> bytes:
    return bytes([Op.CLEAR, state | counters << 1])


def mark(token: int) -> bytes:
    return _STAMP.pack(Op.MARK, token)


def echo(data: bytes) -> bytes:
    return bytes([Op.ECHO, len(data)]) + data


def record_size(buffer: bytes) -> int | None:
    """Bytes of the first record; 0 where they cannot be told yet, None for no record."""
    if not buffer:
        return 0
    match buffer[0]:
        case Op.WRITE | Op.READ:
            if len(buffer) < 5:
                return 0
            return 5 + (2 * buffer[4] if buffer[0] == Op.WRITE else 0)
        case Op.EVENTS:
            return buffer.find(LIST_END, 3) + 1
        case Op.BITMAP:
            return 4 + buffer[3] if len(buffer) > 3 else 0
        case Op.ADVANCE | Op.MARK:
            return 3
        case Op.CLEAR:
            return 2
        case Op.ECHO:
            return 2 + buffer[1] if len(buffer) > 1 else 0
    return None


def advance(start: int, tick: int) -> Iterator[bytes]:
    """From tick ``start`` on, run empty ticks until ``tick`` is next."""
    while start < tick:
        start = min(tick, start + _FARTHEST)
        yield _STAMP.pack(Op.ADVANCE, start & 0xFFFF)


def encode_lists(rows: NDArray[np.int64], indices: NDArray[np.int64],
                 count: int) -> tuple[bytes, NDArray[np.int64]]:
    """Event lists of ``count`` rows, one after the other, and where each ends.

    Parameters
    ----------
    rows, indices : row and index of each event, in order of row, then index.
    """
    new = np.ones(len(rows), bool)
    new[1:] = rows[1:] != rows[:-1]
    before = np.empty_like(indices)
    before[1:] = indices[:-1]
    before[new] = -1
    skips, rest = np.divmod(indices - before - 1, LIST_SKIP)
    ends = np.cumsum(np.bincount(rows, weights=skips + 1, minlength=count).astype(np.int64) + 1)
    # Every event's own byte comes last of its skips, every row's end after its events.
    places = np.cumsum(skips + 1) - 1 + rows
    content = np.full(int(ends[-1]) if count else 0, LIST_SKIP, np.uint8)
    content[places] = rest
    content[ends - 1] = LIST_END
    return content.tobytes(), ends


def list_indices(content: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(row, index)`` of every event of event lists that follow one another."""
    data = np.frombuffer(content, np.uint8)
    end = data == LIST_END
    step = np.where(data == LIST_SKIP, LIST_SKIP, data.astype(np.int64) + 1)
    step[end] = 0
    total = np.cumsum(step)
    row = np.cumsum(end) - end
    # What earlier rows added up to, for each row.
    base = np.concatenate([[0], total[end]])
    event = data < LIST_SKIP
    return row[event], (total - base[row])[event] - 1


def encode_events(raster: NDArray[np.bool_], start: int = 0) -> Iterator[bytes]:
    """The records that make a core run ``[T, inputs]`` from tick ``start`` on.

    Ticks without events cost nothing; the events of a tick travel as the shorter of list and
    bitmap.

    Raises
    ------
    InputError
        For a tick with more events than a frame holds (cores of more than 1,760 inputs only).
    """
    ticks, inputs = raster.shape
    rows, indices = np.nonzero(raster)
    if len(rows):
        busy, first = np.unique(rows, return_index=True)
        last = np.append(first[1:], len(rows)) - 1
        content, ends = encode_lists(np.searchsorted(busy, rows), indices, len(busy))
        bits = np.packbits(raster[busy], axis=1, bitorder="little")
        bitmap_sizes = indices[last] // 8 + 1
        yield from _records(busy + start, content, ends, bits, bitmap_sizes, start)
        start, ticks = int(busy[-1]) + 1 + start, ticks - int(busy[-1]) - 1
    yield from advance(start, start + ticks)


def _records(ticks: NDArray[np.int64], content: bytes, ends: NDArray[np.int64],
             bits: NDArray[np.uint8], sizes: NDArray[np.int64], at: int) -> Iterator[bytes]:
    low = 0
    for k, (tick, high, size) in enumerate(zip(ticks.tolist(), ends.tolist(), sizes.tolist(),
                                               strict=True)):
        if tick - at > _FARTHEST:
            yield from advance(at, tick)
        if high - low <= size + 1:
            record = _STAMP.pack(Op.EVENTS, tick & 0xFFFF) + content[low:high]
        elif size <= PAYLOAD_BYTES - 4:
            record = _STAMP_N.pack(Op.BITMAP, tick & 0xFFFF, size) + bits[k, :size].tobytes()
        else:
            record = b""
        if not 0 < len(record) <= PAYLOAD_BYTES:
            raise InputError(f"tick {tick}: {int(np.unpackbits(bits[k]).sum())} events do not fit "
                             f"one frame of {PAYLOAD_BYTES} bytes; spread them over ticks")
        yield record
        low, at = high, tick + 1
