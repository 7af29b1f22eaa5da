"""Random periods and takers, clock for clock against the contract of the ticker."""

import random
from collections import Counter

import cocotb
from cocotb.triggers import FallingEdge, Timer

from ionspike.sim.streams import reset


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def agrees_with_contract(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    await reset(dut, run=0, period=1, take=0, busy=0, clear=0)
    reached = Counter()
    longest = 0
    for _ in range(60):
        period = rng.choice([1, 2, 3, 7, 50])
        eager, work = rng.choice([0.05, 0.5, 1.0]), rng.choice([0, 1, 3, 60])
        dut.run.value, dut.period.value, dut.take.value, dut.busy.value = 0, period, 0, 0
        cleared = rng.random() < 0.5
        dut.clear.value = cleared
        await FallingEdge(dut.clk)
        if cleared:
            longest = 0
        dut.run.value, dut.clear.value = 1, 0
        before = longest
        due, left, told = False, 0, False
        for clock in range(1, 6 * period + 20):
            take = due and left == 0 and rng.random() < eager
            busy = left > 0
            dut.take.value, dut.busy.value = take, busy
            await Timer(1, "ns")
            boundary = clock % period == 0
            overrun = boundary and (busy or due)
            assert bool(dut.due.value) == due
            # Told a clock later.
            assert bool(dut.overrun.value) == told
            told = overrun
            assert int(dut.longest.value) == longest
            if (busy or due) and not boundary:
                # The clocks since it fell due.
                longest = max(longest, (clock - 1) % period)
            reached.update(overrun=overrun, late=overrun and busy, missed=overrun and not busy,
                           grown=longest > before, just_in_time=longest == period - 2 and period > 3,
                           taken_at_boundary=take and boundary, in_time=take and not overrun)
            due = boundary or (due and not take)
            left = work if take else max(0, left - 1)
            await FallingEdge(dut.clk)
        dut.run.value = 0
        await FallingEdge(dut.clk)
        assert not dut.due.value, "what was due is forgotten"
    for what in ("late", "missed", "taken_at_boundary", "in_time", "grown", "just_in_time"):
        assert reached[what], f"the stimulus did not reach: {what}"
