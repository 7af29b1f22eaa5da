"""A small top level: characters come back, after a buffer of 64."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out


class Echo(wiring.Component):
    def __init__(self, divisor=4, *, idle=True):
        self.divisor = divisor
        super().__init__({"uart_rx": In(1, init=1), "uart_tx": Out(1, init=1),
                          **({"idle": Out(1)} if idle else {})})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8, depth=64)

        rx = Signal(init=1)
        m.d.sync += rx.eq(self.uart_rx)
        i_data, i_left, i_wait = Signal(8), Signal(range(10)), Signal(range(2 * self.divisor))
        m.d.comb += fifo.w_data.eq(Cat(i_data[1:], rx))
        with m.If(i_left == 0):
            with m.If(~rx):
                m.d.sync += i_left.eq(9), i_wait.eq(self.divisor + self.divisor // 2 - 1)
        with m.Elif(i_wait == 0):
            m.d.comb += fifo.w_en.eq(i_left == 2)
            m.d.sync += [i_data.eq(fifo.w_data), i_left.eq(i_left - 1),
                         i_wait.eq(self.divisor - 1)]
        with m.Else():
            m.d.sync += i_wait.eq(i_wait - 1)

        o_data, o_left, o_wait = Signal(10, init=-1), Signal(range(11)), Signal(range(self.divisor))
        m.d.comb += self.uart_tx.eq(o_data[0])
        with m.If(o_wait != 0):
            m.d.sync += o_wait.eq(o_wait - 1)
        with m.Elif(o_left > 1):
            m.d.sync += [o_data.eq(Cat(o_data[1:], 1)), o_left.eq(o_left - 1),
                         o_wait.eq(self.divisor - 1)]
        with m.Else():
            m.d.comb += fifo.r_en.eq(1)
            m.d.sync += o_left.eq(0)
            with m.If(fifo.r_rdy):
                m.d.sync += [o_data.eq(Cat(0, fifo.r_data, 1)), o_left.eq(10),
                             o_wait.eq(self.divisor - 1)]

        if "idle" in self.signature.members:
            m.d.comb += self.idle.eq(rx & ~fifo.r_rdy & (fifo.level == 0)
                                     & (i_left == 0) & (o_left == 0))
        return m
