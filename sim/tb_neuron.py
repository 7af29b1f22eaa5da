"""Random neurons through the pipeline, against :class:`ionspike.sim.neuron.Neuron`."""

import random
from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from ionspike.hdl.neuron import LATENCY
from ionspike.sim.bench import parameters
from ionspike.sim.neuron import Neuron, State
from ionspike.sim.stimulus import edges
from ionspike.sim.streams import reset
from ionspike.spec import formats as fmt

_REGISTERS = (("kf", fmt.KF_BITS), ("kr", fmt.KR_BITS), ("kb", fmt.KB_BITS),
              ("scale", fmt.SCALE_BITS), ("r_max", fmt.R_HIGH_BITS))


async def load(dut, feedback, noise):
    """Fill both tables, and read them back."""
    dut.access.value = 1
    for strobe, data, table in (("feedback_write", dut.feedback_data, feedback),
                                ("aux_write", dut.aux_data, noise)):
        getattr(dut, strobe).value = 1
        for k, word in enumerate(table.tolist()):
            dut.table_addr.value, dut.w_data.value = k, word
            await FallingEdge(dut.clk)
        getattr(dut, strobe).value = 0
        for k, word in enumerate(table.tolist()):
            dut.table_addr.value = k
            await FallingEdge(dut.clk)
            assert int(data.value) == word, (strobe, k)
    dut.access.value = 0


