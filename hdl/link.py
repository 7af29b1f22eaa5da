"""The board's end of the reliable link."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ionspike.hdl.link_receiver import LinkReceiver
from ionspike.hdl.link_sender import LinkSender
from ionspike.spec.wire import RX_BYTES, TX_SLOTS

__all__ = ["Link"]


class Link(wiring.Component):
    """Two reliable byte streams over a line that flips, drops and doubles bytes.

    See docs/protocol.md for the rules. Bytes of the host appear at :py:`o` once their frame has
    been received whole, one per clock. Bytes at :py:`i` are taken one every nine clocks into a
    frame, which is closed when it is full, or when the transmitter has nothing else to do and
    no byte came for :py:`close_clocks` to twice as many clocks.

    Parameters
    ----------
    hello : :class:`bytes`
        Payload of the HELLO frame; its nonce is replaced by that of the host.
    rx_bytes : :class:`int`
        Size of the receive ring, a power of two; 8 bytes less are offered to the host.
    tx_slots : :class:`int`
        Frames kept until they are acknowledged, of 256 bytes each; a power of two.
    resend_clocks : :class:`int`
        Frames that are not acknowledged for this long are sent again; a power of two.
    retries : :class:`int`
        So many times, a power of two; afterwards the board waits for the host to say something.
    close_clocks : :class:`int`
        See above; a power of two.

    Members
    -------
    uart_i : :py:`In(stream.Signature(8))`
        Bytes from the line; one can be taken every ten clocks.
    uart_o : :py:`Out(stream.Signature(8))`
        Bytes to the line.
    uart_error : :py:`In(1)`
        A byte from the line was lost.
    o : :py:`Out(stream.Signature(8))`
        What the host sends.
    i : :py:`In(stream.Signature(8))`
        What is sent to the host.
    opened : :py:`Out(1)`
        Pulses when the host starts anew; bytes that are underway, in both directions, are
        forgotten.
    crc_error, gap, overflow, resent : :py:`Out(1)`
        Pulse for each event of that name, see :data:`ionspike.spec.wire.COUNTERS`.
    quarters, held : see the two halves
    idle : :py:`Out(1)`
        Nothing would change without new input.
    """

    def __init__(self, hello, rx_bytes=RX_BYTES, tx_slots=TX_SLOTS, resend_clocks=1 << 19,
                 retries=8, close_clocks=256):
        self.receiver = LinkReceiver(rx_bytes)
        self.sender = LinkSender(hello, tx_slots, resend_clocks, retries, close_clocks)
        super().__init__({
            "uart_i": In(stream.Signature(8)),
            "uart_o": Out(stream.Signature(8)),
            "uart_error": In(1),
            "o": Out(stream.Signature(8)),
            "i": In(stream.Signature(8)),
            "opened": Out(1),
            "crc_error": Out(1),
            "gap": Out(1),
            "overflow": Out(1),
            "resent": Out(1),
            "quarters": Out(2),
            "held": Out(range(tx_slots + 1)),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = self.receiver
        m.submodules.sender = sender = self.sender

        connect(m, flipped(self.uart_i), receiver.i)
        connect(m, receiver.o, flipped(self.o))
        connect(m, flipped(self.i), sender.i)
        connect(m, sender.o, flipped(self.uart_o))
        # A frame's end is judged in many steps, and as many follow from it: a register is between.
        for name, member in receiver.news.signature.members.items():
            if member.flow == In:
                m.d.comb += getattr(receiver.news, name).eq(getattr(sender.news, name))
            elif name in ("argument", "not_seq", "expected", "limit"):      # stay for a while
                m.d.comb += getattr(sender.news, name).eq(getattr(receiver.news, name))
            else:
                m.d.sync += getattr(sender.news, name).eq(getattr(receiver.news, name))
        m.d.comb += [
            receiver.error.eq(self.uart_error),
            self.opened.eq(receiver.news.opened),
            self.crc_error.eq(receiver.crc_error),
            self.gap.eq(receiver.gap),
            self.overflow.eq(receiver.overflow),
            self.resent.eq(sender.resent),
            self.quarters.eq(receiver.quarters), self.held.eq(sender.held),
            self.idle.eq(receiver.idle & sender.idle),
        ]
        return m
