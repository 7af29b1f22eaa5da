"""Records to a board and its answers, both ways at once."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import baud, codec
from ionspike.host.decoder import Decoder, Segment
from ionspike.host.errors import BoardError, InputError, NoBoardError
from ionspike.host.hello import Hello
from ionspike.host.line import LinkError
from ionspike.host.recorder import Recorder
from ionspike.spec import wire

__all__ = ["Progress", "Session"]

Progress = Callable[[int, int], None]

#: How many records are sent before answers are looked at.
_BURST = 32
#: How long an answer is waited for, on a bad line, before more is asked for.
_ANSWER_S = 0.01


class Session:
    """What a board is told and answers, in step.

    Parameters
    ----------
    link : an unopened link; it is opened.
    where : the board's port, for messages.
    timeout_s : how long the board may be silent while it has something to do.

    Members
    -------
    hello : what the board says it is.
    rate : bits per second on the line; as built, until it is changed.
    tick : number of its next tick, as of the last exchange.
    recorder : told of every exchange, if there is one.

    Raises
    ------
    NoBoardError, LinkError
        If nobody answers, or a board of another protocol or contract.
    """

    def __init__(self, link: Any, where: str, timeout_s: float):
        self.link, self.where, self.timeout_s = link, where, timeout_s
        self.tick = 0
        self.recorder: Recorder | None = None
        self._token = 0
        self._decoder = Decoder()
        self._closed = self._in_step = self._live = False
        self._fresh = True
        self.hello = baud.find(link, timeout_s)
        _check(self.hello, where)
        self.rate = link.baud if link.tuned else self.hello.baud

    def _open(self) -> Hello:
        hello: Hello = self.link.open(self.timeout_s)
        _check(hello, self.where)
        return hello

    def change_rate(self, rate: int) -> None:
        """See :func:`ionspike.host.baud.change`; ``rate`` is then what it came to."""
        self._require_free()
        self._fresh, self._in_step = True, False
        self.hello = baud.change(self.link, self.hello, rate, self.timeout_s)
        self.rate = self.link.baud

    def close(self) -> None:
        """No more exchanges; whoever comes next finds the board at its built rate."""
        if not self._closed and self.rate != self.hello.baud:
            try:
                baud.restore(self.link, self.hello, self.timeout_s)
            except (LinkError, ValueError):
                pass    # a board that is left at another rate can be woken
        self._closed = True

    def mark(self) -> bytes:
        """The record of the next MARK."""
        self._token = self._token + 1 & 0xFFFF
        return codec.mark(self._token)

    def marked(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """These records and a MARK."""
        yield from records
        yield self.mark()

    def write(self, address: int, words: NDArray[np.uint16]) -> Iterator[bytes]:
        """Records that fit frames as the line lets them be."""
        return codec.write(address, words, self._frame_bytes)

    def read(self, address: int, words: int) -> Iterator[bytes]:
        """Likewise; so do the answers."""
        return codec.read(address, words, self._frame_bytes)

    def _frame_bytes(self) -> int:
        size: int = self.link.frame_bytes
        return size

    def exchange(self, records: Iterable[bytes], marks: int, *, restart: bool = False,
                  expected: Sequence[int] = (), timeout_s: float | None = None,
                  progress: Progress | None = None, facts: Mapping[str, Any] | None = None,
                  ) -> list[tuple[Segment, float]]:
        """Send records, taking answers meanwhile, until that many MARKs have come back.

        With ``restart`` the tick number starts anew in each segment, else it goes on. ``facts`` are
        what a recording says of it.
        """
        self._require_free()
        if not self._in_step:
            self._step_in()
        self._in_step = False
        self._decoder.restart = restart
        self._decoder.begin(0 if restart else self.tick)
        recorder = self.recorder
        if recorder is not None:
            recorder.begin({"what": "memory", **(facts or {}), "restart": restart,
                            "tick": 0 if restart else self.tick})
        ended: list[tuple[Segment, float]] = []
        silent_s = self.timeout_s if timeout_s is None else timeout_s
        begun, total = time.perf_counter(), sum(expected)
        self.link.attend()

        def take(data: bytes) -> None:
            nonlocal begun
            if recorder is not None:
                recorder.received(data)
            self._decoder.feed(data)
            while self._decoder.segments:
                segment = self._decoder.segments.pop(0)
                now = time.perf_counter()
                segment.host_pause_s = self.link.pause_s
                self.link.attend()
                ended.append((segment, now - begun))
                begun, self.tick = now, segment.tick
            if progress is not None and data:
                current = self._decoder.current
                progress(min(total, sum(expected[:len(ended)]) + current.last + 1 - current.start),
                         total)

        for count, record in enumerate(records):
            if recorder is not None:
                recorder.sent(record)
            self.link.send(record)
            if self.link.bad and record[0] == wire.Op.READ:
                # Or the board would put the answers of several into one frame.
                self.link.flush()
                take(self.link.receive(_ANSWER_S))
            elif count % _BURST == _BURST - 1:
                take(self.link.receive(0))
        self.link.flush()
        while len(ended) < marks:
            if not (data := self.link.receive(silent_s)):
                raise BoardError(f"{self.where}: silent for {silent_s:g} s after tick "
                                 f"{self._decoder.current.last}, {marks - len(ended)} answers due")
            take(data)
        if ended[-1][0].token != self._token:
            raise BoardError(f"{self.where}: answered MARK {ended[-1][0].token}, "
                             f"not {self._token}")
        self._in_step = True
        if recorder is not None:
            recorder.end({"link": dict(self.link.counters),
                          "wall_s": sum(wall_s for _, wall_s in ended),
                          "host_pause_s": max(segment.host_pause_s for segment, _ in ended)})
        return ended

    # An exchange without a known end, after one that has ended: begin, put and poll, end.

    def begin(self) -> None:
        """From here on records are put and answers polled; no exchange until :meth:`end`."""
        self._require_free()
        self._in_step, self._live = False, True
        self._decoder.restart = False
        self._decoder.begin(self.tick)
        self.link.attend()

    @property
    def host_pause_s(self) -> float:
        """Longest time since :meth:`begin` during which the host did not look at the line."""
        return self.link.pause_s

    def put(self, records: Iterable[bytes]) -> None:
        """Send records; they leave with the next :meth:`poll` at the latest."""
        for record in records:
            self.link.send(record)

    def poll(self, timeout_s: float) -> tuple[list[Segment], bool]:
        """Segments that MARKs have ended, and whether anything came within the time."""
        data = self.link.receive(timeout_s)
        self._decoder.feed(data)
        segments, self._decoder.segments = self._decoder.segments, []
        for segment in segments:
            self.tick = segment.tick
        return segments, bool(data)

    def end(self, in_step: bool) -> None:
        """``in_step``: every MARK has come back. Else the link is opened anew for what follows."""
        self._live, self._in_step = False, in_step

    def _require_free(self) -> None:
        if self._closed:
            raise BoardError(f"{self.where}: the board is closed")
        if self._live:
            raise InputError(f"{self.where}: a stream is under way; close it first")

    def _step_in(self) -> None:
        """Learn the tick number of a board just opened, or of one whose run was cut short."""
        if not self._fresh:
            # Opening anew makes both sides forget what was under way.
            self.hello = self._open()
        self._fresh = False
        self._decoder = Decoder()
        self._decoder.begin(None)
        self.link.send(self.mark())
        self.link.flush()
        while not self._decoder.segments:
            if not (data := self.link.receive(self.timeout_s)):
                raise BoardError(f"{self.where}: no answer to MARK within {self.timeout_s:g} s")
            self._decoder.feed(data)
        self.tick = self._decoder.segments.pop().tick


def _check(hello: Hello, where: str) -> None:
    """What the link, which knows the contract, has no use for."""
    if not hello.clock_hz:
        raise NoBoardError(f"{where}: the board says that its clock is 0 Hz; load the bitstream "
                           f"that comes with this ionspike")
