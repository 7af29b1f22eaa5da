from amaranth import *
from amaranth.sim import Simulator

from ionspike.hdl.onehot import OneHot


def test_begins_in_the_first_state_and_goes_where_it_is_told():
    m = Module()
    fsm, leave = OneHot(m, "first", "second", "third"), Signal()
    with fsm.state("first"), m.If(leave):
        fsm.go("second")
    with fsm.state("second"):
        with m.If(leave):
            fsm.go("third")
        with m.Else():
            fsm.go("first")
    is_first, is_other, found = Signal(), Signal(), []
    m.d.comb += [is_first.eq(fsm.at("first")), is_other.eq(fsm.at("second", "third"))]

    async def testbench(ctx):
        for told in (0, 1, 0, 1, 1, 0, 1):
            ctx.set(leave, told)
            found.append((ctx.get(is_first), ctx.get(is_other)))
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    # Nothing leads out of the third.
    assert found == [(1, 0), (1, 0), (0, 1), (1, 0), (0, 1), (0, 1), (0, 1)]
