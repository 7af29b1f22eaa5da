import random
import re
from dataclasses import replace

import pytest
from amaranth.back import rtlil
from link_echo import HELLO, LinkEcho

from ionspike.hdl.link import Link as Gateware
from ionspike.hdl.yosys import run_script
from ionspike.host.faults import Faults
from ionspike.host.faulty_port import FaultyPort
from ionspike.host.framing import Deframer, pack, pack_ack, parse_ack
from ionspike.host.hello import Hello
from ionspike.host.link import Link, LinkError
from ionspike.sim import compile
from ionspike.sim.link import BoardLink
from ionspike.sim.virtual import Model, SimPort
from ionspike.spec.wire import PAYLOAD_BYTES, Kind, Nack

CLOCK_HZ = 24e6


class TwinPort:
    """The twin behind a port, sending back what it gets; reading passes simulated time."""

    name = "twin"
    timeout = None
    resend_s = 0.022

    def __init__(self, board):
        self.board = board
        self.now_s = self.since_s = 0.0
        self.oldest = None
        self._line = bytearray()

    def _work(self):
        for _ in range(2):
            if self.board.backlog < 1000:
                self.board.write(self.board.read())
            self._line += self.board.take()
        if self.board.oldest != self.oldest:
            self.oldest, self.since_s = self.board.oldest, self.now_s
        elif self.now_s - self.since_s > self.resend_s:
            self.board.resend()
            self.since_s = self.now_s

    @property
    def in_waiting(self):
        self._work()
        return len(self._line)

    def read(self, size=1):
        if not self.in_waiting:
            self.now_s += self.timeout
        data = bytes(self._line[:size])
        del self._line[:size]
        return data

    def write(self, data):
        self.now_s += len(data) / 300e3
        self.board.feed(data)

    def sleep(self, seconds):
        self.now_s += seconds


def twin_link(faults=None, hello=HELLO):
    port = TwinPort(BoardLink(hello))
    line = FaultyPort(port, *faults) if faults else port
    return Link(line, clock=lambda: port.now_s, sleep=port.sleep), port


def gateware_port(divisor=4, **parameters):
    library = compile.build(LinkEcho(divisor, **parameters))
    return SimPort(Model(library, divisor), clock_Hz=CLOCK_HZ)


def gateware_link(port, faults=None):
    line = FaultyPort(port, *faults) if faults else port
    return Link(line, clock=lambda: port.cycles / CLOCK_HZ,
                sleep=lambda seconds: port.run(int(seconds * CLOCK_HZ)))


def exchange(link, rng, count):
    """Send random records, receiving in between, and return both streams."""
    sent, got = bytearray(), bytearray()
    for _ in range(count):
        record = rng.randbytes(rng.choice((1, 3, 40, PAYLOAD_BYTES)))
        link.send(record)
        sent += record
        if rng.random() < 0.1:
            got += link.receive(0)
    link.flush()
    while len(got) < len(sent):
        assert (data := link.receive(2.0)), f"{len(sent) - len(got)} bytes did not come back"
        got += data
    return bytes(sent), bytes(got)


# ---------------------------------------------------------------------------------- both ends --

@pytest.mark.parametrize("rate, count", [(0, 3000), (1e-4, 3000), (1e-3, 1500), (1e-2, 150)])
def test_host_and_twin_over_a_faulty_line(rate, count):
    faults = Faults.evenly(1, rate), Faults.evenly(2, rate)
    link, port = twin_link(faults)
    link.open(60)
    sent, got = exchange(link, random.Random(3), count)
    assert got == sent
    counters = link.counters
    if rate:
        assert all(f.done.values() for f in faults for _ in [0] if rate > 1e-4)
        assert counters["resent"] and counters["crc_errors"] and port.board.counters["crc_error"]
    else:
        assert not any(counters[k] for k in ("resent", "crc_errors", "gaps", "duplicates", "nacks"))


@pytest.mark.parametrize("rate, count", [(0, 300), (1e-4, 300), (1e-3, 200), (1e-2, 20)])
def test_host_and_gateware_over_a_faulty_line(rate, count):
    faults = Faults.evenly(4, rate), Faults.evenly(5, rate)
    link = gateware_link(gateware_port(), faults)
    link.open(60)
    sent, got = exchange(link, random.Random(6), count)
    assert got == sent
    if rate:
        assert any(faults[0].done.values()) and any(faults[1].done.values())
    else:
        assert not any(link.counters[k] for k in ("resent", "crc_errors", "gaps", "duplicates"))


