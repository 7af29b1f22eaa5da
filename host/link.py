"""The host's end of the reliable link, over a serial port or anything like one."""

import secrets
import time
from collections.abc import Callable
from typing import NoReturn

from ionspike.host.framing import Deframer, Frame, FrameError, pack, pack_ack, parse_ack
from ionspike.host.hello import Hello
from ionspike.host.line import Line, LinkError, NoAnswer, Port
from ionspike.host.retry import Retry
from ionspike.host.window import MAX_FRAMES, Inbox, Outbox
from ionspike.spec.baud import BREAK_BAUD, SAFE_BAUD
from ionspike.spec.wire import MAGIC, PAYLOAD_BYTES, PROTOCOL, Kind, Nack, digest, digests

__all__ = ["Link", "LinkError", "Port"]

#: An OPEN is repeated after this long, then after twice as long.
OPEN_S = 0.1
#: After this long a silence the board is told again what has arrived, or asked for credit.
POKE_S = 0.2
#: Room offered to the board, and how much may be used up before it is offered anew.
WINDOW, RENEW = 0x6000, 0x1000
#: Payload bytes queued before :meth:`Link.send` waits.
BACKLOG = 8 * PAYLOAD_BYTES
#: Shortest frames that a bad line leads to.
SHORTEST = 32
#: On a bad line, most frames in flight for each byte of their payload: 4 of the shortest.
FLIGHT = 1 / 8
#: While the board sends full frames, a DATA frame is written when no more than so many bytes wait to
#: leave the port. Else the ACKs that the board needs to go on would wait behind it.
UNSENT = 24
PACE_S = 0.01
#: So many ACKs of another conversation after a re-plug: the board has begun anew.
STRANGE = 3


