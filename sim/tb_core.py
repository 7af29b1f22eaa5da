"""Random networks in lockstep with the golden model: every word of every tick is compared.

Memories are read where they stand, between two ticks, which costs no clock: a tick may begin in
the first clock in which the core is idle. The LFSR's state after a tick stands for all its words,
since a leap loses nothing.
"""

import random
import re
from collections import Counter

import cocotb
import numpy as np
from cocotb.handle import ArrayObject
from cocotb.triggers import FallingEdge, RisingEdge

from ionspike.hdl.bus import READ_LATENCY
from ionspike.hdl.neuron import HELD
from ionspike.host.image import Image
from ionspike.sim.bench import parameters
from ionspike.sim.model import Model
from ionspike.sim.stimulus import random_events, random_image, random_seed
from ionspike.sim.streams import Stream, coin, reset
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Space


def memory(scope, name):
    """Handles of a memory's words; Verilog appends to a name that another signal has."""
    [array] = [handle for handle in list(scope) if isinstance(handle, ArrayObject)
               and re.fullmatch(rf"{name}(\$\d+)?", handle._name.strip("\\ "))]
    return [array[k] for k in range(len(array))]


def read(handles):
    return [handle.value.to_unsigned() for handle in handles]


def joined(words, axis_words):
    """Little-endian 16-bit words as one integer for every ``axis_words`` of them."""
    data = np.ascontiguousarray(words, "<u2").tobytes()
    size = 2 * axis_words
    return [int.from_bytes(data[at:at + size], "little") for at in range(0, len(data), size)]


