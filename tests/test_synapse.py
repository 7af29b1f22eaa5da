import numpy as np
import pytest
from amaranth.sim import Simulator

from ionspike.hdl.synapse import Synapses
from ionspike.spec.shape import CoreShape

SHAPE = CoreShape(neurons=64, inputs=16, words=256, delay_slots=4)


def descriptor(*, base=0, first=0, length=1, delay=0, more=0, enable=1, narrow=0):
    values = {"base": base, "first": first, "length": length - 1, "delay": delay, "more": more,
              "enable": enable, "narrow": narrow}
    word = shift = 0
    for name, width in SHAPE.descriptor_fields:
        word |= values[name] << shift
        shift += width
    return word


def run(descriptors, weights, events, *, slot=0):
    """Accumulators ``[slots, neurons]`` after the events, the clocks in which words were added, and
    how many additions were clamped.

    ``descriptors`` by source, ``weights`` ``[words, lanes]`` from word 0 on.
    """
    dut = Synapses(SHAPE)
    found = np.zeros((SHAPE.delay_slots, SHAPE.neurons), int)
    words, clamped = [], []

    async def testbench(ctx):
        ctx.set(dut.access, 1)
        for source, word in descriptors.items():
            for half in range(2):
                ctx.set(dut.bus_addr, source)
                ctx.set(dut.fanout_write, 1 << half)
                ctx.set(dut.w_data, word >> 16 * half & 0xFFFF)
                await ctx.tick()
        ctx.set(dut.fanout_write, 0)
        for k, row in enumerate(np.array(weights, np.int8).view(np.uint16)):
            for part, word in enumerate(row.tolist()):
                ctx.set(dut.bus_addr, k)
                ctx.set(dut.weight_write, 1 << part)
                ctx.set(dut.w_data, word)
                await ctx.tick()
        ctx.set(dut.weight_write, 0)
        ctx.set(dut.access, 0)
        ctx.set(dut.slot, slot)
        queue, clock = list(events), 0
        while queue or not ctx.get(dut.idle) or ctx.get(dut.word):
            ctx.set(dut.i.valid, bool(queue))
            if queue:
                ctx.set(dut.i.payload, queue[0])
                if ctx.get(dut.i.ready):
                    queue.pop(0)
            await ctx.tick()
            clock += 1
            if ctx.get(dut.word):
                words.append(clock)
                clamped.append(ctx.get(dut.saturated))
        for k in range(SHAPE.delay_slots):
            for group in range(SHAPE.groups):
                ctx.set(dut.acc_slot, k)
                ctx.set(dut.acc_group, group)
                await ctx.tick()
                found[k, 8 * group:8 * group + 8] = [
                    ctx.get(dut.acc_data[lane]) for lane in range(8)]

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return found, words, sum(clamped)


def consecutive(words):
    return [b - a for a, b in zip(words, words[1:], strict=False)]


def test_a_row_goes_to_its_groups_and_its_slot():
    weights = [[10 * k + lane for lane in range(8)] for k in range(4)]
    found, *_ = run({3: descriptor(base=1, first=5, length=3, delay=2)}, weights, [3], slot=3)
    expected = np.zeros_like(found)
    # Slot (3 + 2) mod 4, and groups 5 to 7.
    expected[1, 40:64] = np.ravel(weights[1:4])
    assert found.tolist() == expected.tolist()


def test_chained_rows_belong_to_one_source():
    weights = [[1] * 8, [2] * 8, [4] * 8]
    rows = {0: descriptor(base=0, more=1), 1: descriptor(base=1, first=1, more=1),
            2: descriptor(base=2, first=1), 3: descriptor(base=2, first=2)}
    assert run(rows, weights, [0])[0][0, :32:8].tolist() == [1, 6, 0, 0]
    assert run(rows, weights, [1, 3])[0][0, :32:8].tolist() == [0, 6, 4, 0]


