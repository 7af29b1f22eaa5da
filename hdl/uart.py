"""Asynchronous serial port, 8N1."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UARTReceiver", "UARTTransmitter"]


class UARTReceiver(wiring.Component):
    """Serial to bytes.

    Bits are sampled in their middle. A byte appears half a bit time into its stop bit, and a line
    that can be sampled there as low is reported once, however long it stays low; if that is eight bit
    times more, as a break. The line does not wait: a byte that is not taken within two bit times is
    overwritten by the next.

    Parameters
    ----------
    width : :class:`int`
        Bits of ``last``.

    Members
    -------
    last : :py:`In(width)`
        Clocks per bit, less one; at least 3. It may change at any time, which spoils the byte that is
        being received.
    rx : :py:`In(1)`
        The line; synchronised here.
    o : :py:`Out(stream.Signature(8))`
        Bytes received.
    error : :py:`Out(1)`
        Pulses when a stop bit is missing; the byte is dropped.
    broken : :py:`Out(1)`
        Pulses when the line has been low for eight bit times where it should have been high.
    idle : :py:`Out(1)`
        Nothing is being received.
    """

    def __init__(self, width):
        super().__init__({
            "last": In(width),
            "rx": In(1, init=1),
            "o": Out(stream.Signature(8)),
            "error": Out(1),
            "broken": Out(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        line  = Signal(init=1)
        timer = Signal.like(self.last)
        bits  = Signal(3)
        m.submodules += FFSynchronizer(self.rx, line, init=1)

        # While a start bit is looked for the timer runs twice as fast: it ends after half a bit.
        half  = Signal()
        ended = Signal()
        m.d.comb += ended.eq((timer[1:] == self.last[1:]) & (half | (timer[0] == self.last[0])))
        m.d.sync += timer.eq(timer + Mux(half, 2, 1))
        with m.If(ended):
            m.d.sync += timer.eq(0)

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [self.idle.eq(line & ~self.o.valid), half.eq(1)]
                # The clock in which the edge is seen is part of the wait.
                with m.If(line):
                    m.d.sync += timer.eq(0)
                with m.Else():
                    m.next = "Start"

            with m.State("Start"):
                m.d.comb += half.eq(1)
                with m.If(ended):
                    m.next = "Data"
                    with m.If(line):
                        m.next = "Idle"

            with m.State("Data"):
                with m.If(ended):
                    m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], line))
                    m.d.sync += bits.eq(bits + 1)
                    with m.If(bits == 7):
                        m.next = "Stop"

            with m.State("Stop"):
                with m.If(ended):
                    m.d.sync += self.o.valid.eq(line)
                    m.d.comb += self.error.eq(~line)
                    m.next = "Break"

            with m.State("Break"):
                with m.If(line):
                    m.d.sync += bits.eq(0)
                    m.next = "Idle"
                with m.Elif(ended):
                    m.d.sync += bits.eq(bits + 1)
                    m.d.comb += self.broken.eq(bits == 7)

        return m


class UARTTransmitter(wiring.Component):
    """Bytes to serial.

    A byte takes ten bit times; bytes offered in time follow each other without a pause. The first
    byte after a reset, or after a change of rate, may wait for 2**width clocks.

    Parameters
    ----------
    width : :class:`int`
        Bits of ``last``.

    Members
    -------
    last : :py:`In(width)`
        Clocks per bit, less one; at least 3. It may change at any time, which spoils the byte that is
        being sent.
    i : :py:`In(stream.Signature(8))`
        Bytes to send.
    tx : :py:`Out(1)`
        The line, straight from a register.
    idle : :py:`Out(1)`
        Nothing is being sent.
    """

    def __init__(self, width):
        super().__init__({
            "last": In(width),
            "i": In(stream.Signature(8)),
            "tx": Out(1, init=1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        shift = Signal(9, init=-1)
        timer = Signal.like(self.last)
        bits  = Signal(range(10))

        ended = Signal()
        m.d.comb += ended.eq(timer == self.last)
        m.d.comb += self.tx.eq(shift[0])
        m.d.comb += self.i.ready.eq(ended & (bits == 0))
        m.d.comb += self.idle.eq(self.i.ready & ~self.i.valid)

        with m.If(~ended):
            m.d.sync += timer.eq(timer + 1)
        with m.Elif(bits != 0):
            m.d.sync += timer.eq(0)
            m.d.sync += bits.eq(bits - 1)
            m.d.sync += shift.eq(Cat(shift[1:], 1))
        with m.Elif(self.i.valid):
            m.d.sync += timer.eq(0)
            m.d.sync += bits.eq(9)
            m.d.sync += shift.eq(Cat(0, self.i.payload))

        return m
