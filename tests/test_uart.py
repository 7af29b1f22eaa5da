import pytest
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from ionspike.hdl.uart import UARTReceiver, UARTTransmitter


class Pair(wiring.Component):
    """Both halves, their lines at the ports."""

    def __init__(self, divisor):
        self.divisor = divisor
        super().__init__({
            "rx": In(1, init=1), "o": Out(stream.Signature(8)), "error": Out(1),
            "i": In(stream.Signature(8)), "tx": Out(1, init=1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UARTTransmitter(self.divisor)
        m.d.comb += receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)
        m.d.comb += self.error.eq(receiver.error)
        connect(m, receiver.o, flipped(self.o))
        connect(m, flipped(self.i), transmitter.i)
        return m


def simulate(dut, *testbenches):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for testbench in testbenches:
        sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize("divisor", [4, 5, 8])
def test_transmitter_sends_without_pauses(divisor):
    dut, line = UARTTransmitter(divisor), []

    async def send(ctx):
        ctx.set(dut.i.valid, 1)
        for byte in b"\x00\xA5\xFF":
            ctx.set(dut.i.payload, byte)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def watch(ctx):
        await ctx.tick()
        for _ in range(3 * 10 * divisor):
            line.append(ctx.get(dut.tx))
            await ctx.tick()
        assert ctx.get(dut.idle) and ctx.get(dut.tx)

    simulate(dut, send, watch)
    bits = [bit for byte in (0x00, 0xA5, 0xFF)
            for bit in (0, *(byte >> k & 1 for k in range(8)), 1)]
    assert line == [bit for bit in bits for _ in range(divisor)]


def receive(divisor, line):
    """What the receiver makes of levels, one per clock: bytes, and errors as None."""
    dut, events = UARTReceiver(divisor), []

    async def testbench(ctx):
        ctx.set(dut.o.ready, 1)
        for level in line:
            ctx.set(dut.rx, level)
            if ctx.get(dut.o.valid):
                events.append(ctx.get(dut.o.payload))
            if ctx.get(dut.error):
                events.append(None)
            await ctx.tick()

    simulate(dut, testbench)
    return events


def levels(divisor, byte, stop=1):
    bits = (0, *(byte >> k & 1 for k in range(8)), stop)
    return [bit for bit in bits for _ in range(divisor)]


@pytest.mark.parametrize("divisor", [4, 5, 24])
def test_receiver(divisor):
    line = [1] * 9 + levels(divisor, 0x5A) + levels(divisor, 0x00) + levels(divisor, 0xFF) + [1] * 9
    assert receive(divisor, line) == [0x5A, 0x00, 0xFF]


def test_receiver_ignores_a_glitch():
    assert receive(16, [1] * 9 + [0] * 5 + [1] * 40 + levels(16, 0x31) + [1] * 9) == [0x31]


def test_a_missing_stop_bit_is_told_once_however_long():
    line = levels(8, 0x42, stop=0) + [0] * 500 + [1] * 20 + levels(8, 0x43) + [1] * 9
    assert receive(8, [1] * 9 + line) == [None, 0x43]


def test_a_byte_that_is_not_taken_is_overwritten():
    dut = UARTReceiver(4)

    async def testbench(ctx):
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


def test_divisor_rejected():
    for half in UARTReceiver, UARTTransmitter:
        with pytest.raises(ValueError, match="a bit must last at least 4 clocks, not 3"):
            half(3)


@pytest.mark.parametrize("divisor", [4, 24])
def test_cocotb(run_cocotb, divisor):
    run_cocotb(Pair(divisor), "ionspike.sim.tb_uart", seed=1, parameters={"divisor": divisor})
