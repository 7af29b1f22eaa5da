from amaranth.sim import Simulator

from ionspike.hdl.ticker import Ticker


def run(period, clocks, *, take=lambda clock, due: due, busy=lambda clock: False):
    """Clocks in which a tick was due, and in which an overrun was told; the first is number 1."""
    dut, due, overruns = Ticker(), [], []

    async def testbench(ctx):
        ctx.set(dut.period, period)
        await ctx.tick()
        ctx.set(dut.run, 1)
        for clock in range(1, clocks + 1):
            ctx.set(dut.take, take(clock, ctx.get(dut.due)))
            ctx.set(dut.busy, busy(clock))
            if ctx.get(dut.due):
                due.append(clock)
            if ctx.get(dut.overrun):
                overruns.append(clock)
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return due, overruns


def test_one_tick_a_period():
    assert run(5, 22) == ([6, 11, 16, 21], [])


def test_a_period_of_one_clock():
    assert run(1, 5) == ([2, 3, 4, 5], [])


def test_a_tick_waits_until_it_is_taken():
    assert run(5, 14, take=lambda clock, due: clock == 9) == ([6, 7, 8, 9, 11, 12, 13, 14], [])


def test_a_tick_still_at_work_is_an_overrun():
    # At work from 7 to 10: past the boundary at 10, but not beyond that at 15.
    assert run(5, 16, busy=lambda clock: 7 <= clock <= 10) == ([6, 11, 16], [11])
    assert run(5, 16, busy=lambda clock: 7 <= clock <= 9) == ([6, 11, 16], [])


def test_a_tick_not_begun_is_an_overrun():
    assert run(5, 16, take=lambda clock, due: False)[1] == [11, 16]
    # Taken in the very last clock it is in time.
    assert run(5, 12, take=lambda clock, due: clock == 10)[1] == []


def test_cocotb(run_cocotb):
    run_cocotb(Ticker(), "ionspike.sim.tb_ticker", seed=1)
