"""Receiving half of the board's end of the link."""

from amaranth import *
from amaranth.hdl import Assert
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ionspike.hdl.cobs import Decoder
from ionspike.hdl.crc import CRC32
from ionspike.spec.wire import PAYLOAD_BYTES, Kind, Nack

__all__ = ["LinkNews", "LinkReceiver"]

CRC_BYTES = 4


class LinkNews(wiring.Signature):
    """What the receiving half tells the sending half.

    Members
    -------
    opened : :py:`Out(1)`
        An OPEN came; its nonce is :py:`argument`.
    acked : :py:`Out(1)`
        An ACK came; :py:`not_seq` and :py:`nack` belong to it.
    limited : :py:`Out(1)`
        ... and :py:`argument` is its limit.
    argument : :py:`Out(16)`
        Two bytes of payload; stays until the payload of another frame comes.
    not_seq : :py:`Out(8)`
        The complement of the frame's number: subtracting it then takes no inverters.
    nack : :py:`Out(1)`
        The ACK has a reason.
    answer : :py:`Out(1)`
        The host shall be sent an ACK,
    reason : :py:`Out(Nack)`
        with this reason, unless that is OK,
    accepted : :py:`Out(1)`
        which is the case if this is set, whatever was to be said before.
    expected : :py:`Out(8)`
        Sequence number to acknowledge.
    limit : :py:`Out(16)`
        Credit to offer. Stays as it is while :py:`freeze`.
    freeze : :py:`In(1)`
    """

    def __init__(self):
        super().__init__({
            "opened": Out(1), "acked": Out(1), "limited": Out(1), "argument": Out(16),
            "not_seq": Out(8), "nack": Out(1), "answer": Out(1), "reason": Out(Nack),
            "accepted": Out(1), "expected": Out(8), "limit": Out(16), "freeze": In(1),
        })


