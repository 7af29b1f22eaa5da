"""Random streams through the gateware's end of the link, over a line with faults."""

import random
from collections import Counter, deque

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from ionspike.host.faults import Faults
from ionspike.host.framing import Deframer, pack, pack_ack, parse_ack
from ionspike.host.window import Inbox, Outbox
from ionspike.sim.streams import Stream, coin, reset
from ionspike.spec.wire import PAYLOAD_BYTES, Kind, Nack

STROBES = "crc_error", "gap", "overflow", "resent", "opened"
RESEND_CLOCKS = 20_000


class Host:
    """A host that knows no time but the clock: bytes of the line in, bytes of the line out."""

    def __init__(self, dut, faults, window=0x6000):
        self.dut, self.faults, self.window = dut, faults, window
        self.line = deque()     # bytes to the board
        self.received = bytearray()
        self.outbox, self.inbox, self.deframer = Outbox(), Inbox(), Deframer()
        self.hellos = self.nacks = 0
        self._waited = 0

    def say(self, *frames):
        for frame in frames:
            self.line += self.faults[0](frame)

    def hear(self, data):
        """Take bytes of the line, and act on them."""
        errors = self.deframer.errors
        reason = None
        for frame in self.deframer.feed(self.faults[1](bytes(data))):
            if frame.kind == Kind.HELLO:
                self.hellos += 1
                reason = Nack.OK
            elif frame.kind == Kind.DATA:
                payload, answer = self.inbox.accept(frame)
                self.received += payload
                reason = answer if answer is not None else reason
            elif frame.kind == Kind.ACK:
                ack = parse_ack(frame)
                if self.outbox.acknowledge(ack):
                    self._waited = 0
                if ack.reason:
                    self.nacks += 1
                    self.outbox.rewind()
        if self.deframer.errors != errors:
            reason = self.inbox.corrupt()
        if reason is not None:
            self.say(pack_ack(self.inbox.expected, self.inbox.total + self.window, reason))

    def push(self, clocks):
        """Say what may be said, if nothing waits to be; called again after so many clocks."""
        self._waited += clocks
        if self.line:
            return
        if self._waited > RESEND_CLOCKS:
            self._waited = 0
            self.outbox.rewind()
            self.say(b"\0", pack_ack(self.inbox.expected, self.inbox.total + self.window))
        elif (frame := self.outbox.take()) is not None:
            self.say(frame)


async def speak(dut, host, rng, pace):
    """Drive the line: a byte, then a pause; sometimes a byte is lost and that is told."""
    stream = Stream(dut, "uart_i", driven=True)
    while True:
        if not host.line:
            await FallingEdge(dut.clk)
            continue
        await stream.put([host.line.popleft()])
        for _ in range(rng.randrange(pace)):
            await FallingEdge(dut.clk)


async def run(dut, host):
    """Collect from the line and let the host act, now and then."""
    stream = Stream(dut, "uart_o", driven=False)
    cocotb.start_soon(stream.watch())
    while True:
        await ClockCycles(dut.clk, 50)
        data, stream.log = stream.log, []
        host.hear(data)
        host.push(50)


async def refuse(dut, name, refusals, patient):
    """Be ready for a stream, or not."""
    ready, valid = getattr(dut, f"{name}__ready"), getattr(dut, f"{name}__valid")
    while True:
        await FallingEdge(dut.clk)
        ready.value = not (next(refusals) or (patient and not valid.value))


async def count(strobe, name, seen):
    """No two pulses of a strobe are without a pause."""
    while True:
        await RisingEdge(strobe)
        seen[name] += 1


async def begin(dut, rng, faults, *, pace, stall, patient):
    """Reset, open the link, and keep everything but the board's stream going."""
    await reset(dut, uart_i__valid=0, uart_i__payload=0, uart_error=0, uart_o__ready=0,
                i__valid=0, i__payload=0, o__ready=0)
    # All tests share one simulation: earlier ones leave their memories behind.
    host, seen = Host(dut, faults), Counter()
    for name in STROBES:
        cocotb.start_soon(count(getattr(dut, name), name, seen))
    cocotb.start_soon(speak(dut, host, rng, pace))
    cocotb.start_soon(run(dut, host))
    cocotb.start_soon(refuse(dut, "uart_o", coin(rng, stall), patient))
    while not host.hellos:
        host.say(b"\0", pack(Kind.OPEN, 0, rng.randbytes(2)))
        await ClockCycles(dut.clk, 3000)
    return host, seen


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(
    (("rate", "stall", "patient", "pace"),
     [(0.0, 0.0, False, 1), (0.0, 0.9, True, 40), (1e-3, 0.5, True, 10), (1e-2, 0.0, False, 3)]))
