"""Spikes in and out of a board while they happen, for sources that never end."""

import asyncio
import math
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ionspike.host import codec
from ionspike.host.compiler import Compiled
from ionspike.host.decoder import Segment
from ionspike.host.errors import BoardError, InputError
from ionspike.host.feeder import AsyncFeeder, Feeder
from ionspike.host.gather import STATUS_OFFSET, STATUS_WORDS, status
from ionspike.host.line import POLL_S, LinkError
from ionspike.host.result import LOSSES
from ionspike.spec import wire

if TYPE_CHECKING:
    from ionspike.host.board import Board

__all__ = ["Stream"]

#: Longest wait for a source while nothing is under way; bounds how long a step takes.
_IDLE_S = 0.05
#: A free-running board is asked where it is so often, while its neurons and the source are silent.
_ASK_S = 0.02
#: Default time between an event's arrival at the host and the free-running tick it is for.
LEAD_S = 0.02

Spiking = NDArray[np.int64]


class Stream:
    """Ticks of inputs from a source, and the spikes of each, one after the other.

    Made by :meth:`ionspike.host.board.Board.stream`. Iterate over it with ``for`` or ``async for``,
    once: each item is the numbers of the neurons that fired in one tick. All work is done while the
    next item is waited for. Close it, or use it in a ``with`` or ``async with``: then the board may be
    used for something else.

    Members
    -------
    seed : of the noise; None if the LFSR went on.
    lead : free-running ticks before the one of the first input; their spikes are not told.
    taken, ticks : ticks of inputs that were sent, and of spikes that were handed out.
    """

    def __init__(self, board: "Board", source: Iterable[Any] | AsyncIterable[Any], *,
                 seed: int | None, reset: bool, control: int, clocks: int | None, ahead: int,
                 lead: int | None, setup: Iterable[bytes]):
        if not isinstance(source, (Iterable, AsyncIterable)):
            raise InputError(f"a source of a stream is an iterable of ticks, not "
                             f"{type(source).__name__}")
        if not 1 <= ahead <= 1 << 14:
            raise InputError(f"ahead must be 1 to {1 << 14} ticks, not {ahead}")
        self._board, self._session, self._source = board, board._session, source
        self._compiled: Compiled = board._loaded()
        self.seed, self._control, self._clocks, self._ahead = seed, control, clocks, ahead
        period_s = 1.0 if clocks is None else clocks / board.hello.clock_hz
        self.lead = 0 if clocks is None else (
            max(1, math.ceil(LEAD_S / period_s)) if lead is None else lead)
        if self.lead < 0:
            raise InputError(f"lead must be a number of ticks, not {lead}")
        self.taken = self.ticks = 0
        self._feeder: Feeder | AsyncFeeder | None = None
        self._lock = threading.RLock()
        self._ready: deque[Spiking] = deque()
        self._due = 0           # marks not answered
        self._asked_s = self._heard_s = time.monotonic()
        self._counters: dict[str, int] = {}
        self._statuses = 0
        self._closed = False
        self._session.exchange(self._session.marked(setup), 1, restart=reset)
        # A step's first tick after the lead, and the next tick to be heard of.
        self._first = self._session.tick + self.lead
        self._heard = self._session.tick
        self._session.begin()

    # ------------------------------------------------------------------------------ iterating --

    def __iter__(self) -> Iterator[Spiking]:
        if not isinstance(self._source, Iterable):
            raise InputError("the source is asynchronous: use `async for`")
        self._begin(Feeder(self._source, self._ahead))
        try:
            while self._wanting():
                if self._ready:
                    self.ticks += 1
                    yield self._ready.popleft()
                    self._grant()
                else:
                    self._step()
        finally:
            self._leave()

    async def __aiter__(self) -> AsyncIterator[Spiking]:
        self._begin(AsyncFeeder(self._source, self._ahead)
                    if isinstance(self._source, AsyncIterable)
                    else Feeder(self._source, self._ahead))
        try:
            while self._wanting():
                if self._ready:
                    self.ticks += 1
                    yield self._ready.popleft()
                    self._grant()
                else:
                    await asyncio.to_thread(self._step)
        finally:
            self._leave()

    def _begin(self, feeder: Feeder | AsyncFeeder) -> None:
        if self._feeder is not None or self._closed:
            feeder.stop()
            raise InputError("a stream is iterated over once; make another")
        self._feeder = feeder

    def _wanting(self) -> bool:
        """Whether there is, or will be, something to hand out."""
        feeder = self._feeder
        assert feeder is not None
        if feeder.ended and self.ticks >= self.taken:
            # A free-running board ticks on; that is not part of the stream.
            if feeder.error is not None:
                raise feeder.error
            return False
        return not self._closed

    def _grant(self) -> None:
        # Only now, for what was handed out may be what the next input is made from.
        assert self._feeder is not None
        self._feeder.grant()

    def _leave(self) -> None:
        if sys.exc_info()[0] in (None, GeneratorExit):
            self.close()
        else:
            self._give_up()

    # --------------------------------------------------------------------------------- working --

    def _step(self) -> None:
        """Send what the source has given and take what has come; takes little time."""
        with self._lock:
            feeder = self._feeder
            if self._closed or feeder is None:
                return
            for _ in range(self._ahead):
                if (item := feeder.get()) is None:
                    break
                self._send(item[0])
            running = self._clocks is not None and self.taken > 0
            if running and not self._due and time.monotonic() - self._asked_s > _ASK_S:
                self._ask()
            if not self._due and not running:
                feeder.wait(_IDLE_S)
            self._poll(POLL_S if self._due or running else 0)

    def _send(self, item: Any) -> None:
        tick = self._first + self.taken
        row = self._row(item)
        if not self.taken:
            self._heard_s = time.monotonic()
            if self._clocks is not None:
                # Its clock starts when there is something to do.
                self._session.put(self._board._set("control", self._control))
            self._session.put(codec.advance(self._session.tick, tick))
        self._session.put(codec.encode_events(self._compiled.to_board(row), tick))
        self.taken += 1
        self._ask()

    def _row(self, item: Any) -> NDArray[np.bool_]:
        inputs = self._compiled.network.inputs
        row = np.zeros((1, inputs), bool)
        events = np.asarray(() if item is None else item)
        if events.dtype == bool and events.shape == (inputs,):
            row[0] = events
        elif events.ndim == 1 and (not events.size or events.dtype.kind in "iu"):
            events = events.astype(np.int64)
            for wrong in events[(events < 0) | (events >= inputs)][:1]:
                raise InputError(f"tick {self.taken} of the source: input {wrong} is out of range: "
                                 f"the network has {inputs} inputs, 0 to {inputs - 1}")
            row[0, events] = True
        else:
            raise InputError(f"tick {self.taken} of the source: {events.dtype} {events.shape} is "
                             f"neither a list of inputs nor {inputs} booleans")
        return row

    def _ask(self) -> None:
        if not self._due:
            self._heard_s = time.monotonic()
        self._session.put([self._session.mark()])
        self._due += 1
        self._asked_s = time.monotonic()

    def _poll(self, timeout_s: float) -> None:
        segments, heard = self._session.poll(timeout_s)
        now_s = time.monotonic()
        if heard:
            self._heard_s = now_s
        elif self._due and now_s - self._heard_s > self._silent_s:
            raise BoardError(f"{self._board.where}: silent for {self._silent_s:g} s at tick "
                             f"{self._heard}")
        for segment in segments:
            self._due -= 1
            self._take(segment)

    @property
    def _silent_s(self) -> float:
        slowest_s = 0.0 if self._clocks is None else (
            (self.lead + 200) * self._clocks / self._board.hello.clock_hz)
        return self._session.timeout_s + slowest_s

    def _take(self, segment: Segment) -> None:
        if segment.reads:
            words = np.frombuffer(b"".join(segment.reads), "<u2")
            self._counters, _ = status(words)
            self._statuses += 1
        compiled = self._compiled
        raster = segment.raster(compiled.image.neurons)[:, compiled.neuron_slots]
        for tick, row in enumerate(raster, segment.start):
            if tick >= self._first:
                self._ready.append(np.flatnonzero(row))
        self._heard = segment.tick

    # ----------------------------------------------------------------------------- afterwards --

    def counters(self) -> dict[str, int]:
        """The board's counters of this stream so far: a round trip; after the end, the last ones.

        Raises
        ------
        BoardError, LinkError
            If the board falls silent.
        """
        with self._lock:
            if not self._closed:
                self._read_status(())
            return dict(self._counters)

    @property
    def losses(self) -> dict[str, int]:
        """Those counters that tell of lost or late data and are not zero, as of :meth:`counters`."""
        return {name: self._counters[name] for name in LOSSES if self._counters.get(name)}

    def _read_status(self, before: Iterable[bytes]) -> None:
        wanted = self._statuses + 1
        self._session.put(before)
        self._session.put(codec.read(wire.address(wire.Space.REGISTERS, STATUS_OFFSET),
                                     STATUS_WORDS))
        self._ask()
        while self._statuses < wanted or self._due:
            self._poll(POLL_S)

    def close(self) -> None:
        """Stop the source and the board, and learn the last counters; the board is free then.

        Ticks that were sent are still run, but nobody is told of their spikes.

        Raises
        ------
        BoardError, LinkError
            If the board no longer answers.
        """
        with self._lock:
            if self._closed:
                return
            self._stop_source()
            ended = False
            try:
                self._read_status(self._board._set("control", 0))
                ended = True
            finally:
                self._closed = True
                self._ready.clear()
                self._session.end(ended)

    def _give_up(self) -> None:
        """Close after an error; another one would hide it."""
        try:
            self.close()
        except (BoardError, LinkError):
            pass

    def _stop_source(self) -> None:
        if self._feeder is not None:
            self._feeder.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._give_up()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await asyncio.to_thread(self.close if kind is None else self._give_up)
