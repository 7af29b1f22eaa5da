"""Random neurons through the pipeline, against :class:`ionspike.sim.neuron.Neuron`."""

import random
from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from ionspike.hdl.neuron import HELD
from ionspike.sim.bench import parameters
from ionspike.sim.neuron import Neuron, State
from ionspike.sim.stimulus import edges
from ionspike.sim.streams import reset
from ionspike.spec import formats as fmt
from ionspike.spec.wire import register

_REGISTERS = ("kf", "kr", "kb", "scale", "r_max", "spike_level", "r_noise", "sustained")
#: What the stimulus has to reach, see `note`.
_REACH = (
    "spike", "spike that lasts", "stays on in silence", "off to on", "on to off", "stays on", "stays off", "drive below 0",
    "drive above top", "drive between", "charges", "g at 0", "g at top", "f at 0", "r at 0",
    "r at r_max", "r just below", "bridged without output", "output without bridging",
    "output at the level", "none just below it", "noise takes r to 0", "noise takes r to r_max",
    "noise takes r below r_max", "stuck", "stuck spikes", "gap as short as it gets",
    "follows a falling drive", "keeps its gate above the drive")


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
    level = registers["spike_level"]
    per_neuron = (edges(rng, fmt.KG_BITS, count) | edges(rng, fmt.MU_BITS, count) << 12
                  | edges(rng, fmt.THETA_BITS, count) << 24).astype(np.uint32)
    # As often small, which leaves the drive between its limits, as anything.
    acc = np.where(rng.random(count) < 0.5, edges(rng, fmt.ACC_BITS, count) - (1 << 15),
                   rng.integers(-1, (1 << 20) // (registers["scale"] + 1) + 1, count)
                   ).clip(-(1 << 15), (1 << 15) - 1)
    # Residue at its limit and on either side of it, as far as noise takes it, and near zero.
    limited, least = np.split(rng.permutation(count)[:count // 5], 2)
    beside = (registers["r_max"] + rng.integers(-2, 3, len(limited))).clip(0, 0x7FFF)
    words[limited, 1] = words[limited, 1] & 0x8000 | beside
    words[least, 1] = words[least, 1] & 0x8000 | rng.integers(0, 4, len(least))
    # Gates that are at the spike's level, before or after what they lose.
    at_level = rng.random(count) < 0.2
    gate = (level + rng.integers(-1, 3, count)).clip(0, 0xFFF)
    words[at_level, 2] = (words[:, 2] & 0xF000 | gate)[at_level]
    per_neuron[at_level & (rng.random(count) < 0.5)] &= ~np.uint32(0xFFF)
    # Near the point where filament and residue meet.
    near = rng.random(count) < 0.5
    gap = limits(per_neuron) - (words[:, 1] & 0x7FFF)
    words[near, 0] = (gap + np.where(
        rng.random(count) < 0.8, rng.integers(-300, 301, count), rng.integers(-1, 2, count)
    )).clip(0, 0xFFFF)[near]
    return (words.astype(np.uint16), per_neuron, acc.astype(np.int32),
            rng.integers(0, 1 << fmt.LFSR_LEAP, (1, count)).astype(np.uint16))


def limits(per_neuron):
    """What filament and residue have to bridge."""
    theta = (per_neuron >> 24).astype(np.uint8).view(np.int8).astype(np.int64)
    return np.where(theta == fmt.THETA_STUCK, 0, fmt.ONE + (theta << fmt.THETA_SHIFT))


def packed(words, per_neuron, acc):
    """The integers of ``hdl.neuron.NeuronInput``, each with what was accumulated."""
    s = words.astype(np.uint64)
    low = s[:, 0] | s[:, 1] << np.uint64(16) | s[:, 2] << np.uint64(32)
    return [(a | b << 48, c) for a, b, c in zip(low.tolist(), per_neuron.tolist(),
                                                (acc & 0xFFFF).tolist(), strict=True)]


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
    pending, value = iter(inputs), None
    while len(outputs) < len(inputs):
        # What lies at the input without being valid must not matter.
        dut.i_valid.value = valid = value is not None
        dut.i.value = value[0] if valid else rng.getrandbits(80)
        value = next(pending, None) if rng.random() >= gap else None
        dut.acc.value = value[1] if value is not None else rng.getrandbits(16)
        await RisingEdge(dut.clk)
        if valid:
            sent.append(clock)
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


def note(reach, before, per_neuron, acc, after, registers, spikes):
    volts = acc.astype(np.int64) * registers["scale"] >> fmt.SCALE_SHIFT
    was = State.from_words(before)
    on, level = after.on[0], registers["spike_level"]
    r_high, top = after.r[0] >> fmt.R_LOW_BITS, registers["r_max"] << fmt.R_LOW_BITS | 15
    # A filament that bridges is cut to the gap, others are shorter.
    bridged = after.f[0] >= (limits(per_neuron) - r_high).clip(0)
    stuck = limits(per_neuron) == 0
    # What is left of the residue, and the most that a filament can add to it.
    left = (was.r - ((was.r >> 3).astype(np.int64) * registers["kr"] >> fmt.KR_SHIFT) - 1).clip(0)
    most = 0xFFFF * registers["kb"] >> fmt.KB_SHIFT
    falls = volts.clip(0, 4095) < was.g
    reach.update({name: int(np.count_nonzero(where)) for name, where in {
        "spike": spikes, "spike that lasts": spikes & was.on,
        "stays on in silence": on & was.on & ~spikes, "off to on": on & ~was.on, "on to off": was.on & ~on,
        "stays on": on & was.on, "stays off": ~on & ~was.on,
        "drive below 0": volts < 0, "drive above top": volts > 4095,
        "drive between": (volts > 0) & (volts < 4095), "charges": after.g[0] > was.g,
        "g at 0": after.g[0] == 0, "g at top": after.g[0] == 4095,
        "f at 0": after.f[0] == 0, "r at 0": after.r[0] == 0,
        "r at r_max": (r_high == registers["r_max"]) & (after.r[0] & 15 == 15),
        "r just below": (r_high == registers["r_max"]) & (after.r[0] & 15 < 15),
        "bridged without output": bridged & ~on, "output without bridging": ~bridged & on,
        "output at the level": on & (after.g[0] == level),
        "none just below it": ~on & (after.g[0] == level - 1),
        "noise takes r to 0": (after.r[0] == 0) & (left > 0),
        "noise takes r to r_max": (after.r[0] == top) & (left + most < top),
        "noise takes r below r_max": (after.r[0] < top) & (left > top),
        "stuck": stuck & (after.f[0] == 0) & bridged, "stuck spikes": stuck & spikes,
        "gap as short as it gets": (per_neuron >> 24 == 0x81) & bridged & (after.f[0] > 0),
        "follows a falling drive": falls & stuck,
        "keeps its gate above the drive": falls & bridged & ~stuck,
    }.items()})


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def agrees_with_model(dut):
    given = parameters()
    rng, numbers = random.Random(cocotb.RANDOM_SEED), np.random.default_rng(cocotb.RANDOM_SEED)
    await reset(dut, **dict.fromkeys((
        "i_valid", "i", "acc", *(name for name in _REGISTERS if name not in HELD), "load", "word",
        "access", "table_addr", "feedback_write", "aux_write", "w_data"), 0))
    reach = Counter()
    for run in range(given["runs"]):
        registers = {name: int(edges(numbers, register(name).width, 1)[0])
                     for name in _REGISTERS}
        feedback = edges(numbers, fmt.H_BITS, fmt.H_ENTRIES).astype(np.uint16)
        noise = edges(numbers, fmt.NOISE_BITS, fmt.NOISE_ENTRIES).astype(np.uint16)
        if run % 2:
            # Small losses and little noise let the rest of the equations be seen.
            noise >>= 11
            registers["kf"] >>= 6
        if run % 3 == 0:
            # So does little that the filament adds to the residue.
            registers["kb"] >>= 12
        await load(dut, feedback, noise)
        for name, value in registers.items():
            if name in HELD:
                dut.load.value, dut.w_data.value = 1 << HELD.index(name), value
                await FallingEdge(dut.clk)
            else:
                getattr(dut, name).value = value
        dut.load.value = 0
        for gap in (0.0, 0.5) if run % 4 == 0 else (0.0,):
            drawn = draw(numbers, given["neurons"], registers)
            expected, state = expect(*drawn, registers, feedback, noise)
            outputs, waits = await stream(dut, packed(*drawn[:3]), drawn[3], gap, rng)
            assert outputs == expected
            assert set(waits) == {given["latency"]}
            note(reach, *drawn[:3], state, registers, np.array([spike for spike, _ in expected]))
            reach["updates"] += len(outputs)
    dut._log.info("reached: %s", dict(reach))
    for what in _REACH:
        assert reach[what], f"the stimulus did not reach: {what}"
    assert reach["updates"] >= given["updates"]