async def delivers_once_and_in_order(dut, rate, stall, patient, pace):
    rng = random.Random(cocotb.RANDOM_SEED)
    faults = Faults.evenly(1, rate), Faults.evenly(2, rate)
    host, seen = await begin(dut, rng, faults, pace=pace, stall=stall, patient=patient)

    size = 1200
    to_board, from_board = rng.randbytes(size), rng.randbytes(size)
    at = 0
    while at < size:
        length = rng.choice((0, 1, 30, 70)) if rate > 1e-3 else rng.choice((0, 1, 50, PAYLOAD_BYTES))
        host.outbox.queue.append(to_board[at:at + length])
        at += length
    o = Stream(dut, "o", driven=False)
    cocotb.start_soon(o.watch())
    cocotb.start_soon(refuse(dut, "o", coin(rng, stall), patient))
    cocotb.start_soon(Stream(dut, "i", driven=True).put(from_board, idle=coin(rng, 0.9)))
    while len(host.received) < size or len(o.log) < size:
        await ClockCycles(dut.clk, 100)
    await ClockCycles(dut.clk, 3000)

    assert bytes(o.log) == to_board
    assert bytes(host.received) == from_board
    if rate > 1e-3:
        assert seen["crc_error"] and seen["gap"] and seen["resent"] and host.inbox.gaps
        assert host.nacks and host.deframer.errors
    elif not rate:
        assert seen == {"opened": 1}


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def refuses_what_it_has_no_room_for(dut):
    """A host that ignores its credit, and an interpreter that is asleep."""
    rng = random.Random(cocotb.RANDOM_SEED)
    host, seen = await begin(dut, rng, (Faults(1), Faults(2)), pace=1, stall=0.0, patient=False)
    frames = [rng.randbytes(PAYLOAD_BYTES) for _ in range(6)]
    for seq, payload in enumerate(frames):
        host.say(pack(Kind.DATA, seq, payload))
    await ClockCycles(dut.clk, 20_000)
    assert seen == {"opened": 1, "overflow": 1, "gap": 1}
    assert host.nacks == 1

    # What it had room for is untouched, and it goes on where it stopped.
    o = Stream(dut, "o", driven=False)
    cocotb.start_soon(o.watch())
    dut.o__ready.value = 1
    await ClockCycles(dut.clk, 2000)
    assert bytes(o.log) == b"".join(frames[:4])
    for seq in 4, 5:
        host.say(pack(Kind.DATA, seq, frames[seq]))
    await ClockCycles(dut.clk, 8000)
    assert bytes(o.log) == b"".join(frames)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def counts_the_errors_of_a_frame_once(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    host, seen = await begin(dut, rng, (Faults(1), Faults(2)), pace=1, stall=0.0, patient=False)
    o = Stream(dut, "o", driven=False)
    cocotb.start_soon(o.watch())
    dut.o__ready.value = 1
    frame = pack(Kind.DATA, 0, b"lost bytes")
    for part in frame[:4], frame[4:8], frame[8:]:
        host.say(part)
        await ClockCycles(dut.clk, 200)
        await FallingEdge(dut.clk)
        dut.uart_error.value = int(part != frame[8:])
        await FallingEdge(dut.clk)
        dut.uart_error.value = 0
    host.say(frame, b"\0\0", frame[:5] + b"\0", b"\x55" * 400 + b"\0")
    await ClockCycles(dut.clk, 8000)
    assert seen == {"opened": 1, "crc_error": 3}
    assert bytes(o.log) == b"lost bytes"


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def opens_anew_at_any_time(dut):
    """However busy it is; nothing of before is seen after."""
    rng = random.Random(cocotb.RANDOM_SEED)
    host, seen = await begin(dut, rng, (Faults(1), Faults(2)), pace=3, stall=0.5, patient=True)
    for trial in range(6):
        cocotb.start_soon(Stream(dut, "o", driven=False).watch())
        for _ in range(5):
            host.outbox.queue.append(rng.randbytes(PAYLOAD_BYTES))
        dut.i__payload.value, dut.i__valid.value = 0xEE, 1
        await ClockCycles(dut.clk, rng.randrange(12_000))
        dut.i__valid.value = 0

        # The host forgets, too.
        host.outbox, host.inbox, host.hellos = Outbox(), Inbox(), 0
        host.received.clear()
        host.line.clear()
        host.say(b"\0", pack(Kind.OPEN, 0, rng.randbytes(2)))
        while not dut.opened.value:
            await FallingEdge(dut.clk)
        o = Stream(dut, "o", driven=False)
        await FallingEdge(dut.clk)
        cocotb.start_soon(o.watch())
        # What comes before HELLO is of the earlier conversation.
        while not host.hellos:
            host.inbox = Inbox()
            host.received.clear()
            await ClockCycles(dut.clk, 10)
        greeting = b"trial %d" % trial
        host.outbox.queue.append(greeting)
        dut.o__ready.value = 1
        cocotb.start_soon(Stream(dut, "i", driven=True).put(greeting))
        while len(o.log) < len(greeting) or len(host.received) < len(greeting):
            await ClockCycles(dut.clk, 50)
        dut.o__ready.value = 0
        assert bytes(o.log) == bytes(host.received) == greeting
    assert seen["opened"] == 7
