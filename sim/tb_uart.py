"""Random bytes for both halves of the UART, from and to a line that keeps time less well."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from ionspike.sim.bench import parameters
from ionspike.sim.streams import Stream, coin, reset

CLOCK_PS = 10_000


async def watch(dut, errors):
    """Take note of every framing error."""
    while True:
        await RisingEdge(dut.clk)
        if dut.error.value:
            errors.append(None)


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(drift=[-0.02, 0.0, 0.02])
async def receives(dut, drift):
    """Another clock drives the line, in random phase, with pauses and broken stop bits."""
    rng = random.Random(cocotb.RANDOM_SEED)
    bit_ps = parameters()["divisor"] * CLOCK_PS * (1 + drift)
    o = Stream(dut, "o", driven=False)
    await reset(dut, rx=1, i__valid=0, i__payload=0)
    dut.o__ready.value = 1
    cocotb.start_soon(o.watch())
    errors = []
    cocotb.start_soon(watch(dut, errors))

    expected, broken = [], 0
    for _ in range(300):
        byte, stop = rng.randrange(256), rng.random() > 0.05
        for level in (0, *(byte >> k & 1 for k in range(8)), stop):
            dut.rx.value = int(level)
            await Timer(round(bit_ps), "ps")
        dut.rx.value = 1
        if stop:
            expected.append(byte)
        else:
            broken += 1
            await Timer(round(12 * bit_ps), "ps")
        if rng.random() < 0.3:
            await Timer(rng.randrange(1, round(3 * bit_ps)), "ps")
    await Timer(round(2 * bit_ps), "ps")

    assert o.log == expected
    assert len(errors) == broken > 3


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.97])
async def sends(dut, stall):
    """A line that is sampled in the middle of every bit."""
    rng = random.Random(cocotb.RANDOM_SEED)
    divisor = parameters()["divisor"]
    items = [rng.randrange(256) for _ in range(200)]
    i = Stream(dut, "i", driven=True)
    await reset(dut, rx=1, o__ready=0)
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
