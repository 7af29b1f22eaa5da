"""Random bytes for both halves of the UART, from and to a line that keeps time less well.

The rate changes while nothing is sent.
"""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from ionspike.sim.bench import parameters
from ionspike.sim.streams import Stream, coin, reset

CLOCK_PS = 10_000
#: Clocks per bit that real lines have, among random ones.
USUAL = (4, 5, 8, 24, 208)


def rates(rng, count):
    """Clocks per bit: first all that are usual, then any."""
    most = 1 << parameters()["width"]
    rest = [rng.choice((rng.randint(4, 40), rng.randint(4, most))) for _ in range(count - len(USUAL))]
    return [*rng.sample(USUAL, len(USUAL)), *rest]


async def settle(dut, divisor):
    """Change the rate, and wait until the transmitter has it."""
    dut.last.value = divisor - 1
    await Timer((1 << parameters()["width"]) * CLOCK_PS, "ps")


async def watch(strobe, dut, seen):
    """Take note of every pulse."""
    while True:
        await RisingEdge(dut.clk)
        if strobe.value:
            seen.append(None)


@cocotb.test(timeout_time=200, timeout_unit="ms")
@cocotb.parametrize(drift=[-0.02, 0.0, 0.02])
async def receives(dut, drift):
    """Another clock drives the line, in random phase, with pauses, broken stop bits and breaks."""
    rng = random.Random(cocotb.RANDOM_SEED)
    o = Stream(dut, "o", driven=False)
    await reset(dut, last=3, rx=1, i__valid=0, i__payload=0)
    dut.o__ready.value = 1
    cocotb.start_soon(o.watch())
    errors, breaks = [], []
    cocotb.start_soon(watch(dut.error, dut, errors))
    cocotb.start_soon(watch(dut.broken, dut, breaks))

    expected, bad, broken = [], 0, 0
    for divisor in rates(rng, 14):
        await settle(dut, divisor)
        bit_ps = divisor * CLOCK_PS * (1 + drift)
        for _ in range(25):
            byte, stop = rng.randrange(256), rng.random() > 0.1
            for level in (0, *(byte >> k & 1 for k in range(8)), stop):
                dut.rx.value = int(level)
                await Timer(round(bit_ps), "ps")
            if not stop:
                bad += 1
                # The eighth sample after that of the stop bit tells; not where it would be close.
                more = rng.choice((rng.uniform(0, 6.5), rng.uniform(8.5, 14)))
                broken += more > 8
                await Timer(round(more * bit_ps), "ps")
            dut.rx.value = 1
            if stop:
                expected.append(byte)
            else:
                await Timer(round(12 * bit_ps), "ps")
            if rng.random() < 0.3:
                await Timer(rng.randrange(1, round(3 * bit_ps)), "ps")
        await Timer(round(2 * bit_ps), "ps")

    assert o.log == expected
    assert len(errors) == bad > broken == len(breaks) > 3


@cocotb.test(timeout_time=200, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.97])
async def sends(dut, stall):
    """A line that is sampled in the middle of every bit."""
    rng = random.Random(cocotb.RANDOM_SEED)
    i = Stream(dut, "i", driven=True)
    await reset(dut, last=3, rx=1, o__ready=0)
    for divisor in rates(rng, 12):
        await settle(dut, divisor)
        items = [rng.randrange(256) for _ in range(20)]
        cocotb.start_soon(i.put(items, idle=coin(rng, stall)))
        got = []
        while len(got) < len(items):
            while dut.tx.value:
                await FallingEdge(dut.clk)
            await Timer(divisor * CLOCK_PS // 2, "ps")
            bits = []
            for _ in range(9):
                await Timer(divisor * CLOCK_PS, "ps")
                bits.append(int(dut.tx.value))
            assert bits.pop() == 1, "a stop bit is missing"
            got.append(sum(bit << k for k, bit in enumerate(bits)))
        assert got == items
        await Timer(divisor * CLOCK_PS, "ps")


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def survives(dut):
    """Rates and levels that change at any time, impossible ones too; then all is as it was."""
    rng = random.Random(cocotb.RANDOM_SEED)
    i, o = Stream(dut, "i", driven=True), Stream(dut, "o", driven=False)
    await reset(dut, last=3, rx=1, o__ready=1)
    cocotb.start_soon(i.put([rng.randrange(256) for _ in range(100)], idle=coin(rng, 0.9)))
    for _ in range(500):
        dut.last.value = rng.randrange(1 << parameters()["width"])
        dut.rx.value = rng.getrandbits(1)
        await Timer(rng.randrange(1, 300) * CLOCK_PS, "ps")
    dut.rx.value = 1
    divisor = 8
    await settle(dut, divisor)
    await Timer(12 * (1 << parameters()["width"]) * CLOCK_PS, "ps")
    cocotb.start_soon(o.watch())
    for level in (0, 1, 0, 1, 0, 0, 1, 0, 1, 1):
        dut.rx.value = level
        await Timer(divisor * CLOCK_PS, "ps")
    await Timer(2 * divisor * CLOCK_PS, "ps")
    assert o.log == [sum(bit << k for k, bit in enumerate((1, 0, 1, 0, 0, 1, 0, 1)))]
