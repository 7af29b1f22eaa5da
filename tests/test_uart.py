import pytest
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from ionspike.hdl.uart import UARTReceiver, UARTTransmitter

WIDTH = 8
#: Within which the transmitter is ready, whatever its rate was.
SETTLE = 1 << WIDTH


class Pair(wiring.Component):
    """Both halves, their lines at the ports."""

    def __init__(self):
        super().__init__({
            "last": In(WIDTH),
            "rx": In(1, init=1), "o": Out(stream.Signature(8)), "error": Out(1), "broken": Out(1),
            "i": In(stream.Signature(8)), "tx": Out(1, init=1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(WIDTH)
        m.submodules.transmitter = transmitter = UARTTransmitter(WIDTH)
        m.d.comb += receiver.last.eq(self.last), transmitter.last.eq(self.last)
        m.d.comb += receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)
        m.d.comb += self.error.eq(receiver.error), self.broken.eq(receiver.broken)
        connect(m, receiver.o, flipped(self.o))
        connect(m, flipped(self.i), transmitter.i)
        return m


def simulate(dut, *testbenches):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for testbench in testbenches:
        sim.add_testbench(testbench)
    sim.run()


def bits_of(data):
    return [bit for byte in data for bit in (0, *(byte >> k & 1 for k in range(8)), 1)]


def test_transmitter_sends_without_pauses_at_every_rate():
    """One after the other, faster and slower, on the same transmitter."""
    dut, found = UARTTransmitter(WIDTH), []
    divisors, data = (4, 208, 5, 256, 8), b"\x00\xA5\xFF"

    async def testbench(ctx):
        for divisor in divisors:
            ctx.set(dut.last, divisor - 1)
            await ctx.tick().repeat(SETTLE)
            assert ctx.get(dut.idle) and ctx.get(dut.tx)
            line, left = [], list(data)
            ctx.set(dut.i.valid, 1)
            for _ in range(len(data) * 10 * divisor + 1):
                ctx.set(dut.i.valid, bool(left))
                ctx.set(dut.i.payload, left[0] if left else 0)
                line.append(ctx.get(dut.tx))
                if ctx.get(dut.i.ready) and left:
                    left.pop(0)
                await ctx.tick()
            found.append(line[1:])

    simulate(dut, testbench)
    assert found == [[bit for bit in bits_of(data) for _ in range(divisor)] for divisor in divisors]


def receive(divisor, line):
    """What the receiver makes of levels, one per clock: bytes, None for errors, and breaks."""
    dut, events = UARTReceiver(WIDTH), []

    async def testbench(ctx):
        ctx.set(dut.last, divisor - 1)
        ctx.set(dut.o.ready, 1)
        for level in line:
            ctx.set(dut.rx, level)
            if ctx.get(dut.o.valid):
                events.append(ctx.get(dut.o.payload))
            if ctx.get(dut.error):
                events.append(None)
            if ctx.get(dut.broken):
                events.append("break")
            await ctx.tick()

    simulate(dut, testbench)
    return events


def levels(divisor, byte, stop=1):
    bits = (0, *(byte >> k & 1 for k in range(8)), stop)
    return [bit for bit in bits for _ in range(divisor)]


@pytest.mark.parametrize("divisor", [4, 5, 24, 208, 256])
def test_receiver(divisor):
    line = [1] * 9 + levels(divisor, 0x5A) + levels(divisor, 0x00) + levels(divisor, 0xFF) + [1] * 9
    assert receive(divisor, line) == [0x5A, 0x00, 0xFF]


def test_receiver_ignores_a_glitch():
    assert receive(16, [1] * 9 + [0] * 5 + [1] * 40 + levels(16, 0x31) + [1] * 9) == [0x31]


def test_a_missing_stop_bit_is_told_once_and_a_break_after_eight_more():
    def seen(low):
        line = levels(8, 0x42, stop=0) + [0] * low + [1] * 20 + levels(8, 0x43) + [1] * 9
        return receive(8, [1] * 9 + line)

    assert seen(20) == seen(8 * 8 - 8) == [None, 0x43]
    assert seen(8 * 8 + 8) == [None, "break", 0x43]


def test_a_zero_at_a_slower_rate_is_a_break():
    assert receive(8, [1] * 9 + levels(18, 0) + [1] * 99) == [None, "break"]
    assert "break" not in receive(8, [1] * 9 + levels(12, 0) + [1] * 99)


def test_a_byte_that_is_not_taken_is_overwritten():
    dut = UARTReceiver(WIDTH)

    async def testbench(ctx):
        ctx.set(dut.last, 3)
        for byte in (1, 2):
            for level in levels(4, byte):
                ctx.set(dut.rx, level)
                await ctx.tick()
        await ctx.tick().repeat(8)
        assert ctx.get(dut.o.valid) and ctx.get(dut.o.payload) == 2
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        assert not ctx.get(dut.o.valid)

    simulate(dut, testbench)


def test_cocotb(run_cocotb):
    run_cocotb(Pair(), "ionspike.sim.tb_uart", seed=1, parameters={"width": WIDTH})
