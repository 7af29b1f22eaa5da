"""A serial port, with errors that say what is wrong, and an idea of what it has not sent yet."""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

__all__ = ["Line", "LinkError", "NoAnswer", "POLL_S", "Port"]

#: Longest time spent in one read; nothing is looked at more often while the board is silent.
POLL_S = 0.005


#: After this long whatever has left a port has left its adapter too.
_GONE_S = 0.02
_DRAIN_S = 2.0


class LinkError(Exception):
    """The board is missing, silent, not what was expected, or gone."""


class NoAnswer(LinkError):
    """No HELLO was heard; the board may be at another rate."""


class Port(Protocol):
    """What a link needs of :class:`serial.Serial`.

    If it has ``out_waiting`` that is used too; its rate changes if it has ``baudrate`` and ``flush``.
    """

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...


class Line:
    """Reads and writes a port.

    Attributes
    ----------
    name : of the port, for messages.
    baud : bits per second, None for a port without a rate.
    byte_rate : bytes per second that leave the port; None if unknown.
    slowness : how many times slower than real time the line may be, where its board is simulated.
    bytes_in, bytes_out : so far.
    """

    def __init__(self, port: Port, clock: Callable[[], float], sleep: Callable[[float], None]):
        self.name = getattr(port, "name", None) or type(port).__name__
        self.byte_rate: float | None = None
        self.slowness = 1.0
        self.bytes_in = self.bytes_out = 0
        self._port, self._clock, self._sleep = port, clock, sleep
        self._empty_s = 0.0
        port.timeout = POLL_S

    def read(self, wait: bool) -> bytes:
        """What has come; if nothing has and ``wait``, what comes first within ``POLL_S``."""
        start_s = self._clock()
        try:
            size = self._port.in_waiting
            if not size and not wait:
                return b""
            data = self._port.read(size or 1)
            if data and not size and (size := self._port.in_waiting):
                data += self._port.read(size)
        except OSError as error:
            self._vanished(error)
        if not data and (rest_s := POLL_S - (self._clock() - start_s)) > POLL_S / 2:
            self._sleep(rest_s)     # ports inside this process need not wait
        self.bytes_in += len(data)
        return data

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            self._vanished(error)
        self.bytes_out += len(data)
        if self.byte_rate:
            self._empty_s = max(self._empty_s, self._clock()) + len(data) / self.byte_rate

    @property
    def baud(self) -> int | None:
        return getattr(self._port, "baudrate", None)

    def can(self, baud: int) -> bool:
        """Whether the port can be set to a rate."""
        if (now := self.baud) is None:
            return False
        try:
            self._set(baud)
            return True
        except LinkError:
            raise
        except Exception:       # pyserial has several, termios one more
            return False
        finally:
            self._set(now)

    def tune(self, baud: int) -> None:
        """Another rate, once all that was written has left at the old one."""
        port: Any = self._port
        end_s = self._clock() + _DRAIN_S
        while self.unsent() > 0 and self._clock() < end_s:
            self._sleep(POLL_S)
        port.flush()
        self._sleep(_GONE_S)
        self._set(baud)
        self.byte_rate = baud / 10 / self.slowness
        self._empty_s = 0.0

    def _set(self, baud: int) -> None:
        port: Any = self._port
        try:
            port.baudrate = baud
        except OSError as error:
            self._vanished(error)

    @property
    def replugs(self) -> int:
        """How often the port was opened again, and all that was on its way lost."""
        return getattr(self._port, "replugs", 0)

    def unsent(self) -> float:
        """Bytes that have been written and have not left, as far as that is known."""
        try:
            waiting = getattr(self._port, "out_waiting", None)
        except OSError as error:
            self._vanished(error)
        if waiting is None:
            return 0    # no serial line: all has arrived
        # An adapter has a memory of its own.
        hidden = (self._empty_s - self._clock()) * self.byte_rate if self.byte_rate else 0.0
        return max(hidden, waiting)

    def _vanished(self, error: OSError) -> NoReturn:
        raise LinkError(f"{self.name}: the board vanished ({error}); plug it in and open it "
                        f"again") from error
