"""Bookkeeping of one reliable stream of bytes; no input or output, no clock.

Both ends of the link are made of these two: the host's (:mod:`ionspike.host.link`) and the golden
twin of the board's (:mod:`ionspike.sim.link`).
"""

from collections import deque
from dataclasses import dataclass

from ionspike.host.framing import Ack, Frame, pack
from ionspike.spec.wire import Kind, Nack

__all__ = ["MAX_FRAMES", "Inbox", "Outbox", "Sent"]

#: More frames in flight could not be told from duplicates.
MAX_FRAMES = 127


@dataclass(slots=True)
class Sent:
    """A DATA frame that is not acknowledged.

    ``sent_s`` is when it was sent, None if more than once (when it was answered says nothing then).
    """

    seq: int
    size: int
    data: bytes
    sent_s: float | None


class Outbox:
    """Sender: what is to be sent, what is not acknowledged, and how much the receiver has room for.

    Parameters
    ----------
    frames : frames that are sent before one must be acknowledged.

    Attributes
    ----------
    queue : payloads not sent yet.
    flight : frames sent and not acknowledged, oldest first.
    resent : frames that were sent again.
    """

    def __init__(self, frames: int = MAX_FRAMES):
        self.frames = frames
        self.queue: deque[bytes] = deque()
        self.flight: deque[Sent] = deque()
        self.resent = 0
        self._again = 0     # frames of flight, the last ones, to be sent again
        self._seq = 0
        self._total = 0
        self._limit = 0

    @property
    def credit(self) -> int:
        """Payload bytes that the receiver has room for, beyond those sent."""
        credit = (self._limit - self._total) & 0xFFFF
        return credit if credit < 0x8000 else 0

    @property
    def size(self) -> int:
        """Payload bytes not acknowledged."""
        return sum(map(len, self.queue)) + sum(frame.size for frame in self.flight)

    def take(self, now_s: float = 0.0) -> bytes | None:
        """The next frame to send, if there is one that may be sent."""
        if self._again:
            frame = self.flight[-self._again]
            self._again -= 1
            self.resent += 1
            frame.sent_s = None
            return frame.data
        if not self.queue or len(self.flight) >= self.frames or len(self.queue[0]) > self.credit:
            return None
        payload = self.queue.popleft()
        frame = Sent(self._seq, len(payload), pack(Kind.DATA, self._seq, payload), now_s)
        self.flight.append(frame)
        self._seq = (self._seq + 1) & 0xFF
        self._total = (self._total + len(payload)) & 0xFFFF
        return frame.data

    def acknowledge(self, ack: Ack) -> list[Sent]:
        """Take note of an ACK; return the frames that have arrived."""
        left = (self._seq - ack.seq) & 0xFF
        if left > len(self.flight):
            return []       # of an earlier life
        if ack.limit is not None:
            self._limit = ack.limit
        done = [self.flight.popleft() for _ in range(len(self.flight) - left)]
        self._again = min(self._again, left)
        return done

    def foreign(self, ack: Ack, room: int) -> bool:
        """Whether an ACK cannot be of this conversation, with a receiver of ``room`` bytes."""
        if (self._seq - ack.seq) & 0xFF > len(self.flight):
            return True
        if ack.limit is None:
            return False
        # It has taken no less than what it acknowledged earlier, and no more than was sent.
        least = self._total - sum(frame.size for frame in self.flight) - room
        return (ack.limit - least) & 0xFFFF > 2 * room + self._total - least

    def rewind(self) -> None:
        """Send everything in flight once more."""
        self._again = len(self.flight)


class Inbox:
    """Receiver: which frame comes next, and what to answer.

    Attributes
    ----------
    expected : sequence number of the next frame.
    total : payload bytes received.
    gaps, duplicates : frames that came too early, or again.
    """

    def __init__(self) -> None:
        self.expected = 0
        self.total = 0
        self.gaps = 0
        self.duplicates = 0
        self._gap_told = False

    @property
    def lacking(self) -> bool:
        """Something came after which the next frame has not come again."""
        return self._gap_told

    def accept(self, frame: Frame, full: bool = False) -> tuple[bytes, Nack | None]:
        """The new bytes of a DATA frame, and the reason of the ACK to send, None for no ACK.

        A gap is told once until there is progress: the frames that follow it are missing the same.
        """
        ahead = (frame.seq - self.expected) & 0xFF
        if ahead >= 0x80:
            self.duplicates += 1
            return b"", Nack.OK
        if ahead:
            self.gaps += 1
            told, self._gap_told = self._gap_told, True
            return b"", None if told else Nack.GAP
        if full:
            self._gap_told = True
            return b"", Nack.FULL
        self._gap_told = False
        self.expected = (self.expected + 1) & 0xFF
        self.total += len(frame.payload)
        return frame.payload, Nack.OK

    def corrupt(self) -> Nack:
        """The reason to send after bytes that were no frame."""
        self._gap_told = True
        return Nack.CORRUPT
