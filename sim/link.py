"""Golden twin of the board's end of the link."""

from dataclasses import replace

from ionspike.host.framing import Deframer, Frame, FrameError, pack, pack_ack, parse_ack
from ionspike.host.hello import Hello
from ionspike.host.window import Inbox, Outbox
from ionspike.spec.wire import PAYLOAD_BYTES, RX_BYTES, TX_SLOTS, Kind, Nack

__all__ = ["BoardLink"]


class BoardLink:
    """What :class:`ionspike.hdl.link.Link` does, without its timing.

    Parameters
    ----------
    hello : what to say of itself; the nonce is the host's.
    rx_bytes, tx_slots : as there.

    Attributes
    ----------
    received : the host's stream, for whoever acts on it; take bytes with :meth:`read`.
    opened : how often the host started anew. Whoever acts on the stream then starts anew too.
    counters : how often each of the gateware's strobes of these names would have pulsed.
    """

    def __init__(self, hello: Hello, rx_bytes: int = RX_BYTES, tx_slots: int = TX_SLOTS):
        self.hello = hello
        self.rx_bytes, self.tx_slots = rx_bytes, tx_slots
        self.received = bytearray()
        self.opened = 0
        self.counters = dict.fromkeys(("crc_error", "gap", "overflow", "resent"), 0)
        self._out = bytearray()
        self._deframer = Deframer()
        self._restart()

    def _restart(self) -> None:
        self._inbox, self._outbox = Inbox(), Outbox(self.tx_slots)
        self._stream = bytearray()
        self._answer: Nack | None = None
        self._credit = 0        # limit told to the host, rounded to a quarter of the ring
        self.received.clear()

    def feed(self, data: bytes) -> None:
        """Take bytes from the line."""
        errors = self._deframer.errors
        for frame in self._deframer.feed(data):
            self._take(frame)
        self._count_errors(self._deframer.errors - errors)

    def _count_errors(self, errors: int) -> None:
        self.counters["crc_error"] += errors
        if errors:
            self._answer = self._inbox.corrupt()

    def _take(self, frame: Frame) -> None:
        if frame.kind == Kind.OPEN and len(frame.payload) == 2:
            self._restart()
            self.opened += 1
            hello = replace(self.hello, nonce=int.from_bytes(frame.payload, "little"))
            self._out += b"\0" + pack(Kind.HELLO, 0, hello.pack())
            self._answer = Nack.OK
        elif frame.kind == Kind.DATA:
            full = len(self.received) + len(frame.payload) > self.rx_bytes - 4
            gaps = self._inbox.gaps
            payload, reason = self._inbox.accept(frame, full)
            self.received += payload
            self.counters["gap"] += self._inbox.gaps - gaps
            self.counters["overflow"] += reason == Nack.FULL
            if reason is not None:
                self._answer = reason
        elif frame.kind == Kind.ACK:
            try:
                ack = parse_ack(frame)
            except FrameError:
                return
            if ack.limit is not None:
                ack = ack._replace(limit=ack.limit & 0xFF00)
            self._outbox.acknowledge(ack)
            if ack.reason:
                self.resend()
                # What was not whole may have been an ACK.
                self._answer = self._answer or Nack.OK
        else:
            self._count_errors(1)

    def resend(self) -> None:
        """Send what is not acknowledged once more: a NAK came, or the timer ran out."""
        self._outbox.rewind()

    @property
    def oldest(self) -> int | None:
        """Number of the frame that waits to be acknowledged; the gateware times it."""
        return self._outbox.flight[0].seq if self._outbox.flight else None

    def read(self, size: int | None = None) -> bytes:
        """Take bytes of the host's stream; all there are unless told how many."""
        size = len(self.received) if size is None else size
        data = bytes(self.received[:size])
        del self.received[:size]
        if self._limit // (self.rx_bytes // 4) != self._credit and self._answer is None:
            self._answer = Nack.OK
        return data

    def write(self, data: bytes) -> None:
        """Append to the stream to the host."""
        self._stream += data

    @property
    def backlog(self) -> int:
        """Bytes written that are not in a frame yet; the gateware would stop whoever writes."""
        return len(self._stream)

    @property
    def _limit(self) -> int:
        return self._inbox.total - len(self.received) + self.rx_bytes - 8

    def take(self) -> bytes:
        """Bytes for the line."""
        if self._answer is not None:
            self._credit = self._limit // (self.rx_bytes // 4)
            self._out += pack_ack(self._inbox.expected, self._limit, self._answer)
            self._answer = None
        resent = self._outbox.resent
        while True:
            while (frame := self._outbox.take()) is not None:
                self._out += frame
            size = min(len(self._stream), PAYLOAD_BYTES, self._outbox.credit)
            if not size or self._outbox.queue:
                break
            self._outbox.queue.append(bytes(self._stream[:size]))
            del self._stream[:size]
        self.counters["resent"] += self._outbox.resent - resent
        out, self._out = bytes(self._out), bytearray()
        return out
