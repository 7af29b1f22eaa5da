from amaranth import *
from amaranth.sim import Simulator

from ionspike.hdl.loadable import plus_one_or


def test_counts_or_takes_the_other():
    m = Module()
    value, other, load, found = Signal(4), Signal(4), Signal(), Signal(4)
    m.d.comb += found.eq(plus_one_or(value, load, other))
    seen = []

    async def testbench(ctx):
        for k in range(16):
            for chosen in (0, 1):
                ctx.set(Cat(value, other, load), k | (5 * k & 15) << 4 | chosen << 8)
                seen.append(ctx.get(found))

    sim = Simulator(m)
    sim.add_testbench(testbench)
    sim.run()
    assert seen == [number for k in range(16) for number in (k + 1 & 15, 5 * k & 15)]
