"""Random rows and events at full speed, against :class:`ionspike.sim.synapse.Fanout`."""

import random
from collections import Counter
from itertools import pairwise

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from ionspike.sim.bench import parameters
from ionspike.sim.stimulus import random_image
from ionspike.sim.streams import Stream, coin, reset
from ionspike.sim.synapse import Fanout, rows
from ionspike.spec.shape import CoreShape


def broken(image, source, found):
    """Whether a source has no row, or its chain leads to a descriptor without one."""
    more = image.shape.mask("more")
    return not found or int(image.fanout[source + len(found) - 1]) & more > 0


def clocks(image, sources):
    """What the contract allows: a clock per word, per stall, and per descriptor without a row."""
    apart = 3 if image.shape.lanes > 8 else 2       # clocks between two words for one group
    now, stalls, issued = 0, 0, {}
    for source in sources:
        found = rows(image, source)
        for _, first, length, delay, _ in found:
            for group in range(first, first + length):
                free = issued.get((group, delay), -apart) + apart
                stalls += max(0, free - now)
                now = max(now, free)
                issued[group, delay] = now
                now += 1
        now += broken(image, source, found)
    return now, stalls


async def load(dut, image):
    dut.access.value = 1
    for k, word in enumerate(image.fanout.tolist()):
        for half in range(2):
            dut.bus_addr.value, dut.fanout_write.value = k, 1 << half
            dut.w_data.value = word >> 16 * half & 0xFFFF
            await FallingEdge(dut.clk)
    dut.fanout_write.value = 0
    for k, weights in enumerate(image.weights.view(np.uint16)):
        for part, word in enumerate(weights.tolist()):
            dut.bus_addr.value, dut.weight_write.value, dut.w_data.value = k, 1 << part, word
            await FallingEdge(dut.clk)
    dut.weight_write.value = 0
    dut.access.value = 0


async def accumulators(dut, shape):
    """All of them through the read port, a clock after the address."""
    found = np.zeros((shape.delay_slots, shape.neurons), np.int64)
    for slot in range(shape.delay_slots):
        for group in range(shape.groups):
            dut.acc_slot.value, dut.acc_group.value = slot, group
            await FallingEdge(dut.clk)
            value = dut.acc_data.value.to_unsigned()
            for lane in range(shape.lanes):
                word = value >> 16 * lane & 0xFFFF
                found[slot, group * shape.lanes + lane] = word - (word >> 15 << 16)
    return found.tolist()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def agrees_with_model(dut):
    given = parameters()
    shape = CoreShape(**given["shape"])
    rng, numbers = random.Random(cocotb.RANDOM_SEED), np.random.default_rng(cocotb.RANDOM_SEED)
    events = Stream(dut, "i", driven=True)
    await reset(dut, **dict.fromkeys((
        "slot", "acc_slot", "acc_group", "clear", "clear_slot", "clear_group", "access",
        "bus_addr", "fanout_write", "weight_write", "w_data"), 0))
    reach, added, clamped = Counter(), 0, 0

    async def count():
        nonlocal added, clamped
        while True:
            await FallingEdge(dut.clk)
            added += int(dut.word.value)
            clamped += int(dut.saturated.value)

    cocotb.start_soon(count())
    for run in range(given["runs"]):
        image = random_image(numbers, shape, wild=True, hot=run % 2 == 0, density=0.8)
        await load(dut, image)
        model = Fanout(image, 1)
        for slot in range(shape.delay_slots):
            for group in range(shape.groups):
                dut.clear.value = 1
                dut.clear_slot.value, dut.clear_group.value = slot, group
                await FallingEdge(dut.clk)
        dut.clear.value = 0
        for tick in range(given["ticks"]):
            dut.slot.value = tick % shape.delay_slots
            chosen = numbers.random(shape.sources) < rng.choice([0.0, 0.1, 1.0])
            before = added, clamped
            stall = rng.choice([0.0, 0.0, 0.5])
            sources = np.flatnonzero(chosen).tolist()
            sender = cocotb.start_soon(events.put(
                sources, idle=coin(rng, stall) if stall else None))
            # From the first event's arrival to rest.
            spent = 0
            while True:
                await FallingEdge(dut.clk)
                spent += 1
                if sender.done() and dut.idle.value:
                    break
            found = [rows(image, source) for source in sources]
            if not stall:
                allowed, stalls = clocks(image, sources)
                assert allowed <= spent <= allowed + 5, (allowed, spent)
                reach["stalls"] += stalls
            reach["chained"] += sum(len(f) > 1 for f in found)
            reach["empty"] += sum(not f for f in found)
            reach["delayed"] += sum(row.delay > 0 for f in found for row in f)
            reach["narrow"] += sum(row.narrow for f in found for row in f)
            reach["narrow after wide"] += sum(row.narrow > before.narrow for f in found
                                              for before, row in pairwise(f))
            reach["narrow of odd length"] += sum(row.narrow and row.length % 2 for f in found for row in f)
            reach["paused"] += stall > 0 and len(sources) > 0
            words, saturated = model.add(chosen[None, :shape.inputs],
                                         chosen[None, shape.inputs:], tick)
            assert await accumulators(dut, shape) == model.accumulators[0].tolist(), (run, tick)
            assert (added - before[0], clamped - before[1]) == (words, saturated)
            reach["at top"] += int((model.accumulators == 0x7FFF).sum())
            reach["at bottom"] += int((model.accumulators == -0x8000).sum())
            # The core's sweep, by which the slot is free for later.
            for group in range(shape.groups):
                dut.clear.value = 1
                dut.clear_slot.value, dut.clear_group.value = tick % shape.delay_slots, group
                await FallingEdge(dut.clk)
            dut.clear.value = 0
            model.accumulators[:, tick % shape.delay_slots] = 0
    dut._log.info("reached: %s", dict(reach))
    for what in ("stalls", "chained", "empty", "delayed", "paused", "at top", "at bottom", "narrow",
                 "narrow after wide", "narrow of odd length"):
        assert reach[what], f"the stimulus did not reach: {what}"
