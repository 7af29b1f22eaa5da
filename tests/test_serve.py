"""One board for several clients, over real sockets."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import serial
from conftest import require_compiler
from nets import network, spikes

from ionspike.host.backends import open_port
from ionspike.host.board import Board
from ionspike.host.cli import main
from ionspike.host.errors import BoardError, InputError, NoBoardError
from ionspike.host.link import LinkError
from ionspike.host.serve import Server
from ionspike.host.tcp import SAYS, address_of

RUN = [sys.executable, "-c", "from ionspike.host.cli import main; raise SystemExit(main())"]


class Served:
    """A server in a thread of its own, and its address."""

    def __init__(self, backend="golden", **options):
        self.said = []
        self.port, _, self.close_port = open_port(
            None, backend, timeout_s=20, progress=lambda stage: None)
        self.server = Server(self.port, ("127.0.0.1", 0), say=self.said.append, **options)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.url = f"socket://127.0.0.1:{self.server.address[1]}"

    def connect(self, said=b""):
        connection = socket.create_connection(self.server.address, 5)
        connection.sendall(said)
        return connection

    def wait(self, words):
        """Until somebody was said to do this."""
        until = time.monotonic() + 10
        while not any(words in line for line in self.said):
            assert time.monotonic() < until, (words, self.said)
            time.sleep(0.01)

    def close(self):
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.close_port()


@pytest.fixture
def serve():
    made = []

    def make(*arguments, **options):
        made.append(Served(*arguments, **options))
        return made[-1]
    yield make
    for served in made:
        served.close()


def hung_up(connection):
    """What a connection still says before it ends."""
    connection.settimeout(10)
    said = b""
    try:
        while data := connection.recv(1000):
            said += data
    except ConnectionResetError:
        pass
    connection.close()
    return said


def expected():
    with Board.open(backend="golden") as board:
        board.load(network())
        return board.run(spikes(100), seed=7)


def assert_works(url):
    with Board.open(url, timeout_s=20) as board:
        board.load(network())
        result, plain = board.run(spikes(100), seed=7), expected()
        assert (result.spikes.raster == plain.spikes.raster).all() and result.lfsr == plain.lfsr
        assert board.where == url.partition("?")[0]


def test_a_board_is_used_through_it_again_and_again(serve):
    served = serve()
    for _ in range(3):
        assert_works(served.url)
    served.wait("left")
    assert served.server.served == 3


def test_the_virtual_board_through_it(serve):
    require_compiler()
    assert_works(serve("virtual").url)


def test_a_second_client_is_told_so(serve):
    served = serve()
    with Board.open(served.url) as board:
        begun = time.monotonic()
        with pytest.raises(NoBoardError) as error:
            Board.open(served.url)
        assert time.monotonic() - begun < 2
        assert str(error.value).startswith(f"{served.url}: the board is in use by 127.0.0.1:")
        assert "\n" not in str(error.value)
        assert hung_up(served.connect()).startswith(SAYS + b"the board is in use by")
        assert board.echo([b"still mine"])[0] == [b"still mine"]
    served.wait("left")
    assert_works(served.url)
    assert served.server.refused == 2


def test_a_client_that_waits_in_silence_is_no_owner(serve):
    served = serve()
    silent = served.connect()
    assert_works(served.url)
    silent.sendall(b"\0")
    served.wait("left")
    silent.close()


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\nHost: board\r\n\r\n", b"\0" * 5000, b"\xff" * 5000,
    random.Random(1).randbytes(300_000), b"ionspike-token: ", b"ionspike-token: " + b"x" * 4000,
    b"ionspike-tok"])
def test_foreign_bytes_harm_nobody(serve, garbage):
    served = serve()
    connection = served.connect()
    try:
        connection.sendall(garbage)
    except ConnectionError:
        pass    # thrown out in the middle of it
    connection.close()
    assert_works(served.url)


def test_a_client_that_disappears_in_the_middle(serve):
    served = serve()
    for _ in range(3):
        board = Board.open(served.url)
        board.load(network())
        # Something is on its way back when it dies.
        for record in board._loading(board.compiled):
            board._session.link.send(record)
        linger = b"\1\0\0\0\0\0\0\0"
        board._session.link._line._port._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger)
        board.close()
    assert_works(served.url)


def test_a_token_is_wanted(serve, monkeypatch):
    served = serve(token="open sesame")
    for url, message in (
            (served.url, "a token is wanted; open socket://HOST:PORT?token=TOKEN"),
            (served.url + "?token=wrong", "that is not the token")):
        with pytest.raises(NoBoardError) as error:
            Board.open(url)
        assert str(error.value) == f"{served.url}: {message}"
    assert_works(served.url + "?token=open%20sesame")
    monkeypatch.setenv("IONSPIKE_TOKEN", "open sesame")
    assert_works(served.url)
    assert served.server.refused == 2


def test_a_token_that_is_not_wanted_is_no_harm(serve):
    assert_works(serve().url + "?token=whatever")


def test_who_says_no_token_in_time_is_turned_away(serve, monkeypatch):
    monkeypatch.setattr("ionspike.host.serve.GREET_S", 0.2)
    served = serve(token="x")
    assert hung_up(served.connect()) == SAYS + b"no token came within 0.2 s\n"


def test_who_does_not_read_is_dropped(serve):
    served = serve(stall_s=0.3)
    with Board.open(served.url) as board:
        line = board._session.link._line
        # Echoes without end, of which nothing is taken.
        line._port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        served.server._owner.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        owner = served.server._owner
        # Another array, for the server's thread may be sending from this one, which then keeps its size.
        owner.out = bytearray(1 << 20)
        served.wait("read nothing for 0.3 s")
        with pytest.raises((LinkError, BoardError), match="the board vanished"):
            board.echo([b"x"])
    assert_works(served.url)
    assert served.server.dropped == 1


def test_many_at_once(serve):
    served = serve()
    connections = [served.connect() for _ in range(60)]
    for connection in connections:
        connection.close()
    assert_works(served.url)


def test_nobody_there():
    with pytest.raises(NoBoardError, match="nobody answers there; is `ionspike serve` running"):
        Board.open("socket://127.0.0.1:1")


@pytest.mark.parametrize("text", ["", "x", "x:", ":1", "x:y", "x:70000"])
def test_a_bad_address_is_one_line(text):
    with pytest.raises(InputError, match="must be HOST:PORT with a port up to 65535, not"):
        address_of(text, "it")
    with pytest.raises(InputError):
        Board.open(f"socket://{text}")


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")   # in pyserial
def test_a_port_of_rfc2217():
    """pyserial's own protocol, to pyserial's own server, with the virtual board behind it."""
    require_compiler()
    from serial.rfc2217 import PortManager
    line, _, close = open_port(None, "virtual", timeout_s=20, progress=lambda stage: None)

    class Line:
        """The pseudo-terminal, with the modem's lines that such have not."""

        cts = dsr = ri = cd = False

        def __getattr__(self, name):
            return getattr(line.port, name)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def pump():
            connection, _ = listening.accept()
            connection.settimeout(0.01)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            class Reply:
                write = staticmethod(connection.sendall)
            manager = PortManager(Line(), Reply)
            line.timeout = 0
            while not stop.is_set():
                try:
                    if not (data := connection.recv(1000)):
                        break
                    line.write(b"".join(manager.filter(data)))
                except TimeoutError:
                    pass
                if waiting := line.in_waiting:
                    connection.sendall(b"".join(manager.escape(line.read(waiting))))
            connection.close()

        thread = threading.Thread(target=pump)
        thread.start()
        try:
            url = f"rfc2217://127.0.0.1:{listening.getsockname()[1]}"
            with Board.open(url, timeout_s=20) as board:
                assert board.echo([b"hello"])[0] == [b"hello"]
        finally:
            stop.set()
            thread.join(10)
            close()


