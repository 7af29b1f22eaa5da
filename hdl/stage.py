from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Stage"]


class Stage(wiring.Component):
    """A register in a stream, where a path would be too long without.

    One item in two clocks, so that neither side's readiness is the other's in the same clock; an
    item appears on the clock after it is taken.

    Members
    -------
    i, o : :py:`In(stream)`, :py:`Out(stream)`
    flush : :py:`In(1)`
        Forget the item held, and the one being taken.
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)),
                          "flush": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.flush):
            m.d.sync += self.o.valid.eq(0)
        return m
