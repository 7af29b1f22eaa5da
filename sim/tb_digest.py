"""Random states through the digest, against :func:`ionspike.sim.digest.digest`."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from ionspike.sim.digest import digest
from ionspike.sim.streams import reset


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def agrees_with_model(dut):
    rng, numbers = random.Random(cocotb.RANDOM_SEED), np.random.default_rng(cocotb.RANDOM_SEED)
    await reset(dut, begin=0, i_valid=0, i=0)
    for count in (0, 1, 2, 3, 33, 100, 512):
        for gap in (0.0, 0.5):
            words = numbers.integers(0, 1 << 16, (count, 3)).astype(np.uint16)
            dut.begin.value, dut.i.value = 1, rng.getrandbits(48)
            await FallingEdge(dut.clk)
            dut.begin.value = 0
            for k, (a, b, c) in enumerate(words.tolist()):
                while rng.random() < gap:
                    dut.i.value = rng.getrandbits(48)
                    await FallingEdge(dut.clk)
                dut.i_valid.value, dut.i.value = 1, a | b << 16 | c << 32
                await FallingEdge(dut.clk)
                dut.i_valid.value = 0
                if k < 40:
                    assert int(dut.o.value) == int(digest(words[None, :k + 1])[0])
            expected = int(digest(words[None])[0]) if count else 0
            assert int(dut.o.value) == expected
