from amaranth.sim import Simulator

from ionspike.hdl.ticker import Ticker


def run(period, clocks, *, take=lambda clock, due: due, busy=lambda clock: False, clear=()):
    """Clocks in which a tick was due, and in which an overrun was told; the first is number 1. And
    ``longest`` after each clock."""
    dut, due, overruns, longest = Ticker(), [], [], []

    async def testbench(ctx):
        ctx.set(dut.period, period)
        await ctx.tick()
        ctx.set(dut.run, 1)
        for clock in range(1, clocks + 1):
            ctx.set(dut.take, take(clock, ctx.get(dut.due)))
            ctx.set(dut.busy, busy(clock))
            ctx.set(dut.clear, clock in clear)
            if ctx.get(dut.due):
                due.append(clock)
            if ctx.get(dut.overrun):
                overruns.append(clock)
            await ctx.tick()
            longest.append(ctx.get(dut.longest))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return due, overruns, longest


def test_one_tick_a_period():
    assert run(5, 22)[:2] == ([6, 11, 16, 21], [])


def test_a_period_of_one_clock():
    # Each is taken while the next falls due, which so begins late.
    assert run(1, 5)[:2] == ([2, 3, 4, 5], [3, 4, 5])


def test_a_tick_waits_until_it_is_taken():
    assert run(5, 14, take=lambda clock, due: clock == 9)[:2] == (
        [6, 7, 8, 9, 11, 12, 13, 14], [])


def test_a_tick_still_at_work_is_an_overrun():
    # Due from 6 on, at work from 7 to 10: past the boundary at 10, but not beyond that at 15.
    assert run(5, 16, busy=lambda clock: 7 <= clock <= 10)[:2] == ([6, 11, 16], [11])
    assert run(5, 16, busy=lambda clock: 7 <= clock <= 9)[:2] == ([6, 11, 16], [])


def test_a_tick_not_begun_is_an_overrun():
    assert run(5, 16, take=lambda clock, due: False)[1] == [11, 16]
    # Taken in the very last clock it is at work when the next one is due; a clock earlier it may be
    # over by then.
    assert run(5, 12, take=lambda clock, due: clock == 10)[1] == [11]
    assert run(5, 12, take=lambda clock, due: clock == 9)[1] == []


def test_the_longest_tick_is_kept():
    # Ticks of 1, 3, 2 and 4 clocks, due at 6, 11, 16 and 21.
    _, overruns, longest = run(5, 26, busy=lambda clock: clock in (12, 13, 17, 22, 23, 24))
    assert overruns == []
    assert longest == [0] * 11 + [1] + [2] * 11 + [3] * 3


def test_the_longest_tick_is_one_that_just_ends_in_time():
    # A clock more is an overrun, and nothing else.
    assert run(5, 16, busy=lambda clock: 7 <= clock <= 9)[1:] == ([], [0] * 6 + [1, 2] + [3] * 8)
    assert run(5, 16, busy=lambda clock: 7 <= clock <= 10)[1:] == ([11], [0] * 6 + [1, 2] + [3] * 8)
    # What lasts into the next period counts there from the beginning.
    assert run(5, 24, busy=lambda clock: 7 <= clock <= 14)[1:] == ([11], [0] * 6 + [1, 2] + [3] * 16)


def test_the_longest_tick_is_forgotten_when_cleared():
    _, _, longest = run(5, 20, busy=lambda clock: clock in (7, 8, 9, 12), clear=[14])
    assert longest[12:] == [3, 0, 0, 0, 0, 0, 0, 0]
    _, _, longest = run(5, 20, busy=lambda clock: clock in (7, 8, 9, 17), clear=[14])
    assert longest[12:] == [3, 0, 0, 0, 1, 1, 1, 1]


def test_ticks_in_lockstep_are_not_timed():
    dut = Ticker()

    async def testbench(ctx):
        ctx.set(dut.period, 5)
        ctx.set(dut.busy, 1)
        await ctx.tick().repeat(40)
        assert ctx.get(dut.longest) == 0

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


def test_cocotb(run_cocotb):
    run_cocotb(Ticker(), "ionspike.sim.tb_ticker", seed=1)
