"""Random loads and advances, against both golden models of the LFSR."""

import random

import cocotb
from cocotb.triggers import FallingEdge

from ionspike.sim.lfsr import LFSR, leap
from ionspike.sim.streams import reset


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def agrees_with_model(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    await reset(dut, advance=0, load=0, data=0)
    state, loads, words, stuck = 1, 0, 0, 0
    for _ in range(300):
        if rng.random() < 0.2:
            # Whole states and parts of one, and sometimes nothing but zeros.
            zeros = rng.random() < 0.3
            dut.load.value = 1
            for _ in range(rng.choice([1, 3, 4, 4])):
                dut.data.value = data = 0 if zeros else rng.getrandbits(16)
                state = state << 16 & (1 << 64) - 1 | data
                await FallingEdge(dut.clk)
                stuck += state == 0
            dut.load.value = 0
            dut.data.value = rng.getrandbits(16)
            loads += 1
        assert int(dut.state.value) == state
        model = LFSR([state])
        for word in model.take(rng.choice([0, 1, 5, 70]))[0].tolist():
            dut.advance.value = 1
            await FallingEdge(dut.clk)
            state = leap(state)
            assert int(dut.state.value) == state
            assert state & 0xFFFF == word
            words += 1
            if rng.random() < 0.2:
                dut.advance.value = 0
                await FallingEdge(dut.clk)
                assert int(dut.state.value) == state, "it rests"
        dut.advance.value = 0
    assert loads > 30 and words > 2000 and stuck
