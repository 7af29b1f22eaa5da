"""A board at the far end of a TCP connection, as a port."""

import os
import select
import socket
import time
from urllib.parse import parse_qs, urlsplit

from ionspike.host.errors import InputError
from ionspike.host.line import LinkError

__all__ = ["GREETING", "SAYS", "TOKEN_VARIABLE", "SocketPort", "address_of"]

#: What a server that wants a token is sent first: this, the token, and a newline.
GREETING = b"ionspike-token: "
#: How a line begins that the server says before it hangs up; no frame of a board begins so.
SAYS = b"ionspike serve: "
#: Where a token is looked for that is in no address: a command line is seen by everybody.
TOKEN_VARIABLE = "IONSPIKE_TOKEN"
#: Longest time in which a server takes nothing.
_WRITE_S = 10.0
_HEAD = 400


def address_of(text: str, what: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; a host of IPv6 stands in brackets.

    Raises
    ------
    InputError
        For anything else.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InputError(f"{what} must be HOST:PORT with a port up to 65535, not {text!r}")
    return host, int(port)


class SocketPort:
    """The part of :class:`serial.Serial` that a link needs, over TCP.

    pyserial's own does not say how many bytes wait, so that they would be read one at a time.

    Parameters
    ----------
    url : ``socket://host:port``, or with ``?token=TOKEN``, for ``ionspike serve`` or anything else
        that passes bytes on.
    timeout : seconds to connect in, and later of a read.

    Raises
    ------
    InputError
        For another kind of address.
    OSError
        If nobody answers there.
    """

    def __init__(self, url: str, timeout: float | None = 5.0):
        parts = urlsplit(url)
        host, port = address_of(parts.netloc, "what follows socket://")
        token = parse_qs(parts.query).get("token", [os.environ.get(TOKEN_VARIABLE, "")])[0]
        self.name = f"socket://{parts.netloc}"      # without the token
        self.timeout = timeout
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._buffer, self._head = bytearray(), b""
        if token:
            self.write(GREETING + token.encode() + b"\n")

    @property
    def in_waiting(self) -> int:
        if not self._buffer:
            self._fill(0)
        return len(self._buffer)

    def read(self, size: int = 1) -> bytes:
        if not self._buffer:
            self._fill(self.timeout)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def write(self, data: bytes) -> int:
        rest, until_s = memoryview(data), time.monotonic() + _WRITE_S
        while rest:
            try:
                rest = rest[self._socket.send(rest):]
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise OSError(f"it took nothing for {_WRITE_S:g} s") from None
                select.select([], [self._socket], [], 0.1)
            except OSError:
                # Why it hung up may be waiting to be read.
                while self._fill(0):
                    pass
                raise
        return len(data)

    def close(self) -> None:
        self._socket.close()

    def _fill(self, timeout_s: float | None) -> int:
        if timeout_s != 0 and not select.select([self._socket], [], [], timeout_s)[0]:
            return 0
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return 0
        if not data:
            said = self._head.partition(b"\n")[0]
            if said.startswith(SAYS):
                raise LinkError(f"{self.name}: {said.removeprefix(SAYS).decode(errors='replace')}")
            raise ConnectionResetError("the connection was closed at the other end")
        self._buffer += data
        self._head += data[:_HEAD - len(self._head)]
        return len(data)
