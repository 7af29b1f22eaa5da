"""Asynchronous serial port, 8N1."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UARTReceiver", "UARTTransmitter"]


def _check(divisor):
    if divisor < 4:
        raise ValueError(f"a bit must last at least 4 clocks, not {divisor}; "
                         f"take a lower baud rate or a faster clock")


class UARTReceiver(wiring.Component):
    """Serial to bytes.

    Bits are sampled in their middle. A byte appears half a bit time into its stop bit, and a line
    that can be sampled there as low is reported once, however long it stays low. The line does not
    wait: a byte that is not taken within two bit times is overwritten by the next.

    Parameters
    ----------
    divisor : :class:`int`
        Clocks per bit, at least 4.

    Members
    -------
    rx : :py:`In(1)`
        The line; synchronised here.
    o : :py:`Out(stream.Signature(8))`
        Bytes received.
    error : :py:`Out(1)`
        Pulses when a stop bit is missing; the byte is dropped.
    idle : :py:`Out(1)`
        Nothing is being received.
    """

    def __init__(self, divisor):
        _check(divisor)
        self.divisor = divisor
        super().__init__({
            "rx": In(1, init=1),
            "o": Out(stream.Signature(8)),
            "error": Out(1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        line  = Signal(init=1)
        timer = Signal(range(self.divisor))
        bits  = Signal(3)
        m.submodules += FFSynchronizer(self.rx, line, init=1)

        def wait(clocks):
            m.d.sync += timer.eq(clocks - 1)

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += timer.eq(timer - 1)

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.idle.eq(line & ~self.o.valid)
                # The clock in which the edge is seen is part of the wait.
                wait(self.divisor // 2 - 1)
                with m.If(~line):
                    m.next = "Start"

            with m.State("Start"):
                with m.If(timer == 0):
                    wait(self.divisor)
                    m.next = "Data"
                    with m.If(line):
                        m.next = "Idle"

            with m.State("Data"):
                with m.If(timer == 0):
                    wait(self.divisor)
                    m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], line))
                    m.d.sync += bits.eq(bits + 1)
                    with m.If(bits == 7):
                        m.next = "Stop"

            with m.State("Stop"):
                with m.If(timer == 0):
                    m.d.sync += self.o.valid.eq(line)
                    m.d.comb += self.error.eq(~line)
                    m.next = "Break"

            with m.State("Break"):
                with m.If(line):
                    m.next = "Idle"

        return m


class UARTTransmitter(wiring.Component):
    """Bytes to serial.

    A byte takes ten bit times; bytes offered in time follow each other without a pause.

    Parameters
    ----------
    divisor : :class:`int`
        Clocks per bit, at least 4.

    Members
    -------
    i : :py:`In(stream.Signature(8))`
        Bytes to send.
    tx : :py:`Out(1)`
        The line, straight from a register.
    idle : :py:`Out(1)`
        Nothing is being sent.
    """

    def __init__(self, divisor):
        _check(divisor)
        self.divisor = divisor
        super().__init__({
            "i": In(stream.Signature(8)),
            "tx": Out(1, init=1),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        shift = Signal(9, init=-1)
        timer = Signal(range(self.divisor))
        bits  = Signal(range(10))

        m.d.comb += self.tx.eq(shift[0])
        m.d.comb += self.i.ready.eq((timer == 0) & (bits == 0))
        m.d.comb += self.idle.eq(self.i.ready & ~self.i.valid)

        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(bits != 0):
            m.d.sync += timer.eq(self.divisor - 1)
            m.d.sync += bits.eq(bits - 1)
            m.d.sync += shift.eq(Cat(shift[1:], 1))
        with m.Elif(self.i.valid):
            m.d.sync += timer.eq(self.divisor - 1)
            m.d.sync += bits.eq(9)
            m.d.sync += shift.eq(Cat(0, self.i.payload))

        return m
