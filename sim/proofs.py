"""What is proved of the gateware: harnesses with assertions, for all inputs and all time.

Each is run by tests/test_proofs.py, which also sees it fail on gateware with a fault.
"""

from dataclasses import dataclass
from typing import Any

from amaranth import *
from amaranth.hdl import Assert, Assume
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from ionspike.hdl.cobs import Decoder, Patcher
from ionspike.hdl.crc import CRC32
from ionspike.hdl.lfsr import LFSR
from ionspike.hdl.link_receiver import LinkReceiver
from ionspike.hdl.link_sender import LinkSender
from ionspike.hdl.spikes import Expander
from ionspike.hdl.stage import Stage
from ionspike.hdl.synapse import Synapses
from ionspike.hdl.top import CLOCK_HZ, hello
from ionspike.spec import wire
from ionspike.spec.formats import LFSR_LEAP
from ionspike.spec.shape import CoreShape

__all__ = ["PROOFS", "Proof"]


def same_throughout(m: Module, *inputs: Signal) -> None:
    """Each may have any value, and has it in every clock."""
    first = Signal(init=1)
    m.d.sync += first.eq(0)
    for k, value in enumerate(inputs):
        before = Signal.like(value, name=f"before_{k}")
        m.d.sync += before.eq(value)
        m.d.comb += Assume(first | (before == value))


class NeverZero(wiring.Component):
    """A leap never leads to zero, from any state at all."""

    advance: In(1)
    load: In(1)
    data: In(LFSR_LEAP)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = LFSR()
        leapt = Signal()
        m.d.comb += [dut.advance.eq(self.advance), dut.load.eq(self.load), dut.data.eq(self.data)]
        m.d.sync += leapt.eq(self.advance & ~self.load)
        m.d.comb += Assert(~leapt | (dut.state != 0))
        return m