# ------------------------------------------------------------------------------- command line --

@pytest.mark.parametrize(("arguments", "message"), [
    (("--listen", "0.0.0.0:0"), "lets other machines in: give --token TOKEN, or listen on 127.0"),
    (("--listen", "nowhere"), "--listen must be HOST:PORT"),
    (("--listen", "127.0.0.1:0", "--token", "\n"), "--token must be up to 200 printable ASCII"),
    (("x", "--port", "y"), "two ports: x and --port y"),
    (("--faults", "x"), "--faults: "),
])
def test_bad_arguments_are_one_line(capsys, arguments, message):
    assert main(["serve", "--backend", "golden", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def test_an_address_in_use_is_one_line(capsys, serve):
    number = serve().server.address[1]
    assert main(["serve", "--backend", "golden", "--listen", f"127.0.0.1:{number}"]) == 2
    assert "Address already in use" in capsys.readouterr().err


def test_ctrl_c_ends_it_cleanly():
    environment = {**os.environ, "IONSPIKE_TOKEN": "abc"}
    process = subprocess.Popen([*RUN, "serve", "golden", "--listen", "127.0.0.1:0", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment)
    line = process.stderr.readline()
    assert line.startswith("ionspike: golden model at socket://127.0.0.1:") and "token=..." in line
    url = line.split()[4].partition("?")[0]
    assert_works(url.rstrip(";") + "?token=abc")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0 and "Traceback" not in err
    assert json.loads(out)["served"] == 1


def test_pyserials_own_socket_works_too(serve):
    """Whatever passes bytes on is a client."""
    from ionspike.host.link import Link
    served = serve()
    line = serial.serial_for_url(served.url)
    link = Link(line)
    assert link.open(10).magic
    line.close()
