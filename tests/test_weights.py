import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from ionspike.hdl.weights import WeightMemory
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape


class UltraPlus:
    """What the memory asks of a platform."""

    device = "iCE40UP5K"

    def get_io_buffer(self, buffer):
        raise NotImplementedError


@pytest.mark.parametrize("lanes", [8, 16])
def test_parts_are_written_words_are_read(lanes):
    shape = CoreShape(neurons=32, inputs=16, words=32, lanes=lanes)
    dut = WeightMemory(shape)
    parts = lanes // 2

    async def testbench(ctx):
        for word in range(32):
            ctx.set(dut.addr, word)
            for part in range(parts):
                ctx.set(dut.write, 1 << part)
                ctx.set(dut.w_data, word << 8 | part)
                await ctx.tick()
        ctx.set(dut.write, 0)
        ctx.set(dut.read, 1)
        for word in range(32):
            ctx.set(dut.addr, word)
            await ctx.tick()
            value = ctx.get(dut.r_data)
            assert [value >> 16 * k & 0xFFFF for k in range(parts)] == [
                word << 8 | k for k in range(parts)]
        # The data stay until the next read.
        ctx.set(dut.read, 0)
        ctx.set(dut.addr, 3)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.r_data) & 0xFFFF == 31 << 8

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize("shape, cells", [
    (DEFAULT_SHAPE, 4), (CoreShape(neurons=64, inputs=16, words=1024), 0)])
def test_an_ultraplus_uses_its_large_memories(shape, cells):
    text = rtlil.convert(WeightMemory(shape), platform=UltraPlus())
    assert text.count("cell \\SB_SPRAM256KA ") == cells
