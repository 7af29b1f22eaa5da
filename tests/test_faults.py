"""Faults put in on purpose: which, how many, and that the link bears them."""

import random

import pytest
from link_echo import HELLO
from test_link import TwinPort, exchange

from ionspike.host.board import Board
from ionspike.host.errors import InputError
from ionspike.host.fault_spec import FaultSpec
from ionspike.host.faults import BYTE_KINDS, TIME_KINDS, Faults
from ionspike.host.link import Link
from ionspike.host.replug import Replugging
from ionspike.host.retry import Retry
from ionspike.sim.link import BoardLink

DATA = random.Random(1).randbytes(200_000)
BURSTS = [DATA[at:at + 100] for at in range(0, len(DATA), 100)]


@pytest.mark.parametrize("kind", (*BYTE_KINDS, *TIME_KINDS))
def test_each_kind_happens_as_often_as_told_and_repeats(kind):
    def arrived():
        faults = Faults(3, **{kind: 1e-3})
        return [faults.pieces(burst) for burst in BURSTS], faults.done
    (pieces, done), again = arrived(), arrived()
    assert (pieces, done) == again
    assert done == {**dict.fromkeys(done, 0), kind: done[kind]}
    # Of a burst that was cut nothing is left to be hit.
    assert 0.8 < done[kind] / (len(DATA) * 1e-3) < 1.2
    got = b"".join(piece for burst in pieces for _, piece in burst)
    waits = {wait_s for burst in pieces for wait_s, _ in burst} - {0}
    expected = {"drop": len(DATA) - done[kind], "insert": len(DATA) + done[kind],
                "double": len(DATA) + done[kind], "flip": len(DATA)}
    if kind in TIME_KINDS:
        assert got == DATA
        assert waits == {{"split": 0.001, "delay": 0.005, "stall": 0.1}[kind]}
    else:
        assert got != DATA and not waits
        assert len(got) == expected.get(kind, len(got)) and len(got) < len(DATA) + 400
    if kind == "flip":
        assert sum((a ^ b).bit_count() for a, b in zip(got, DATA, strict=True)) == done[kind]


SPECS = {
    "1e-3": {}, "truncate=1e-3": {}, "split=1e-2": {}, "delay=1e-2,delay_by=2ms": {},
    "stall=1e-4,stall_for=300ms": {}, "replug=0.5s,away=200ms": {},
    "3e-4,split=1e-3,delay=1e-3,stall=1e-5,replug=1s,away=0.1,seed=9": {},
}


def over(spec, limit_s=5.0):
    """A link over a line with these faults to the golden twin, in simulated time."""
    port = TwinPort(BoardLink(HELLO))
    line = FaultSpec.parse(spec).wrap(port, clock=lambda: port.now_s)
    port.close = lambda: None
    replugging = Replugging(line, limit_s=limit_s, clock=lambda: port.now_s, sleep=port.sleep)
    return Link(replugging, clock=lambda: port.now_s, sleep=port.sleep), line, replugging


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_is_lost_whatever_the_line_does(spec):
    link, line, replugging = over(spec)
    link.open(60)
    sent, got = exchange(link, random.Random(3), 3000)
    assert got == sent
    done = line.to_board.done, line.from_board.done
    kinds = [word.split("=")[0] for word in spec.split(",") if "=" in word]
    for kind in set(kinds) & {*BYTE_KINDS, *TIME_KINDS}:
        assert sum(one[kind] for one in done), kind
    if "replug" in spec:
        assert line.plug.pulls == replugging.replugs > 0


def test_a_spec_is_read():
    spec = FaultSpec.parse("4e-4, stall = 1e-6,stall_for=50ms,replug=2s,away=100ms,seed=7")
    assert spec == FaultSpec(
        {"flip": 1e-4, "drop": 1e-4, "insert": 1e-4, "double": 1e-4, "stall": 1e-6},
        {"stall_s": 0.05}, replug_s=2.0, away_s=0.1, seed=7)


@pytest.mark.parametrize(("text", "message"), [
    ("2", "a rate must be a probability per byte from 0 to 0.5, such as 1e-4, not '2'"),
    ("", "a rate must be a probability per byte from 0 to 0.5, such as 1e-4, not ''"),
    ("flip", "a rate must be a probability"),
    ("flip=x", "flip must be a probability per byte from 0 to 0.5, such as 1e-4, not 'x'"),
    ("flip=nan", "not 'nan'"), ("flip=-1", "not '-1'"),
    ("bend=1", "'bend' is none of flip, drop, insert, double, truncate, split"),
    ("replug=2h", "replug must be a time such as 2s or 50ms, not '2h'"),
    ("away=0", "away must be a time such as 2s or 50ms, not '0'"),
    ("seed=-1", "seed='-1' is not a number from 0 up"),
    ("flip=0.4,drop=0.4", "0.8 faults per byte leave no line; at most 0.5"),
])
def test_a_bad_spec_is_one_line(text, message):
    with pytest.raises(InputError) as error:
        FaultSpec.parse(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_board_is_opened_with_faults():
    payloads = [bytes([k]) * 100 for k in range(200)]
    with Board.open(backend="golden", faults="2e-4,seed=3") as board:
        assert board.echo(payloads)[0] == payloads
        assert board.link_counters["resent"] + board.link_counters["crc_errors"]
    with pytest.raises(InputError, match="--faults"):
        Board.open(backend="golden", faults="often")


def test_a_copy_that_still_waits_in_the_port_is_not_sent_again():
    """Or each damaged copy would make another, and the port fill with them."""
    retry = Retry(0.001, 0.0)
    retry.again(5, 1.0, ahead_s=0.5)
    assert retry.on_its_way(5, 1.5) and not retry.on_its_way(5, 1.502)
    assert not retry.on_its_way(6, 1.2)
