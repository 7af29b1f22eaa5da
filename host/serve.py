"""One board for others on the network: its bytes over TCP, to one client at a time."""

import hmac
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ionspike.host.tcp import GREETING, SAYS

__all__ = ["Client", "Server"]

#: Bytes kept for a client, or for the board, before no more are read.
_BUFFER = 1 << 16
#: Connections beyond the owner's that are listened to; those that come later wait unaccepted.
_WAITING = 16
#: Seconds: to say the token in; for an owner that has just hung up to be seen gone, before the next
#: is turned away; and to read what one is told before the end.
GREET_S, GRACE_S, LINGER_S = 5.0, 0.5, 1.0
#: A port that cannot be waited for is looked at so often.
_POLL_S = 0.002
_LONGEST_GREETING = 300


@dataclass(eq=False)
class Client:
    """A connection: ``new`` until it has said something, then ``owner`` or ``leaving``."""

    socket: socket.socket
    name: str
    since_s: float
    state: str = "new"
    heard: bytes = b""
    out: bytearray = field(default_factory=bytearray)
    bytes_in: int = 0
    bytes_out: int = 0


class Server:
    """Passes bytes between a port and one client at a time, and turns the others away.

    The first that speaks has the board until it leaves. Bytes are passed on as they are; whatever
    they are, the board's link finds its frames among them.

    Parameters
    ----------
    port : an open port; one that has ``fileno`` is waited for, any other is polled.
    listen : host and port number; 0 for any that is free.
    token : what a client must say first; None for nothing.
    stall_s : longest time for which a client may leave what it is sent.
    say : told who comes and goes.

    Members
    -------
    address : host and port number that are listened on.
    served, refused, dropped : clients that had the board, were turned away, or did not read.

    Raises
    ------
    OSError
        If the address cannot be listened on.
    """

    def __init__(self, port: Any, listen: tuple[str, int], *, token: str | None = None,
                 stall_s: float = 10.0, say: Callable[[str], None] = lambda line: None):
        self._port, self._token, self._stall_s, self._say = port, token, stall_s, say
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self._listening = socket.create_server(listen, family=family)
        self._listening.setblocking(False)
        self.address: tuple[str, int] = self._listening.getsockname()[:2]
        self._clients: list[Client] = []
        self._owner: Client | None = None
        self._to_board = bytearray()
        self._stopped = False
        self.served = self.refused = self.dropped = 0
        port.timeout = 0

    def run(self) -> None:
        """Serve until :meth:`stop`, called from another thread, or Ctrl-C.

        Raises
        ------
        OSError
            If the port vanishes for good.
        """
        try:
            while not self._stopped:
                self.step()
        except OSError as error:
            if self._owner is not None:
                self._dismiss(self._owner, f"the board vanished ({error})")
            raise
        finally:
            self.close()

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """Hang up on everybody."""
        for client in self._clients:
            client.socket.close()
        self._clients, self._owner = [], None
        self._listening.close()

    def step(self, longest_s: float = 0.2) -> None:
        """Wait for something to do, for so long at most, and do it."""
        owner = self._owner
        readers: list[Any] = [client.socket for client in self._clients
                              if len(self._to_board if client is owner else client.heard) < _BUFFER]
        if len(self._clients) < _WAITING:
            readers.append(self._listening)
        writers: list[Any] = [client.socket for client in self._clients if client.out]
        wanted = owner is None or len(owner.out) < _BUFFER
        if (terminal := self._fileno()) is None:
            longest_s = _POLL_S if owner is not None else longest_s
        elif wanted:
            readers.append(terminal)
        if terminal is not None and self._to_board:
            writers.append(terminal)
        ready, _, _ = select.select(readers, writers, [], longest_s)
        for client in list(self._clients):
            if client.socket in ready:
                self._hear(client)
        if self._listening in ready:
            self._accept()
        if self._to_board:
            del self._to_board[:self._port.write(bytes(self._to_board)) or 0]
        if wanted and (waiting := self._port.in_waiting):
            data = self._port.read(waiting)
            if self._owner is not None:     # else nobody wants to know
                if not self._owner.out:
                    self._owner.since_s = time.monotonic()
                self._owner.out += data
        for client in list(self._clients):
            self._tell(client)

    def _fileno(self) -> int | None:
        try:
            return int(self._port.fileno())
        except (AttributeError, OSError):
            return None

    def _accept(self) -> None:
        try:
            connection, address = self._listening.accept()
        except OSError:
            return      # it has left already
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # An owner whose machine lost its power would keep the board for ever.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client = Client(connection, f"{address[0]}:{address[1]}", time.monotonic())
        self._clients.append(client)

    def _hear(self, client: Client) -> None:
        try:
            data = client.socket.recv(1 << 14)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(client)
        elif client.state == "owner":
            client.bytes_in += len(data)
            self._to_board += data
        elif client.state == "new":
            client.heard += data
            self._greet(client)

    def _greet(self, client: Client) -> None:
        """What a client says first: a token, where one is wanted, then the board's bytes."""
        heard = client.heard
        said, newline, rest = b"", b"", heard
        if heard[:len(GREETING)] == GREETING[:len(heard)]:
            said, newline, rest = heard.partition(b"\n")
            if not newline:
                if len(heard) > _LONGEST_GREETING:
                    self._refuse(client, "that token is too long")
                return
            said = said.removeprefix(GREETING).strip()
        if self._token is not None and not hmac.compare_digest(said, self._token.encode()):
            self._refuse(client, "that is not the token" if newline else
                         "a token is wanted; open socket://HOST:PORT?token=TOKEN")
        elif self._owner is None:
            client.state, client.since_s = "owner", time.monotonic()
            self._owner = client
            self.served += 1
            self._to_board[:] = rest
            client.bytes_in = len(rest)
            self._say(f"{client.name} has the board")

    def _refuse(self, client: Client, why: str) -> None:
        self.refused += 1
        self._say(f"{client.name} was turned away: {why}")
        self._dismiss(client, why)

    def _dismiss(self, client: Client, why: str) -> None:
        """Say why, and hang up once it has been read: with bytes unread the line could be lost."""
        client.state, client.since_s = "leaving", time.monotonic()
        client.out[:] = SAYS + why.encode() + b"\n"
        self._flush(client)
        try:
            client.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._forget(client)
        client.out.clear()

    def _tell(self, client: Client) -> None:
        now_s = time.monotonic()
        if client.state == "leaving" and now_s - client.since_s > LINGER_S:
            self._forget(client)
        elif client.state == "new" and self._owner is None and client.heard:
            self._greet(client)
        elif client.state == "new" and self._owner is not None \
                and now_s - client.since_s > GRACE_S:
            self._refuse(client, f"the board is in use by {self._owner.name}; try again when that "
                                 f"has ended")
        elif client.state == "new" and self._token is not None \
                and now_s - client.since_s > GREET_S:
            self._refuse(client, f"no token came within {GREET_S:g} s")
        elif client.out:
            self._flush(client)
            if client.out and now_s - client.since_s > self._stall_s:
                self.dropped += 1
                self._say(f"{client.name} read nothing for {self._stall_s:g} s")
                self._forget(client)

    def _flush(self, client: Client) -> None:
        try:
            sent = client.socket.send(client.out)
        except BlockingIOError:
            return
        except OSError:
            self._forget(client)
            return
        if sent:
            client.since_s = time.monotonic()
        client.bytes_out += sent
        del client.out[:sent]

    def _forget(self, client: Client) -> None:
        client.socket.close()
        client.out.clear()
        if client in self._clients:
            self._clients.remove(client)
        if client is self._owner:
            self._owner = None
            self._to_board.clear()
            self._say(f"{client.name} left; {client.bytes_in:,} bytes to the board, "
                      f"{client.bytes_out:,} from it")