def draw(rng, count, registers):
    """Neurons ``(state words, coefficients, accumulators, LFSR words)``; half are at a threshold."""
    words = edges(rng, 16, (count, 3))
    per_neuron = (edges(rng, fmt.KG_BITS, count) | edges(rng, fmt.MU_BITS, count) << 12
                  | edges(rng, fmt.THETA_BITS, count) << 24).astype(np.uint32)
    # As often small, which leaves the drive between its limits, as anything.
    acc = np.where(rng.random(count) < 0.5, edges(rng, fmt.ACC_BITS, count) - (1 << 15),
                   rng.integers(-1, (1 << 20) // (registers["scale"] + 1) + 1, count)
                   ).clip(-(1 << 15), (1 << 15) - 1)
    limited = rng.random(count) < 0.1
    words[limited, 1] = words[limited, 1] & 0x8000 | registers["r_max"]
    # Near the point where filament and residue meet.
    near = rng.random(count) < 0.5
    theta = (per_neuron >> 24).astype(np.uint8).view(np.int8).astype(np.int64)
    gap = fmt.ONE + (theta << fmt.THETA_SHIFT) - (words[:, 1] & 0x7FFF)
    words[near, 0] = (gap + rng.integers(-300, 301, count)).clip(0, 0xFFFF)[near]
    return (words.astype(np.uint16), per_neuron, acc.astype(np.int32),
            rng.integers(0, 1 << fmt.LFSR_LEAP, (1, count)).astype(np.uint16))


def packed(words, per_neuron, acc):
    """The integers of ``hdl.neuron.NeuronInput``."""
    s = words.astype(np.uint64)
    low = s[:, 0] | s[:, 1] << np.uint64(16) | s[:, 2] << np.uint64(32)
    high = per_neuron.astype(np.uint64) | (acc.astype(np.int64) & 0xFFFF).astype(
        np.uint64) << np.uint64(32)
    return [a | b << 48 for a, b in zip(low.tolist(), high.tolist(), strict=True)]


def expect(words, per_neuron, acc, random_words, registers, feedback, noise):
    """``(spike, state)`` of every neuron from the golden model."""
    state = State.from_words(words[None])
    spikes = Neuron(registers, per_neuron, feedback, noise).step(state, acc[None], random_words)
    new = state.words()[0].astype(np.uint64)
    joined = new[:, 0] | new[:, 1] << np.uint64(16) | new[:, 2] << np.uint64(32)
    return list(zip(spikes[0].tolist(), joined.tolist(), strict=True)), state


async def stream(dut, inputs, random_words, gap, rng):
    """Feed inputs with gaps of that probability; the outputs, and their distances in clocks."""
    words = iter(random_words[0].tolist())
    outputs, waits, sent, clock = [], [], [], 0
    pending = iter(inputs)
    value = next(pending)
    while len(outputs) < len(inputs):
        valid = value is not None and rng.random() >= gap
        dut.i_valid.value = valid
        # What lies at the input without being valid must not matter.
        dut.i.value = value if valid else rng.getrandbits(96)
        await RisingEdge(dut.clk)
        if valid:
            sent.append(clock)
            value = next(pending, None)
        if dut.o_valid.value:
            outputs.append((bool(dut.spike.value), dut.o.value.to_unsigned()))
            waits.append(clock - sent[len(outputs) - 1])
        asked = bool(dut.advance.value)
        clock += 1
        await FallingEdge(dut.clk)
        # The LFSR's part: the word is there in the clock after it was asked for, and no longer.
        dut.word.value = next(words) if asked else rng.getrandbits(16)
    assert next(words, None) is None, "one word for each neuron"
    return outputs, waits


def note(reach, before, after, acc, registers, spikes):
    volts = acc.astype(np.int64) * registers["scale"] >> fmt.SCALE_SHIFT
    was = State.from_words(before)
    on = after.on[0]
    r_high = after.r[0] >> fmt.R_LOW_BITS
    reach.update({name: int(np.count_nonzero(where)) for name, where in {
        "spike": spikes, "off to on": on & ~was.on, "on to off": was.on & ~on,
        "stays on": on & was.on, "stays off": ~on & ~was.on,
        "drive below 0": volts < 0, "drive above top": volts > 4095,
        "drive between": (volts > 0) & (volts < 4095), "charges": after.g[0] > was.g,
        "g at 0": after.g[0] == 0, "g at top": after.g[0] == 4095,
        "f at 0": after.f[0] == 0, "r at 0": after.r[0] == 0,
        "r at r_max": (r_high == registers["r_max"]) & (after.r[0] & 15 == 15),
        "r just below": (r_high == registers["r_max"]) & (after.r[0] & 15 < 15),
    }.items()})


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def agrees_with_model(dut):
    given = parameters()
    rng, numbers = random.Random(cocotb.RANDOM_SEED), np.random.default_rng(cocotb.RANDOM_SEED)
    await reset(dut, **dict.fromkeys((
        "i_valid", "i", "kf", "kr", "kb", "scale", "r_max", "word", "access", "table_addr",
        "feedback_write", "aux_write", "w_data"), 0))
    reach = Counter()
    for run in range(given["runs"]):
        registers = {name: int(edges(numbers, bits, 1)[0]) for name, bits in _REGISTERS}
        feedback = edges(numbers, fmt.H_BITS, fmt.H_ENTRIES).astype(np.uint16)
        noise = edges(numbers, fmt.NOISE_BITS, fmt.NOISE_ENTRIES).astype(np.uint16)
        if run % 2:
            # Small losses and little noise let the rest of the equations be seen.
            noise >>= 11
            registers["kf"] >>= 6
        await load(dut, feedback, noise)
        for name, value in registers.items():
            getattr(dut, name).value = value
        for gap in (0.0, 0.5) if run % 4 == 0 else (0.0,):
            drawn = draw(numbers, given["neurons"], registers)
            expected, state = expect(*drawn, registers, feedback, noise)
            outputs, waits = await stream(dut, packed(*drawn[:3]), drawn[3], gap, rng)
            assert outputs == expected
            assert set(waits) == {LATENCY}
            note(reach, drawn[0], state, drawn[2], registers, [spike for spike, _ in expected])
            reach["updates"] += len(outputs)
    dut._log.info("reached: %s", dict(reach))
    for what in ("spike", "off to on", "on to off", "stays on", "stays off", "drive below 0",
                 "drive above top", "drive between", "charges", "g at 0", "g at top", "f at 0",
                 "r at 0", "r at r_max", "r just below"):
        assert reach[what], f"the stimulus did not reach: {what}"
    assert reach["updates"] >= given["updates"]
