"""The host's end of the reliable link, over a serial port or anything like one."""

import secrets
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from ionspike.host.framing import Deframer, Frame, FrameError, pack, pack_ack, parse_ack
from ionspike.host.hello import Hello
from ionspike.host.window import Inbox, Outbox
from ionspike.spec.wire import MAGIC, PAYLOAD_BYTES, PROTOCOL, Kind, Nack, digest

__all__ = ["Link", "LinkError", "Port"]

#: Longest time spent in one read; nothing is looked at more often while the board is silent.
POLL_S = 0.005
#: An OPEN is repeated after this long, then after twice as long.
OPEN_S = 0.1
#: Bounds of the time after which frames that are not acknowledged are sent again.
RESEND_MIN_S, RESEND_MAX_S = 0.03, 1.0
#: The same before the first acknowledgement has shown how long they take.
RESEND_FIRST_S = 0.3
#: So many times in a row without a word from the board: it is dead.
SILENT_TRIES = 8
#: So many times in a row without progress, though the board answers: the line is unusable.
TRIES = 400
#: After this long a silence while bytes are awaited the board is told again what has arrived.
POKE_S = 0.2
#: Room offered to the board, and how much may be used up before it is offered anew.
WINDOW, RENEW = 0x6000, 0x1000
#: While the board sends full frames, a DATA frame is written when no more than so many bytes wait to
#: leave the port. Else the ACKs that the board needs to go on would wait behind it.
QUEUED = 24
PACE_S = 0.01
#: Payload bytes queued before :meth:`Link.send` waits.
BACKLOG = 8 * PAYLOAD_BYTES
#: Shortest frames that a bad line leads to.
SHORTEST = 32


class LinkError(Exception):
    """The board is missing, silent, not what was expected, or gone."""


class Port(Protocol):
    """What a link needs of :class:`serial.Serial`."""

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...


