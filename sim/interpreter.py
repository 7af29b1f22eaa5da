"""Golden model of :mod:`ionspike.hdl.interpreter`: what a board does with a host's records."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ionspike.host.codec import encode_lists, list_indices, record_size
from ionspike.sim.memory import BoardMemory
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import CONTROL, TICK_EVERY, Op, Policy, Report

__all__ = ["Interpreter"]



class Interpreter:
    """A core's command interpreter: a stream of records in, a stream of records out.

    Ticks cost no time here, so that in free-running mode, too, no event is ever late by the clock.

    Parameters
    ----------
    shape : sizes of the core.
    link_counters : the board's counters of its link, by name.
    clear_link : what zeroes them.

    Members
    -------
    memory : what can be read and written, and the model.
    """

    def __init__(self, shape: CoreShape, link_counters: Callable[[], dict[str, int]] = dict,
                 clear_link: Callable[[], None] = lambda: None):
        self.shape = shape
        self.memory = BoardMemory(shape, link_counters, clear_link)
        self.restart()

    def restart(self) -> None:
        """What OPEN does: both streams begin anew, everything else stays as it is."""
        self._buffer, self._out = b"", bytearray()
        self._work = self._program()
        self._starved = False

    @property
    def busy(self) -> bool:
        """Whether :meth:`run` would do something."""
        return not self._starved

    def feed(self, data: bytes) -> None:
        """Append to the stream from the host."""
        if data:
            self._buffer += data
            self._starved = False

    def run(self, ticks: int | None = None) -> bytes:
        """Execute until there is nothing left to do, or so many ticks have run.

        Returns the stream to the host.
        """
        while not self._starved and (ticks is None or ticks > 0):
            ran = next(self._work)
            if ticks is not None:
                ticks -= ran
        out = bytes(self._out)
        self._out.clear()
        return out

    def _program(self) -> Iterator[bool]:
        """Yields whether a tick was run: after every tick, and when bytes are missing."""
        while True:
            size = record_size(self._buffer)
            if size is None:
                self._out += bytes([Report.ERROR, self._buffer[0]])
                while True:
                    self._buffer, self._starved = b"", True
                    yield False
            if not 0 < size <= len(self._buffer):
                self._starved = True
                yield False
                continue
            record, self._buffer = self._buffer[:size], self._buffer[size:]
            yield from self._execute(record)

    def _execute(self, record: bytes) -> Iterator[bool]:
        op, short = record[0], int.from_bytes(record[1:3], "little")
        match op:
            case Op.WRITE:
                words = np.frombuffer(record[5:], "<u2").astype(np.uint16)
                self.memory.write(int.from_bytes(record[1:4], "little"), words)
            case Op.READ:
                words = self.memory.read(int.from_bytes(record[1:4], "little"), record[4])
                self._out += bytes([Report.READ]) + record[1:5] + words.astype("<u2").tobytes()
            case Op.EVENTS:
                yield from self._events(short, list_indices(record[3:])[1])
            case Op.BITMAP:
                bits = np.unpackbits(np.frombuffer(record[4:], np.uint8), bitorder="little")
                yield from self._events(short, np.flatnonzero(bits))
            case Op.ADVANCE:
                yield from self._idle(self._distance(short))
            case Op.CLEAR:
                self.memory.clear(state=bool(record[1] & 1), counters=bool(record[1] & 2))
            case Op.MARK:
                self._out += (bytes([Report.MARK]) + record[1:3]
                              + self.memory.core.tick.to_bytes(4, "little"))
            case Op.ECHO:
                self._out += bytes([Report.ECHO]) + record[1:]

    def _control(self, name: str) -> int:
        shift = 0
        for field, width in CONTROL:
            if field == name:
                return self.memory.registers["control"] >> shift & ((1 << width) - 1)
            shift += width
        raise KeyError(name)

    def _distance(self, stamp: int) -> int:
        distance = (stamp - self.memory.core.tick) & 0xFFFF
        return distance - 0x10000 if distance & 0x8000 else distance

    def _idle(self, ticks: int) -> Iterator[bool]:
        for _ in range(ticks):
            self._tick(np.zeros(0, np.int64))
            yield True

    def _events(self, stamp: int, indices: NDArray[np.int64]) -> Iterator[bool]:
        distance, counters = self._distance(stamp), self.memory.counters
        if distance < 0:
            counters["late"] += len(indices)
            policy = self._control("policy")
            if policy == Policy.HALT:
                self.memory.registers["control"] &= ~1
            if policy != Policy.NEXT:
                counters["dropped"] += len(indices)
                return
        yield from self._idle(distance)
        exist = indices[indices < self.shape.inputs]
        counters["dropped"] += len(indices) - len(exist)
        self._tick(exist)
        yield True

    def _tick(self, indices: NDArray[np.int64]) -> None:
        core, out = self.memory.core, self._out
        inputs = np.zeros(self.shape.inputs, bool)
        inputs[indices] = True
        low = core.tick & 0xFF
        spikes = self.memory.step(inputs)
        fired = np.flatnonzero(spikes)
        size = len(spikes) // 8
        if len(fired) == 0:
            if low % TICK_EVERY == 0:
                out += bytes([Report.TICK, low])
        elif len(fired) < size:
            content, _ = encode_lists(np.zeros(len(fired), np.int64), fired, 1)
            out += bytes([Report.SPIKES, low]) + content
        else:
            out += bytes([Report.BITMAP, low, size])
            out += np.packbits(spikes, bitorder="little").tobytes()
        if self._control("report_digest"):
            out += bytes([Report.DIGEST, low]) + self.memory.digest.to_bytes(4, "little")
            out += (int(core.lfsr[0]) & 0xFFFF).to_bytes(2, "little")
        if self._control("report_probes"):
            words = self.memory.probed()
            out += bytes([Report.PROBES, low, len(words)]) + words.astype("<u2").tobytes()
