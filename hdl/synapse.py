from amaranth import *
from amaranth.hdl import Assert
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.weights import WeightMemory
from ionspike.spec.formats import ACC_BITS, NARROW_BITS, WEIGHT_BITS
from ionspike.spec.shape import CoreShape

__all__ = ["Synapses"]


class Synapses(wiring.Component):
    """Fan-out rows, weights and accumulators: every event adds its source's rows.

    A row is ``length`` words from ``base`` on, each added to one group of ``lanes`` accumulators
    from ``first`` on, in slot ``(slot + delay) mod delay_slots``. Of a ``narrow`` row each word is for
    two groups: the lower half of a byte is a weight of the first, the upper half of the second,
    times 16. Every addition saturates at 16 bits. Golden model: :mod:`ionspike.sim.synapse`.

    One group per clock, also from row to row and event to event: the next descriptor waits in the
    output latch of its memory. Two consecutive words for one group of one slot cost a clock more,
    and so does a source without a row. A word's sums are written two clocks after its address.
    With more than eight lanes it is four: then a word waits two clocks for the one just before, and
    one for the one before that, where these are for its group.

    Members
    -------
    i : :py:`In(stream of sources)`
    slot : :py:`In(slot_bits)`
        Slot of the tick that runs.
    idle : :py:`Out(1)`
        No event is under way; the accumulators are settled.
    word, saturated : :py:`Out(1)`, :py:`Out(range(lanes + 1))`
        Weights of a group were added; how many of its additions were clamped.
    acc_slot, acc_group, acc_data : accumulators of a group, a clock later, while ``idle``
    clear : :py:`In(1)`
        Zero the accumulators of ``clear_slot``, ``clear_group``; only while ``idle``.
    access : :py:`In(1)`
        Descriptors and weights belong to the bus; only while ``idle``.
    bus_addr, fanout_write, weight_write, w_data, fanout_data, weight_data : bus side
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        lanes = shape.lanes
        super().__init__({
            "i": In(stream.Signature(range(shape.sources))),
            "slot": In(shape.slot_bits),
            "idle": Out(1),
            "word": Out(1),
            "saturated": Out(range(lanes + 1)),
            "acc_slot": In(shape.slot_bits),
            "acc_group": In(shape.group_bits),
            "acc_data": Out(data.ArrayLayout(signed(ACC_BITS), lanes)),
            "clear": In(1),
            "clear_slot": In(shape.slot_bits),
            "clear_group": In(shape.group_bits),
            "access": In(1),
            "bus_addr": In(max(shape.word_bits, range(shape.sources).stop.bit_length())),
            "fanout_write": In(2),
            "weight_write": In(lanes // 2),
            "w_data": In(16),
            "fanout_data": Out(32),
            "weight_data": Out(WEIGHT_BITS * lanes),
        })

    def elaborate(self, platform):
        m = Module()
        shape = self.shape
        row = data.StructLayout(dict(shape.descriptor_fields))

        m.submodules.fanout = fanout = memory.Memory(shape=32, depth=shape.sources, init=[])
        f_read, f_write = fanout.read_port(), fanout.write_port(granularity=16)
        m.submodules.weights = weights = WeightMemory(shape)
        m.submodules.accumulators = accumulators = memory.Memory(
            shape=ACC_BITS * shape.lanes, depth=shape.delay_slots << shape.group_bits, init=[])
        a_read, a_write = accumulators.read_port(), accumulators.write_port()

        # Descriptor in the latch of its memory: `source` is where it came from.
        latched = data.View(row, f_read.data[:row.size])
        have, take, fetch, chain = Signal(), Signal(), Signal(), Signal()
        source = Signal(range(shape.sources))
        address = Signal.like(source)
        m.d.comb += [
            chain.eq(have & latched.more & latched.enable),
            address.eq(Mux(chain, source + 1, self.i.payload)),
            fetch.eq((~have | take) & (chain | self.i.valid)),
            self.i.ready.eq((~have | take) & ~chain & ~self.access),
            f_read.addr.eq(Mux(self.access, self.bus_addr, address)),
            f_read.en.eq(fetch | self.access),
            f_write.addr.eq(self.bus_addr),
            f_write.data.eq(self.w_data.replicate(2)),
            f_write.en.eq(self.fanout_write),
            self.fanout_data.eq(f_read.data),
        ]
        with m.If(~self.access):
            with m.If(fetch):
                m.d.sync += [have.eq(1), source.eq(address)]
            with m.Elif(take):
                m.d.sync += have.eq(0)

        # The row being walked; a word is issued each clock unless it would meet itself.
        walking, last, stall = Signal(), Signal(), Signal()
        base = Signal(shape.word_bits)
        group = Signal(shape.group_bits)
        slot = Signal(shape.slot_bits)
        left = Signal(shape.group_bits)
        # A narrow row stays at a word for its upper half.
        narrow, upper = Signal(), Signal()
        issued, adding, written_back = Signal(), Signal(), Signal()
        target, target_issued, target_added, target_written = (
            Signal(shape.slot_bits + shape.group_bits, name=name)
            for name in ("target", "target_issued", "target_added", "target_written"))
        # The weights of many lanes lie far apart: there registers are between them and the sums, and
        # behind the sums.
        is_far = shape.lanes > 8
        m.d.comb += [
            target.eq(Cat(group, slot)),
            last.eq(left == 0),
            take.eq(have & (~walking | (last & ~stall))),
        ]
        slot_taken = Signal.like(slot)
        m.d.comb += slot_taken.eq(self.slot + latched.delay)
        if is_far:
            m.d.comb += stall.eq((issued & (target == target_issued))
                                 | (adding & (target == target_added)))
        else:
            # Within a row each word is for another group: it is where rows meet that a word may
            # wait, which is known when the next is taken.
            m.d.sync += stall.eq(
                take & walking & (Cat(latched.first, slot_taken) == target))
        with m.If(take):
            m.d.sync += [
                walking.eq(latched.enable), base.eq(latched.base), group.eq(latched.first),
                left.eq(latched.length), slot.eq(slot_taken), narrow.eq(latched.narrow), upper.eq(0)]
        with m.Elif(walking & ~stall):
            m.d.sync += [
                walking.eq(~last), base.eq(base + (~narrow | upper)), group.eq(group + 1),
                left.eq(left - 1), upper.eq(~upper)]
        m.d.sync += [issued.eq(walking & ~stall), target_issued.eq(target)]
        reading, target_read = (issued, target_issued) if is_far else (walking, target)
        # What comes out of the memory beside a word.
        halved, lower = Signal(), Signal()
        m.d.sync += [halved.eq(narrow), lower.eq(narrow & ~upper)]
        given = Cat((Mux(halved, 0, byte[:-NARROW_BITS]), Mux(lower, byte, byte[-NARROW_BITS:])[:NARROW_BITS])
                    for byte in (weights.r_data.word_select(k, WEIGHT_BITS) for k in range(shape.lanes)))
        added = Signal(WEIGHT_BITS * shape.lanes, reset_less=True)
        into_sums = m.d.sync if is_far else m.d.comb
        into_sums += [added.eq(given), adding.eq(issued), target_added.eq(target_issued)]
        m.d.comb += [
            weights.addr.eq(Mux(self.access, self.bus_addr, base)),
            weights.read.eq(walking | (self.access & (self.weight_write == 0))),
            weights.write.eq(self.weight_write),
            weights.w_data.eq(self.w_data),
            self.weight_data.eq(weights.r_data),
            a_read.addr.eq(Mux(reading, target_read, Cat(self.acc_group, self.acc_slot))),
            self.acc_data.eq(a_read.data),
            self.idle.eq(~(have | walking | issued | adding | written_back)),
        ]

        # Sums, clamped; while none is written the same port clears.
        behind_sums = m.d.sync if is_far else m.d.comb
        summed = Signal(data.ArrayLayout(signed(ACC_BITS), shape.lanes), reset_less=True)
        clamped = Signal(shape.lanes)
        for lane in range(shape.lanes):
            weight = added[WEIGHT_BITS * lane:WEIGHT_BITS * (lane + 1)]
            # What tells a clamped sum, or zero, is one of the summands: most bits' choice between
            # them and the sum then needs no cell beside the adder's.
            sign, replaced = Signal(name=f"sign_{lane}"), Signal(name=f"replaced_{lane}")
            total = Signal(ACC_BITS + 1, name=f"total_{lane}")
            m.d.comb += [
                sign.eq(weight[-1] | ~adding),
                total.eq(self.acc_data[lane] + Cat(weight[:-1], sign).as_signed()),
                replaced.eq((total[-1] != total[-2]) | ~adding),
                clamped[lane].eq(replaced & adding),
            ]
            behind_sums += summed[lane].eq(
                Mux(replaced, Cat((~sign).replicate(ACC_BITS - 1), sign & adding), total[:-1]))
        behind_sums += [written_back.eq(adding), target_written.eq(target_added)]
        m.d.comb += [
            a_write.addr.eq(Mux(written_back, target_written,
                                Cat(self.clear_group, self.clear_slot))),
            a_write.data.eq(summed),
            a_write.en.eq(written_back | self.clear),
        ]
        # Counted a clock late, off the path of the sums.
        clamped_before = Signal.like(clamped)
        m.d.sync += [clamped_before.eq(clamped), self.word.eq(adding)]
        m.d.comb += self.saturated.eq(sum(clamped_before[k] for k in range(shape.lanes)))

        if platform == "formal":
            for lane in range(shape.lanes):
                weight = added[WEIGHT_BITS * lane:WEIGHT_BITS * (lane + 1)].as_signed()
                exact = Signal(signed(ACC_BITS + 1), name=f"exact_{lane}")
                wanted = Signal(signed(ACC_BITS), name=f"wanted_{lane}")
                most = (1 << ACC_BITS - 1) - 1
                behind_sums += wanted.eq(Mux(exact > most, most, Mux(exact < ~most, ~most, exact)))
                m.d.comb += [
                    exact.eq(self.acc_data[lane] + weight),
                    # No sum goes round: one beyond a limit is that limit, and is counted.
                    Assert(~written_back | (summed[lane] == wanted)),
                    Assert(clamped[lane] == (adding & ((exact > most) | (exact < ~most)))),
                ]
            # No accumulator is read whose sum is still to be written.
            if is_far:
                stale = issued & ((adding & (target_added == target_issued))
                                  | (written_back & (target_written == target_issued)))
            else:
                stale = walking & ~stall & issued & (target == target_issued)
            m.d.comb += Assert(~stale)
        return m
