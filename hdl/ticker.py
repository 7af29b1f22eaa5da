from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.loadable import plus_one_or

__all__ = ["Ticker"]


class Ticker(wiring.Component):
    """The clock of free-running ticks.

    Every ``period`` clocks a tick is due. One that falls due while the tick before is still at
    work, or not yet begun, is an overrun: it begins late, or not at all. A tick of ``n`` clocks, of
    which the first is that in which it is due and the last that in which it is at work, is none if
    ``n < period``.

    Members
    -------
    run : :py:`In(1)`
        Low in the first clock of all.
    period : :py:`In(24)`
        Clocks; at least one. A new one counts from the next tick on, or from when ``run`` rises.
    due : :py:`Out(1)`
        A tick should begin; until ``take``.
    take, busy : :py:`In(1)`
        The tick begins; it is at work.
    overrun : :py:`Out(1)`
        A clock after the tick fell due.
    longest : :py:`Out(24)`
        The largest ``n - 1`` since ``clear``, of ticks that were no overrun's cause; those count as
        if they had ended just in time.
    clear : :py:`In(1)`
        Of a tick that is due or at work in that clock, ``longest`` then says too little.
    """

    run: In(1)
    period: In(24)
    due: Out(1)
    take: In(1)
    busy: In(1)
    overrun: Out(1)
    longest: Out(24)
    clear: In(1)

    def elaborate(self, platform):
        m = Module()
        # From -1 - period to -2; a period of zero, which is none, is one clock too.
        count, ends = Signal(24), Signal()
        m.d.comb += ends.eq(count[1:].all())
        m.d.sync += [count.eq(plus_one_or(count, ~self.run | ends, ~self.period)),
                     self.overrun.eq(0)]
        with m.If(self.take):
            m.d.sync += self.due.eq(0)
        with m.If(~self.run):
            m.d.sync += self.due.eq(0)
        with m.Elif(ends):
            m.d.sync += self.due.eq(1)
            m.d.sync += self.overrun.eq(self.busy | self.due)

        # From when a tick falls due; its highest bit says that it takes longer than any before. No
        # period lasts until that bit falls again. `longest` stays where this is loaded from it.
        timer = Signal(25)
        m.d.sync += timer.eq(plus_one_or(timer, ~self.run | ends, Cat(~self.longest, C(0, 1))))
        with m.If(self.clear):
            m.d.sync += self.longest.eq(0)
        with m.Elif((self.busy | self.due) & timer[-1] & ~ends):
            m.d.sync += self.longest.eq(self.longest + 1)
        return m
