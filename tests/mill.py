"""A small top level with every hard cell: what comes back depends on a product and a memory."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from ionspike.hdl.multiplier import Multiplier
from ionspike.hdl.uart import UARTReceiver, UARTTransmitter
from ionspike.hdl.weights import WeightMemory
from ionspike.spec.shape import CoreShape


def milled(data):
    """What a mill answers."""
    answer, last = bytearray(), 0
    for x in data:
        answer.append((x * last >> 3 ^ last) & 0xFF)
        last = x
    return bytes(answer)


class Mill(wiring.Component):
    """Answers each character x with bits of its product with the last one, and the last one."""

    uart_rx: In(1, init=1)
    uart_tx: Out(1, init=1)
    idle: Out(1)

    def __init__(self, divisor, words):
        self.divisor = divisor
        self.shape = CoreShape(neurons=32, inputs=32, words=words)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(8)
        m.submodules.transmitter = transmitter = UARTTransmitter(8)
        m.d.comb += [half.last.eq(self.divisor - 1) for half in (receiver, transmitter)]
        m.submodules.memory = memory = WeightMemory(self.shape)
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8, depth=256)
        connect(m, fifo.r_stream, transmitter.i)

        m.submodules.product = product = Multiplier(8, 8, product_stages=1)
        x, last = Signal(8), Signal(8)
        m.d.comb += [product.a.eq(x), product.b.eq(last)]
        m.d.comb += [memory.addr.eq(x), memory.w_data.eq(last)]
        with m.FSM() as fsm:
            with m.State("receive"):
                m.d.comb += receiver.o.ready.eq(1)
                with m.If(receiver.o.valid):
                    m.d.sync += x.eq(receiver.o.payload)
                    m.next = "write"
            with m.State("write"):
                m.d.comb += memory.write.eq(1)
                m.next = "read"
            with m.State("read"):
                m.d.comb += memory.read.eq(1)
                m.next = "answer"
            with m.State("answer"):
                m.d.comb += [fifo.w_en.eq(1), fifo.w_data.eq(product.o[3:11] ^ memory.r_data[:8])]
                m.d.sync += last.eq(x)
                m.next = "receive"
            idle = fsm.ongoing("receive")
        m.d.comb += [receiver.rx.eq(self.uart_rx), self.uart_tx.eq(transmitter.tx),
                     self.idle.eq(receiver.idle & transmitter.idle & idle & ~fifo.r_rdy)]
        return m
