"""Cores and interpreters in Amaranth's own simulator: slow, but there without a compiler."""

import numpy as np
from amaranth.sim import Simulator
from numpy.typing import NDArray

from ionspike.hdl.core import Core
from ionspike.hdl.engine import Engine
from ionspike.hdl.neuron import HELD
from ionspike.host.image import Image
from ionspike.sim.model import Model
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Space

__all__ = ["CoreDriver", "answer", "check", "simulate"]


def simulate(dut, *testbenches, clocks: int = 200_000) -> None:
    """Run testbenches, coroutines of a context, to their ends; a hang is an error."""
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for testbench in testbenches:
        sim.add_testbench(testbench)

    # A clock is two edges, and time stands still between some steps.
    for _ in range(8 * clocks):
        if not sim.advance():
            return
    raise TimeoutError(f"still running after {clocks} clocks")


class CoreDriver:
    """Does with a core in a testbench what an interpreter does."""

    def __init__(self, ctx, core: Core):
        self.ctx, self.core = ctx, core

    async def load(self, image: Image, lfsr: int = 1) -> None:
        ctx, core, bus = self.ctx, self.core, self.core.bus
        for name, value in image.registers.items():
            if name in HELD:
                ctx.set(core.load[name], 1)
                ctx.set(core.bus.w_data, value)
                await ctx.tick()
                ctx.set(core.load[name], 0)
            else:
                ctx.set(getattr(core, name), value)
        ctx.set(core.clear, 1)
        await ctx.tick()
        ctx.set(core.clear, 0)
        await self.until_idle()
        for address, words in image.writes():
            space, offset = divmod(address, 1 << wire.OFFSET_BITS)
            ctx.set(bus.space, space)
            # Registers are not the core's: it must not mind.
            ctx.set(bus.write, 1)
            for k, word in enumerate(words.tolist()):
                ctx.set(bus.offset, offset + k)
                ctx.set(bus.w_data, word)
                await ctx.tick()
        ctx.set(bus.write, 0)
        ctx.set(core.lfsr_load, 1)
        for k in reversed(range(4)):
            ctx.set(bus.w_data, lfsr >> 16 * k & 0xFFFF)
            await ctx.tick()
        ctx.set(core.lfsr_load, 0)

    async def until_idle(self) -> int:
        clocks = 0
        while not self.ctx.get(self.core.idle):
            await self.ctx.tick()
            clocks += 1
        return clocks

    async def tick(self, sources: list[int]) -> int:
        """Run a tick; returns the clocks it took from its start to rest."""
        ctx, core = self.ctx, self.core
        ctx.set(core.start, 1)
        await ctx.tick()
        ctx.set(core.start, 0)
        clocks = 1
        for source in sources:
            ctx.set(core.events.payload, source)
            ctx.set(core.events.valid, 1)
            while not ctx.get(core.events.ready):
                await ctx.tick()
                clocks += 1
            await ctx.tick()
            clocks += 1
        ctx.set(core.events.valid, 0)
        ctx.set(core.last_event, 1)
        clocks += await self.until_idle()
        ctx.set(core.last_event, 0)
        return clocks

    async def spikes(self) -> list[int]:
        ctx, core = self.ctx, self.core
        ctx.set(core.rewind, 1)
        ctx.set(core.expand, 1)
        await ctx.tick()
        ctx.set(core.rewind, 0)
        ctx.set(core.spikes.ready, 1)
        found = []
        while not ctx.get(core.spikes_done):
            if ctx.get(core.spikes.valid):
                found.append(ctx.get(core.spikes.payload))
            await ctx.tick()
        ctx.set(core.spikes.ready, 0)
        ctx.set(core.expand, 0)
        return found

    async def read(self, space: Space, offsets: list[int]) -> list[int]:
        ctx, bus, found = self.ctx, self.core.bus, []
        ctx.set(bus.space, space)
        for offset in offsets:
            ctx.set(bus.offset, offset)
            await ctx.tick().repeat(2)
            found.append(ctx.get(bus.r_data))
        return found


def check(image: Image, lfsr: int, raster: NDArray[np.bool_]) -> Model:
    """Run bool ``[ticks, inputs]`` on gateware and model; the first difference is an error."""
    shape = image.shape
    core, model = Core(shape), Model(image, [lfsr])

    async def testbench(ctx):
        driver = CoreDriver(ctx, core)
        await driver.load(image, lfsr)
        for tick, inputs in enumerate(raster):
            await driver.tick(np.flatnonzero(inputs).tolist())
            expected = np.flatnonzero(model.step(inputs[None])[0]).tolist()
            assert await driver.spikes() == expected, tick
            assert ctx.get(core.spike_count) == len(expected), tick
            assert ctx.get(core.tick) == tick + 1
            assert ctx.get(core.lfsr) == int(model.lfsr[0]), tick
            assert ctx.get(core.digest) == int(model.digest[0]), tick
        offsets = [4 * n + k for n in range(image.neurons) for k in range(3)]
        assert await driver.read(Space.STATE, offsets) == model.state[0].ravel().tolist()
        stride = shape.lanes << shape.group_bits
        offsets = [slot * stride + n for slot in range(shape.delay_slots)
                   for n in range(shape.neurons)]
        assert await driver.read(Space.ACCUMULATORS, offsets) == \
            model.accumulators[0].view(np.uint16).ravel().tolist()

    simulate(core, testbench)
    return model


def answer(shape: CoreShape, data: bytes, *, patience: int = 2000) -> bytes:
    """What the gateware sends on these records, until it has been silent for so many clocks."""
    dut, found, silent = Engine(shape), bytearray(), 0

    async def send(ctx):
        for byte in data:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        nonlocal silent
        ctx.set(dut.o.ready, 1)
        # From before the first byte to well after the last.
        while silent < patience:
            payload, valid, busy = (await ctx.tick().sample(
                dut.o.payload, dut.o.valid, dut.i.valid))[-3:]
            if valid:
                found.append(payload)
            silent = 0 if valid or busy else silent + 1

    simulate(dut, send, receive, clocks=2_000_000)
    return bytes(found)
