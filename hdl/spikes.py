from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ionspike.spec.shape import CoreShape

__all__ = ["Expander", "SpikeBuffer", "group_layout"]


def group_layout(shape: CoreShape) -> data.StructLayout:
    """A group of neurons, and which of its lanes fired."""
    return data.StructLayout({"mask": shape.lanes, "group": shape.group_bits})


class SpikeBuffer(wiring.Component):
    """The spikes of a tick, kept as the groups in which any neuron fired.

    Written one neuron per clock in ascending order; read as often as wanted, one group per clock.

    Members
    -------
    begin : :py:`In(1)`
        Forget all; not together with ``i_valid``.
    i_valid, i : :py:`In(1)`
        The next neuron, and whether it fired.
    count : :py:`Out(range(neurons + 1))`
        Neurons that fired.
    rewind : :py:`In(1)`
        Stream from the first group on.
    o : :py:`Out(stream of group_layout)`
    done : :py:`Out(1)`
        All groups were taken since ``rewind``.
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        super().__init__({
            "begin": In(1), "i_valid": In(1), "i": In(1),
            "count": Out(range(shape.neurons + 1)),
            "rewind": In(1), "o": Out(stream.Signature(group_layout(shape))), "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        shape = self.shape
        layout = group_layout(shape)

        m.submodules.entries = entries = memory.Memory(
            shape=layout.size, depth=1 << shape.group_bits, init=[])
        read, write = entries.read_port(), entries.write_port()

        lane = Signal(range(shape.lanes))
        group = Signal(shape.group_bits)
        mask = Signal(shape.lanes)
        filled = Signal()
        entry = Signal(layout)
        used = Signal(range(shape.groups + 1))
        # Counted a clock later, off the end of the neurons' longest path.
        fired = Signal()
        m.d.sync += [filled.eq(0), fired.eq(self.i_valid & self.i),
                     self.count.eq(self.count + fired)]
        with m.If(self.begin):
            m.d.sync += [lane.eq(0), group.eq(0), used.eq(0), self.count.eq(0)]
        with m.Else():
            with m.If(self.i_valid):
                m.d.sync += [
                    lane.eq(lane + 1), mask.eq(Cat(mask[1:], self.i)),
                    filled.eq(lane == shape.lanes - 1)]
            with m.If(filled):
                m.d.sync += group.eq(group + 1)
        m.d.comb += [
            entry.mask.eq(mask), entry.group.eq(group), write.addr.eq(used), write.data.eq(entry),
            write.en.eq(filled & mask.any())]
        with m.If(write.en):
            m.d.sync += used.eq(used + 1)

        index = Signal.like(used)
        have, fetch = Signal(), Signal()
        m.d.comb += [
            fetch.eq((index != used) & (~have | self.o.ready)),
            read.addr.eq(index), read.en.eq(fetch),
            self.o.valid.eq(have & ~self.rewind), self.o.payload.eq(read.data),
            self.done.eq(~have & (index == used)),
        ]
        with m.If(self.rewind):
            m.d.sync += [index.eq(0), have.eq(0)]
        with m.Elif(fetch):
            m.d.sync += [index.eq(index + 1), have.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += have.eq(0)

        return m


class Expander(wiring.Component):
    """Groups of spikes to neurons, ascending; one per clock without a pause between groups.

    Members
    -------
    i : :py:`In(stream of group_layout)`
        Masks are never empty.
    o : :py:`Out(stream of neurons)`
    idle : :py:`Out(1)`
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        super().__init__({
            "i": In(stream.Signature(group_layout(shape))),
            "o": Out(stream.Signature(shape.group_bits + ceil_log2(shape.lanes))),
            "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        mask, rest = Signal(self.shape.lanes), Signal(self.shape.lanes)
        group = Signal(self.shape.group_bits)
        lane = Signal(range(self.shape.lanes))
        for k in reversed(range(self.shape.lanes)):
            with m.If(mask[k]):
                m.d.comb += lane.eq(k)
        m.d.comb += [
            rest.eq(mask & (mask - 1)),
            self.idle.eq(mask == 0),
            self.o.valid.eq(~self.idle),
            self.o.payload.eq(Cat(lane, group)),
            self.i.ready.eq(self.idle | (self.o.ready & (rest == 0))),
        ]
        with m.If(self.i.ready):
            m.d.sync += mask.eq(Mux(self.i.valid, self.i.payload.mask, 0))
            m.d.sync += group.eq(self.i.payload.group)
        with m.Elif(self.o.ready):
            m.d.sync += mask.eq(rest)
        return m
