"""A board that is the link alone, with its UART."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ionspike.hdl.link import Link
from ionspike.hdl.uart import UARTReceiver, UARTTransmitter
from ionspike.host.hello import Hello
from ionspike.spec import wire

HELLO = Hello(digest=wire.digest(), board=wire.Board.VIRTUAL, tx_slots=wire.TX_SLOTS,
              rx_bytes=wire.RX_BYTES)


class LinkEcho(wiring.Component):
    """Sends back what it gets; or, if it shall flood, counts up, and takes what it gets."""

    uart_rx: In(1, init=1)
    uart_tx: Out(1, init=1)
    idle: Out(1)

    def __init__(self, divisor, flood=False, **parameters):
        self.divisor, self.flood, self.parameters = divisor, flood, parameters
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(8)
        m.submodules.transmitter = transmitter = UARTTransmitter(8)
        m.d.comb += [half.last.eq(self.divisor - 1) for half in (receiver, transmitter)]
        m.submodules.link = link = Link(HELLO.pack(), **self.parameters)
        connect(m, receiver.o, link.uart_i)
        connect(m, link.uart_o, transmitter.i)
        if self.flood:
            m.d.comb += link.i.valid.eq(1), link.o.ready.eq(1)
            with m.If(link.opened):
                m.d.sync += link.i.payload.eq(0)
            with m.Elif(link.i.ready):
                m.d.sync += link.i.payload.eq(link.i.payload + 1)
        else:
            connect(m, link.o, link.i)
        m.d.comb += [
            receiver.rx.eq(self.uart_rx),
            self.uart_tx.eq(transmitter.tx),
            link.uart_error.eq(receiver.error),
            self.idle.eq(receiver.idle & transmitter.idle & link.idle),
        ]
        return m
