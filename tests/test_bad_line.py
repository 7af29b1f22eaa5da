"""What the host does on a bad line: less at a time, sooner again, and as before once it is good."""

import random

import numpy as np
import pytest
from nets import SHAPE, network, spikes
from test_link import twin_link

from ionspike.host import codec
from ionspike.host.board import Board
from ionspike.host.faults import Faults
from ionspike.host.faulty_port import FaultyPort
from ionspike.host.framing import Deframer
from ionspike.host.recording import Recording
from ionspike.host.replay import replay
from ionspike.host.retry import Retry
from ionspike.spec.wire import PAYLOAD_BYTES, STATE_STRIDE, Kind, Op, Space


def sizes_sent(link):
    """Payloads of the DATA frames that a link writes from now on."""
    sizes, write = [], link._line.write

    def spy(data):
        sizes.extend(len(f.payload) for f in Deframer().feed(data) if f.kind == Kind.DATA)
        write(data)

    link._line.write = spy
    return sizes


def test_frames_shrink_on_a_bad_line_and_grow_again():
    faults = Faults.evenly(1, 1e-2), Faults.evenly(2, 1e-2)
    link, _ = twin_link(faults)
    link.open(60)
    assert not link.bad and link.frame_bytes == PAYLOAD_BYTES
    rng = random.Random(1)

    def echo(count):
        data = [rng.randbytes(12) for _ in range(count)]
        for record in data:
            link.send(record)
        link.flush()
        got = b""
        while len(got) < 12 * count:
            got += link.receive(1.0)
        assert got == b"".join(data)

    echo(300)
    assert link.bad
    sizes = sizes_sent(link)
    echo(300)
    assert max(sizes) <= 100 and 24 <= np.median(sizes) <= 60
    for way in faults:      # the line is mended
        way.pieces = lambda data: [(0.0, data)]
    echo(3000)
    assert not link.bad
    sizes.clear()
    echo(300)
    assert max(sizes) > PAYLOAD_BYTES - 12


def test_writes_and_answers_fit_the_frames():
    words = np.arange(1000, dtype=np.uint16)
    sizes = iter([32, 60, PAYLOAD_BYTES] * 100)
    records = list(codec.write(5, words, lambda: next(sizes)))
    assert [len(record) for record in records[:3]] == [31, 59, 223]
    assert b"".join(record[5:] for record in records) == words.astype("<u2").tobytes()
    at = 5
    for record in records:
        assert record[0] == Op.WRITE and int.from_bytes(record[1:4], "little") == at
        at += record[4]
    for size in range(32, PAYLOAD_BYTES):
        asked = [record[4] for record in codec.read(0, 1000, lambda size=size: size)]
        assert sum(asked) == 1000 and 5 + 2 * max(asked) <= size
        # No neuron's state is cut in two.
        assert not any(count % STATE_STRIDE for count in asked[:-1])
    assert [record[4] for record in codec.read(0, 1000)] == [252, 252, 252, 244]


def test_a_run_over_a_bad_line_is_the_same_and_can_be_replayed(tmp_path):
    net, train = network(), spikes(200)
    with Board.open(backend="golden", shape=SHAPE) as board:
        board.load(net)
        right = board.run(train, seed=3)
    path = tmp_path / "bad.ionrec"
    with Board.open(backend="golden", shape=SHAPE, faults="1e-2,seed=1") as board, \
            board.record(path):
        board.load(net)
        got = board.run(train, seed=3)
        assert board.link_counters["resent"]
    assert (got.spikes.raster == right.spikes.raster).all() and right.spikes.count
    assert (got.final_state == right.final_state).all() and got.lfsr == right.lfsr
    recording = Recording(path)
    reads = [record for turn in recording.turns() for record in turn.commands
             if record[0] == Op.READ]
    assert len(reads) > 2 and max(record[4] for record in reads) < 100
    for faults in (None, "1e-2,seed=2"):
        with Board.open(backend="golden", shape=SHAPE, faults=faults) as board:
            done = replay(recording, board)
        assert done.equal and done.words > SHAPE.neurons


@pytest.mark.parametrize(("bad", "silent", "wait_s"), [
    (False, 0, 0.03), (True, 0, 0.005), (True, 2, 0.005), (True, 3, 0.03)])
def test_a_lost_answer_costs_less_where_answers_are_lost(bad, silent, wait_s):
    """But a board that stays silent gets the time that it gets on a good line."""
    retry = Retry(0.0005, 0.0)
    retry.silent = silent
    assert not retry.due(wait_s - 1e-6, 0.0, bad) and retry.due(wait_s, 0.0, bad)
    slow = Retry(0.02, 0.0)     # as a round trip takes, whatever the line is
    assert not slow.due(0.06 - 1e-6, 0.0, bad) and slow.due(0.06, 0.0, bad)


def test_what_asked_for_more_is_repeated_when_it_is_lost():
    """A NAK that does not arrive costs a few ms on a bad line, not the board's 22 ms and more."""
    link, port = twin_link()
    link.open()
    link._fill = 32
    feed, lost = port.board.feed, []
    port.board.write(b"hello")
    broken = bytearray(port.board.take())
    broken[3] ^= 1
    port._line += broken
    port.board.feed = lost.append
    assert link.receive(0) == b"" and b"".join(lost)    # the NAK
    port.board.feed, start_s = feed, port.now_s
    assert link.receive(1.0) == b"hello"
    assert port.now_s - start_s < 0.012


def test_who_waits_for_a_byte_does_not_see_one_that_is_lost():
    class Bytes:
        timeout = 1.0

        def __init__(self, data):
            self.data = data

        in_waiting = 0

        def read(self, size):
            data, self.data = self.data[:size], self.data[size:]
            return data

    class First(Faults):
        """Loses the first two bytes."""

        def pieces(self, data):
            self.count = getattr(self, "count", 0) + 1
            return [] if self.count < 3 else [(0.0, data)]

    port = FaultyPort(Bytes(b"abc"), Faults(1), First(1))
    assert port.read(1) == b"c"
    assert port.read(1) == b""


def test_in_flight_is_what_fills_the_line_and_no_more():
    link, port = twin_link()
    link.open()
    port.board.feed = lambda data: None     # nothing is acknowledged
    link._fill = 32
    link._line.byte_rate = 300_000.0
    sizes = sizes_sent(link)
    for trip_s, frames in ((0.0001, 2), (0.0003, 3), (0.001, 4), (0.1, 4)):
        link._retry.least_trip_s = trip_s
        for _ in range(10):
            link.send(bytes(20))
        assert len(sizes) == frames


def test_answers_are_asked_for_one_at_a_time():
    """Or the board would put several into a frame that is too long for the line."""
    with Board.open(backend="golden", shape=SHAPE) as board:
        link = board._session.link
        board.read(Space.STATE, 0, 4)
        link._fill, sizes, take = 32, [], link._take

        def spy(frames):
            sizes.extend(len(f.payload) for f in frames if f.kind == Kind.DATA)
            take(frames)

        link._take = spy
        assert len(board.read(Space.STATE, 0, 40)) == 40
    assert sizes == [29, 29, 37, 7]     # twelve words, twelve, sixteen as frames grow, and MARK
