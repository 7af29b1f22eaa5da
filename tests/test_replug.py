"""A port that is pulled out and comes back."""

import itertools
import os
import random
import select
import threading
import time
import tty

import pytest
from conftest import require_compiler
from link_echo import HELLO
from nets import network, spikes
from test_faults import over
from test_link import exchange

from ionspike.host.board import Board
from ionspike.host.link import LinkError
from ionspike.sim.link import BoardLink
from ionspike.sim.virtual import VirtualBoard, library


def test_traffic_goes_on_soon_after_the_port_is_back():
    link, line, replugging = over("replug=0.3s,away=150ms")
    link.open(60)
    rng, sent, got, took_s = random.Random(1), bytearray(), bytearray(), []
    while line.plug.pulls < 20:
        record = rng.randbytes(100)
        link.send(record)
        sent += record
        if data := link.receive(0.002):
            got += data
            if line.plug.pulls > len(took_s):
                took_s.append(line.port.now_s - line.plug.back_s)
    link.flush()
    while len(got) < len(sent):
        got += link.receive(1.0)
    assert got == sent and replugging.replugs == line.plug.pulls
    assert len(took_s) >= 19 and max(took_s) <= 0.05


def test_what_the_board_says_meanwhile_is_asked_for_again():
    """Nothing of the host's is under way, and the board has given up repeating it."""
    link, line, _ = over("replug=0.1s,away=2s")
    link.open(60)
    link.send(b"hello")
    link.flush()
    port = line.port
    while line.plug.pulls == 0:
        port.board.write(b"x")      # of its own accord
        link.receive(0.01)
    back_s = port.now_s
    port.board.write(b"last words")
    got = b""
    while b"last words" not in got:
        got += link.receive(0.05)
        assert port.now_s - back_s < 0.1


def test_a_board_that_begins_anew_is_told_from_the_same():
    for traffic in (0, 3, 300):
        link, line, _ = over("replug=0.2s,away=100ms")
        link.open(60)
        exchange(link, random.Random(traffic), traffic)
        with pytest.raises(LinkError, match="the board has begun anew since its port was gone, and "
                                            "what it was doing is lost"):
            while True:
                pulls = line.plug.pulls
                link.send(b"x")
                link.receive(0.01)
                if line.plug.pulls > pulls:
                    line.port.board = BoardLink(HELLO)


def test_a_port_that_stays_away_is_given_up():
    link, line, _ = over("replug=0.1s,away=60s", limit_s=3.0)
    link.open(60)
    with pytest.raises(LinkError) as error:
        while True:
            link.send(bytes(100))
            link.receive(0.01)
    message = str(error.value)
    assert "the board vanished (" in message and "not back within 3 s" in message
    assert "bytes sent to it were not acknowledged" in message
    assert line.port.now_s - line.plug.back_s + 60 < 3.2


class Cable:
    """A terminal at a path that stays the same, to a virtual board's; it can be pulled."""

    def __init__(self, path, board):
        self.path, self.board = path, os.open(board, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.far = self.near = None
        self.running = True
        self.lock = threading.Lock()
        self.plug()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def plug(self):
        far, near = os.openpty()
        for end in (far, near):
            tty.setraw(end)
        os.set_blocking(far, False)
        with self.lock:
            self.far, self.near = far, near
            os.symlink(os.ttyname(near), self.path)

    def pull(self):
        with self.lock:
            os.unlink(self.path)
            os.close(self.far)
            os.close(self.near)
            self.far = self.near = None

    def run(self):
        while self.running:
            with self.lock:
                ends = [self.board] + ([] if self.far is None else [self.far])
                ready = select.select(ends, [], [], 0.001)[0]
                for end in ready:
                    data = os.read(end, 4096)
                    other = self.far if end == self.board else self.board
                    while data and other is not None:
                        try:
                            data = data[os.write(other, data):]
                        except BlockingIOError:
                            break   # lost: a line waits for nobody
            time.sleep(0.0005)

    def close(self):
        self.running = False
        self.thread.join()
        if self.far is not None:
            self.pull()
        os.close(self.board)


def test_a_run_goes_on_over_a_real_terminal(tmp_path):
    require_compiler()
    x = spikes(60)
    with Board.open(backend="golden") as golden:
        golden.load(network())
        expected = golden.run(x, seed=7)
    with VirtualBoard(library()) as virtual:
        cable = Cable(tmp_path / "ttyUSB0", virtual.port)
        try:
            with Board.open(str(tmp_path / "ttyUSB0"), timeout_s=30) as board:
                board.load(network())
                with board.stream(itertools.repeat(range(12)), seed=1) as stream:
                    ticks = iter(stream)
                    assert len(list(itertools.islice(ticks, 5))) == 5
                    cable.pull()
                    threading.Timer(0.3, cable.plug).start()
                    assert len(list(itertools.islice(ticks, 40))) == 40
                assert not stream.losses
                port = board._session.link._line._port
                assert port.replugs == 1
                result = board.run(x, seed=7)
                assert (result.spikes.raster == expected.spikes.raster).all()
                cable.pull()
                port._limit_s = 0.5
                with pytest.raises(LinkError, match="the board vanished .*not back within 0.5 s"):
                    board.run(x, seed=7)
                cable.plug()
        finally:
            cable.close()