class Link:
    """Reliable records to a board, and its reliable bytes back.

    Everything happens inside the calls, in the caller's thread; every call also receives, so that
    two full directions never wait for each other. After a :class:`LinkError` the link is unusable
    until it is opened again.

    Parameters
    ----------
    port : an open port; its ``timeout`` is changed.
    clock, sleep : for tests in simulated time.

    Attributes
    ----------
    hello : what the board said when the link was opened; None while it is not open.
    pause_s : longest time between two looks at the line since :meth:`attend`.
    tuned : whether the rate was changed; if not it is what the board says it was built with.
    """

    def __init__(self, port: Port, *, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep):
        self.hello: Hello | None = None
        self._clock = clock
        self._line = Line(port, clock, sleep)
        self.attend()
        self.tuned = False
        self._past = dict.fromkeys(
            ("crc_errors", "gaps", "duplicates", "resent", "acks", "nacks"), 0)
        self._restart()

    @property
    def name(self) -> str:
        """Of the port, for messages."""
        return self._line.name

    def is_slow(self, times: float) -> None:
        """The board is simulated, so many times slower than real time: at low rates, wait for it."""
        self._line.slowness = times

    @property
    def baud(self) -> int | None:
        """Rate of the port; None if it has none. A virtual board's port may have another than it."""
        return self._line.baud

    def can(self, baud: int) -> bool:
        """Whether the port can be set to a rate."""
        return self._line.can(baud)

    def tune(self, baud: int) -> None:
        """Speak at another rate, at which the board was asked to; then open again."""
        self.hello = None
        self._line.tune(baud)
        self.tuned = True

    def wake(self) -> None:
        """Hold the line low, which sets the safe rate on any board, and speak at that."""
        self._line.tune(BREAK_BAUD)
        self._line.write(b"\0")
        self.tune(SAFE_BAUD)

    @property
    def frame_bytes(self) -> int:
        """Payload of frames now: less than ``PAYLOAD_BYTES`` while the line is bad."""
        return self._fill

    @property
    def bad(self) -> bool:
        """Frames had to be sent again lately."""
        return self._fill < PAYLOAD_BYTES

    def _restart(self) -> None:
        now_s = self._clock()
        self._deframer = Deframer()
        self._outbox, self._inbox = Outbox(), Inbox()
        self._retry = Retry(OPEN_S, now_s)
        self._record = bytearray()      # records that do not fill a frame yet
        self._received = bytearray()
        self._fill = PAYLOAD_BYTES      # of the next frame
        self._promised = 0              # limit told to the board
        self._answer: Nack | None = None
        self._acks = self._nacks = 0
        self._heard_s = now_s
        self._pokes = 1                 # doubled for each poke without an answer
        self._paced_s = 0.0
        self._replugs = self._line.replugs
        self._strange: int | None = None    # ACKs of another conversation, counted since a re-plug

    def attend(self) -> None:
        """Measure ``pause_s`` anew, from now on."""
        self.pause_s, self._looked_s = 0.0, self._clock()

    @property
    def counters(self) -> dict[str, int]:
        """Of this end, since it was made: bytes on the line and what went wrong."""
        return {"bytes_out": self._line.bytes_out, "bytes_in": self._line.bytes_in,
                **{name: past + now for (name, past), now in zip(self._past.items(), (
                    self._deframer.errors, self._inbox.gaps, self._inbox.duplicates,
                    self._outbox.resent, self._acks, self._nacks), strict=True)}}

    # ------------------------------------------------------------------------------------ open --

    def open(self, timeout_s: float = 2.0) -> Hello:
        """Start both streams anew and learn what the board is.

        Raises
        ------
        LinkError
            If somebody else answers; NoAnswer if nobody does in time.
        """
        self._past = {name: self.counters[name] for name in self._past}
        self._restart()
        self.hello = None
        if not self.tuned:
            self._line.byte_rate = None
        self._line.read(wait=False)     # what an earlier conversation left
        start_s = again_s = self._clock()
        wait_s, sent_s = OPEN_S, start_s
        heard, frames = b"", 0
        nonce = 0
        while (now_s := self._clock()) < start_s + timeout_s:
            if now_s >= again_s:
                nonce = secrets.randbits(16)
                # The delimiter ends whatever the board has half received.
                self._line.write(b"\0" + pack(Kind.OPEN, 0, nonce.to_bytes(2, "little")))
                sent_s, again_s, wait_s = now_s, now_s + wait_s, 2 * wait_s
            data = self._line.read(wait=True)
            heard = (heard + data)[:64]
            arrived = self._deframer.feed(data)
            frames += len(arrived)
            for k, frame in enumerate(arrived):
                if frame.kind == Kind.HELLO and (hello := self._check(frame)).nonce == nonce:
                    self._begin(hello, self._clock() - sent_s)
                    self._take(arrived[k + 1:])
                    self._pump()
                    return hello
        if not heard:
            raise NoAnswer(
                f"{self._line.name}: no answer within {timeout_s:g} s; is the board powered and "
                f"programmed, is this its port, and the baud rate right?")
        if not frames:
            raise NoAnswer(
                f"{self._line.name}: something else speaks there (it begins {heard[:16].hex(' ')}), "
                f"or the baud rate differs; give the port of an ionspike board")
        raise NoAnswer(
            f"{self._line.name}: the board is busy with an earlier conversation and did not answer "
            f"OPEN within {timeout_s:g} s; reset it")

    def _check(self, frame: Frame) -> Hello:
        name = self._line.name
        try:
            hello = Hello.unpack(frame.payload)
        except ValueError as error:
            raise LinkError(f"{name}: {error}; the board speaks another protocol; program it with "
                            f"this version's bitstream") from None
        if hello.magic != MAGIC:
            raise LinkError(f"{name}: not an ionspike board: magic is {hello.magic:#010x}, "
                            f"expected {MAGIC:#010x}")
        if hello.major != PROTOCOL[0]:
            raise LinkError(f"{name}: the board speaks protocol {hello.major}.{hello.minor}, this "
                            f"host {PROTOCOL[0]}.{PROTOCOL[1]}; update the older of the two")
        if hello.digest != digests().get(hello.minor):
            raise LinkError(f"{name}: the board's wire contract has digest {hello.digest:#010x}, "
                            f"this host's {digest():#010x}; program the board with this version's "
                            f"bitstream")
        return hello

    def _begin(self, hello: Hello, round_trip_s: float) -> None:
        self.hello = hello
        if not self.tuned:
            self._line.byte_rate = hello.baud / 10 or None
        self._replugs = self._line.replugs
        self._deframer.errors = 0   # what was underway when the board was opened
        self._heard_s = self._clock()
        self._retry = Retry(round_trip_s, self._heard_s)
        self._answer = Nack.OK      # which gives the board credit

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
            raise LinkError(f"{self._line.name}: the link is not open")

    def _close_frame(self) -> None:
        if self._record:
            self._outbox.queue.append(bytes(self._record))
            self._record.clear()

    # ------------------------------------------------------------------------------------ pump --

    def _pump(self, wait: bool = False) -> None:
        """Send what may be sent, take what has come; waits for ``POLL_S`` at most."""
        try:
            self._push()
            self.pause_s = max(self.pause_s, self._clock() - self._looked_s)
            data = self._line.read(wait)
            self._looked_s = self._clock()
            if data:
                errors = self._deframer.errors
                frames = self._deframer.feed(data)
                if self._deframer.errors != errors:
                    self._answer = self._inbox.corrupt()
                self._take(frames)
            self._check_time()
            self._push()
        except LinkError as error:
            self.hello = None
            if left := self._outbox.size + len(self._record):
                raise LinkError(f"{error}; {left} bytes sent to it were not acknowledged") from error
            raise

    def _push(self) -> None:
        """Write an ACK if one is due, and the frames that may be sent."""
        out = []
        if self._answer is not None:
            out.append(self._make_ack(self._answer))
            self._answer = None
        now_s = self._clock()
        outbox = self._outbox
        if not outbox.flight:
            self._retry.waits_since(now_s)
        # When a second attempt has failed too, one frame at a time is tried.
        burst = 1 if self._retry.tries > 1 else len(outbox.flight) + len(outbox.queue)
        if now_s < self._paced_s:
            burst = 0 if out or self._line.unsent() > UNSENT else 1
        outbox.frames = self._frames
        while burst and (frame := outbox.take(now_s)) is not None:
            out.append(frame)
            burst -= 1
        if out:
            self._line.write(b"".join(out))

    @property
    def _frames(self) -> int:
        """How many may be in flight: on a bad line all that follow a damaged one travel in vain."""
        if not self.bad:
            return MAX_FRAMES
        filling = self._retry.least_trip_s * (self._line.byte_rate or 1e9) / self._fill
        return int(min(self._fill * FLIGHT, max(2, 1 + filling)))

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
            self._pokes = 1
            self._retry.heard()
        for frame in frames:
            if frame.kind == Kind.DATA:
                payload, reason = self._inbox.accept(frame)
                self._received += payload
                if len(payload) == PAYLOAD_BYTES:
                    line_s = 3 * PAYLOAD_BYTES / (self._line.byte_rate or 1e9)
                    self._paced_s = self._heard_s + max(PACE_S, line_s)
                # Nothing new does not replace bad news of the same run.
                if reason is not None and not (self._answer and not payload):
                    self._answer = reason
            elif frame.kind == Kind.ACK:
                self._take_ack(frame)

    def _take_ack(self, frame: Frame) -> None:
        try:
            ack = parse_ack(frame)
        except FrameError:
            return
        if self._strange is not None and self.hello is not None:
            if self._outbox.foreign(ack, self.hello.rx_bytes):
                self._strange += 1
                if self._strange >= STRANGE:
                    raise LinkError(f"{self._line.name}: the board has begun anew since its port was "
                                    f"gone, and what it was doing is lost; open it again")
                return
            self._strange = None
        if arrived := self._outbox.acknowledge(ack):
            self._retry.progress(self._heard_s, arrived[-1].sent_s)
            self._fill = min(PAYLOAD_BYTES, self._fill + 4 * len(arrived))
        if ack.reason:
            self._nacks += 1
            if self._outbox.flight and not self._retry.on_its_way(ack.seq, self._heard_s):
                self._resend()

    def _resend(self) -> None:
        # Old copies may fill the port: one more for each that is found damaged would never end.
        ahead_s = self._line.unsent() / (self._line.byte_rate or 1e9)
        self._retry.again(self._outbox.flight[0].seq, self._clock(), ahead_s)
        if self._retry.dead or self._retry.hopeless:
            self._give_up()
        self._outbox.rewind()
        self._fill = max(SHORTEST, self._fill // 2)
        # Ends what the line may have left without a delimiter.
        self._line.write(b"\0")

    def _plugged_in(self) -> None:
        """The port was gone: have both ends send what was on its way once more, now."""
        self._replugs, self._strange = self._line.replugs, 0
        self._answer = self._inbox.corrupt()
        self._retry.heard()
        if self._outbox.flight:
            self._resend()
        else:
            self._outbox.queue.appendleft(b"")      # whose answer tells whether it is the same board

    @property
    def _poke_s(self) -> float:
        if not self.bad:
            return POKE_S
        return self._retry.least_s(True) + 2 * PAYLOAD_BYTES / (self._line.byte_rate or 1e9)

    def _check_time(self) -> None:
        now_s = self._clock()
        if self._line.replugs != self._replugs:
            self._plugged_in()
        if self._outbox.flight:
            line_s = self._outbox.size / (self._line.byte_rate or 1e9)
            if self._retry.due(now_s, line_s, self.bad) and self._line.unsent() <= UNSENT:
                self._retry.timed_out()
                self._resend()
                if self._inbox.lacking:     # what asked for it may be lost as well
                    self._answer = self._inbox.corrupt()
        elif now_s - self._heard_s >= self._poke_s * self._pokes:
            self._heard_s = now_s
            self._pokes *= 2
            if self._inbox.lacking:
                self._line.write(b"\0")     # the end of what was sent last may be lost
                self._answer = self._inbox.corrupt()
            elif self._outbox.queue:
                # The ACK that gave credit may be lost. An empty frame needs none and is answered.
                self._outbox.queue.appendleft(b"")
            else:
                # The board stops sending again after a while. Any ACK makes it try once more.
                self._promised = self._inbox.total
                self._answer = Nack.OK

    def _give_up(self) -> NoReturn:
        first = self._outbox.flight[0].seq
        if self._retry.dead:
            raise LinkError(f"{self._line.name}: the board stopped answering at frame {first}; check "
                            f"cable and power, then open it again")
        raise LinkError(f"{self._line.name}: the line is too bad: frame {first} failed "
                        f"{self._retry.tries} times in a row; take a lower baud rate or a shorter "
                        f"cable")
