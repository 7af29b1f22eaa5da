"""Random ticks through the spike buffer, and random groups through the expander."""

import random

import cocotb
from cocotb.triggers import FallingEdge

from ionspike.sim.bench import parameters
from ionspike.sim.streams import Stream, coin, reset


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def buffer(dut):
    lanes, groups = parameters()["lanes"], parameters()["groups"]
    rng = random.Random(cocotb.RANDOM_SEED)
    output = Stream(dut, "o", driven=False)
    await reset(dut, begin=0, i_valid=0, i=0, rewind=0)

    async def pulse(name):
        getattr(dut, name).value = 1
        await FallingEdge(dut.clk)
        getattr(dut, name).value = 0

    reached = set()
    for _ in range(60):
        await pulse("begin")
        used = rng.choice([1, groups // 2, groups])
        rate, gap = rng.choice([0.0, 0.02, 0.3, 1.0]), rng.choice([0.0, 0.5])
        fired = [rng.random() < rate for _ in range(lanes * used)]
        for spike in fired:
            while rng.random() < gap:
                dut.i.value = rng.getrandbits(1)
                await FallingEdge(dut.clk)
            dut.i_valid.value, dut.i.value = 1, spike
            await FallingEdge(dut.clk)
            dut.i_valid.value = 0
        await FallingEdge(dut.clk)
        assert int(dut.count.value) == sum(fired)
        masks = [sum(fired[g * lanes + k] << k for k in range(lanes)) for g in range(used)]
        expected = [mask | g << lanes for g, mask in enumerate(masks) if mask]
        for again in range(rng.choice([1, 2, 3])):
            await pulse("rewind")
            # Read to its end, or rewound half way.
            count = rng.choice([len(expected), len(expected) // 2])
            options = {"idle": coin(rng, rng.choice([0, 0.6])), "patient": bool(rng.getrandbits(1))}
            assert await output.get(count, **options) == expected[:count]
            if count == len(expected):
                assert dut.done.value and not dut.o__valid.value
            reached.add((len(expected) in (0, used), count < len(expected), again > 0))
    assert len(reached) > 5 and max(reached) == (True, True, True)


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.5], patient=[False, True])
async def expander(dut, stall, patient):
    lanes, groups = parameters()["lanes"], parameters()["groups"]
    rng = random.Random(cocotb.RANDOM_SEED)
    given, output = Stream(dut, "i", driven=True), Stream(dut, "o", driven=False)
    await reset(dut)
    items = [(rng.randrange(groups), rng.choice([1 << rng.randrange(lanes), (1 << lanes) - 1,
                                                 rng.randrange(1, 1 << lanes)]))
             for _ in range(200)]
    expected = [group * lanes + k for group, mask in items for k in range(lanes) if mask >> k & 1]
    sender = cocotb.start_soon(given.put(
        [mask | group << lanes for group, mask in items], idle=coin(rng, stall)))
    assert await output.get(len(expected), idle=coin(rng, stall), patient=patient) == expected
    await sender
    assert dut.idle.value
