from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.neuron import STATE_LAYOUT
from ionspike.spec.wire import DIGEST_POLYNOMIAL

__all__ = ["Digest"]


class Digest(wiring.Component):
    """32 bits that depend on every state word of a tick: ``D <- x D + w`` over GF(2)[x].

    ``w = (s1 << 16 | s0) ^ s2 << 8`` of the state's three 16-bit words. One neuron per clock.
    Golden model: :func:`ionspike.sim.digest.digest`.

    Members
    -------
    begin : :py:`In(1)`
        Back to zero; not together with ``i_valid``.
    i_valid, i : :py:`In(1)`, :py:`In(STATE_LAYOUT)`
    o : :py:`Out(32)`
    """

    begin: In(1)
    i_valid: In(1)
    i: In(STATE_LAYOUT)
    o: Out(32)

    def elaborate(self, platform):
        m = Module()
        words = self.i.as_value()
        with m.If(self.begin):
            m.d.sync += self.o.eq(0)
        with m.Elif(self.i_valid):
            m.d.sync += self.o.eq(
                (self.o << 1)[:32] ^ Mux(self.o[-1], DIGEST_POLYNOMIAL, 0)
                ^ words[:32] ^ Cat(C(0, 8), words[32:48], C(0, 8)))
        return m