def test_gateware_answers_as_its_twin():
    """In a conversation of one frame at a time."""
    port, twin = gateware_port(), TwinPort(BoardLink(HELLO))
    twin.timeout = 0
    rng = random.Random(7)
    data = [rng.randbytes(50) for _ in range(9)]
    good = pack(Kind.DATA, 2, data[2])
    for step in (
            pack(Kind.OPEN, 0, b"\x34\x12"),
            pack_ack(0, 0x6000),
            pack(Kind.DATA, 0, data[0]),
            pack_ack(1),
            pack(Kind.DATA, 0, data[0]),                    # again
            pack(Kind.DATA, 5, data[5]),                    # too early
            pack(Kind.DATA, 6, data[6]),                    # likewise, told before
            pack(Kind.DATA, 1, b""),
            good[:20] + bytes([good[20] ^ 4]) + good[21:],  # flipped
            good,
            pack_ack(1, 0x6000, Nack.CORRUPT),              # the board's frame was not whole
            pack_ack(2),
            b"\x03\x07\0", b"\0\0", b"\x55" * 300 + b"\0",  # garbage; nothing; too long
            pack(9, 0, b"what"), pack(Kind.HELLO, 0, b"what"),
            pack(Kind.DATA, 3, bytes(PAYLOAD_BYTES)),
            pack_ack(3),
            pack(Kind.OPEN, 0, b"\x00\xFF"),
            pack(Kind.DATA, 0, b""),
    ):
        port.write(step)
        twin.write(step)
        port.timeout = 0.01
        got, expected = port.read(4000), twin.read(4000)
        assert told(got) == told(expected), step.hex(" ")


def told(line):
    """What a run of bytes says, but for how often it is said, and how up to date the credit is."""
    deframer = Deframer()
    frames = deframer.feed(line)
    assert deframer.errors == 0
    acks = [parse_ack(frame) for frame in frames if frame.kind == Kind.ACK]
    return ([frame for frame in frames if frame.kind != Kind.ACK], [ack.seq for ack in acks[-1:]],
            [(ack.seq, ack.reason) for ack in acks if ack.reason])


@pytest.mark.parametrize("divisor", [4, 8, 24])
@pytest.mark.parametrize("flood", [False, True])
def test_payload_efficiency(divisor, flood):
    """At least 93 % of the line, in both directions at once."""
    port = gateware_port(divisor, flood=flood)
    link = gateware_link(port)
    link.open()
    rng = random.Random(8)
    marks, got = [], bytearray()
    for _ in range(12):
        for _ in range(70):
            link.send(rng.randbytes(32))
        got += link.receive(0)
        marks.append((port.cycles, len(got)))
    (start, got_start), (stop, got_stop) = marks[3], marks[-1]
    line_bytes = (stop - start) / (10 * divisor)
    out, back = (len(marks) - 4) * 70 * 32 / line_bytes, (got_stop - got_start) / line_bytes
    print(f"{divisor} clocks a bit: {out:.4f} to the board, {back:.4f} from it")
    assert out > 0.93 and back > 0.93
    assert not any(link.counters[k] for k in ("resent", "crc_errors", "gaps", "duplicates"))


def test_garbage_leaves_the_gateware_answering():
    port = gateware_port()
    rng = random.Random(9)
    for _ in range(10):
        port.write(rng.randbytes(100_000))
        port.run(40 * 100_000)
        port.reset_input_buffer()
    assert not port.out_waiting
    link = gateware_link(port)
    assert link.open() == replace(HELLO, nonce=link.hello.nonce)
    sent, got = exchange(link, rng, 20)
    assert got == sent


def test_gateware_rests():
    port = gateware_port()
    link = gateware_link(port)
    port.run(1000)
    assert port.model.quiet
    link.open()
    assert exchange(link, random.Random(10), 5)
    link.receive(0.001)
    assert port.model.quiet


def test_gateware_gives_up_until_it_hears_something():
    port = gateware_port(resend_clocks=1 << 14)
    link = gateware_link(port)
    link.open()
    link.send(b"anybody there?")
    link.flush()
    port.timeout = 0.1
    deframer = Deframer()
    data = [f for f in deframer.feed(port.read(10_000)) if f.kind == Kind.DATA]
    assert len(data) == 9 and set(data) == {(Kind.DATA, 0, b"anybody there?")}
    assert port.model.quiet
    port.timeout = 0.005
    assert link.receive(2.0) == b"anybody there?"
    assert link.counters["duplicates"] >= 0


# ----------------------------------------------------------------------------------------- host --

def test_open_returns_hello():
    link, _ = twin_link()
    assert link.open() == replace(HELLO, nonce=link.hello.nonce)
    assert Hello.unpack(link.hello.pack()) == link.hello


class Mute:
    name = "/dev/ttyX"
    timeout = None
    in_waiting = 0

    def __init__(self, babble=b""):
        self.now_s, self.babble, self.written = 0.0, babble, bytearray()

    def read(self, size=1):
        self.now_s += self.timeout
        return self.babble[:size]

    def write(self, data):
        self.written += data


def test_a_silent_port():
    port = Mute()
    with pytest.raises(LinkError, match=r"/dev/ttyX: no answer within 1\.5 s; is the board powered"):
        Link(port, clock=lambda: port.now_s, sleep=None).open(1.5)
    assert port.now_s == pytest.approx(1.5, abs=0.01)
    assert port.written.count(0) >= 6


def test_something_else_speaks():
    port = Mute(b"!")
    with pytest.raises(LinkError, match=r"something else speaks there \(it begins 21 21"):
        Link(port, clock=lambda: port.now_s, sleep=None).open()


