"""Consistent overhead byte stuffing of frames that are one block long, 254 bytes at most."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Decoded", "Decoder", "Patcher"]


class Decoded(data.Struct):
    """A byte, or the end of a frame; ``whole``, at the end, tells that no byte is missing."""

    byte: 8
    end: 1
    whole: 1


class Decoder(wiring.Component):
    """Encoded bytes to bytes.

    No latency, one byte per clock. Every delimiter yields an end. Frames longer than a block are
    the consumer's to refuse: their bytes mean nothing.

    Members
    -------
    i : :py:`In(stream.Signature(8))`
        Encoded bytes.
    o : :py:`Out(stream.Signature(Decoded))`
        Decoded bytes and ends.
    """

    i: In(stream.Signature(8))
    o: Out(stream.Signature(Decoded))

    def elaborate(self, platform):
        m = Module()

        begun = Signal()    # the frame's first code, which stands for no zero, has come
        left  = Signal(8, reset_less=True)      # the next byte is a code if this is 1

        delimiter = self.i.payload == 0
        code = Signal()
        m.d.comb += [
            code.eq(~begun | (left == 1)),
            self.o.valid.eq(self.i.valid & (delimiter | begun)),
            self.o.p.byte.eq(self.i.payload & ~code.replicate(8)),
            self.o.p.end.eq(delimiter),
            self.o.p.whole.eq(code),
            self.i.ready.eq(self.o.ready | ~(delimiter | begun)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += begun.eq(~delimiter)
            # Adds 0 instead of -1 where it does not matter: then choice and sum are one LUT a bit.
            m.d.sync += left.eq(Mux(code, self.i.payload, left + ~code.replicate(8)))

        return m


class Patcher(wiring.Component):
    """Encodes a frame in place while it is written to memory, and ends it with the delimiter.

    The place of a zero is left open and later filled with the distance to the next. One byte per
    clock; a frame of n bytes takes n + 2 places, from 0 on.

    Members
    -------
    start : :py:`In(1)`
        Begins a frame.
    strobe : :py:`In(1)`
        Appends :py:`byte`.
    byte : :py:`In(8)`
        Must be 0 if :py:`finish`.
    finish : :py:`In(1)`
        To be held for two clocks after the last byte: writes the last code, then the delimiter.
    place : :py:`Out(8)`
        Where the next byte goes.
    address, data : :py:`Out(8)`
        To the memory's write port.
    write : :py:`Out(1)`
        Its enable.
    """

    start: In(1)
    strobe: In(1)
    byte: In(8)
    finish: In(1)
    place: Out(8, init=1)
    address: Out(8)
    data: Out(8)
    write: Out(1)

    def elaborate(self, platform):
        m = Module()

        code = Signal(8)    # place of the code to be filled in
        zero = self.byte == 0

        # When the frame is finished, `place` stays: the first clock makes it the place of a code,
        # the second finds the distance to itself there, which is the delimiter.
        m.d.comb += [
            self.write.eq(self.strobe | self.finish),
            self.address.eq(Mux(zero, code, self.place)),
            self.data.eq(Mux(zero, self.place - code, self.byte)),
        ]
        with m.If(self.strobe):
            m.d.sync += self.place.eq(self.place + 1)
        with m.If(self.write & zero):
            m.d.sync += code.eq(self.place)
        with m.If(self.start):
            m.d.sync += code.eq(code.init)
            m.d.sync += self.place.eq(self.place.init)

        return m
