import functools
import operator

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.multiplier import Multiplier
from ionspike.spec import formats as fmt
from ionspike.spec.wire import STATE

__all__ = ["HELD", "Neuron", "NeuronInput", "STATE_LAYOUT"]

STATE_LAYOUT = data.StructLayout(dict(STATE))

#: What the pipeline takes in per neuron, besides what was accumulated.
NeuronInput = data.StructLayout({
    "state": STATE_LAYOUT, "kg": fmt.KG_BITS, "mu": fmt.MU_BITS, "theta": signed(fmt.THETA_BITS)})

#: Coefficients that are kept where they are needed: most of them within a multiplier.
HELD = ("kf", "kr", "kb", "scale", "r_max")


class Neuron(wiring.Component):
    """The memristor neuron's update, fully pipelined: one neuron per clock.

    Equations: :class:`ionspike.sim.neuron.Neuron`, with which it agrees bit for bit; formats:
    :mod:`ionspike.spec.formats`. The result comes ``latency`` clocks after its input; nothing
    ever stalls, and neurons leave in the order they came.

    Parameters
    ----------
    through : :class:`bool`
        Growth's first product goes on into its second in the clock in which it is made, which takes
        a stage less, and the residue's noise does without a multiplier: for devices where cells are
        scarcer than time.

    Attributes
    ----------
    latency : :class:`int`
        Clocks from an input to its output.

    Members
    -------
    i_valid, i : :py:`In(1)`, :py:`In(NeuronInput)`
    acc : :py:`In(signed(ACC_BITS))`
        What was accumulated for the neuron whose :py:`i` comes a clock later.
    o_valid, o, spike : :py:`Out(1)`, :py:`Out(STATE_LAYOUT)`, :py:`Out(1)`
    spike_level, r_noise, sustained : common coefficients
    load : :py:`In(1)` for each of ``HELD``
        The coefficient becomes :py:`w_data`; not while neurons are in flight.
    advance : :py:`Out(1)`
        Ask for one LFSR word, to be in :py:`word` on the following clock.
    word : :py:`In(16)`
    access : :py:`In(1)`
        The tables belong to the bus; not while neurons are in flight.
    table_addr, feedback_write, aux_write, w_data : bus side of the tables
    feedback_data, aux_data : their contents a clock later
    """

    def __init__(self, *, through: bool = False):
        self.through = through
        self.latency = 6 if through else 7
        super().__init__({
            "i_valid": In(1), "i": In(NeuronInput), "acc": In(signed(fmt.ACC_BITS)),
            "o_valid": Out(1), "o": Out(STATE_LAYOUT), "spike": Out(1),
            "spike_level": In(fmt.G_BITS), "r_noise": In(fmt.R_NOISE_BITS), "sustained": In(1),
            "load": In(data.StructLayout(dict.fromkeys(HELD, 1))),
            "advance": Out(1), "word": In(fmt.LFSR_LEAP),
            "access": In(1), "table_addr": In(8), "feedback_write": In(1), "aux_write": In(1),
            "w_data": In(16), "feedback_data": Out(fmt.H_BITS), "aux_data": Out(16)})

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

        def late(name, value, clocks):
            """``value`` some clocks later."""
            for k in range(clocks):
                result = Signal.like(value, name=f"{name}_{k + 1}", reset_less=True)
                m.d.sync += result.eq(value)
                value = result
            return value

        def multiplier(name, a, b, **options):
            m.submodules[name] = result = Multiplier(Value.cast(a).shape(), Value.cast(b).shape(),
                                                     **options)
            m.d.comb += [result.a.eq(a), result.b.eq(b)]
            if name in HELD:
                m.d.comb += result.load.eq(self.load[name])
            return result

        def clip(value, bits):
            """A signed value held within ``bits`` bits, unsigned."""
            return Mux(value[-1], 0, value[:bits] | value[bits:-1].any().replicate(bits))

        def without(value, complement):
            """``value - loss - 1``, given the loss's complement.

            A subtraction would need an inverter for each bit that is not made by a table of its own,
            and what a table makes is inverted as well as not.
            """
            return value + Cat(complement, C(1, 1)).as_signed()

        def limit_of(theta, stuck):
            """The gap that filament and residue have to bridge: one and a small number, or zero.

            Below one its highest bits are the opposite of those above it.
            """
            below, rest = theta[-1], fmt.F_FRAC - fmt.THETA_SHIFT - (fmt.THETA_BITS - 1)
            return Cat(C(0, fmt.THETA_SHIFT), theta[:-1], (below & ~stuck).replicate(rest), ~below)

        def is_stuck(theta):
            return theta[-1] & ~theta[:-1].any()

        def times(a, b):
            """A signed ``a`` times ``b``; on an iCE40UP without a multiplier, of which none is left.

            A sum that is taken or not costs no more cells than the sum.
            """
            if not self.through:
                return a * b
            low, high = [], Mux(a[0], b, 0)
            for k in range(1, len(a)):
                low.append(high[0])
                rest, last = high[1:], k == len(a) - 1
                high = Signal(Shape(len(b) + 1 + last, last), name=f"high_{k}")
                m.d.comb += high.eq(Mux(a[k], rest - b if last else rest + b, rest))
            return Cat(*low, high).as_signed()

        # Stages in which the named is there. The memories' contents are there in stage 0.
        eh_at = 1 if self.through else 2
        df_at = eh_at + 1
        noise_at = df_at + 1
        filament_at = noise_at + 1
        residue_at = filament_at + 1
        assert self.latency == residue_at + 1

        valid = Signal(self.latency)
        m.d.sync += valid.eq(Cat(self.i_valid, valid))
        m.d.comb += self.o_valid.eq(valid[-1])
        valids = Cat(self.i_valid, valid)

        # Stage 0: the drive, which was begun a clock before, and what the memories hold.
        state = self.i.state
        residue = Signal(fmt.R_BITS)
        limit = Signal(fmt.F_BITS)
        stuck = Signal()
        m.d.comb += [residue.eq(Cat(state.r_low, state.r_high)), stuck.eq(is_stuck(self.i.theta)),
                     limit.eq(limit_of(self.i.theta, stuck))]
        reach = Signal(range(1 << fmt.F_BITS + 1))
        gap = Signal(signed(fmt.F_BITS + 2))
        m.d.comb += [reach.eq(state.f + state.r_high), gap.eq(limit - reach)]
        # Indexed by the top bits of the gap below one; a longer gap reads the last entry.
        m.d.comb += feedback_port.addr.eq(
            Mux(self.access, self.table_addr, clip(gap >> fmt.GAP_SHIFT, 8)))
        pv = multiplier("scale", self.acc, self.w_data[:fmt.SCALE_BITS], held=True,
                        product_stages=1)
        v = Signal(fmt.G_BITS)
        left = Signal(signed(fmt.G_BITS + 1))
        m.d.comb += [v.eq(clip(pv.o.as_signed() >> fmt.SCALE_SHIFT, fmt.G_BITS)),
                     left.eq(~without(state.g, ~v))]
        falls = late("falls", left[-1], eh_at)
        # What is stuck on is always bridged, and lets the gate follow a falling drive too. The
        # complements are what is compared later.
        charged = late("charged", ~Mux(left[-1] & ~stuck, state.g, v), 1)
        on = late("on", state.on, 1)
        theta = late("theta", ~self.i.theta, 1)

        # What each state loses. g (4096 - kg) >> 12 as a product that is not positive, whose
        # complement also has the one that is taken off.
        pf = multiplier("kf", state.f, self.w_data, held=True, a_stages=df_at - 2,
                        product_stages=1, sum_stages=1, add="~", spare=2)
        pr = multiplier("kr", residue[fmt.R_FRAC - 16:], self.w_data, held=True,
                        product_stages=1, c_stages=1, sum_stages=1, add="-")
        pg = multiplier("kg", Cat(self.i.kg, C(1, 1)).as_signed(), state.g,
                        pads=(0, 16 - fmt.G_BITS), a_stages=1, b_stages=1,
                        product_stages=2, sum_stages=1, spare=2)
        m.d.comb += [
            # What has nothing to lose does not lose the one either.
            pr.c.eq(residue << fmt.KR_SHIFT | (residue == 0)), pf.i.eq(state.f)]
        f = late("f", pf.delayed, df_at - 2)
        kept = pr.o[fmt.KR_SHIFT:]

        # Stage 1: growth. Where the drive falls the product is not used.
        eh = multiplier("eh", left[:fmt.G_BITS], feedback_port.data,
                        pads=(16 - fmt.G_BITS, 16 - fmt.H_BITS), a_stages=1,
                        product_stages=eh_at - 1, spare=2)
        p = multiplier("mu", eh.o[16:], late("mu", self.i.mu, eh_at - 1), b_stages=1,
                       product_stages=0 if self.through else 1)
        grown = p.o[fmt.DRIVE_SHIFT:fmt.G_BITS + fmt.H_BITS - fmt.EH_SHIFT + fmt.MU_BITS]
        d = Signal(fmt.F_BITS)
        m.d.comb += d.eq(Mux(late("falls_p", falls, 0 if self.through else 1), 0,
                             grown[:fmt.F_BITS]
                             | grown[fmt.F_BITS:].any().replicate(fmt.F_BITS)))
        d = late("d", d, 1 if self.through else 0)

        # What is not needed before the end, in what multipliers have to spare.
        m.d.comb += [pg.i.eq(Cat(charged, on, theta)), eh.i.eq(pg.delayed)]
        spared = late("spared", eh.delayed, self.latency - 5)
        charged, on = spared[:fmt.G_BITS], spared[fmt.G_BITS]
        spared = spared[fmt.G_BITS + 1:]
        theta = Cat(spared, late("theta_rest", theta[len(spared):], self.latency - 1))

        # Change of the filament, and the bin of its size.
        df = Signal(signed(fmt.F_BITS + 1))
        size = Signal(fmt.F_BITS)
        m.d.comb += [
            df.eq(without(d, pf.o[16:])),
            size.eq(df[:-1] ^ df[-1].replicate(fmt.F_BITS)),
        ]
        # The place of the highest one and the two bits below it: first within each four bits, then
        # those of the highest four that are not zero. In one step it would be the longest path.
        index = Signal(range(fmt.NOISE_ENTRIES))
        assert len(index) == 6 and fmt.F_BITS % 4 == 0
        parts = []
        for low in range(0, fmt.F_BITS, 4):
            part = C(0, 6) if low else Cat(size[:2], C(0, 4))
            for top in range(low, low + 4):
                if top >= 2:
                    part = Mux(size[top], Cat(size[top - 2:top], C(top - 1, 4)), part)
            above = [size[k:k + 4].any() for k in range(low + 4, fmt.F_BITS, 4)]
            highest = ~Cat(above).any() & (size[low:low + 4].any() if low else 1)
            parts.append(part & highest.replicate(6))
        m.d.comb += index.eq(functools.reduce(operator.or_, parts))
        m.d.comb += aux_port.addr.eq(Mux(self.access, self.table_addr, index))

        # The word is asked for three stages before it is used, so that xi has a register.
        m.d.comb += self.advance.eq(valids[noise_at - 3])
        nibbles = [self.word[k:k + 4] for k in range(0, fmt.LFSR_LEAP, 4)]
        # One more than the nibbles have, each, so that the mean of both is half of what six bits
        # hold: it is taken off by the highest.
        even, odd = (Signal(5, name=name) for name in ("even", "odd"))
        both = Signal(6)
        assert fmt.XI_MEAN == 30
        m.d.comb += [even.eq(nibbles[0] + nibbles[2] + 1), odd.eq(nibbles[1] + nibbles[3] + 1),
                     both.eq(even + odd)]
        xi = late("xi", Cat(both[:-1], ~both[-1]).as_signed(), 1)
        # Of the same word, and uncorrelated with xi.
        xi_r = late("xi_r", (even - odd)[:6].as_signed(), filament_at - noise_at)
        noise_r = late("noise_r", times(xi_r, self.r_noise), 1)

        # Noise, and the new filament.
        pn = multiplier("xi", xi, aux_port.data[:fmt.NOISE_BITS], a_stages=1,
                        product_stages=1, c_stages=1, add="+")
        m.d.comb += pn.c.eq(late("c_f", (f + df) << fmt.NOISE_FRAC, 1))
        noisy = pn.o[fmt.NOISE_FRAC:fmt.NOISE_FRAC + fmt.F_BITS + 3].as_signed()
        new_f = Signal(fmt.F_BITS)
        m.d.comb += new_f.eq(clip(noisy, fmt.F_BITS))

        # The new residue: 20 bits of the sum, and what tells that it is not within them.
        pb = multiplier("kb", new_f, self.w_data, held=True, product_stages=1, c_stages=1,
                        add="+")
        changed = Signal(signed(fmt.R_BITS + 2))
        m.d.comb += [
            changed.eq(late("kept", kept, filament_at - 3)
                       + (noise_r << fmt.R_NOISE_SHIFT)),
            pb.c.eq(late("c_r", changed, 1) << fmt.KB_SHIFT)]
        was_negative = late("was_negative", changed[-1], 2)
        sum_r = pb.o[fmt.KB_SHIFT:]
        not_r_max = Signal(fmt.R_HIGH_BITS, reset_less=True)
        with m.If(self.load.r_max):
            m.d.sync += not_r_max.eq(~self.w_data)
        over = Signal(range(1 << fmt.R_BITS - fmt.R_LOW_BITS + 2))
        new_r = Signal(fmt.R_BITS)
        m.d.comb += [
            over.eq(sum_r[fmt.R_LOW_BITS:] + Cat(not_r_max, C(1, 1))),
            new_r.eq(Mux(was_negative & ~pb.carry, 0,
                         Mux((pb.carry & ~was_negative) | over[-1],
                             Cat(C(-1, fmt.R_LOW_BITS), ~not_r_max), sum_r)))]
        new_r = late("r", new_r, 1)
        new_f = late("f_new", new_f, 2)

        # Does it bridge the gap? The larger of no charge and what is left of it.
        lost = late("lost", pg.o[16:], self.latency - 5)
        discharged = late("discharged", Mux(lost[-1], lost[:fmt.G_BITS], (1 << fmt.G_BITS) - 1), 1)
        high, low, bridged, out = Signal(), Signal(), Signal(), Signal()
        left_r = Signal(signed(fmt.F_BITS + 1))
        theta = Value.cast(~theta)
        m.d.comb += [
            left_r.eq(~without(new_r[fmt.R_LOW_BITS:], ~limit_of(theta, is_stuck(theta)))),
            # Of the two ways to compare, that without inverters.
            bridged.eq(~(new_f - left_r)[-1]),
            high.eq(charged + self.spike_level < 1 << fmt.G_BITS),
            low.eq(discharged + self.spike_level < 1 << fmt.G_BITS),
            out.eq(Mux(bridged, high, low)),
            self.o.f.eq(Mux(bridged, Mux(left_r[-1], 0, left_r[:-1]), new_f)),
            Cat(self.o.r_low, self.o.r_high).eq(new_r),
            self.o.g.eq(~Mux(bridged, charged, discharged)),
            self.o.on.eq(out),
            self.spike.eq(out & (self.sustained | ~on)),
        ]
        return m
