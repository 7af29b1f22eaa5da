"""Spikes in and out of a board while they happen, for sources that never end."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import BoardError, InputError
from ionspike.host.feeder import AsyncFeeder, Feeder
from ionspike.host.line import POLL_S, LinkError
from ionspike.host.live import Live
from ionspike.host.result import LOSSES
from ionspike.host.timing import Timing

__all__ = ["Stream"]

#: Longest wait for a source while nothing is under way; bounds how long a step takes.
_IDLE_S = 0.05
_MOST_AHEAD = 1 << 14


class Stream:
    """Ticks of inputs from a source, and the spikes of each, one after the other.

    Made by :meth:`ionspike.host.board.Board.stream`. Iterate over it with ``for`` or ``async for``,
    once: each item is the numbers of the neurons that fired in one tick. All work is done while the
    next item is waited for. Close it, or use it in a ``with`` or ``async with``: then the board may be
    used for something else.

    Members
    -------
    seed : of the noise; None if the LFSR went on.
    ticks : those whose spikes were handed out.
    """

    def __init__(self, source: Iterable[Any] | AsyncIterable[Any], ahead: int, seed: int | None,
                 live: Callable[[], Live]):
        if not isinstance(source, (Iterable, AsyncIterable)):
            raise InputError(f"a source of a stream is an iterable of ticks, not "
                             f"{type(source).__name__}")
        if not 1 <= ahead <= _MOST_AHEAD:
            raise InputError(f"ahead must be 1 to {_MOST_AHEAD} ticks, not {ahead}")
        self._source, self._ahead, self.seed = source, ahead, seed
        self.ticks = 0
        self._feeder: Feeder | AsyncFeeder | None = None
        # Steps of an asynchronous stream are made in other threads.
        self._lock = threading.RLock()
        self._closed = False
        self._live = live()

    @property
    def taken(self) -> int:
        """Ticks of inputs that were sent."""
        return self._live.taken

    @property
    def lead(self) -> int:
        """Free-running ticks before the one of the first input; their spikes are not told."""
        return self._live.lead

    # ------------------------------------------------------------------------------ iterating --

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        if not isinstance(self._source, Iterable):
            raise InputError("the source is asynchronous: use `async for`")
        self._require_fresh()
        self._feeder = Feeder(self._source, self._ahead)
        return self._iterate(self._feeder)

    def _iterate(self, feeder: Feeder) -> Iterator[NDArray[np.int64]]:
        try:
            for item in self._turns(feeder):
                if item is None:
                    self._step(feeder)
                else:
                    yield item
        finally:
            self._leave()

    async def __aiter__(self) -> AsyncIterator[NDArray[np.int64]]:
        self._require_fresh()
        feeder: Feeder | AsyncFeeder = AsyncFeeder(self._source, self._ahead) \
            if isinstance(self._source, AsyncIterable) else Feeder(self._source, self._ahead)
        self._feeder = feeder
        try:
            for item in self._turns(feeder):
                if item is None:
                    await asyncio.to_thread(self._step, feeder)
                else:
                    yield item
        finally:
            self._leave()

    def _turns(self, feeder: Feeder | AsyncFeeder) -> Iterator[NDArray[np.int64] | None]:
        """What to hand out, and None where a step is due first."""
        while self._wanting(feeder):
            if self._live.ready:
                self.ticks += 1
                yield self._live.ready.popleft()
                # Only now: the next input may be made from what was handed out.
                feeder.grant()
            else:
                yield None

    def _require_fresh(self) -> None:
        if self._feeder is not None or self._closed:
            raise InputError("a stream is iterated over once; make another")

    def _wanting(self, feeder: Feeder | AsyncFeeder) -> bool:
        """Whether there is, or will be, something to hand out."""
        if feeder.ended and self.ticks >= self.taken:
            # A free-running board ticks on; that is not part of the stream.
            if feeder.error is not None:
                raise feeder.error
            return False
        return not self._closed

    def _step(self, feeder: Feeder | AsyncFeeder) -> None:
        """Send what the source has given and take what has come; takes little time."""
        with self._lock:
            if self._closed:
                return
            for _ in range(self._ahead):
                if (item := feeder.get()) is None:
                    break
                self._live.send(item[0])
            if self._live.running:
                self._live.poll(POLL_S)
            else:
                feeder.wait(_IDLE_S)
                self._live.poll(0)

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
                self._live.read_status()
            return dict(self._live.counters)

    def timing(self) -> Timing:
        """How the stream has kept time so far: a round trip; after the end, as it was then.

        Raises
        ------
        BoardError, LinkError
            If the board falls silent.
        """
        self.counters()
        assert self._live.timing is not None
        return self._live.timing

    @property
    def losses(self) -> dict[str, int]:
        """Those counters that tell of lost or late data and are not zero, as of :meth:`counters`."""
        known = self._live.counters
        return {name: known[name] for name in LOSSES if known.get(name)}

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
            self._closed = True
            if self._feeder is not None:
                self._feeder.stop()
            self._live.end()

    def _leave(self) -> None:
        """The end of a loop: for an error, another one would hide it."""
        if sys.exc_info()[0] in (None, GeneratorExit):
            self.close()
        else:
            self._give_up()

    def _give_up(self) -> None:
        try:
            self.close()
        except (BoardError, LinkError):
            pass

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