@pytest.mark.parametrize("field, value, message", [
    ("magic", 0x12345678, "not an ionspike board: magic is 0x12345678, expected 0x534e4f49"),
    ("major", 9, "speaks protocol 9.4, this host 1.4; update the older"),
    ("digest", 0xABCD, f"has digest 0x0000abcd, this host's {HELLO.digest:#010x}; program the board"),
])
def test_another_board(field, value, message):
    link, _ = twin_link(hello=replace(HELLO, **{field: value}))
    with pytest.raises(LinkError) as error:
        link.open()
    assert message in str(error.value)
    with pytest.raises(LinkError, match="the link is not open"):
        link.send(b"x")


def test_a_record_that_does_not_fit():
    link, _ = twin_link()
    link.open()
    with pytest.raises(ValueError, match="a record of 225 bytes, 224 fit a frame"):
        link.send(bytes(PAYLOAD_BYTES + 1))


def test_records_do_not_span_frames():
    link, port = twin_link()
    link.open()
    payloads = []
    write = port.write

    def spy(data):
        payloads.extend(f.payload for f in Deframer().feed(data) if f.kind == Kind.DATA)
        write(data)

    port.write = spy
    records = [bytes([k]) * size for k, size in enumerate((100, 100, 30, 224, 1, 223, 1))]
    for record in records:
        link.send(record)
    link.flush()
    assert payloads == [records[0] + records[1], records[2], records[3], records[4] + records[5],
                        records[6]]


def test_a_board_that_dies():
    link, port = twin_link()
    link.open()
    link.send(b"hello")
    port.board.feed = lambda data: None
    with pytest.raises(LinkError, match=r"twin: the board stopped answering at frame 0; check cable "
                                        r".*; 5 bytes sent to it were not acknowledged"):
        link.flush()
    assert port.now_s < 20
    with pytest.raises(LinkError, match="the link is not open"):
        link.receive(1)


def test_an_unusable_line():
    link, port = twin_link()
    link.open()
    feed = port.board.feed
    port.board.feed = lambda data: feed(b"\x55\0")
    link.send(b"hello")
    with pytest.raises(LinkError, match="the line is too bad: frame 0 failed 401 times in a row"):
        link.flush()


@pytest.mark.parametrize("call", ["read", "write", "in_waiting"])
def test_a_board_that_vanishes(call):
    class Gone(TwinPort):
        alive = True

        def _check(self, what):
            if what == call and not self.alive:
                raise OSError(5, "Input/output error")

        def read(self, size=1):
            self._check("read")
            return super().read(size)

        def write(self, data):
            self._check("write")
            super().write(data)

        @property
        def in_waiting(self):
            self._check("in_waiting")
            return super().in_waiting

    port = Gone(BoardLink(HELLO))
    link = Link(port, clock=lambda: port.now_s, sleep=port.sleep)
    link.open()
    port.alive = False
    with pytest.raises(LinkError, match=r"twin: the board vanished \(.*Input/output error\); plug it "
                                        r"in .*; \d+ bytes sent to it were not acknowledged"):
        link.send(b"are you there?")
        link.flush()
        link.receive(10)
    port.alive = True
    link.open()
    sent, got = exchange(link, random.Random(11), 20)
    assert got == sent


def test_opening_again_forgets():
    link, port = twin_link()
    link.open()
    link.send(b"first")
    link.flush()
    link.open()
    assert port.board.opened == 2
    link.send(b"second")
    assert link.receive(1.0) == b"second"


def test_nothing_is_sent_without_need():
    """Silence costs a few bytes, ever more rarely, and no CPU."""
    link, port = twin_link()
    link.open()
    before = link.counters["bytes_out"]
    assert link.receive(60.0) == b""
    assert 0 < link.counters["bytes_out"] - before < 200


# ------------------------------------------------------------------------------------- gateware --

@pytest.mark.parametrize("parameters, message", [
    ({"rx_bytes": 1000}, "rx_bytes must be a power of two from 512 to 32768, not 1000"),
    ({"tx_slots": 3}, "tx_slots must be a power of two from 2 to 64, not 3"),
    ({"hello": bytes(3)}, "the payload of HELLO has 44 bytes, not 3"),
])
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        Gateware(**{"hello": HELLO.pack(), **parameters})


def test_size(tmp_path):
    """On an iCE40: three block RAMs, and no logic to read and write one address at once."""
    (tmp_path / "top.il").write_text(
        rtlil.convert(Gateware(HELLO.pack()), name="top", emit_src=False))
    run_script("read_rtlil top.il\nhierarchy -top top\nproc\n"
               "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i\n"
               "synth_ice40 -device u -top top\ntee -q -o cells.txt stat", tmp_path)
    cells = {name: int(count) for count, name in re.findall(
        r"(\d+) +(SB_\w+)", (tmp_path / "cells.txt").read_text())}
    print(cells)
    assert cells["SB_RAM40_4K"] == 3
    assert cells["SB_LUT4"] < 680


def test_cocotb(run_cocotb):
    run_cocotb(Gateware(HELLO.pack(), resend_clocks=1 << 14), "ionspike.sim.tb_link", seed=1)
