"""Sending half of the board's end of the link."""

from amaranth import *
from amaranth.hdl import Assert, Assume
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.link_builder import ACK_BASE, FrameBuilder, Order
from ionspike.hdl.link_receiver import LinkNews
from ionspike.spec.wire import Nack

__all__ = ["LinkSender"]

SLOT_BYTES = 256


class LinkSender(wiring.Component):
    """The board's stream to frames, which are kept, and sent again, until they are acknowledged.

    Each slot of the memory holds an encoded DATA frame; slot 0 also the ACK frame, and the last
    slot HELLO, while no DATA frame can be there.

    Parameters
    ----------
    hello, tx_slots, resend_clocks, retries, close_clocks
        See :class:`ionspike.hdl.link.Link`.

    Members
    -------
    i : :py:`In(stream.Signature(8))`
        The board's stream.
    o : :py:`Out(stream.Signature(8))`
        Bytes to the line.
    news : :py:`In(LinkNews())`
        From the receiving half.
    resent : :py:`Out(1)`
        Pulses for each DATA frame that is sent again.
    held : :py:`Out(range(tx_slots + 1))`
        Frames that are not acknowledged.
    idle : :py:`Out(1)`
        Nothing is being sent or waits to be.
    """

    def __init__(self, hello, tx_slots, resend_clocks, retries, close_clocks):
        for name, value, low, high in (
                ("tx_slots", tx_slots, 2, 64), ("close_clocks", close_clocks, 16, 1 << 16),
                ("resend_clocks", resend_clocks, close_clocks, 1 << 30), ("retries", retries, 1, 256)):
            if not low <= value <= high or value & (value - 1):
                raise ValueError(f"{name} must be a power of two from {low} to {high}, not {value}")
        self.builder = FrameBuilder(hello)
        self.tx_slots = tx_slots
        self.resend_clocks = resend_clocks
        self.retries = retries
        self.close_clocks = close_clocks
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
            "news": In(LinkNews()),
            "resent": Out(1),
            "held": Out(range(tx_slots + 1)),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        news = self.news
        m.submodules.slots = slots = memory.Memory(
            shape=8, depth=self.tx_slots * SLOT_BYTES, init=[])
        slots_w, slots_r = slots.write_port(), slots.read_port()
        m.submodules.builder = builder = self.builder

        # ------------------------------------------------------------------------------ window --
        head   = Signal(8)                          # seq of the next frame to be built
        held   = self.held                          # frames not acknowledged,
        unsent = Signal.like(held)                  # of which so many, the last, are to be sent
        used   = Signal(self.tx_slots)              # slots whose frame has been sent before
        slot   = Signal(range(self.tx_slots))       # slot being sent
        left   = Signal(8)                          # frames that an ACK leaves
        acked  = Signal()
        start  = Signal()                           # a DATA frame begins to be sent
        built  = Signal()
        expired = Signal()

        head_slot = head[:len(slot)]
        next_slot = (head - unsent)[:len(slot)]

        m.d.comb += left.eq(head - ~news.not_seq)
        m.d.comb += acked.eq(news.acked & (left[len(held):] == 0) & (left[:len(held)] <= held))
        m.d.comb += builder.stall.eq(acked)
        m.d.comb += built.eq(builder.done & (builder.what == Order.DATA) & ~acked)

        with m.If(acked):
            m.d.sync += held.eq(left)
            with m.If(news.nack | (left[:len(held)] < unsent)):
                m.d.sync += unsent.eq(left)
        with m.Elif(built):
            m.d.sync += head.eq(head + 1)
            m.d.sync += held.eq(held + 1)
            m.d.sync += unsent.eq(unsent + 1)
            m.d.sync += used.bit_select(head_slot, 1).eq(0)
        with m.Elif(start):
            m.d.sync += unsent.eq(unsent - 1)
            m.d.sync += used.bit_select(next_slot, 1).eq(1)
            m.d.comb += self.resent.eq(used.bit_select(next_slot, 1))
        with m.Elif(expired):
            m.d.sync += unsent.eq(held)

        # ------------------------------------------------------------------------------ credit --
        # The host's limit is rounded down to a multiple of 256, which needs less logic.
        total  = Signal(16)
        limit  = Signal(8)
        credit = Signal()
        m.d.comb += credit.eq(total[8:] != limit)
        m.d.comb += [
            builder.i.payload.eq(self.i.payload),
            builder.i.valid.eq(self.i.valid & credit),
            self.i.ready.eq(builder.i.ready & credit),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += total.eq(total + 1)
        with m.If(news.acked & news.limited):
            m.d.sync += limit.eq(news.argument[8:])

        # --------------------------------------------------------------------------- ACK, HELLO --
        pending = Signal()      # an ACK shall be sent
        reason  = Signal(Nack)
        skipped = Signal()      # ... and a DATA frame went before it
        ack     = Signal()      # ... and is being built or sent
        hello   = Signal()
        ready   = Signal()      # ACK or HELLO is complete
        resting = Signal()      # no frame is being sent
        want_ack = Signal()

        m.d.comb += want_ack.eq(
            pending & ((reason != Nack.OK) | skipped | (unsent == 0)) & resting & ~ack)
        with m.If(builder.begun & (builder.order == Order.ACK)):
            m.d.sync += pending.eq(0)
            m.d.sync += skipped.eq(0)
            m.d.sync += ack.eq(1)
        with m.If(start):
            m.d.sync += skipped.eq(pending)
        with m.If(builder.told):
            m.d.sync += reason.eq(Nack.OK)
        with m.If(news.answer | (news.acked & news.nack)):
            m.d.sync += pending.eq(1)
        with m.If(news.accepted | (news.reason != Nack.OK)):
            m.d.sync += reason.eq(news.reason)
        with m.If(builder.done & (builder.what != Order.DATA) & ~acked):
            m.d.sync += ready.eq(1)

        with m.If(hello):
            m.d.comb += builder.order.eq(Order.HELLO)
        with m.Elif(want_ack):
            m.d.comb += builder.order.eq(Order.ACK)
        with m.Elif(self.i.valid & credit & (held != self.tx_slots)
                    & (resting | (slot != head_slot))):
            m.d.comb += builder.order.eq(Order.DATA)

        # ------------------------------------------------------------------------------ timers --
        # One counter: clocks until a frame is closed, until frames are sent again, how often.
        close_bit  = self.close_clocks.bit_length() - 1
        resend_bit = self.resend_clocks.bit_length() - 1
        timer   = Signal(resend_bit + self.retries.bit_length())
        closes  = Signal()      # those bits a clock ago
        resends = Signal()
        quiet   = Signal()      # no byte came since the last tick
        rests   = Signal()      # there is nothing to do but to wait for an acknowledgement
        waits   = Signal()      # ... and to send again afterwards
        tick    = Signal()

        m.d.comb += [
            rests.eq((held != 0) & (unsent == 0) & resting),
            waits.eq(rests & ~timer[-1]),
            tick.eq(closes != timer[close_bit]),
            expired.eq((resends != timer[resend_bit]) & rests),
            builder.close.eq(~(self.i.valid & credit) & (
                want_ack | (tick & quiet & resting & (unsent == 0)))),
        ]
        m.d.sync += closes.eq(timer[close_bit])
        m.d.sync += resends.eq(timer[resend_bit])
        with m.If(acked | news.opened):
            for register in timer, closes, resends:
                m.d.sync += register.eq(0)
        with m.Elif(waits | builder.open):
            m.d.sync += timer.eq(timer + 1)
        with m.If(tick):
            m.d.sync += quiet.eq(1)
        with m.If((self.i.valid & self.i.ready) | ~builder.open):
            m.d.sync += quiet.eq(0)

        # ------------------------------------------------------------------------- transmitter --
        place = Signal(8)
        cut   = Signal()        # the frame being sent shall end at once

        upper = Signal()        # ACK_BASE is to be added to the place
        fetch = Signal()

        def send(first_slot, is_ack):
            m.d.sync += upper.eq(is_ack)
            m.d.sync += slot.eq(first_slot)
            m.next = "Fetch"

        m.d.comb += [
            slots_r.addr.eq(Cat(place | Mux(upper, ACK_BASE, 0), slot)),
            slots_r.en.eq(fetch),
            self.o.payload.eq(slots_r.data),
        ]
        with m.If(fetch):
            m.d.sync += place.eq(place + 1)
        with m.FSM() as fsm:
            with m.State("Rest"):
                m.d.comb += resting.eq(~cut)
                with m.If(cut):
                    m.next = "Cut"
                with m.Elif(ready):
                    m.d.sync += ready.eq(0)
                    m.d.sync += ack.eq(0)
                    send(Mux(builder.what == Order.ACK, 0, self.tx_slots - 1),
                         builder.what == Order.ACK)
                with m.Elif((unsent != 0) & ~want_ack & ~ack & ~acked & ~built):
                    m.d.comb += start.eq(1)
                    send(next_slot, 0)

            with m.State("Fetch"):
                m.d.comb += fetch.eq(1)
                m.next = "Send"

            with m.State("Send"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "Fetch"
                    with m.If(cut):
                        m.next = "Cut"
                    with m.Elif(slots_r.data == 0):
                        m.next = "Rest"

            with m.State("Cut"):
                m.d.comb += self.o.valid.eq(1)
                m.d.comb += self.o.payload.eq(0)
                with m.If(self.o.ready):
                    m.d.sync += cut.eq(0)
                    m.next = "Rest"

        with m.If(fsm.ongoing("Rest")):
            m.d.sync += place.eq(0)

        # -------------------------------------------------------------------------------- OPEN --
        with m.If(news.opened):
            for register in head, held, unsent, total, limit, skipped, ack, ready:
                m.d.sync += register.eq(0)
            m.d.sync += hello.eq(1)
            m.d.sync += cut.eq(1)
        with m.Elif(builder.begun):
            m.d.sync += hello.eq(0)

        m.d.comb += [
            builder.abort.eq(news.opened),
            builder.head.eq(head),
            builder.expected.eq(news.expected),
            builder.limit.eq(news.limit),
            builder.reason.eq(reason),
            builder.nonce.eq(news.argument),
            news.freeze.eq(builder.freeze),
            slots_w.addr.eq(Cat(builder.address, Mux(
                builder.what == Order.DATA, head_slot, Mux(builder.what == Order.ACK, 0, -1)))),
            slots_w.data.eq(builder.data),
            slots_w.en.eq(builder.write),
            self.idle.eq(resting & builder.resting & (builder.order == Order.NONE) & ~pending
                         & ~ready & ~cut & (unsent == 0) & ~waits),
        ]

        if platform == "formal":
            ahead, more = Signal(8), Signal(8)
            m.d.comb += [
                ahead.eq(limit - total[8:]), more.eq(news.argument[8:] - limit),
                # Credit that is given stays given, and does not go round.
                Assume(~(news.acked & news.limited) | (Cat(ahead, C(0, 1)) + more < 256)),
                # A frame brings one piece of news.
                Assume(~(news.opened & news.acked)),
                # At most what the slots hold awaits its acknowledgement, and of that the rest is
                # on its way; sending again is one state, not one for each frame.
                Assert(held <= self.tx_slots), Assert(unsent <= held),
                # A frame being built has a slot that no unacknowledged frame is in.
                Assert(builder.resting | (builder.what != Order.DATA) | (held < self.tx_slots)),
                # Not a byte beyond the limit.
                Assert(credit | (total[:8] == 0)),
            ]
        return m
