"""A free-running board behind a host that starves, floods or stops: whatever was missed is counted.

The whole gateware in simulated time, so that clocks are exact.
"""

import numpy as np
import pytest
from conftest import require_compiler
from nets import DT_S, SHAPE

from ionspike.hdl.top import CLOCK_HZ
from ionspike.host.board import Board
from ionspike.host.link import Link
from ionspike.host.network import Network, Projection
from ionspike.host.spikes import Spikes
from ionspike.sim.virtual import DEFAULT_DIVISOR, Model, SimPort, library
from ionspike.spec import wire
from ionspike.spec.wire import Policy

INPUTS, NEURONS, TICKS = 12, 20, 300
WORDS = -(-NEURONS // SHAPE.lanes)      # of an input's row
RASTER = Spikes(np.random.default_rng(1).random((TICKS, INPUTS)) < 0.5, DT_S)


class Simulated:
    """A board whose clock goes on while the host does something else."""

    def __init__(self):
        require_compiler()
        self.port = port = SimPort(Model(library(SHAPE), DEFAULT_DIVISOR), clock_Hz=CLOCK_HZ)
        self.link = Link(port, clock=lambda: port.cycles / CLOCK_HZ,
                         sleep=lambda seconds: port.run(int(seconds * CLOCK_HZ)))
        self.board = Board(self.link, backend="virtual", where="simulated board")
        # No recurrence: then every event that is applied adds the same number of words.
        self.board.load(Network.from_float(
            device="zhao2025_ms", dt_s=DT_S, inputs=INPUTS, neurons=NEURONS,
            projections=[Projection("inputs", np.full((INPUTS, NEURONS), 0.5))]))
        self.started = 0

    def run(self, period, *, starve=None, **options):
        """Run free; before the events of which tick the host has none for how many clocks."""
        send, control = self.link.send, wire.address(
            wire.Space.REGISTERS, wire.register("control").offset).to_bytes(3, "little")

        def sending(record):
            if record[0] in (wire.Op.EVENTS, wire.Op.BITMAP) and starve is not None \
                    and int.from_bytes(record[1:3], "little") == starve[0]:
                # It looks after the line all the same.
                end = self.port.cycles + starve[1]
                while self.port.cycles < end:
                    self.port.run(2000)
                    self.link._pump()
            send(record)
            if record[:4] == bytes([wire.Op.WRITE]) + control and record[5] & 1:
                self.link.flush()
                self.started = self.port.cycles

        self.link.send = sending
        try:
            result = self.board.run(RASTER, seed=1, mode="free-running", final_state=False,
                                    period_s=period / CLOCK_HZ, **options)
        finally:
            self.link.send = send
        self.elapsed = self.port.cycles - self.started
        return result

    def account(self, result, period):
        """Every period's tick ran, or was counted; every event was applied, or was counted."""
        timing = result.timing
        # The host knows when the board began and ended to within a frame and its acknowledgement;
        # tests/test_interpreter.py is exact.
        periods, margin = self.elapsed / period, 2 + 6000 / period
        assert timing.ticks <= periods + margin
        assert timing.ticks >= periods - timing.overruns - margin
        applied = result.counters["words"] / WORDS
        assert applied + timing.dropped == RASTER.count
        return timing


@pytest.fixture(scope="module")
def simulated():
    return Simulated()


def test_a_run_that_is_in_time(simulated):
    result = simulated.run(12_000)
    timing = simulated.account(result, 12_000)
    assert timing.kept and not result.losses
    # A tick of this core takes some hundred clocks.
    assert 10_000 < timing.slack_clocks < 12_000
    # The host sends as fast as it may, and its events wait for their ticks.
    assert timing.ring_quarters == 3
    golden = _golden()
    assert (result.spikes.raster == golden.spikes.raster).all() and result.lfsr != 0


def _golden():
    with Board.open(backend="golden", shape=SHAPE) as board:
        board.load(Network.from_float(
            device="zhao2025_ms", dt_s=DT_S, inputs=INPUTS, neurons=NEURONS,
            projections=[Projection("inputs", np.full((INPUTS, NEURONS), 0.5))]))
        return board.run(RASTER, seed=1)


@pytest.mark.parametrize("policy", [Policy.DROP, Policy.NEXT])
def test_a_host_that_starves_the_board(simulated, policy):
    """It sends nothing for 200 ticks: they run empty, and what comes then is late."""
    result = simulated.run(12_000, policy=policy, starve=(150, 200 * 12_000))
    timing = simulated.account(result, 12_000)
    assert timing.late > 0 and timing.overruns == 0 and not timing.kept
    assert timing.dropped == (timing.late if policy == Policy.DROP else 0)
    assert timing.slack_clocks > 0, "the board itself was in time"


def test_a_host_that_starves_a_board_that_halts(simulated):
    """Ticks stop at the first late event; the rest of the run is in lockstep and complete."""
    result = simulated.run(12_000, policy=Policy.HALT, starve=(150, 200 * 12_000))
    assert result.timing.late == result.timing.dropped > 0 == result.timing.overruns
    assert result.counters["words"] / WORDS + result.timing.dropped == RASTER.count
    assert result.ticks == TICKS


@pytest.mark.parametrize("period", [60, 110, 300])
def test_ticks_that_take_longer_than_their_period(simulated, period):
    """A flood: every tick takes longer than the board has time for, or its events do."""
    result = simulated.run(period)
    timing = simulated.account(result, period)
    assert timing.overruns > 0 and timing.slack_clocks == 0 and not timing.kept


def test_an_overrun_can_end_free_running(simulated):
    result = simulated.run(110, halt_on_overrun=True)
    assert result.timing.overruns == 1 and result.timing.slack_clocks == 0
    assert result.counters["words"] / WORDS + result.timing.dropped == RASTER.count


def test_a_host_that_stops(simulated):
    """It takes nothing for 100 ticks: the board holds all the frames it can, and then waits."""
    receive, count = simulated.link.receive, iter(range(10_000))

    def stopping(timeout_s):
        if next(count) == 12:
            simulated.port.run(100 * 12_000)
        return receive(timeout_s)

    simulated.link.receive = stopping
    try:
        result = simulated.run(12_000, digests=True)
    finally:
        simulated.link.receive = receive
    timing = simulated.account(result, 12_000)
    assert timing.frames_held == wire.TX_SLOTS
    assert timing.overruns > 20 and timing.slack_clocks == 0
    assert timing.host_pause_s == pytest.approx(100 * 12_000 / CLOCK_HZ)
    # What was held up came all the same.
    assert len(result.digests) == TICKS
