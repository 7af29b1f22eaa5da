"""Sending half of the board's end of the link."""

from amaranth import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ionspike.hdl.link_builder import ACK_BASE, FrameBuilder, Order
from ionspike.hdl.link_receiver import LinkNews
from ionspike.spec.wire import Nack

__all__ = ["LinkSender"]

SLOT_BYTES = 256
#: A place that is never written: the zero there is sent as a delimiter.
EMPTY = 255


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
    idle : :py:`Out(1)`
        Nothing is being sent or waits to be.
    """

    def __init__(self, hello, tx_slots, resend_clocks, retries, close_clocks):
        if tx_slots < 2 or tx_slots > 64 or tx_slots & (tx_slots - 1):
            raise ValueError(f"tx_slots must be a power of two from 2 to 64, not {tx_slots}")
        if close_clocks < 16 or close_clocks & (close_clocks - 1):
            raise ValueError(f"close_clocks must be a power of two, 16 at least, "
                             f"not {close_clocks}")
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
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        news = self.news
        m.submodules.slots = slots = memory.Memory(
            shape=8, depth=self.tx_slots * SLOT_BYTES, init=[])
        slots_w, slots_r = slots.write_port(), slots.read_port(domain="comb")
        m.submodules.builder = builder = self.builder

        # ------------------------------------------------------------------------------ window --
        head   = Signal(8)                          # seq of the next frame to be built
        held   = Signal(range(self.tx_slots + 1))   # frames not acknowledged,
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

        m.d.comb += left.eq(head - news.seq)
        m.d.comb += acked.eq(news.acked & (left <= held))
        m.d.comb += builder.stall.eq(acked)
        m.d.comb += built.eq(builder.done & (builder.what == Order.DATA) & ~acked)

        with m.If(acked):
            m.d.sync += held.eq(left)
            with m.If(news.nack | (left < unsent)):
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
        tick  = Signal(range(self.close_clocks))
        ticks = Signal(range(-(-self.resend_clocks // self.close_clocks)))
        tries = Signal(range(self.retries + 1))
        quiet = Signal()        # no byte came since the last tick
        waits = Signal()        # for an acknowledgement

        m.d.comb += waits.eq((held != 0) & (unsent == 0) & resting & (tries != self.retries))
        with m.If(waits | builder.open):
            m.d.sync += tick.eq(tick + 1)
        last = tick.all()
        with m.If(last):
            m.d.sync += quiet.eq(1)
        with m.If((self.i.valid & self.i.ready) | ~builder.open):
            m.d.sync += quiet.eq(0)
        m.d.comb += builder.close.eq(~(self.i.valid & credit) & (
            want_ack | (last & quiet & resting & (unsent == 0))))

        with m.If(start | acked):
            m.d.sync += ticks.eq(0)
        with m.Elif(last & waits):
            m.d.sync += ticks.eq(ticks + 1)
            with m.If(ticks == -(-self.resend_clocks // self.close_clocks) - 1):
                m.d.comb += expired.eq(~built)
                m.d.sync += ticks.eq(0)
                m.d.sync += tries.eq(tries + 1)
        with m.If(acked):
            m.d.sync += tries.eq(0)

        # ------------------------------------------------------------------------- transmitter --
        place = Signal(8)
        cut   = Signal()        # the frame being sent shall end at once

        def send(first_place, first_slot=slot):
            m.d.sync += place.eq(first_place)
            m.d.sync += slot.eq(first_slot)
            m.next = "Fetch"

        def send_delimiter():
            m.d.sync += cut.eq(0)
            send(EMPTY)

        m.d.comb += slots_r.addr.eq(Cat(place, slot))
        with m.FSM():
            with m.State("Rest"):
                m.d.comb += resting.eq(1)
                with m.If(cut):
                    send_delimiter()
                with m.Elif(ready):
                    m.d.sync += ready.eq(0)
                    m.d.sync += ack.eq(0)
                    with m.If(builder.what == Order.ACK):
                        send(ACK_BASE, 0)
                    with m.Else():
                        send(0, -1)
                with m.Elif((unsent != 0) & ~want_ack & ~ack & ~acked & ~built):
                    m.d.comb += start.eq(1)
                    send(0, next_slot)

            with m.State("Fetch"):
                with m.If(~builder.write):
                    m.d.sync += self.o.payload.eq(slots_r.data)
                    m.d.sync += place.eq(place + 1)
                    m.next = "Send"

            with m.State("Send"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "Fetch"
                    with m.If(cut):
                        send_delimiter()
                    with m.Elif(self.o.payload == 0):
                        m.next = "Rest"

        # -------------------------------------------------------------------------------- OPEN --
        with m.If(news.opened):
            for register in (head, held, unsent, total, limit, skipped, ack, ready, tries):
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
        return m
