"""A port that misbehaves on purpose, whatever it is: serial, virtual, socket."""

import time
from collections import deque
from collections.abc import Callable

from ionspike.host.behind import Behind
from ionspike.host.faults import Faults
from ionspike.host.line import Port

__all__ = ["FaultyPort", "Plug"]


class Plug:
    """When the port is pulled.

    Parameters
    ----------
    every_s : seconds from one pull to the next.
    away_s : seconds for which it is gone then. After them it works once it is opened again.

    Attributes
    ----------
    pulls : how often it was pulled.
    back_s : when it last came back, or will, on the port's clock.
    """

    def __init__(self, every_s: float, away_s: float):
        self.every_s, self.away_s = every_s, away_s
        self.pulls = 0
        self.back_s = 0.0
        self._next_s: float | None = None

    def pulled(self, now_s: float) -> bool:
        """Whether it is pulled now, and was not before."""
        if self._next_s is None:
            self._next_s = now_s + self.every_s
        if now_s < self._next_s:
            return False
        self.pulls += 1
        self.back_s = now_s + self.away_s
        self._next_s = self.back_s + self.every_s
        return True


class _Way:
    """One direction: bytes on their way and when they are due."""

    def __init__(self, faults: Faults):
        self._faults = faults
        self._held: deque[tuple[float, bytes]] = deque()
        self._last_s = 0.0

    def put(self, data: bytes, now_s: float) -> None:
        for wait_s, piece in self._faults.pieces(data) if data else ():
            self._last_s = max(self._last_s, now_s) + wait_s
            self._held.append((self._last_s, piece))

    def take(self, now_s: float) -> bytes:
        out = []
        while self._held and self._held[0][0] <= now_s:
            out.append(self._held.popleft()[1])
        return b"".join(out)

    @property
    def size(self) -> int:
        return sum(len(piece) for _, piece in self._held)

    def clear(self) -> None:
        self._held.clear()


class FaultyPort(Behind):
    """A port with faults in both directions.

    Late bytes move when the port is used, in the caller's thread; a host polls it all the time.

    Parameters
    ----------
    port : the port behind.
    to_board, from_board : what happens on the way.
    plug : when it is pulled; then it raises :class:`OSError` until it is opened again, and what
        was on its way is lost.
    clock : seconds; for simulated time.
    """

    def __init__(self, port: Port, to_board: Faults, from_board: Faults,
                 plug: Plug | None = None, *, clock: Callable[[], float] = time.monotonic):
        super().__init__(port)
        self.to_board, self.from_board, self.plug = to_board, from_board, plug
        self._clock = clock
        self._out, self._in = _Way(to_board), _Way(from_board)
        self._ready = bytearray()
        self._gone = False

    @property
    def out_waiting(self) -> int:
        """Bytes that have not left; only where the port behind knows."""
        return int(self.port.out_waiting) + self._out.size

    @property
    def in_waiting(self) -> int:
        self._move()
        if waiting := self.port.in_waiting:
            self._arrived(self.port.read(waiting))
        return len(self._ready)

    def read(self, size: int = 1) -> bytes:
        end_s = self._clock() + (self.timeout or 0.0)
        # Who waits for a byte does not see one that is lost.
        while not self.in_waiting:
            data = self.port.read(1)
            self._arrived(data)
            if not data or self._clock() >= end_s:
                break
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def write(self, data: bytes) -> int:
        self._move()
        self._out.put(data, self._clock())
        self._move()
        return len(data)

    def fileno(self) -> int:
        """None: bytes that are late cannot be waited for, only asked for."""
        raise OSError("a port with faults has to be polled")

    def open(self) -> None:
        """Plug it in again.

        Raises
        ------
        OSError
            While it is gone.
        """
        if self.plug is not None and self._clock() < self.plug.back_s:
            raise FileNotFoundError(2, "pulled on purpose")
        if waiting := self.port.in_waiting:
            self.port.read(waiting)      # what the board said meanwhile went nowhere
        self._gone = False

    def close(self) -> None:
        """A pulled port has nothing left to close; any other is closed."""
        if not self._gone:
            self.port.close()

    def _arrived(self, data: bytes) -> None:
        now_s = self._clock()
        self._in.put(data, now_s)
        self._ready += self._in.take(now_s)

    def _move(self) -> None:
        now_s = self._clock()
        if self.plug is not None and not self._gone and self.plug.pulled(now_s):
            self._gone = True
            self._ready.clear()
            for way in (self._out, self._in):
                way.clear()
        if self._gone:
            raise OSError(5, "pulled on purpose")
        if data := self._out.take(now_s):
            self.port.write(data)
        self._ready += self._in.take(now_s)