class Link:
    """Reliable records to a board, and its reliable bytes back.

    Everything happens inside the calls, in the caller's thread; every call also receives, so that
    two full directions never wait for each other. A call that fails leaves the link unusable until
    it is opened again.

    Parameters
    ----------
    port : an open port; its ``timeout`` is changed.
    clock, sleep : for tests in simulated time.

    Attributes
    ----------
    hello : what the board said when the link was opened.
    """

    def __init__(self, port: Port, *, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep):
        self.hello: Hello | None = None
        self._port = port
        self._clock, self._sleep = clock, sleep
        self._name = getattr(port, "name", None) or type(port).__name__
        self._bytes_out = self._bytes_in = self._acks = self._nacks = 0
        self._crc_errors = self._past_resent = self._past_gaps = self._past_duplicates = 0
        self._restart()
        port.timeout = POLL_S

    def _restart(self) -> None:
        self._deframer = Deframer()
        self._outbox, self._inbox = Outbox(), Inbox()
        self._record = bytearray()      # records that do not fill a frame yet
        self._received = bytearray()
        self._fill = PAYLOAD_BYTES
        self._promised = 0              # limit told to the board
        self._answer: Nack | None = None
        self._srtt_s: float | None = None
        self._backoff = 1
        self._tries = self._silent = 0
        self._progress_s = self._heard_s = self._clock()
        self._rewound: tuple[int, float] | None = None
        self._poke_s = POKE_S
        self._paced_s = self._empty_s = 0.0

    @property
    def counters(self) -> dict[str, int]:
        """Of this end, since it was made: bytes on the line and what went wrong."""
        return {
            "bytes_out": self._bytes_out, "bytes_in": self._bytes_in,
            "crc_errors": self._crc_errors + self._deframer.errors,
            "gaps": self._past_gaps + self._inbox.gaps,
            "duplicates": self._past_duplicates + self._inbox.duplicates,
            "resent": self._past_resent + self._outbox.resent,
            "acks": self._acks, "nacks": self._nacks,
        }

    # ------------------------------------------------------------------------------------ open --

    def open(self, timeout_s: float = 2.0) -> Hello:
        """Start both streams anew and learn what the board is.

        Raises
        ------
        LinkError
            If nobody answers in time, or somebody else.
        """
        self._past_gaps += self._inbox.gaps
        self._past_duplicates += self._inbox.duplicates
        self._past_resent += self._outbox.resent
        self._crc_errors += self._deframer.errors
        self._restart()
        self.hello = None
        self._read(wait=False)      # what an earlier conversation left
        start_s = self._clock()
        again_s, wait_s = start_s, OPEN_S
        heard, frames = b"", 0
        nonce = 0
        while (now_s := self._clock()) < start_s + timeout_s:
            if now_s >= again_s:
                nonce = secrets.randbits(16)
                # The delimiter ends whatever the board has half received.
                self._write(b"\0" + pack(Kind.OPEN, 0, nonce.to_bytes(2, "little")))
                again_s, wait_s = now_s + wait_s, 2 * wait_s
            data = self._read(wait=True)
            heard = (heard + data)[:64]
            arrived = self._deframer.feed(data)
            frames += len(arrived)
            for k, frame in enumerate(arrived):
                if frame.kind == Kind.HELLO and (hello := self._check(frame)).nonce == nonce:
                    self.hello = hello
                    # Of what was half received when the board was opened.
                    self._deframer.errors = 0
                    self._heard_s = self._progress_s = self._clock()
                    self._answer = Nack.OK
                    self._promised = self._inbox.total      # the first ACK tells the limit
                    self._take(arrived[k + 1:])
                    self._pump()
                    return hello
        if not heard:
            raise LinkError(
                f"{self._name}: no answer within {timeout_s:g} s; is the board powered and "
                f"programmed, is this its port, and the baud rate right?")
        if not frames:
            raise LinkError(
                f"{self._name}: something else speaks there (it begins {heard[:16].hex(' ')}), or "
                f"the baud rate differs; give the port of an ionspike board")
        raise LinkError(f"{self._name}: the board is busy with an earlier conversation and did not "
                        f"answer OPEN within {timeout_s:g} s; reset it")

    def _check(self, frame: Frame) -> Hello:
        try:
            hello = Hello.unpack(frame.payload)
        except ValueError as error:
            raise LinkError(f"{self._name}: {error}; the board speaks another protocol; program it "
                            f"with this version's bitstream") from None
        if hello.magic != MAGIC:
            raise LinkError(f"{self._name}: not an ionspike board: magic is {hello.magic:#010x}, "
                            f"expected {MAGIC:#010x}")
        if hello.major != PROTOCOL[0]:
            raise LinkError(f"{self._name}: the board speaks protocol {hello.major}.{hello.minor}, "
                            f"this host {PROTOCOL[0]}.{PROTOCOL[1]}; update the older of the two")
        if hello.digest != digest():
            raise LinkError(f"{self._name}: the board's wire contract has digest "
                            f"{hello.digest:#010x}, this host's {digest():#010x}; program the "
                            f"board with this version's bitstream")
        return hello

    # ---------------------------------------------------------------------------------- stream --

    def send(self, record: bytes) -> None:
        """Send a record; it is kept until a frame is full, or :meth:`flush` or :meth:`receive`.

        Returns once there is little left that the board has no room for.

        Raises
        ------
        ValueError
            If the record does not fit a frame.
        LinkError
            If earlier records could not be delivered; says how much.
        """
        self._require_open()
        if len(record) > PAYLOAD_BYTES:
            raise ValueError(f"a record of {len(record)} bytes, {PAYLOAD_BYTES} fit a frame")
        if len(self._record) + len(record) > self._fill:
            self._close_frame()
            self._pump()
            while sum(map(len, self._outbox.queue)) > BACKLOG:
                self._pump(wait=True)
        self._record += record

    def flush(self) -> None:
        """Wait until the board has everything that was sent.

        Raises
        ------
        LinkError
            If it could not be delivered; says how much.
        """
        self._require_open()
        self._close_frame()
        self._pump()
        while self._outbox.queue or self._outbox.flight:
            self._pump(wait=True)

    def receive(self, timeout_s: float) -> bytes:
        """The bytes that came from the board since the last call.

        Waits until there is at least one; after ``timeout_s`` returns none.
        """
        self._require_open()
        self._close_frame()
        self._pump()
        end_s = self._clock() + timeout_s
        while not self._received and self._clock() < end_s:
            self._pump(wait=True)
        received, self._received = bytes(self._received), bytearray()
        return received

    def _require_open(self) -> None:
        if self.hello is None:
            raise LinkError(f"{self._name}: the link is not open")

    def _close_frame(self) -> None:
        if self._record:
            self._outbox.queue.append(bytes(self._record))
            self._record.clear()

    # ------------------------------------------------------------------------------------ pump --

    def _pump(self, wait: bool = False) -> None:
        """Send what may be sent, take what has come, for ``POLL_S`` at most."""
        self._push()
        data = self._read(wait)
        if data:
            errors = self._deframer.errors
            frames = self._deframer.feed(data)
            if self._deframer.errors != errors:
                self._answer = self._inbox.corrupt()
            self._take(frames)
        self._check_time()
        self._push()

    def _push(self) -> None:
        """Write an ACK if one is due, and the frames that may be sent."""
        out = []
        if self._answer is not None:
            out.append(self._make_ack(self._answer))
            self._answer = None
        now_s = self._clock()
        if not self._outbox.flight:
            self._progress_s = now_s
        paced = now_s < self._paced_s
        while not (paced and (out or self._queued(now_s) > QUEUED)) and (
                frame := self._outbox.take(now_s)) is not None:
            out.append(frame)
        if out:
            self._write(b"".join(out))
            if self.hello is not None and self.hello.baud:
                self._empty_s = max(self._empty_s, now_s) + 10 * sum(map(len, out)) / self.hello.baud

    def _queued(self, now_s: float) -> float:
        """Bytes that have been written and have not left the port, as far as that is known."""
        hidden = 0.0    # in an adapter
        if self.hello is not None and self._empty_s > now_s:
            hidden = (self._empty_s - now_s) * self.hello.baud / 10
        try:
            return max(getattr(self._port, "out_waiting", 0), hidden)
        except OSError as error:
            self._vanished(error)

    def _make_ack(self, reason: Nack) -> bytes:
        self._acks += 1
        total = self._inbox.total
        if reason == Nack.OK and self._promised - total > WINDOW - RENEW:
            return pack_ack(self._inbox.expected)
        self._promised = total + WINDOW
        return pack_ack(self._inbox.expected, self._promised, reason)

    def _take(self, frames: list[Frame]) -> None:
        if frames:
            self._heard_s = self._clock()
            self._silent = 0
            self._poke_s = POKE_S
        for frame in frames:
            if frame.kind == Kind.DATA:
                payload, reason = self._inbox.accept(frame)
                self._received += payload
                if len(payload) == PAYLOAD_BYTES:
                    self._paced_s = self._heard_s + PACE_S
                # Good news does not replace bad news of the same run.
                if reason is not None and not (self._answer and not payload):
                    self._answer = reason
            elif frame.kind == Kind.ACK:
                self._take_ack(frame)

    def _take_ack(self, frame: Frame) -> None:
        try:
            ack = parse_ack(frame)
        except FrameError:
            return
        arrived = self._outbox.acknowledge(ack)
        if arrived:
            self._progress_s = self._heard_s
            self._tries, self._backoff = 0, 1
            self._fill = min(PAYLOAD_BYTES, self._fill + 4 * len(arrived))
            if (sent_s := arrived[-1].sent_s) is not None:
                rtt_s = self._heard_s - sent_s
                self._srtt_s = rtt_s if self._srtt_s is None else 0.875 * self._srtt_s + 0.125 * rtt_s
        if ack.reason:
            self._nacks += 1
            # The board may complain twice of the same; what is already on its way comes once.
            if self._rewound is None or self._rewound[0] != ack.seq or (
                    self._heard_s - self._rewound[1] >= (self._srtt_s or RESEND_MIN_S)):
                self._resend(ack.seq)

    def _resend(self, seq: int) -> None:
        if not self._outbox.flight:
            return
        self._rewound = (seq, self._clock())
        self._progress_s = self._clock()
        self._fill = max(SHORTEST, self._fill // 2)
        self._tries += 1
        self._outbox.rewind()
        # Ends what the line may have left without a delimiter.
        self._write(b"\0")

    def _check_time(self) -> None:
        now_s = self._clock()
        if self._outbox.flight:
            timeout_s = RESEND_FIRST_S if self._srtt_s is None else 3 * self._srtt_s
            timeout_s = max(RESEND_MIN_S, timeout_s) * self._backoff
            if now_s - self._progress_s >= min(timeout_s, RESEND_MAX_S):
                self._silent += 1
                if self._silent > SILENT_TRIES or self._tries > TRIES:
                    self._give_up()
                self._backoff = min(2 * self._backoff, 64)
                self._resend(self._outbox.flight[0].seq)
        elif self._outbox.blocked and now_s - self._heard_s >= RESEND_FIRST_S:
            # The ACK that gave credit may be lost. An empty frame needs none and is answered.
            self._heard_s = now_s
            self._outbox.queue.appendleft(b"")
        elif now_s - self._heard_s >= self._poke_s:
            # The board stops sending again after a while. Any ACK makes it try once more.
            self._heard_s = now_s
            self._poke_s *= 2
            self._promised = self._inbox.total
            self._answer = Nack.OK

    def _give_up(self) -> NoReturn:
        what = (f"{self._outbox.size + len(self._record)} bytes in "
                f"{len(self._outbox.flight) + len(self._outbox.queue)} frames were not delivered, "
                f"from frame {self._outbox.flight[0].seq} on")
        self.hello = None
        if self._silent > SILENT_TRIES:
            raise LinkError(f"{self._name}: the board stopped answering; {what}; check cable and "
                            f"power, then open it again")
        raise LinkError(f"{self._name}: the line is too bad, {self._tries} attempts in a row "
                        f"failed; {what}; take a lower baud rate or a shorter cable")

    # ------------------------------------------------------------------------------------ port --

    def _read(self, wait: bool) -> bytes:
        """What has come; if nothing has and ``wait``, what comes first within ``POLL_S``."""
        try:
            size = self._port.in_waiting
            if not size and not wait:
                return b""
            start_s = self._clock()
            data = self._port.read(size or 1)
            if data and not size and (size := self._port.in_waiting):
                data += self._port.read(size)
        except OSError as error:
            self._vanished(error)
        if not data and wait and (rest_s := POLL_S - (self._clock() - start_s)) > POLL_S / 2:
            self._sleep(rest_s)     # ports inside this process need not wait
        self._bytes_in += len(data)
        return data

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            self._vanished(error)
        self._bytes_out += len(data)

    def _vanished(self, error: OSError) -> NoReturn:
        self.hello = None
        left = self._outbox.size + len(self._record)
        raise LinkError(f"{self._name}: the board vanished ({error}); {left} bytes sent to it were "
                        f"not acknowledged; plug it in and open it again") from error