class Bench:
    """Drives a core and checks it against a model."""

    def __init__(self, dut, shape: CoreShape, rng: random.Random):
        self.dut, self.shape, self.rng = dut, shape, rng
        self.events = Stream(dut, "events", driven=True)
        self.spikes = Stream(dut, "spikes", driven=False)
        self.groups = Stream(dut, "groups", driven=False)
        self.state = memory(dut, "state")
        self.accumulators = memory(dut.synapses, "accumulators")
        self.reach: Counter[str] = Counter()

    async def step(self, **inputs):
        """One clock with these inputs."""
        for name, value in inputs.items():
            getattr(self.dut, name).value = value
        await FallingEdge(self.dut.clk)

    async def pulse(self, name):
        await self.step(**{name: 1})
        getattr(self.dut, name).value = 0

    async def until_idle(self):
        if not self.dut.idle.value:
            await RisingEdge(self.dut.idle)
            await FallingEdge(self.dut.clk)

    async def load(self, image: Image, lfsr: int):
        dut = self.dut
        for name, value in image.registers.items():
            if name in HELD:
                await self.step(load=1 << HELD.index(name), bus__w_data=value)
            else:
                getattr(dut, name).value = value
        dut.load.value = 0
        await self.pulse("clear")
        await self.until_idle()
        dut.bus__write.value = 1
        for address, words in image.writes():
            space, offset = divmod(address, 1 << wire.OFFSET_BITS)
            if space == Space.REGISTERS:
                continue
            dut.bus__space.value = space
            for k, word in enumerate(words.tolist()):
                await self.step(bus__offset=offset + k, bus__w_data=word)
        dut.bus__write.value = 0
        for k in reversed(range(4)):
            await self.step(lfsr_load=1, bus__w_data=lfsr >> 16 * k & 0xFFFF)
        dut.lfsr_load.value = 0
        self.model = Model(image, [lfsr])
        self.counted = self.counters()

    def counters(self):
        return {"words": int(self.dut.words_total.value),
                "saturated": int(self.dut.saturated_total.value)}

    async def tick(self, inputs):
        dut, rng = self.dut, self.rng
        await self.pulse("start")
        sources = np.flatnonzero(inputs).tolist()
        stall = rng.choice([0.0, 0.0, 0.3, 0.8])
        idle = coin(rng, stall) if stall else None
        # The last event may come with the announcement that it is the last.
        await self.events.put(sources[:-1], idle=idle)
        dut.last_event.value = rng.randrange(2)
        await self.events.put(sources[-1:], idle=None)
        dut.last_event.value = 1
        await self.until_idle()
        dut.last_event.value = 0
        self.reach["empty ticks"] += not sources
        self.reach["paused events"] += stall > 0 and len(sources) > 1

    def check(self, inputs):
        dut, model = self.dut, self.model
        before, accumulated = model.state[0], model.accumulators[0]
        spikes = model.step(inputs[None])[0]
        state = model.state[0]
        where = f"tick {model.tick - 1}"
        assert int(dut.tick.value) == model.tick, where
        assert read(self.state[:model.image.neurons]) == joined(state, 3), where
        by_group = model.accumulators[0].view(np.uint16)
        groups = 1 << self.shape.group_bits
        padded = np.zeros((len(by_group), groups * self.shape.lanes), np.uint16)
        padded[:, :by_group.shape[1]] = by_group
        assert read(self.accumulators) == joined(padded, self.shape.lanes), where
        assert int(dut.lfsr.value) == int(model.lfsr[0]), where
        assert int(dut.digest.value) == int(model.digest[0]), where
        assert int(dut.spike_count.value) == spikes.sum(), where
        now = self.counters()
        assert {k: now[k] - self.counted[k] & 0xFFFF_FFFF for k in now} == model.counters, where
        self._note(before, accumulated, state, spikes)
        return spikes

    def _note(self, before, accumulated, state, spikes):
        was, on = before[:, 1] >> 15 != 0, state[:, 1] >> 15 != 0
        self.reach.update({
            "neuron-ticks": len(state), "ticks": 1, "spikes": int(spikes.sum()),
            "ticks with spikes": bool(spikes.any()), "off to on": int((on & ~was).sum()),
            "on to off": int((was & ~on).sum()), "stays on": int((was & on).sum()),
            "spikes that last": int(spikes[was].sum()),
            "f at 0": int((state[:, 0] == 0).sum()),
            "g at 0": int((state[:, 2] & 0xFFF == 0).sum()),
            "g at top": int((state[:, 2] & 0xFFF == 0xFFF).sum()),
            "accumulator at top": bool((self.model.accumulators == 0x7FFF).any()),
            "accumulator at bottom": bool((self.model.accumulators == -0x8000).any()),
            "delayed": bool(accumulated.any()),
        })

    async def collect(self, spikes):
        """The last tick's spikes, by either stream; some ticks go on without."""
        dut, rng = self.dut, self.rng
        choice = rng.randrange(4)
        if choice == 0:
            self.reach["next tick at once"] += 1
            return
        expand = choice != 1
        dut.expand.value = expand
        await self.pulse("rewind")
        options = {"idle": coin(rng, rng.choice([0.0, 0.5])), "patient": bool(rng.randrange(2))}
        if expand:
            expected = np.flatnonzero(spikes).tolist()
            got = await self.spikes.get(len(expected), **options)
        else:
            masks = np.packbits(spikes.reshape(-1, self.shape.lanes), axis=1, bitorder="little")
            expected = [int.from_bytes(mask.tobytes(), "little") | group << self.shape.lanes
                        for group, mask in enumerate(masks) if mask.any()]
            got = await self.groups.get(len(expected), **options)
        assert got == expected
        assert dut.spikes_done.value and not dut.spikes__valid.value and not dut.groups__valid.value
        dut.expand.value = 0
        self.reach["spikes by neuron" if expand else "spikes by group"] += bool(expected)
        self.reach["patient"] += options["patient"] and bool(expected)

    async def read_back(self, image: Image, words: int):
        """Some words of every memory through the bus, and none of the idle neurons touched."""
        padded = np.zeros((self.shape.neurons, wire.STATE_STRIDE), np.uint16)
        padded[:image.neurons, :3] = self.model.state[0]
        stride = self.shape.lanes << self.shape.group_bits
        accumulators = np.zeros((self.shape.delay_slots, stride), np.uint16)
        accumulators[:, :self.shape.neurons] = self.model.accumulators[0].view(np.uint16)
        expected = {wire.address(Space.STATE): padded.ravel(),
                    wire.address(Space.ACCUMULATORS): accumulators.ravel()}
        # The initial state is not what is there now.
        expected = {address: words for address, words in image.writes()
                    if address >> wire.OFFSET_BITS != Space.REGISTERS} | expected
        for address, contents in expected.items():
            self.dut.bus__space.value = address >> wire.OFFSET_BITS
            for k in self.rng.sample(range(len(contents)), min(words, len(contents))):
                self.dut.bus__offset.value = k
                for _ in range(READ_LATENCY):
                    await FallingEdge(self.dut.clk)
                assert int(self.dut.bus__r_data.value) == contents[k], (hex(address), k)


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def agrees_with_model(dut):
    given = parameters()
    shape = CoreShape(**given["shape"])
    rng = random.Random(cocotb.RANDOM_SEED)
    numbers = np.random.default_rng(cocotb.RANDOM_SEED)
    bench = Bench(dut, shape, rng)
    await reset(dut, **dict.fromkeys((
        "start", "last_event", "clear", "rewind", "expand", "lfsr_load", "bus__space",
        "bus__offset", "bus__write", "bus__w_data", "groups_used", "load",
        "spike_level", "r_noise", "sustained"), 0))
    for run in range(given["runs"]):
        image = random_image(numbers, shape, wild=run % 2 == 0,
                             density=given["density"])
        await bench.load(image, random_seed(numbers))
        for inputs in random_events(numbers, shape, given["ticks"]):
            await bench.tick(inputs)
            spikes = bench.check(inputs)
            await bench.collect(spikes)
        await bench.read_back(image, 200)
    dut._log.info("reached: %s", dict(bench.reach))
    for what in given["reach"]:
        assert bench.reach[what], f"the stimulus did not reach: {what}"
    assert bench.reach["neuron-ticks"] >= given["neuron_ticks"]
    assert 4 * bench.reach["ticks with spikes"] > bench.reach["ticks"]
    assert bench.reach["spikes"] - bench.reach["spikes that last"] < bench.reach["neuron-ticks"] / 4
