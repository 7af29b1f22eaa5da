"""CRC-32 of frames."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CRC32"]

#: x**32 + x**26 + ... + 1, lowest power in the highest bit.
POLYNOMIAL = 0xEDB88320
#: What the register holds after any message followed by its own CRC.
RESIDUE = 0xDEBB20E3


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
        Instead of a byte of the message, the bytes taken while this is set are void and shift
        :py:`value` to the right.
    value : :py:`Out(32)`
        The complement of the CRC, if :py:`i.ready`. Sent lowest byte first.
    match : :py:`Out(1)`
        The message ended in its own CRC, if :py:`i.ready`.
    """

    clear: In(1)
    i: In(stream.Signature(8))
    expel: In(1)
    value: Out(32, init=0xFFFFFFFF)
    match: Out(1)

    def elaborate(self, platform):
        m = Module()

        data  = Signal(8)
        count = Signal(4)   # 8 to 15 while a byte is shifted

        m.d.comb += self.i.ready.eq(~count[3])
        m.d.comb += self.match.eq(self.value == RESIDUE)

        feedback = (self.value[0] ^ data[0]) & ~self.expel
        with m.If(count[3]):
            m.d.sync += count.eq(count + 1)
            m.d.sync += data.eq(data >> 1)
            m.d.sync += self.value.eq((self.value >> 1) ^ Mux(feedback, POLYNOMIAL, 0))
        with m.Elif(self.i.valid):
            m.d.sync += count.eq(8)
            m.d.sync += data.eq(self.i.payload)
        with m.If(self.clear):
            m.d.sync += count.eq(0)
            m.d.sync += self.value.eq(self.value.init)

        return m
