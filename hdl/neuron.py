import functools
import operator

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ionspike.spec import formats as fmt
from ionspike.spec.wire import STATE

__all__ = ["LATENCY", "Neuron", "NeuronInput", "STATE_LAYOUT"]

STATE_LAYOUT = data.StructLayout(dict(STATE))

#: What the pipeline takes in per neuron.
NeuronInput = data.StructLayout({
    "state": STATE_LAYOUT, "kg": fmt.KG_BITS, "mu": fmt.MU_BITS,
    "theta": signed(fmt.THETA_BITS), "acc": signed(fmt.ACC_BITS)})

#: Clocks from an input to its output.
LATENCY = 8


class Neuron(wiring.Component):
    """The memristor neuron's update, fully pipelined: one neuron per clock.

    Equations: :class:`ionspike.sim.neuron.Neuron`, with which it agrees bit for bit; formats:
    :mod:`ionspike.spec.formats`. The result comes ``LATENCY`` clocks after its input; nothing
    ever stalls, and neurons leave in the order they came.

    Members
    -------
    i_valid, i : :py:`In(1)`, :py:`In(NeuronInput)`
    o_valid, o, spike : :py:`Out(1)`, :py:`Out(STATE_LAYOUT)`, :py:`Out(1)`
    kf, kr, kb, scale, r_max, spike_level, r_noise : common coefficients
    advance : :py:`Out(1)`
        Ask for one LFSR word, to be in :py:`word` on the following clock.
    word : :py:`In(16)`
    access : :py:`In(1)`
        The tables belong to the bus; not while neurons are in flight.
    table_addr, feedback_write, aux_write, w_data : bus side of the tables
    feedback_data, aux_data : their contents a clock later
    """

    i_valid: In(1)
    i: In(NeuronInput)
    o_valid: Out(1)
    o: Out(STATE_LAYOUT)
    spike: Out(1)
    kf: In(fmt.KF_BITS)
    kr: In(fmt.KR_BITS)
    kb: In(fmt.KB_BITS)
    scale: In(fmt.SCALE_BITS)
    r_max: In(fmt.R_HIGH_BITS)
    spike_level: In(fmt.G_BITS)
    r_noise: In(fmt.R_NOISE_BITS)
    advance: Out(1)
    word: In(fmt.LFSR_LEAP)
    access: In(1)
    table_addr: In(8)
    feedback_write: In(1)
    aux_write: In(1)
    w_data: In(16)
    feedback_data: Out(fmt.H_BITS)
    aux_data: Out(16)

    def elaborate(self, platform):
        m = Module()

        m.submodules.feedback = feedback = memory.Memory(
            shape=fmt.H_BITS, depth=fmt.H_ENTRIES, init=[])
        m.submodules.aux = aux = memory.Memory(shape=16, depth=256, init=[])
        for table, write in ((feedback, self.feedback_write), (aux, self.aux_write)):
            port = table.write_port()
            m.d.comb += [port.addr.eq(self.table_addr), port.data.eq(self.w_data),
                         port.en.eq(write)]
        feedback_port, aux_port = feedback.read_port(), aux.read_port()
        m.d.comb += [self.feedback_data.eq(feedback_port.data), self.aux_data.eq(aux_port.data)]

        def carry(name, value, first, last):
            """``value``, there at stage ``first``, at every stage up to ``last``."""
            stages = {first: value}
            for stage in range(first, last):
                stages[stage + 1] = Signal.like(stages[stage], name=f"{name}_{stage + 1}",
                                                reset_less=True)
                m.d.sync += stages[stage + 1].eq(stages[stage])
            return stages

        def register(name, value):
            """``value`` one stage on."""
            result = Signal.like(value, name=name, reset_less=True)
            m.d.sync += result.eq(value)
            return result

        def clip(value, bits):
            """A signed value held within ``bits`` bits, unsigned."""
            return Mux(value[-1], 0, Mux(value[bits:-1].any(), (1 << bits) - 1, value[:bits]))

        def lose(value, loss, bits):
            """``max(0, value - loss - 1)``."""
            rest = Signal(signed(bits + 1))
            m.d.comb += rest.eq(less_one(value, loss, bits))
            return Mux(rest[-1], 0, rest[:bits])

        def less_one(value, loss, bits):
            """``value - loss - 1``; the one comes free, as the complement without its carry."""
            complement = Signal(signed(bits + 1))
            m.d.comb += complement.eq(~Cat(loss[:bits], C(0, 1)))
            return value + complement

        def limit_of(theta):
            """The gap that filament and residue have to bridge."""
            return Mux(theta == fmt.THETA_STUCK, 0, fmt.ONE + (theta << fmt.THETA_SHIFT))

        def times(a, b):
            """A signed ``a`` times ``b`` without a multiplier, of which none is left."""
            sign = len(a) - 1
            parts = [Mux(bit, b << k, 0) for k, bit in enumerate(a[:sign])]
            result = Signal(signed(len(a) + len(b)))
            m.d.comb += result.eq(functools.reduce(operator.add, parts)
                                  - Mux(a[sign], b << sign, 0))
            return result

        valid = Signal(LATENCY)
        m.d.sync += valid.eq(Cat(self.i_valid, valid))
        m.d.comb += self.o_valid.eq(valid[-1])

        # Stage 0: what the memories hold.
        state = self.i.state
        residue = Signal(fmt.R_BITS)
        limit = Signal(fmt.F_BITS)
        m.d.comb += [residue.eq(Cat(state.r_low, state.r_high)),
                     limit.eq(limit_of(self.i.theta))]
        reach = Signal(range(1 << fmt.F_BITS + 1))
        gap = Signal(signed(fmt.F_BITS + 2))
        m.d.comb += [reach.eq(state.f + state.r_high), gap.eq(limit - reach)]
        # Indexed by the top bits of the gap below one; a longer gap reads the last entry.
        m.d.comb += feedback_port.addr.eq(
            Mux(self.access, self.table_addr, clip(gap >> fmt.GAP_SHIFT, 8)))
        pv = register("pv", self.i.acc * self.scale)
        pf = register("pf", state.f * self.kf)
        pr = register("pr", residue[fmt.R_FRAC - 16:] * self.kr)
        pg = register("pg", state.g * self.i.kg)
        f_1, r_1, g_1 = register("f_1", state.f), register("r_1", residue), register("g_1", state.g)
        mu = carry("mu", self.i.mu, 0, 2)
        theta = carry("theta", self.i.theta, 0, 6)
        was_on = carry("was_on", state.on, 0, 7)
        stuck = register("stuck", self.i.theta == fmt.THETA_STUCK)

        # Stage 1: drive, and what each state loses.
        v, e = Signal(fmt.G_BITS), Signal(fmt.G_BITS)
        left = Signal(signed(fmt.G_BITS + 1))
        m.d.comb += [v.eq(clip(pv >> fmt.SCALE_SHIFT, fmt.G_BITS)),
                     left.eq(v - g_1), e.eq(Mux(left[-1], 0, left))]
        eh = register("eh", e * feedback_port.data)
        # Yosys' ice40_dsp drops a multiplier whose operand is another's product register.
        eh.attrs["keep"] = 1
        # What is stuck on is always bridged, and lets the gate follow a falling drive too.
        charged = carry("charged", register(
            "charged_2", Mux(left[-1] & ~stuck, g_1, v)), 2, 7)
        discharged = carry("discharged", register(
            "discharged_2", lose(g_1, pg >> fmt.KG_BITS, fmt.G_BITS)), 2, 7)
        # Both possible outputs are known long before it is known which it will be.
        high, low = (carry(name, register(f"{name}_3", value[2] >= self.spike_level), 3, 7)
                     for name, value in (("high", charged), ("low", discharged)))
        kept = carry("kept", register(
            "kept_2", lose(r_1, pr >> fmt.KR_SHIFT, fmt.R_BITS)), 2, 6)
        loss = carry("loss", register("loss_2", pf >> 16), 2, 3)
        f = carry("f", register("f_2", f_1), 2, 3)

        # Stage 2: growth.
        p = register("p", (eh >> fmt.EH_SHIFT) * mu[2])

        # Stage 3: change of the filament, and the bin of its size.
        d = Signal(fmt.F_BITS)
        df = Signal(signed(fmt.F_BITS + 1))
        size = Signal(fmt.F_BITS)
        m.d.comb += [
            d.eq(Mux((p >> fmt.DRIVE_SHIFT + fmt.F_BITS).any(), (1 << fmt.F_BITS) - 1,
                     p >> fmt.DRIVE_SHIFT)),
            df.eq(less_one(d, loss[3], fmt.F_BITS)),
            size.eq(df[:-1] ^ df[-1].replicate(fmt.F_BITS)),
        ]
        index = Signal(range(fmt.NOISE_ENTRIES))
        # One-hot and or-ed together, since a chain of choices would be the critical path.
        bins = [Mux(size[2:].any(), 0, size[:2])]
        for top in range(3, fmt.F_BITS + 1):
            leading = size[top - 1] & ~size[top:].any()
            bins.append(Mux(leading, Cat(size[top - 3:top - 1], C(top - 2, 4)), 0))
        m.d.comb += index.eq(functools.reduce(operator.or_, bins))
        m.d.comb += aux_port.addr.eq(Mux(self.access, self.table_addr, index))
        grown = register("grown", f[3] + df)

        # The word is asked for two stages before it is used, so that xi has a register.
        m.d.comb += self.advance.eq(valid[1])
        xi = Signal(signed(ceil_log2(2 * fmt.XI_MEAN) + 1), reset_less=True)
        nibbles = [self.word[k:k + 4] for k in range(0, fmt.LFSR_LEAP, 4)]
        even, odd = nibbles[0] + nibbles[2], nibbles[1] + nibbles[3]
        m.d.sync += xi.eq(even + odd - fmt.XI_MEAN)
        # Of the same word, and uncorrelated with xi.
        xi_r = Signal(range(-fmt.XI_MEAN, fmt.XI_MEAN + 1), reset_less=True)
        m.d.sync += xi_r.eq(even - odd)

        # Stage 4: noise.
        pn = register("pn", xi * aux_port.data[:fmt.NOISE_BITS])
        grown = register("grown_5", grown)
        jitter = carry("jitter", register("jitter_5", times(xi_r, self.r_noise)), 5, 6)

        # Stage 5: the new filament.
        f_5 = Signal(fmt.F_BITS)
        noisy = Signal(signed(fmt.F_BITS + 3))
        m.d.comb += [noisy.eq(grown + (pn >> fmt.NOISE_FRAC)), f_5.eq(clip(noisy, fmt.F_BITS))]
        pb = register("pb", f_5 * self.kb)
        f_6 = register("f_6", f_5)

        # Stage 6: the new residue.
        sum_6 = Signal(signed(fmt.R_BITS + 3))
        r_6 = Signal(fmt.R_BITS)
        m.d.comb += [
            sum_6.eq(kept[6] + (pb >> fmt.KB_SHIFT) + (jitter[6] << fmt.R_NOISE_SHIFT)),
            r_6.eq(Mux(sum_6[-1], 0, Mux((sum_6 >> fmt.R_LOW_BITS)[:-1] > self.r_max,
                                         Cat(C(-1, fmt.R_LOW_BITS), self.r_max), sum_6))),
        ]
        f_7, r_7 = register("f_7", f_6), register("r_7", r_6)
        limit_7 = register("limit_7", limit_of(theta[6]))

        # Stage 7: does it bridge the gap?
        left_7 = Signal(signed(fmt.F_BITS + 1))
        gap_7 = Signal(fmt.F_BITS)
        bridged, out = Signal(), Signal()
        m.d.comb += [
            left_7.eq(limit_7 - (r_7 >> fmt.R_LOW_BITS)),
            gap_7.eq(Mux(left_7[-1], 0, left_7)),
            bridged.eq(f_7 >= gap_7),
            out.eq(Mux(bridged, high[7], low[7])),
        ]
        m.d.sync += [
            self.o.f.eq(Mux(bridged, gap_7, f_7)),
            Cat(self.o.r_low, self.o.r_high).eq(r_7),
            self.o.g.eq(Mux(bridged, charged[7], discharged[7])),
            self.o.on.eq(out),
            self.spike.eq(out & ~was_on[7]),
        ]

        return m
