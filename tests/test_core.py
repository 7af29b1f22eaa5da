import numpy as np
import pytest
from amaranth import *

from ionspike.hdl.core import Core
from ionspike.host.image import Image
from ionspike.sim.lockstep import CoreDriver, check, simulate
from ionspike.sim.stimulus import random_events, random_image, random_seed
from ionspike.spec import formats as fmt
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape
from ionspike.spec.wire import OFFSET_BITS, Space

SMALL = CoreShape(neurons=16, inputs=8, words=16, delay_slots=4)


def image(rows, weights, groups_used=2):
    """Neurons that fire in the tick in which they get a weight of 10, and are off in the next.

    ``rows`` maps a source to the fields of its descriptor; neuron n is source ``8 + n``.
    """
    fanout = np.zeros(SMALL.sources, np.uint32)
    for source, fields in rows.items():
        values = {"base": 0, "first": 0, "length": 0, "delay": 0, "more": 0, "enable": 1, "narrow": 0, **fields}
        shift = 0
        for name, width in SMALL.descriptor_fields:
            fanout[source] |= np.uint32(values[name] << shift)
            shift += width
    # A drive of 10 << 14 >> 8 that the feedback makes more than the gap, and that is just enough
    # for a spike; all of it is lost at once.
    return Image(
        shape=SMALL, weights=np.array(weights, np.int8), fanout=fanout,
        registers={"groups_used": groups_used, "kf": 0xFFFF, "kr": 0, "kb": 0, "scale": 1 << 14,
                   "r_max": 0x7FFF, "spike_level": 10 << 6, "r_noise": 0, "sustained": 0},
        coefficients=np.full(8 * groups_used, 4095 | 4095 << 12, np.uint32),
        feedback=np.full(fmt.H_ENTRIES, 4095, np.uint16),
        noise=np.zeros(fmt.NOISE_ENTRIES, np.uint16))


def run(loaded, ticks):
    """Spikes of each tick, given the events of each."""
    core, found = Core(SMALL), []

    async def testbench(ctx):
        driver = CoreDriver(ctx, core)
        await driver.load(loaded)
        for events in ticks:
            await driver.tick(events)
            found.append(await driver.spikes())

    simulate(core, testbench)
    return found


ONE_HOT = np.eye(8, dtype=int) * 10


def test_an_event_makes_its_target_fire():
    # Input 3: the word that reaches lane 5 of group 1.
    assert run(image({3: {"base": 5, "first": 1}}, ONE_HOT), [[], [3], []]) == [[], [13], []]


def test_a_spike_travels_on_in_the_next_tick():
    rows = {0: {"base": 2}, 8 + 2: {"base": 4, "first": 1}, 8 + 12: {"base": 6, "delay": 2}}
    assert run(image(rows, ONE_HOT), [[0], [], [], [], [], []]) == [[2], [12], [], [], [6], []]


def test_delays_reach_every_slot():
    rows = {k: {"base": k, "delay": k} for k in range(4)}
    assert run(image(rows, ONE_HOT), [[0, 1, 2, 3], [], [], [], []]) == [[0], [1], [2], [3], []]


def test_only_groups_in_use_are_updated():
    rows = {0: {"base": 2}, 1: {"base": 2, "first": 1}}
    assert run(image(rows, ONE_HOT, groups_used=1), [[0, 1]]) == [[2]]


def test_a_tick_takes_a_clock_per_word_and_per_neuron():
    core, took = Core(SMALL), []
    loaded = image({0: {"base": 0, "length": 1}, 1: {"base": 2, "length": 1}}, np.zeros((8, 8)))

    async def testbench(ctx):
        driver = CoreDriver(ctx, core)
        await driver.load(loaded)
        for events in ([], [0, 1], [0, 1] * 10):
            took.append(await driver.tick(events))

    simulate(core, testbench)
    assert took[0] <= 16 + 25
    # The first word comes after the depth of the pipeline.
    assert took[1] - took[0] <= 4 + 3
    assert took[2] - took[1] == 36


def test_clear():
    core = Core(SMALL)
    loaded = image({0: {"base": 2}, 10: {"base": 4, "delay": 1}}, ONE_HOT)

    async def testbench(ctx):
        driver = CoreDriver(ctx, core)
        await driver.load(loaded)
        await driver.tick([0])
        await driver.tick([])
        ctx.set(core.clear, 1)
        await ctx.tick()
        ctx.set(core.clear, 0)
        await driver.until_idle()
        assert (ctx.get(core.tick), ctx.get(core.spike_count)) == (0, 0)
        assert await driver.spikes() == []
        assert set(await driver.read(Space.STATE, list(range(64)))) == {0}
        assert set(await driver.read(Space.ACCUMULATORS, list(range(64)))) == {0}
        # Nothing is left on its way.
        await driver.tick([])
        assert await driver.spikes() == []

    simulate(core, testbench)


def test_memories_read_back():
    core = Core(SMALL)
    rng = np.random.default_rng(1)
    loaded = random_image(rng, SMALL, wild=True)

    async def testbench(ctx):
        driver = CoreDriver(ctx, core)
        await driver.load(loaded)
        for address, words in loaded.writes():
            space, first = divmod(address, 1 << OFFSET_BITS)
            assert await driver.read(Space(space), list(range(first, first + len(words)))) == \
                words.tolist()
        # What is not there, and what is not the core's.
        assert await driver.read(9, [0, 1, 2]) == await driver.read(
            Space.REGISTERS, [0, 10, 32]) == [0, 0, 0]
        assert await driver.read(Space.STATE, [3, 7]) == [0, 0]

    simulate(core, testbench)


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("lanes", [8, 16])
def test_agrees_with_model(hot, lanes):
    shape = CoreShape(neurons=2 * lanes, inputs=lanes, words=32, lanes=lanes)
    rng = np.random.default_rng(lanes + hot)
    loaded = random_image(rng, shape, wild=True, hot=hot)
    model = check(loaded, random_seed(rng), random_events(rng, shape, 25))
    assert model.counters["words"]


REACH = (
    "spikes", "off to on", "on to off", "stays on", "spikes that last", "f at 0", "g at 0", "g at top",
    "accumulator at top", "accumulator at bottom", "delayed", "empty ticks", "paused events",
    "next tick at once", "spikes by group", "spikes by neuron", "patient")


class CountedCore(Core):
    """A core whose strobes are counted, so that its bench need not wake at every clock."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        words, saturated = Signal(32, name="words_total"), Signal(32, name="saturated_total")
        m.d.sync += [words.eq(words + self.word), saturated.eq(saturated + self.saturated)]
        return m


@pytest.mark.parametrize("shape, density, runs, ticks, neuron_ticks", [
    (CoreShape(neurons=16, inputs=32, words=64, delay_slots=2), 0.5, 16, 100, 10_000),
    (CoreShape(neurons=80, inputs=48, words=1024, lanes=16, delay_slots=8), 0.5, 8, 200, 50_000),
    (DEFAULT_SHAPE, 0.2, 4, 700, 1_000_000),
], ids=lambda value: f"{value.neurons}x{value.lanes}" if isinstance(value, CoreShape) else "")
def test_cocotb(run_cocotb, shape, density, runs, ticks, neuron_ticks):
    run_cocotb(CountedCore(shape), "ionspike.sim.tb_core", seed=runs, parameters={
        "shape": {name: getattr(shape, name) for name in (
            "neurons", "inputs", "lanes", "words", "delay_slots")},
        "density": density, "runs": runs, "ticks": ticks, "neuron_ticks": neuron_ticks, "reach": REACH})
