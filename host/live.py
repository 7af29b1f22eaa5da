"""A run without a known end: ticks are sent one by one, and spikes taken as they come."""

import math
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import codec
from ionspike.host.compiler import Compiled
from ionspike.host.decoder import Segment
from ionspike.host.errors import BoardError, InputError
from ionspike.host.gather import STATUS_OFFSET, STATUS_WORDS, counters_of, status
from ionspike.host.line import POLL_S
from ionspike.host.timing import Timing
from ionspike.spec import wire

if TYPE_CHECKING:
    from ionspike.host.board import Board

__all__ = ["Live"]

#: A free-running board is asked where it is so often, while its neurons and the source are silent.
_ASK_S = 0.02
#: Default time between an event's arrival at the host and the free-running tick it is for.
LEAD_S = 0.02


class Live:
    """The board's part of a stream; it holds the board's session until :meth:`end`.

    Parameters
    ----------
    setup : records before the first tick.
    restart : whether they set the number of ticks back to 0.
    control : value of that register while ticks run.
    clocks : of a free-running tick; None in lockstep.
    lead : free-running ticks before the first that is sent; None for ``LEAD_S``.

    Members
    -------
    ready : numbers of the neurons that fired, one entry per tick from the first sent on.
    taken : ticks sent.
    counters, timing : of the board, as of the last :meth:`read_status`.
    """

    def __init__(self, board: "Board", setup: Iterable[bytes], *, restart: bool, control: int,
                 clocks: int | None, lead: int | None):
        self._board, self._session = board, board._session
        self._compiled: Compiled = board._loaded()
        self._control, self._clocks = control, clocks
        self._period_s = 0.0 if clocks is None else clocks / board.hello.clock_hz
        self.lead = 0 if clocks is None else (
            max(1, math.ceil(LEAD_S / self._period_s)) if lead is None else lead)
        if self.lead < 0:
            raise InputError(f"lead must be a number of ticks, not {lead}")
        self.ready: deque[NDArray[np.int64]] = deque()
        self.taken = 0
        self.counters: dict[str, int] = {}
        self.timing: Timing | None = None
        self._due = 0           # marks not answered
        self._statuses = 0
        self._asked_s = self._heard_s = time.monotonic()
        self._session.exchange(self._session.marked(setup), 1, restart=restart)
        self._start = self._session.tick
        self._first = self._session.tick + self.lead
        self._session.begin()

    @property
    def running(self) -> bool:
        """Whether something will come without anything being sent."""
        return self._due > 0 or (self._clocks is not None and self.taken > 0)

    def send(self, item: Any) -> None:
        """The next tick: its inputs, see :meth:`ionspike.host.board.Board.stream`."""
        tick, row = self._first + self.taken, self._row(item)
        if not self.taken:
            if self._clocks is not None:
                # Its clock starts when there is something to do.
                self._session.put(self._board._set("control", self._control))
            self._session.put(codec.advance(self._session.tick, tick))
        self._session.put(codec.encode_events(self._compiled.to_board(row), tick))
        self.taken += 1
        self._ask()

    def poll(self, timeout_s: float) -> None:
        """Take what has come, or comes within the time.

        Raises
        ------
        BoardError
            If nothing has come for too long though something is due.
        """
        if self.running and not self._due and time.monotonic() - self._asked_s > _ASK_S:
            self._ask()
        segments, heard = self._session.poll(timeout_s)
        now_s = time.monotonic()
        longest_s = self._session.timeout_s + (self.lead + 200) * self._period_s
        if heard:
            self._heard_s = now_s
        elif self._due and now_s - self._heard_s > longest_s:
            raise BoardError(f"{self._board.where}: silent for {longest_s:g} s at tick "
                             f"{self._session.tick}")
        for segment in segments:
            self._due -= 1
            self._take(segment)

    def read_status(self, before: Iterable[bytes] = ()) -> None:
        """Send these records, wait for everything that is due, and learn the counters."""
        wanted = self._statuses + 1
        self._session.put(before)
        self._session.put(codec.read(wire.address(wire.Space.REGISTERS, STATUS_OFFSET),
                                     STATUS_WORDS))
        self._ask()
        while self._statuses < wanted or self._due:
            self.poll(POLL_S)

    def end(self) -> None:
        """Stop the board, learn the last counters, and let others have the session."""
        in_step = False
        try:
            self.read_status(self._board._set("control", 0))
            in_step = True
        finally:
            self.ready.clear()
            self._session.end(in_step)

    def _ask(self) -> None:
        self._asked_s = time.monotonic()
        if not self._due:
            self._heard_s = self._asked_s
        self._session.put([self._session.mark()])
        self._due += 1

    def _take(self, segment: Segment) -> None:
        if segment.reads:
            known = status(np.frombuffer(b"".join(segment.reads), "<u2"))
            self.counters = counters_of(known)
            self.timing = Timing.of(
                self._board.hello, known, ticks=segment.tick - self._start, clocks=self._clocks,
                host_pause_s=self._session.host_pause_s)
            self._statuses += 1
        raster = segment.raster(self._compiled.image.neurons)[:, self._compiled.neuron_slots]
        self.ready.extend(np.flatnonzero(row) for row in raster[max(0, self._first - segment.start):])

    def _row(self, item: Any) -> NDArray[np.bool_]:
        inputs, where = self._compiled.network.inputs, f"tick {self.taken} of the source"
        row = np.zeros((1, inputs), bool)
        events = np.asarray(() if item is None else item)
        if events.dtype == bool and events.shape == (inputs,):
            row[0] = events
        elif events.ndim == 1 and (not events.size or events.dtype.kind in "iu"):
            events = events.astype(np.int64)
            for wrong in events[(events < 0) | (events >= inputs)][:1]:
                raise InputError(f"{where}: input {wrong} is out of range: the network has {inputs} "
                                 f"inputs, 0 to {inputs - 1}")
            row[0, events] = True
        else:
            raise InputError(f"{where}: {events.dtype} {events.shape} is neither a list of inputs "
                             f"nor {inputs} booleans")
        return row