def test_a_source_without_a_row_ends_a_chain():
    rows = {0: descriptor(more=1), 1: descriptor(first=1, more=1, enable=0),
            2: descriptor(first=2)}
    assert run(rows, [[1] * 8], [0])[0][0, :32:8].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("weight, limit", [(127, 32767), (-128, -32768)])
def test_saturates(weight, limit):
    found, _, clamped = run({0: descriptor()}, [[weight, -weight // 2] * 4], [0] * 300)
    assert found[0, :8].tolist() == [limit, -weight // 2 * 300 if weight < 0 else -64 * 300] * 4
    # 258 or 256 additions fit.
    assert clamped == 4 * (300 - limit // weight)


def test_one_word_per_clock_from_event_to_event():
    # Rows of one word for different groups: a new descriptor every clock.
    single = {k: descriptor(base=k, first=k % 8) for k in range(16)}
    _, words, _ = run(single, [[1] * 8] * 16, list(range(16)) * 4)
    assert len(words) == 64 and set(consecutive(words)) == {1}
    # Long rows, chained or not.
    full = {k: descriptor(base=8 * k, length=8, more=k % 2) for k in range(16)}
    _, words, _ = run(full, [[1] * 8] * 128, range(0, 16, 2))
    assert len(words) == 64 and set(consecutive(words)) == {1}


def test_two_words_for_one_group_cost_a_clock_more():
    rows = {0: descriptor(), 1: descriptor(delay=1)}
    assert consecutive(run(rows, [[1] * 8], [0, 0, 0, 0])[1]) == [2, 2, 2]
    # Another slot is another place.
    assert consecutive(run(rows, [[1] * 8], [0, 1, 0, 1])[1]) == [1, 1, 1]


def test_a_source_without_a_row_costs_a_clock():
    rows = {0: descriptor(), 1: descriptor(enable=0), 2: descriptor(first=1)}
    assert consecutive(run(rows, [[1] * 8], [0, 1, 2, 1, 1, 0])[1]) == [2, 3]


def test_a_narrow_row_has_two_groups_in_a_word():
    low, high = np.arange(-8, 8)[:8], np.arange(-8, 8)[8:]
    weights = [(low & 15) | high * 16, (high & 15) | low * 16, [5] * 8]
    rows = {0: descriptor(first=1, length=3, narrow=1, more=1), 1: descriptor(base=2, first=5, length=2)}
    found, words, _ = run(rows, [*weights, [6] * 8], [0])
    expected = np.zeros_like(found)
    expected[0, 8:32] = np.concatenate([low, high, high]) * 16
    # The row after an odd one begins with all of its own word.
    expected[0, 40:56] = [5] * 8 + [6] * 8
    assert found.tolist() == expected.tolist() and set(consecutive(words)) == {1}


def test_narrow_rows_come_at_full_speed_and_wait_as_others_do():
    full = {k: descriptor(base=4 * k, length=8, narrow=1, more=k % 2) for k in range(16)}
    _, words, _ = run(full, [[0x11] * 8] * 64, range(0, 16, 2))
    assert len(words) == 64 and set(consecutive(words)) == {1}
    # While it waits the half that comes next stays the same.
    rows = {0: descriptor(), 1: descriptor(base=1, length=2, narrow=1)}
    found, words, _ = run(rows, [[1] * 8, [0x23] * 8], [0, 1, 1])
    assert found[0, :16].tolist() == [1 + 2 * 0x30] * 8 + [2 * 0x20] * 8 and consecutive(words) == [2, 1, 1, 1]


@pytest.mark.parametrize("lanes, slots", [(8, 2), (16, 8)])
def test_cocotb(run_cocotb, lanes, slots):
    shape = CoreShape(neurons=4 * lanes, inputs=2 * lanes, words=64, lanes=lanes, delay_slots=slots)
    run_cocotb(Synapses(shape), "ionspike.sim.tb_synapse", seed=1, parameters={
        "shape": {name: getattr(shape, name) for name in (
            "neurons", "inputs", "lanes", "words", "delay_slots")}, "runs": 8, "ticks": 20})
