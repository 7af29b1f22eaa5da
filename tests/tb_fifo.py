"""Bench of a stream buffer, to try the bench runner and the stream driver themselves."""

import random

import cocotb

from ionspike.sim.bench import parameters
from ionspike.sim.streams import Stream, coin, reset


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.5], patient=[False, True])
async def passes_everything(dut, stall, patient):
    rng = random.Random(cocotb.RANDOM_SEED)
    items = [rng.randrange(256) for _ in range(200)]
    i, o = Stream(dut, "i", driven=True), Stream(dut, "o", driven=False)
    await reset(dut)
    cocotb.start_soon(o.watch())
    cocotb.start_soon(i.put(items, idle=coin(rng, stall)))
    assert await o.get(len(items), idle=coin(rng, stall), patient=patient) == items
    assert o.log == items


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def does_what_it_is_told(dut):
    await reset(dut)
    assert parameters() == {"fail": False}
