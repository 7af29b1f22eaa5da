"""A port that may be pulled out and plugged in again while it is used."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from ionspike.host.behind import Behind

__all__ = ["LIMIT_S", "Replugging"]

#: Longest absence, and the time between two attempts to open a port that is gone.
LIMIT_S, AGAIN_S = 5.0, 0.02
_T = TypeVar("_T")


class Replugging(Behind):
    """A port that is opened again when it vanishes.

    What was on its way is lost. For the link above that is a burst of lost bytes, which it sends
    again: frames are numbered and kept by both ends until they are acknowledged. So an exchange
    goes on, as long as the board kept its power. Whoever uses the port waits meanwhile.

    Parameters
    ----------
    port : like :class:`serial.Serial`, with ``open`` and ``close``.
    limit_s : seconds without a byte, counted from where it vanished, after which it is given up.
    clock, sleep : for tests in simulated time.

    Attributes
    ----------
    replugs : how often it was opened again.
    """

    def __init__(self, port: Any, *, limit_s: float = LIMIT_S,
                 clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep):
        super().__init__(port)
        self._limit_s, self._clock, self._sleep = limit_s, clock, sleep
        self._lost_s: float | None = None
        self.replugs = 0

    @property
    def in_waiting(self) -> int:
        return self._use(lambda: int(self.port.in_waiting), 0)

    @property
    def out_waiting(self) -> int:
        """Bytes that have not left; only where the port behind knows."""
        return self._use(lambda: int(self.port.out_waiting), 0)

    def read(self, size: int = 1) -> bytes:
        data: bytes = self._use(lambda: self.port.read(size), b"")
        if data:
            self._lost_s = None
        return data

    def write(self, data: bytes) -> int | None:
        return self._use(lambda: self.port.write(data), len(data))

    def _use(self, action: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return action()
        except OSError as error:
            self._reopen(error)
            return otherwise

    def _reopen(self, lost: OSError) -> None:
        if self._lost_s is None:
            self._lost_s = self._clock()
        while self._clock() - self._lost_s < self._limit_s:
            # Not only OSError: pyserial lets termios.error through.
            try:
                self.port.close()
            except Exception:
                pass
            self._sleep(AGAIN_S)
            try:
                self.port.open()
            except Exception:
                continue
            self.replugs += 1
            return
        raise OSError(f"{lost}; not back within {self._limit_s:g} s") from lost