class LinkReceiver(wiring.Component):
    """Bytes of frames to the host's stream.

    The payload of a frame is written to the ring as it comes, behind what is committed; it is
    committed, or forgotten, at the frame's end. A byte is taken every ten clocks.

    Parameters
    ----------
    rx_bytes : :class:`int`
        Size of the ring, a power of two, 512 at least.

    Members
    -------
    i : :py:`In(stream.Signature(8))`
        Bytes from the line.
    error : :py:`In(1)`
        A byte from the line was lost.
    o : :py:`Out(stream.Signature(8))`
        The host's stream.
    news : :py:`Out(LinkNews())`
        For the sending half.
    crc_error, gap, overflow : :py:`Out(1)`
        Pulse for each event of that name, see :data:`ionspike.spec.wire.COUNTERS`.
    quarters : :py:`Out(2)`
        Borders of quarters of the ring that bytes waited across a clock ago, modulo 4. In a ring of
        1,024 bytes or more a frame is shorter than a quarter: there are never four which three were
        not before.
    idle : :py:`Out(1)`
        Nothing is being received, the ring is empty.
    """

    def __init__(self, rx_bytes):
        if rx_bytes < 512 or rx_bytes > 32768 or rx_bytes & (rx_bytes - 1):
            raise ValueError(f"rx_bytes must be a power of two from 512 to 32768, not {rx_bytes}")
        self.rx_bytes = rx_bytes
        super().__init__({
            "i": In(stream.Signature(8)),
            "error": In(1),
            "o": Out(stream.Signature(8)),
            "news": Out(LinkNews()),
            "crc_error": Out(1),
            "gap": Out(1),
            "overflow": Out(1),
            "quarters": Out(2),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        news = self.news
        m.submodules.decoder = decoder = Decoder()
        m.submodules.crc = crc = CRC32()
        m.submodules.ring = ring = memory.Memory(shape=8, depth=self.rx_bytes, init=[])
        ring_w, ring_r = ring.write_port(), ring.read_port()

        # The room of the ring that is not offered leaves place for a frame's CRC, and for control
        # frames when the rest is full.
        free  = self.rx_bytes - 2 * CRC_BYTES
        # Both are set by OPEN, not by reset, which costs nothing.
        limit = Signal(16, reset_less=True)
        start = Signal.like(ring_w.addr, reset_less=True)   # of the payload of the frame under way
        place = Signal.like(ring_w.addr, reset_less=True)   # of its next byte
        read  = limit[:len(start)]

        # Only what is committed is read, so that no address is read and written in one clock.
        fetch = Signal()
        m.d.comb += [
            fetch.eq((read != start) & (~self.o.valid | self.o.ready) & ~news.freeze),
            ring_r.addr.eq(read),
            ring_r.en.eq(fetch),
            self.o.payload.eq(ring_r.data),
        ]
        with m.If(fetch):
            m.d.sync += self.o.valid.eq(1)
            m.d.sync += limit.eq(limit + 1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        m.d.sync += self.quarters.eq(start[-2:] - read[-2:])

        # More credit is worth an ACK of its own every quarter of the ring.
        quarter = limit[(self.rx_bytes // 4).bit_length() - 1]
        told    = Signal()
        m.d.sync += told.eq(quarter)
        m.d.comb += news.answer.eq(told != quarter)

        head     = Signal(2)    # bytes of the header that have come
        count    = Signal(8)    # bytes after it
        is_open  = Signal(reset_less=True)
        is_data  = Signal(reset_less=True)
        is_ack   = Signal(reset_less=True)
        nack     = Signal(reset_less=True)
        broken   = Signal()
        crowded  = Signal()     # the frame finds no room in the ring
        gap_told = Signal()

        frame = decoder.o
        byte  = frame.p.byte
        taken = Signal()
        end   = Signal()
        longest = PAYLOAD_BYTES + CRC_BYTES
        connect(m, flipped(self.i), decoder.i)
        m.d.comb += [
            frame.ready.eq(crc.i.ready),
            taken.eq(frame.valid & frame.ready & ~frame.p.end),
            end.eq(frame.valid & frame.ready & frame.p.end),
            crc.i.valid.eq(taken),
            crc.i.payload.eq(byte),
            crc.clear.eq(end),
            ring_w.addr.eq(place),
            ring_w.data.eq(byte),
        ]
        m.d.sync += place.eq(start + count)

        with m.If(taken & ~head[1]):
            m.d.sync += head.eq(head + 1)
            with m.If(head[0]):
                m.d.sync += news.not_seq.eq(~byte)
            with m.Else():
                m.d.sync += is_open.eq(byte == Kind.OPEN)
                m.d.sync += is_data.eq(byte == Kind.DATA)
                m.d.sync += is_ack.eq(byte == Kind.ACK)
        with m.Elif(taken & ~broken):
            m.d.sync += count.eq(count + 1)
            with m.If(count[1:] == 0):
                m.d.sync += news.argument.eq(Cat(news.argument[8:], byte))
            with m.If(count == 2):
                m.d.sync += nack.eq(byte != Nack.OK)
            # It counts up: the first value with these bits is this one.
            with m.If(Cat(count[k] for k in range(8) if longest >> k & 1).all()):
                m.d.sync += broken.eq(1)
            # At the frame's start both are equal because the ring is empty; it never is full then.
            with m.Elif((place == read) & (count != 0)):
                m.d.sync += crowded.eq(1)
            with m.Elif(~crowded):
                m.d.comb += ring_w.en.eq(1)

        sound = frame.p.whole & crc.match & ~broken & (count[2:] != 0)
        behind = Signal(8)
        m.d.comb += behind.eq(news.expected - ~news.not_seq)

        def answer(reason):
            m.d.comb += news.answer.eq(1)
            m.d.comb += news.reason.eq(reason)

        with m.If(end):
            for register in head, count, broken, crowded:
                m.d.sync += register.eq(0)
            with m.If(sound & is_open):
                m.d.comb += news.opened.eq(1)
            with m.Elif(sound & is_ack):
                m.d.comb += news.acked.eq(1)
                # Without payload it is as if that were as before.
                m.d.comb += news.limited.eq(count[:2] != 0)
                m.d.comb += news.nack.eq(nack & news.limited)
            with m.Elif(sound & is_data):
                with m.If(behind[7]):
                    m.d.comb += self.gap.eq(1)
                    m.d.sync += gap_told.eq(1)
                    with m.If(~gap_told):
                        answer(Nack.GAP)
                with m.Elif(behind != 0):
                    answer(Nack.OK)
                with m.Elif(crowded):
                    m.d.comb += self.overflow.eq(1)
                    m.d.sync += gap_told.eq(1)
                    answer(Nack.FULL)
                with m.Else():
                    answer(Nack.OK)
                    m.d.comb += news.accepted.eq(1)
                    m.d.sync += news.expected.eq(news.expected + 1)
                    m.d.sync += gap_told.eq(0)
                    m.d.sync += start.eq(place - CRC_BYTES)
            # Delimiters between frames are none.
            with m.Elif((head != 0) | ~frame.p.whole | broken):
                m.d.comb += self.crc_error.eq(1)
                m.d.sync += gap_told.eq(1)
                answer(Nack.CORRUPT)

        with m.If(news.opened):
            answer(Nack.OK)
            m.d.comb += news.accepted.eq(1)
            m.d.sync += limit.eq(free)
            m.d.sync += start.eq(free)
            m.d.sync += news.expected.eq(0)
            m.d.sync += gap_told.eq(0)
            m.d.sync += self.o.valid.eq(0)

        with m.If(self.error):
            m.d.sync += broken.eq(1)

        m.d.comb += news.limit.eq(limit)
        m.d.comb += self.idle.eq(~self.i.valid & crc.i.ready & (read == start) & ~self.o.valid)

        if platform == "formal":
            waiting, under_way = Signal.like(ring_w.addr), Signal.like(ring_w.addr)
            was_ready = Signal()
            m.d.sync += was_ready.eq(crc.i.ready)
            m.d.comb += [
                waiting.eq(start - read), under_way.eq(place - start),
                # Nothing is written where something waits to be read.
                Assert(~ring_w.en | (under_way + waiting < self.rx_bytes)),
                # Full and empty are told apart, for a CRC's bytes are always free.
                Assert(waiting <= self.rx_bytes - CRC_BYTES),
                # What leads there: a frame that is longer than the room is crowded out;
                Assert(crowded | broken | (waiting + count <= self.rx_bytes)),
                # and a byte's place is known again before the next byte can come.
                Assert(~head[1] | (place == (start + count)[:len(place)])
                       | (~crc.i.ready & was_ready)),
            ]
        return m
