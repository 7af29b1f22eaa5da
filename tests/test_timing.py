"""What a result says of time."""

import json
from dataclasses import replace

import numpy as np
import pytest
from nets import network, spikes

from ionspike.host import cli
from ionspike.host.board import Board
from ionspike.host.errors import InputError
from ionspike.host.hello import Hello
from ionspike.host.link import Link
from ionspike.host.timing import Timing
from ionspike.sim.golden import GoldenPort
from ionspike.spec import wire

BOARD = Hello(digest=wire.digest(), board=wire.Board.ICEBREAKER, clock_hz=24_000_000)


def of(hello=BOARD, clocks=12_000, **registers):
    known = {entry.name: 0 for entry in wire.REGISTERS} | registers
    return Timing.of(hello, known, ticks=7, clocks=clocks, host_pause_s=0.001)


def test_slack_is_what_the_longest_tick_left():
    # `longest` leaves out the clock in which the tick fell due.
    assert of(longest_low=11_998).slack_clocks == 1
    timing = of(longest_low=5_999)
    assert timing.slack_clocks == 6_000 and timing.slack_s == 250e-6 and timing.kept
    assert of(clocks=1 << 20, longest_low=1, longest_high=15).slack_clocks == (1 << 16) - 2


def test_a_tick_that_took_too_long_leaves_none():
    timing = of(longest_low=11_998, overruns=1)
    assert timing.slack_clocks == 0 and not timing.kept


@pytest.mark.parametrize("name", ["late", "dropped", "overruns"])
def test_the_promise_is_kept_if_nothing_was_counted(name):
    assert of(longest_low=1).kept and not of(longest_low=1, **{name: 1}).kept


def test_marks_are_levels():
    timing = of(high_water=0b011_11 << wire.HIGH_WATER_SHIFT)
    assert (timing.frames_held, timing.ring_quarters) == (2, 2)
    timing = of(high_water=0)
    assert (timing.frames_held, timing.ring_quarters) == (0, 0)


@pytest.mark.parametrize("hello", [replace(BOARD, minor=1), replace(BOARD, board=wire.Board.GOLDEN)])
def test_what_is_not_measured_is_not_zero(hello):
    timing = of(hello, longest_low=0, high_water=0)
    assert (timing.slack_clocks, timing.slack_s, timing.frames_held, timing.ring_quarters) == (
        None, None, None, None)


def test_in_lockstep_there_is_no_slack():
    assert of(clocks=None).slack_clocks is None


def test_a_board_of_the_version_before_is_spoken_to():
    class Older(GoldenPort):
        def __init__(self):
            super().__init__()
            self.link.hello = replace(self.link.hello, minor=1, digest=wire.digests()[1],
                                      board=wire.Board.ICEBREAKER)

    with Board(Link(Older()), backend="golden", where="test") as board:
        board.load(network())
        timing = board.run(spikes(), seed=1, mode="free-running").timing
        assert "high_water" not in board.registers() and "late" in board.registers()
        assert not board.has_rate
        with pytest.raises(InputError, match=r"protocol 1\.1, which has no other rate"):
            board.change_rate(115_200)
    assert timing.slack_clocks is timing.frames_held is timing.ring_quarters is None
    # What the contract of 1.1 was.
    assert wire.digests() == {1: 0x12F8C9AF, 2: 0xF40E99F4, 3: 0x30FDB9F3, wire.PROTOCOL[1]: wire.digest()}


def test_results_carry_it():
    with Board.open(backend="golden") as board:
        board.load(network())
        result = board.run(spikes(50), seed=1, mode="free-running", period_s=1e-3)
    timing = result.timing
    assert (timing.ticks, timing.period_clocks, timing.kept) == (50, 24_000, True)
    assert 0 < timing.host_pause_s <= result.wall_s
    told = json.loads(json.dumps(result.summary()))["timing"]
    assert told["ticks"] == 50 and told["slack_clocks"] is None and told["kept"] is True
    assert {"late", "dropped", "overruns", "slack_s", "frames_held", "ring_quarters",
            "host_pause_s"} <= set(told)


def test_a_stream_has_it_at_any_time():
    with Board.open(backend="golden") as board:
        board.load(network())
        with board.stream([[0]] * 20, seed=1, mode="free-running", lead=3) as stream:
            assert len(list(stream)) == 20
        assert stream.timing().ticks == 23 and stream.timing().kept


@pytest.fixture
def late(tmp_path, monkeypatch):
    """A run in whose middle the board's time jumps ahead."""
    from ionspike.host import board
    monkeypatch.chdir(tmp_path)
    network().save("net.ion")
    np.save("in.npy", spikes(20).raster)
    encode = board.codec.encode_events

    def twice(raster, start=0):
        records = list(encode(raster, start))
        yield from [*records, records[0]]

    monkeypatch.setattr(board.codec, "encode_events", twice)
    return ["run", "net.ion", "--input", "in.npy", "--backend", "golden", "--seed", "1"]


def test_a_missed_promise_ends_with_four_unless_told_otherwise(late, capsys):
    assert cli.main([*late, "--mode", "free-running"]) == cli.LOST
    assert "data were lost or late: late " in capsys.readouterr().err
    assert cli.main([*late, "--mode", "free-running", "--allow-late"]) == cli.OK
    out, err = capsys.readouterr()
    assert "ionspike: warning: data were lost or late: late " in err and "least slack" in out
    # In lockstep nothing is late by the clock: it is a fault.
    assert cli.main([*late, "--allow-late"]) == cli.LOST
