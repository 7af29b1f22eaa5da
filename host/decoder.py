"""The board's records, gathered per run and turned into arrays at its end."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ionspike.host.codec import list_indices
from ionspike.host.errors import BoardError
from ionspike.spec.wire import LIST_END, TICK_EVERY, Report

__all__ = ["Decoder", "Segment"]


@dataclass
class Segment:
    """Everything up to a MARK, as it came.

    Members
    -------
    start : number of the first tick that can be in it.
    list_ticks, lists, bitmap_ticks, bitmaps : spikes, one entry per record.
    digests : ``(digest u32, lfsr u16)`` of each tick, 6 bytes each.
    probes : 6 bytes per neuron and tick.
    reads : bytes of all READ answers, in order.
    token, tick : of the MARK that ended it.
    host_pause_s : longest time meanwhile during which the host did not look at the line.
    """

    start: int
    last: int = -1
    list_ticks: list[int] = field(default_factory=list)
    lists: list[bytes] = field(default_factory=list)
    bitmap_ticks: list[int] = field(default_factory=list)
    bitmaps: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    probes: list[bytes] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)
    echoes: list[bytes] = field(default_factory=list)
    token: int = 0
    tick: int = 0
    host_pause_s: float = 0.0

    def events(self, neurons: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(tick, place)`` of every spike, ticks counted from ``start``; not in order.

        Raises
        ------
        BoardError
            For neurons that are not in use, and ticks beyond those that ran.
        """
        row, index = list_indices(b"".join(self.lists))
        if len(index) and index.max() >= neurons:
            raise BoardError(f"the board says neuron {index.max()} fired; {neurons} are in use")
        ticks = np.array(self.list_ticks, np.int64) - self.start
        self._inside(ticks)
        ticks = ticks[row]
        if self.bitmaps:
            if any(8 * len(bitmap) != neurons for bitmap in self.bitmaps):
                raise BoardError(f"the board sent a bitmap that is not of {neurons} neurons")
            bits = np.frombuffer(b"".join(self.bitmaps), np.uint8).reshape(-1, neurons // 8)
            more = np.array(self.bitmap_ticks, np.int64) - self.start
            self._inside(more)
            row, place = np.nonzero(np.unpackbits(bits, axis=1, bitorder="little"))
            ticks, index = np.append(ticks, more[row]), np.append(index, place)
        return ticks, index

    def raster(self, neurons: int, most: int | None = None) -> NDArray[np.bool_]:
        """Spikes, bool ``[ticks, neurons]``, of places in the core; up to ``most`` ticks.

        Raises
        ------
        BoardError
            As :meth:`events`.
        """
        tick, place = self.events(neurons)
        ran = max(0, self.tick - self.start)
        spikes = np.zeros((ran if most is None else min(ran, most), neurons), bool)
        if len(spikes) < ran:
            wanted = tick < len(spikes)
            tick, place = tick[wanted], place[wanted]
        spikes[tick, place] = True
        return spikes

    def _inside(self, ticks: NDArray[np.int64]) -> None:
        if len(ticks) and not 0 <= ticks.min() <= ticks.max() < self.tick - self.start:
            raise BoardError(f"the board sent spikes of tick {ticks.max() + self.start}, "
                             f"but says it ran ticks {self.start} to {self.tick - 1}")


class Decoder:
    """Splits the board's stream into records and those into segments.

    Members
    -------
    segments : the finished ones, oldest first; whoever wants them takes them out.
    current : the one under way.
    restart : whether ticks are counted from zero in every segment.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.segments: list[Segment] = []
        self.restart = False
        self.begin(None)

    def begin(self, tick: int | None) -> None:
        """The next record is of tick ``tick`` or later; None if no tick may be heard of."""
        self._known = tick is not None
        self.current = Segment(start=tick or 0, last=(tick or 0) - 1)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        Raises
        ------
        BoardError
            For what is no record, or a tick that cannot follow the one before.
        """
        buffer = self._rest + data if self._rest else data
        at, size = 0, len(buffer)
        while at < size:
            end = self._record(buffer, at, size)
            if not at < end <= size:
                break
            at = end
        self._rest = buffer[at:]

    def _record(self, buffer: bytes, at: int, size: int) -> int:
        """Take one record; returns where it ends, or 0 where it is not all there."""
        kind, now = buffer[at], self.current
        if kind == Report.SPIKES:
            end = buffer.find(LIST_END, at + 2) + 1
            if end:
                now.list_ticks.append(self._step(buffer[at + 1], 1))
                now.lists.append(buffer[at + 2:end])
            return end
        if kind == Report.ERROR:
            if size < at + 2:
                return 0
            raise BoardError(f"the board refused a command of {buffer[at + 1]:#04x}, which it does "
                             f"not know")
        # All others begin with a fixed part that says how long they are.
        head = _HEADS.get(kind)
        if head is None:
            raise BoardError(f"the board sent {kind:#04x}, which is not a report")
        fixed, scale = head
        if size < at + fixed:
            return 0
        end = at + fixed + (scale * buffer[at + fixed - 1] if scale else 0)
        if size < end:
            return 0
        if kind == Report.BITMAP:
            now.bitmap_ticks.append(self._step(buffer[at + 1], 1))
            now.bitmaps.append(buffer[at + 3:end])
        elif kind == Report.TICK:
            self._step(buffer[at + 1], 1)
        elif kind == Report.DIGEST:
            self._step(buffer[at + 1], 0)
            now.digests.append(buffer[at + 2:end])
        elif kind == Report.PROBES:
            self._step(buffer[at + 1], 0)
            now.probes.append(buffer[at + 3:end])
        elif kind == Report.READ:
            now.reads.append(buffer[at + 5:end])
        elif kind == Report.ECHO:
            now.echoes.append(buffer[at + 2:end])
        else:
            self._finish(buffer[at + 1:end])
        return end

    def _step(self, low: int, least: int) -> int:
        """The full number of the tick whose low byte this is."""
        now = self.current
        ahead = (low - now.last) & 0xFF
        # At least one record comes every TICK_EVERY ticks, so a longer step is a step back.
        if not (least <= ahead <= TICK_EVERY and self._known):
            raise BoardError(f"the board reported a tick ending in {low:#04x} after tick "
                             f"{now.last}: records are missing or out of order")
        now.last += ahead
        return now.last

    def _finish(self, body: bytes) -> None:
        now = self.current
        now.token = int.from_bytes(body[:2], "little")
        now.tick = int.from_bytes(body[2:6], "little")
        if self._known and not 1 <= now.tick - now.last <= 129:
            raise BoardError(f"the board says {now.tick} is its next tick, after records of tick "
                             f"{now.last}")
        self.segments.append(now)
        self.begin(0 if self.restart else now.tick)


#: Bytes of the part before what ``n``, its last byte, counts; and bytes of each of those.
_HEADS: dict[int, tuple[int, int]] = {
    Report.READ: (5, 2), Report.BITMAP: (3, 1), Report.TICK: (2, 0), Report.DIGEST: (8, 0),
    Report.PROBES: (3, 6), Report.MARK: (7, 0), Report.ECHO: (2, 1)}
