from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ionspike.spec.formats import LFSR_LEAP, LFSR_TAPS, LFSR_WIDTH

__all__ = ["LFSR"]


class LFSR(wiring.Component):
    """Source of randomness: a Fibonacci LFSR that leaps ``LFSR_LEAP`` bits at once.

    ``b[t] = b[t-64] ^ b[t-63] ^ b[t-61] ^ b[t-60]``; bit k of the state is ``b[t-1-k]``. The word
    of an advance is the low ``LFSR_LEAP`` bits of the state after it, so no bit is used twice.
    Every new bit is one XOR of four, since the leap is shorter than the shortest tap. A state of
    zero, which only loads can make, advances to one. Golden model: :mod:`ionspike.sim.lfsr`.

    One leap per cycle; the word is there on the following cycle.

    Members
    -------
    advance : :py:`In(1)`
        Leap.
    load : :py:`In(1)`
        Leap, and take :py:`data` for the new bits; not together with ``advance``. Four loads,
        highest bits first, set the state.
    data : :py:`In(16)`
    state : :py:`Out(64)`
    """

    advance: In(1)
    load: In(1)
    data: In(LFSR_LEAP)
    state: Out(LFSR_WIDTH, init=1)

    def elaborate(self, platform):
        m = Module()

        new = [Cat(*(self.state[tap - 1 - k] for tap in LFSR_TAPS)).xor()
               for k in range(LFSR_LEAP)]
        # Whether all of the state is zero, from what its lowest word was in the leaps before.
        some, stuck = Signal(LFSR_WIDTH // LFSR_LEAP), Signal()
        m.d.comb += [some[0].eq(self.state[:LFSR_LEAP].any()), stuck.eq(~some.any())]
        low = Mux(self.load, self.data, Mux(stuck, 1, Cat(*reversed(new))))
        with m.If(self.advance | self.load):
            m.d.sync += [self.state.eq(Cat(low[:LFSR_LEAP], self.state[:-LFSR_LEAP])),
                         some[1:].eq(some)]

        return m
