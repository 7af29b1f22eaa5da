"""CRC-32 of frames."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CRC32"]

#: x**32 + x**26 + ... + 1, lowest power in the highest bit.
POLYNOMIAL = 0xEDB88320
#: The CRC of any message that is followed by its own CRC.
RESIDUE = 0x2144DF1C


class CRC32(wiring.Component):
    """The CRC of zlib, PNG and Ethernet, one bit per clock: nine clocks per byte.

    Its twin is :func:`zlib.crc32`.

    Members
    -------
    clear : :py:`In(1)`
        Starts a new message; a byte being taken is forgotten.
    i : :py:`In(stream.Signature(8))`
        Bytes of the message.
    expel : :py:`In(1)`
        Bytes taken while this is set are none of the message; they shift :py:`value` by a byte.
    value : :py:`Out(32)`
        The CRC, if :py:`i.ready`. Its lowest byte goes first.
    match : :py:`Out(1)`
        The message ended in its own CRC, if :py:`i.ready`.
    """

    clear: In(1)
    i: In(stream.Signature(8))
    expel: In(1)
    value: Out(32)
    match: Out(1)

    def elaborate(self, platform):
        m = Module()

        data  = Signal(8, reset_less=True)
        void  = Signal(reset_less=True)
        count = Signal(4)   # 8 to 15 while a byte is shifted

        m.d.comb += self.i.ready.eq(~count[3])
        m.d.comb += self.match.eq(self.value == RESIDUE)

        # The register holds the complement of what textbooks have in it: it begins with zeros,
        # and what it ends with is sent as it is.
        feedback = Signal()
        m.d.comb += feedback.eq(~(self.value[0] ^ data[0]) & ~void)
        with m.If(count[3]):
            m.d.sync += count.eq(count + 1)
            m.d.sync += data.eq(data >> 1)
            m.d.sync += self.value.eq(
                Cat(self.value[1:], 1) ^ (feedback.replicate(32) & POLYNOMIAL))
        with m.Elif(self.i.valid):
            m.d.sync += count.eq(8)
            m.d.sync += data.eq(self.i.payload)
            m.d.sync += void.eq(self.expel)
        with m.If(self.clear):
            m.d.sync += count.eq(0)
            m.d.sync += self.value.eq(0)

        return m
