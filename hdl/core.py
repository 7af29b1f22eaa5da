from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

from ionspike.hdl.bus import BusSignature
from ionspike.hdl.digest import Digest
from ionspike.hdl.lfsr import LFSR
from ionspike.hdl.neuron import HELD, Neuron
from ionspike.hdl.spikes import Expander, SpikeBuffer, group_layout
from ionspike.hdl.stage import Stage
from ionspike.hdl.synapse import Synapses
from ionspike.spec import formats as fmt
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import AUX_REGISTERS, COEFFICIENT, REGISTERS, STATE_STRIDE, Space

__all__ = ["Core"]


class Core(wiring.Component):
    """A time-multiplexed core of memristor neurons: runs one tick when told to.

    A tick adds the rows of its external events, then those of the spikes of the tick before, then
    updates ``groups_used`` groups of neurons. Golden model: :class:`ionspike.sim.model.Model`.

    A tick takes (words + stalls) + (neurons) + about 25 clocks: one weight word and one neuron per
    clock, see :class:`Synapses` and :class:`Neuron`.

    Members
    -------
    start : :py:`In(1)`
        Begin a tick; while ``idle``.
    events : :py:`In(stream of inputs)`, last_event : :py:`In(1)`
        External events of the tick, taken until ``last_event`` is high with no event valid.
    idle : :py:`Out(1)`
        At rest: the bus may be used, spikes may be read.
    clear : :py:`In(1)`
        Zero state, accumulators, pending spikes and tick number; while ``idle``.
    tick : :py:`Out(32)`
        Number of the next tick.
    rewind : :py:`In(1)`
        Stream the last tick's spikes from the first on; while ``idle``.
    groups, spikes : :py:`Out(stream)`
        They come as groups, or, while ``expand``, as neurons.
    expand : :py:`In(1)`
    spikes_done, spike_count : :py:`Out`
    digest, lfsr : :py:`Out(32)`, :py:`Out(64)`
    lfsr_load : :py:`In(1)`, from the bus's ``w_data``
    bus : :py:`In(BusSignature)`
        Serves every space, of the registers what a host has written to them.
    groups_used, spike_level, r_noise, sustained : registers
    load : :py:`In(1)` for each of ``HELD``, from the bus's ``w_data``
    word, saturated : strobes to be counted
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        super().__init__({
            "start": In(1),
            "events": In(stream.Signature(range(shape.inputs))),
            "last_event": In(1),
            "idle": Out(1),
            "clear": In(1),
            "tick": Out(32),
            "rewind": In(1),
            "groups": Out(stream.Signature(group_layout(shape))),
            "spikes": Out(stream.Signature(range(shape.neurons))),
            "expand": In(1),
            "spikes_done": Out(1),
            "spike_count": Out(range(shape.neurons + 1)),
            "digest": Out(32),
            "lfsr": Out(fmt.LFSR_WIDTH),
            "lfsr_load": In(1),
            "bus": In(BusSignature),
            "groups_used": In(range(shape.groups + 1)),
            "spike_level": In(fmt.G_BITS),
            "r_noise": In(fmt.R_NOISE_BITS), "sustained": In(1),
            "load": In(data.StructLayout(dict.fromkeys(HELD, 1))),
            "word": Out(1),
            "saturated": Out(range(shape.lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        shape = self.shape
        lane_bits = ceil_log2(shape.lanes)

        m.submodules.synapses = synapses = Synapses(shape)
        # On an iCE40UP cells are scarcer than time.
        m.submodules.neuron = neuron = Neuron(
            through=str(getattr(platform, "device", "")).startswith("iCE40UP"))
        m.submodules.lfsr = lfsr = LFSR()
        m.submodules.buffer = buffer = SpikeBuffer(shape)
        m.submodules.expander = expander = Expander(shape)
        m.submodules.digester = digester = Digest()
        m.submodules.state = state = memory.Memory(shape=48, depth=shape.neurons, init=[])
        s_read, s_write = state.read_port(), state.write_port(granularity=16)
        m.submodules.coefficients = coefficients = memory.Memory(
            shape=32, depth=shape.neurons, init=[])
        c_read, c_write = coefficients.read_port(), coefficients.write_port(granularity=16)

        for name in ("spike_level", "r_noise", "sustained", "load"):
            m.d.comb += getattr(neuron, name).eq(getattr(self, name))
        m.d.comb += [
            lfsr.advance.eq(neuron.advance), neuron.word.eq(lfsr.state),
            lfsr.load.eq(self.lfsr_load), lfsr.data.eq(self.bus.w_data), self.lfsr.eq(lfsr.state),
            self.word.eq(synapses.word), self.saturated.eq(synapses.saturated),
            self.digest.eq(digester.o), self.spike_count.eq(buffer.count),
            synapses.slot.eq(self.tick),
        ]

        # Where events come from, and where the last tick's spikes go.
        external, recurrent, rewind = Signal(), Signal(), Signal()
        to_expander, expanded = expander.i, buffer.done & expander.idle
        if shape.lanes > 8:
            # Many lanes lie far apart: whether a row ends would decide, in the same clock, which
            # group is read next.
            m.submodules.groups = stage = Stage(group_layout(shape))
            connect(m, stage.o, expander.i)
            to_expander, expanded = stage.i, expanded & ~stage.o.valid
        m.d.comb += to_expander.payload.eq(buffer.o.payload)
        m.d.comb += [
            buffer.rewind.eq(self.rewind | rewind),
            self.spikes_done.eq(expanded),
            self.groups.payload.eq(buffer.o.payload),
            self.spikes.payload.eq(expander.o.payload),
        ]
        with m.If(external):
            m.d.comb += [synapses.i.payload.eq(self.events.payload),
                         synapses.i.valid.eq(self.events.valid),
                         self.events.ready.eq(synapses.i.ready)]
        with m.Elif(recurrent):
            m.d.comb += [synapses.i.payload.eq(expander.o.payload + shape.inputs),
                         synapses.i.valid.eq(expander.o.valid),
                         expander.o.ready.eq(synapses.i.ready)]
        with m.Else():
            m.d.comb += [self.spikes.valid.eq(expander.o.valid),
                         expander.o.ready.eq(self.spikes.ready)]
        with m.If(recurrent | self.expand):
            m.d.comb += [to_expander.valid.eq(buffer.o.valid),
                         buffer.o.ready.eq(to_expander.ready)]
        with m.Else():
            m.d.comb += [self.groups.valid.eq(buffer.o.valid & self.idle),
                         buffer.o.ready.eq(self.groups.ready & self.idle)]

        # Sweep over all neurons: what `index` has accumulated is read, its state a clock later;
        # `writing` is written as it comes, and counts what is cleared.
        neurons = Signal(range(shape.neurons + 1))
        index = Signal.like(neurons)
        cleared = max(shape.neurons, shape.delay_slots << shape.group_bits)
        writing = Signal(range(cleared + 1))
        sweep, read, valid, clearing = Signal(), Signal(), Signal(), Signal()
        lane = Signal(range(shape.lanes))
        group = Signal(shape.group_bits)
        m.d.comb += neurons.eq(Cat(C(0, lane_bits), self.groups_used))
        m.d.sync += [read.eq(sweep), valid.eq(read), lane.eq(index), group.eq(index >> lane_bits)]
        coefficient = data.View(data.StructLayout(dict(COEFFICIENT)), c_read.data)
        # Sixteen accumulators are a wide multiplexer away from their multiplier.
        into_neuron = m.d.sync if shape.lanes > 8 else m.d.comb
        into_neuron += [
            neuron.i_valid.eq(valid),
            neuron.i.state.as_value().eq(s_read.data),
            neuron.i.kg.eq(coefficient.kg), neuron.i.mu.eq(coefficient.mu),
            neuron.i.theta.eq(coefficient.theta),
            neuron.acc.eq(synapses.acc_data[lane]),
        ]
        m.d.comb += [
            buffer.i_valid.eq(neuron.o_valid), buffer.i.eq(neuron.spike),
            digester.i_valid.eq(neuron.o_valid), digester.i.eq(neuron.o),
        ]
        # A group's accumulators are cleared when its last lane has been read.
        with m.If(clearing):
            m.d.comb += [synapses.clear.eq(1),
                         Cat(synapses.clear_group, synapses.clear_slot).eq(writing)]
        with m.Else():
            m.d.comb += [synapses.clear.eq(read & (lane == shape.lanes - 1)),
                         synapses.clear_group.eq(group), synapses.clear_slot.eq(self.tick)]

        # The bus, while at rest.
        bus = self.bus
        chosen = {space: Signal(name=f"is_{space.name.lower()}") for space in Space}
        for space, signal in chosen.items():
            m.d.comb += signal.eq(bus.space == space)

        def strobe(space, width, part):
            """One write enable for each 16-bit part of a memory."""
            return Mux(chosen[space] & bus.write & self.idle, C(1, width) << part, 0)[:width]

        chunk_bits = lane_bits - 1
        assert AUX_REGISTERS % 32 == 0
        kept = Signal()
        m.d.comb += kept.eq(chosen[Space.REGISTERS] & ~bus.offset[5:].any())
        m.d.comb += [
            neuron.access.eq(self.idle),
            # What is written to the registers is kept in a part of a table that nothing else uses.
            neuron.table_addr.eq(bus.offset | Mux(kept, AUX_REGISTERS, 0)),
            neuron.feedback_write.eq(strobe(Space.FEEDBACK, 1, 0)),
            neuron.aux_write.eq(strobe(Space.AUX, 1, 0) | (kept & bus.write & self.idle)),
            neuron.w_data.eq(bus.w_data),
            synapses.access.eq(self.idle), synapses.w_data.eq(bus.w_data),
            synapses.bus_addr.eq(Mux(chosen[Space.FANOUT], bus.offset >> 1,
                                     bus.offset >> chunk_bits)),
            synapses.fanout_write.eq(strobe(Space.FANOUT, 2, bus.offset[0])),
            synapses.weight_write.eq(
                strobe(Space.WEIGHTS, shape.lanes // 2, bus.offset[:chunk_bits])),
            c_write.addr.eq(bus.offset >> 1), c_write.data.eq(bus.w_data.replicate(2)),
            c_write.en.eq(strobe(Space.COEFFICIENTS, 2, bus.offset[0])),
            c_read.addr.eq(Mux(self.idle, bus.offset >> 1, Cat(lane, group))),
            s_read.addr.eq(Mux(self.idle, bus.offset >> 2, Cat(lane, group))),
            synapses.acc_group.eq(Mux(self.idle, bus.offset >> lane_bits, index >> lane_bits)),
            synapses.acc_slot.eq(Mux(self.idle, bus.offset >> lane_bits + shape.group_bits,
                                     self.tick)),
        ]
        assert STATE_STRIDE == 4
        with m.If(self.idle):
            m.d.comb += [
                s_write.addr.eq(bus.offset >> 2), s_write.data.eq(bus.w_data.replicate(3)),
                s_write.en.eq(strobe(Space.STATE, 4, bus.offset[:2]))]
        with m.Else():
            m.d.comb += [s_write.addr.eq(writing),
                         s_write.data.eq(Mux(clearing, 0, neuron.o.as_value())),
                         s_write.en.eq((clearing | neuron.o_valid).replicate(3))]
        # Low half of the registers, but for those that are not only written.
        live = [r.offset for r in REGISTERS if r.is_live]
        written = kept & ~reduce(or_, (bus.offset[:5] == k for k in live if k < 32))
        state_words = [s_read.data.word_select(k, 16) for k in range(3)]
        weight_words = [synapses.weight_data.word_select(k, 16) for k in range(shape.lanes // 2)]
        # Two words are one table a bit. A pair that is not asked is zero by its register's reset,
        # which costs nothing; then all that is left is an OR.
        words_read = []
        for asked, upper, words in (
                (written | chosen[Space.AUX] | chosen[Space.FEEDBACK], chosen[Space.FEEDBACK],
                 (neuron.aux_data, neuron.feedback_data)),
                (chosen[Space.FANOUT], bus.offset[0],
                 (synapses.fanout_data[:16], synapses.fanout_data[16:])),
                (chosen[Space.COEFFICIENTS], bus.offset[0], (c_read.data[:16], c_read.data[16:])),
                (chosen[Space.STATE] & ~bus.offset[1], bus.offset[0], state_words[:2]),
                # At rest `lane` follows the offset, so that one multiplexer serves both.
                ((chosen[Space.STATE] & (bus.offset[:2] == 2)) | chosen[Space.ACCUMULATORS],
                 chosen[Space.ACCUMULATORS], (state_words[2], synapses.acc_data[lane])),
                *((chosen[Space.WEIGHTS] & (bus.offset[1:chunk_bits] == k), bus.offset[0],
                   weight_words[2 * k:2 * k + 2]) for k in range(shape.lanes // 4))):
            words_read.append(word := Signal(16, name=f"read_{len(words_read)}"))
            with m.If(~asked):
                m.d.sync += word.eq(0)
            with m.Else():
                m.d.sync += word.eq(Mux(upper, words[1], words[0]))
        m.d.comb += bus.r_data.eq(reduce(or_, words_read))
        with m.If(self.idle):
            m.d.sync += lane.eq(bus.offset)

        with m.If(neuron.o_valid | clearing):
            m.d.sync += writing.eq(writing + 1)

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [index.eq(0), writing.eq(0)]
                with m.If(self.clear):
                    m.next = "Clear"
                with m.Elif(self.start):
                    m.next = "External"

            with m.State("External"):
                m.d.comb += external.eq(1)
                with m.If(self.last_event & ~self.events.valid):
                    m.d.comb += rewind.eq(1)
                    m.next = "Recurrent"

            with m.State("Recurrent"):
                m.d.comb += recurrent.eq(1)
                with m.If(expanded):
                    m.next = "Settle"

            with m.State("Settle"):
                with m.If(synapses.idle):
                    m.d.comb += [buffer.begin.eq(1), digester.begin.eq(1)]
                    m.next = "Update"

            with m.State("Update"):
                m.d.comb += sweep.eq(index != neurons)
                with m.If(sweep):
                    m.d.sync += index.eq(index + 1)
                # One clock more than the last write, for the buffer's last group.
                with m.If(writing == neurons):
                    m.d.sync += self.tick.eq(self.tick + 1)
                    m.next = "Idle"

            with m.State("Clear"):
                m.d.comb += [clearing.eq(1), buffer.begin.eq(1)]
                m.d.sync += self.tick.eq(0)
                with m.If(writing == cleared - 1):
                    m.next = "Idle"

        return m