class NothingLost(wiring.Component):
    """A stage hands on what it took: each item once, in order, and it never blocks for good."""

    valid: In(1)
    payload: In(8)
    ready: In(1)
    flush: In(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Stage(8)
        m.d.comb += [dut.i.valid.eq(self.valid), dut.i.payload.eq(self.payload),
                     dut.o.ready.eq(self.ready), dut.flush.eq(self.flush)]
        held, item = Signal(), Signal(8)
        with m.If(self.valid & dut.i.ready):
            m.d.sync += [held.eq(1), item.eq(self.payload)]
        with m.Elif(dut.o.valid & self.ready):
            m.d.sync += held.eq(0)
        with m.If(self.flush):
            m.d.sync += held.eq(0)
        m.d.comb += [Assert(dut.o.valid == held), Assert(~held | (dut.o.payload == item)),
                     Assert(dut.i.ready | dut.o.valid)]
        return m


class RoundTrip(wiring.Component):
    """Any frame of up to ``size`` bytes, encoded in place and decoded again, is what it was."""

    size: In(3)
    data: In(8 * 5)

    def elaborate(self, platform):
        m = Module()
        m.submodules.patcher = patcher = Patcher()
        m.submodules.decoder = decoder = Decoder()
        m.submodules.frame = frame = memory.Memory(shape=8, depth=8, init=[])
        write, read = frame.write_port(), frame.read_port(domain="comb")
        most = len(self.data) // 8
        same_throughout(m, self.size, self.data)
        m.d.comb += Assume((self.size <= most) & (self.size != 0))
        sent, finishing, sending, seen = Signal(4), Signal(), Signal(), Signal(4)
        m.d.comb += [
            patcher.strobe.eq(sent < self.size), patcher.finish.eq(finishing & ~sending),
            patcher.byte.eq(Mux(patcher.strobe, self.data.word_select(sent[:3], 8), 0)),
            write.addr.eq(patcher.address), write.data.eq(patcher.data), write.en.eq(patcher.write),
            Assert(~patcher.write | (patcher.address <= most + 1)),
        ]
        done, at = Signal(2), Signal(4)
        with m.If(patcher.strobe):
            m.d.sync += [sent.eq(sent + 1), finishing.eq(sent + 1 == self.size)]
        with m.If(finishing & ~sending):
            m.d.sync += [done.eq(done + 1), sending.eq(done == 1)]
        m.d.comb += [
            read.addr.eq(at), decoder.i.payload.eq(read.data),
            decoder.i.valid.eq(sending & (at <= self.size + 1)), decoder.o.ready.eq(1)]
        with m.If(sending):
            m.d.comb += Assert(decoder.i.ready)
            m.d.sync += at.eq(Mux(at == 15, 15, at + 1))
        with m.If(decoder.o.valid):
            m.d.sync += seen.eq(seen + 1)
            with m.If(decoder.o.p.end):
                m.d.comb += Assert((seen == self.size) & decoder.o.p.whole)
            with m.Else():
                m.d.comb += Assert(decoder.o.p.byte == self.data.word_select(seen[:3], 8))
        # The end came, in time.
        m.d.comb += Assert((at != self.size + 2) | (seen == self.size + 1))
        return m


class Detects(wiring.Component):
    """A byte and its own CRC match; with one bit wrong they do not. The same logic goes over longer
    messages, bit by bit."""

    message: In(8)
    flip: In(6)

    def elaborate(self, platform):
        m = Module()
        m.submodules.made = made = CRC32()
        m.submodules.checked = checked = CRC32()
        same_throughout(m, self.message, self.flip)
        place = Signal(3)
        byte, wrong = Signal(8), Signal(8)
        with m.If(self.flip[3:] == place):
            m.d.comb += wrong.eq(1 << self.flip[:3])
        m.d.comb += [
            byte.eq(Mux(place == 0, self.message, made.value[:8])),
            made.i.valid.eq(place < 5), made.expel.eq(place != 0), made.i.payload.eq(byte),
            checked.i.valid.eq(place < 5), checked.i.payload.eq(byte ^ wrong),
            Assert(made.i.ready == checked.i.ready),
        ]
        with m.If(made.i.ready & (place < 5)):
            m.d.sync += place.eq(place + 1)
        with m.If((place == 5) & made.i.ready):
            m.d.comb += Assert(checked.match == (self.flip[3:] >= 5))
        return m


class NoOverflow(wiring.Component):
    """Whatever the line brings: the ring never loses what waits in it. The assertions are the
    receiver's own."""

    valid: In(1)
    byte: In(8)
    ready: In(1)
    freeze: In(1)
    error: In(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = LinkReceiver(512)
        m.d.comb += [dut.i.valid.eq(self.valid), dut.i.payload.eq(self.byte),
                     dut.o.ready.eq(self.ready), dut.news.freeze.eq(self.freeze),
                     dut.error.eq(self.error)]
        return m


class AlwaysTaken(wiring.Component):
    """The CRC, on which every byte of the line waits, is ready after eight clocks at most."""

    valid: In(1)
    byte: In(8)
    clear: In(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = CRC32()
        waits = Signal(4)
        m.d.comb += [dut.i.valid.eq(self.valid), dut.i.payload.eq(self.byte),
                     dut.clear.eq(self.clear), Assert(waits <= 8)]
        m.d.sync += waits.eq(Mux(dut.i.ready, 0, waits + 1))
        return m


class WithinCredit(wiring.Component):
    """The window of frames and the host's credit are kept, whatever the host acknowledges, as long
    as it takes no credit back. The assertions are the sender's own."""

    valid: In(1)
    byte: In(8)
    ready: In(1)
    opened: In(1)
    acked: In(1)
    limited: In(1)
    argument: In(16)
    not_seq: In(8)
    nack: In(1)
    answer: In(1)
    accepted: In(1)

    def elaborate(self, platform):
        m = Module()
        shape = CoreShape(neurons=8, inputs=8, words=16)
        m.submodules.dut = dut = LinkSender(hello(
            shape, board=wire.Board.VIRTUAL, clock_hz=CLOCK_HZ, baud=wire.BAUD, build=0),
            2, 1 << 10, 8, 256)
        m.d.comb += [
            dut.i.valid.eq(self.valid), dut.i.payload.eq(self.byte), dut.o.ready.eq(self.ready),
            *(getattr(dut.news, name).eq(getattr(self, name)) for name in (
                "opened", "acked", "limited", "argument", "not_seq", "nack", "answer", "accepted"))]
        return m


class Saturates(wiring.Component):
    """Whatever the memories hold and whichever rows follow each other: every sum is the exact one, or
    the limit beyond which that is, which is counted; and none is of an accumulator that another sum
    is on its way to. The assertions are the synapses' own."""

    def __init__(self, lanes: int):
        self.dut = Synapses(CoreShape(neurons=4 * lanes, inputs=2 * lanes, lanes=lanes, words=16))
        self._driven = ("slot", "acc_slot", "acc_group", "clear", "clear_slot", "clear_group")
        super().__init__({"valid": In(1), "source": In(self.dut.i.payload.shape()),
                          **{name: In(len(getattr(self.dut, name))) for name in self._driven}})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += [dut.i.valid.eq(self.valid), dut.i.payload.eq(self.source),
                     *(getattr(dut, name).eq(getattr(self, name)) for name in self._driven)]
        return m


class InOrder(wiring.Component):
    """A group's spikes come as its neurons: those that fired, each once, ascending."""

    mask: In(8)
    group: In(1)
    valid: In(1)
    ready: In(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Expander(CoreShape(neurons=16, inputs=8, words=16))
        m.d.comb += [
            dut.i.payload.mask.eq(self.mask), dut.i.payload.group.eq(self.group),
            dut.i.valid.eq(self.valid & (self.mask != 0)), dut.o.ready.eq(self.ready)]
        left, group = Signal(8), Signal()
        m.d.comb += [Assert(dut.o.valid == (left != 0)), Assert(dut.idle == (left == 0))]
        lane = dut.o.payload[:3]
        with m.If(dut.o.valid):
            m.d.comb += [Assert(left.bit_select(lane, 1)), Assert((left & ((1 << lane) - 1)) == 0),
                         Assert(dut.o.payload[3] == group)]
        rest = Signal(8)
        m.d.comb += rest.eq(Mux(self.ready, left & ~(1 << lane)[:8], left))
        # Taken only where nothing is left.
        m.d.comb += Assert(~dut.i.ready | (rest == 0))
        m.d.sync += left.eq(rest)
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += [left.eq(self.mask), group.eq(self.group)]
        return m


@dataclass(frozen=True)
class Proof:
    """A harness, and how it is proved: arguments of :func:`ionspike.sim.prove.prove`."""

    design: type[wiring.Component]
    options: dict[str, Any]
    arguments: tuple[Any, ...] = ()


_FOR_ALL_TIME: dict[str, Any] = {"mode": "pdr"}
_INDUCTION: dict[str, Any] = {"mode": "induction", "depth": 2, "contents": False}

PROOFS = {
    "the LFSR is never zero": Proof(NeverZero, _FOR_ALL_TIME),
    "a stage loses nothing": Proof(NothingLost, _FOR_ALL_TIME),
    "spikes come once and in order": Proof(InOrder, _FOR_ALL_TIME),
    "bytes are always taken": Proof(AlwaysTaken, _FOR_ALL_TIME),
    "COBS goes there and back": Proof(RoundTrip, {"mode": "bmc", "depth": 18}),
    "the CRC tells": Proof(Detects, {"mode": "bmc", "depth": 50}),
    "eight accumulators saturate": Proof(Saturates, _INDUCTION, (8,)),
    "sixteen accumulators saturate": Proof(Saturates, _INDUCTION, (16,)),
    "the receiver's ring never overflows": Proof(NoOverflow, _INDUCTION),
    "the sender keeps window and credit": Proof(WithinCredit, _INDUCTION),
}
