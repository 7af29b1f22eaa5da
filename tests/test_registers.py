from amaranth.sim import Simulator

from ionspike.hdl.bus import READ_LATENCY
from ionspike.hdl.registers import ELSEWHERE, RegisterFile
from ionspike.spec.wire import COUNTER_LIMIT, REGISTERS, Space, register


def run(testbench):
    dut = RegisterFile(saturated_bits=4)
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def started(ctx):
        await testbench(ctx, dut)

    sim.add_testbench(started)
    sim.run()


async def write(ctx, dut, name, value, space=Space.REGISTERS):
    ctx.set(dut.bus.space, space)
    ctx.set(dut.bus.offset, register(name).offset)
    ctx.set(dut.bus.w_data, value)
    ctx.set(dut.bus.write, 1)
    await ctx.tick()
    ctx.set(dut.bus.write, 0)


async def read(ctx, dut, offset, space=Space.REGISTERS):
    ctx.set(dut.bus.space, space)
    ctx.set(dut.bus.offset, offset)
    await ctx.tick().repeat(READ_LATENCY)
    return ctx.get(dut.bus.r_data)


def test_reset_values():
    async def testbench(ctx, dut):
        ctx.set(dut.lfsr, 1)
        found = [await read(ctx, dut, r.offset) for r in REGISTERS]
        assert found == [r.init for r in REGISTERS]
        assert all(ctx.get(getattr(dut, r.name)) == 0 for r in REGISTERS
                   if not (r.is_live or r.name in ELSEWHERE))

    run(testbench)


def test_a_write_reaches_its_register_and_is_cut_to_its_width():
    async def testbench(ctx, dut):
        await write(ctx, dut, "probe_count", 0xFFFF)
        await write(ctx, dut, "r_noise", 0x1234)
        await write(ctx, dut, "spike_level", 0x4321, space=Space.AUX)
        assert (ctx.get(dut.probe_count), ctx.get(dut.r_noise), ctx.get(dut.spike_level)) == (
            0x7F, 0x34, 0)
        # Read from the core's table, not from here.
        assert await read(ctx, dut, register("probe_count").offset) == 0
        await write(ctx, dut, "control", 0xFFFF)
        assert await read(ctx, dut, register("control").offset) == 0b111111

    run(testbench)


def test_what_does_not_exist_reads_as_zero():
    async def testbench(ctx, dut):
        await write(ctx, dut, "control", 0xFFFF)
        assert await read(ctx, dut, 0x3F) == 0
        assert await read(ctx, dut, register("control").offset, Space.STATE) == 0
        # No register appears a second time further up.
        assert await read(ctx, dut, register("control").offset + (1 << 10)) == 0

    run(testbench)


def test_a_write_to_any_part_of_the_lfsr_loads_it():
    async def testbench(ctx, dut):
        ctx.set(dut.bus.write, 1)
        loads = []
        for offset in range(64):
            ctx.set(dut.bus.offset, offset)
            loads += [offset] * ctx.get(dut.lfsr_load)
        assert loads == [register(f"lfsr_{k}").offset for k in range(4)]
        ctx.set(dut.bus.offset, loads[0])
        ctx.set(dut.bus.write, 0)
        assert ctx.get(dut.lfsr_load) == 0

    run(testbench)


def test_counters_stop_at_their_limit():
    async def testbench(ctx, dut):
        ctx.set(dut.saturated, 9)
        ctx.set(dut.late, 1)
        clocks = COUNTER_LIMIT // 9 + 20
        await ctx.tick().repeat(clocks)
        ctx.set(dut.saturated, 0)
        ctx.set(dut.late, 0)
        await ctx.tick()
        assert await read(ctx, dut, register("saturated").offset) == COUNTER_LIMIT
        assert await read(ctx, dut, register("late").offset) == clocks
        ctx.set(dut.clear_counters, 1)
        await ctx.tick()
        ctx.set(dut.clear_counters, 0)
        assert await read(ctx, dut, register("saturated").offset) == 0

    run(testbench)


def test_marks_show_the_highest_level_reached():
    async def testbench(ctx, dut):
        for quarters in (1, 3, 0):
            ctx.set(dut.ring_quarters, quarters)
            await ctx.tick()
        ctx.set(dut.frames_held, 1)
        await ctx.tick()
        ctx.set(dut.frames_held, 0)
        assert await read(ctx, dut, register("high_water").offset) == 0b111_01 << 8
        ctx.set(dut.clear_counters, 1)
        await ctx.tick()
        ctx.set(dut.clear_counters, 0)
        assert await read(ctx, dut, register("high_water").offset) == 0

    run(testbench)


def test_halt_stops_free_running_and_nothing_else():
    async def testbench(ctx, dut):
        await write(ctx, dut, "control", 0b111111)
        ctx.set(dut.halt, 1)
        await ctx.tick()
        assert await read(ctx, dut, register("control").offset) == 0b111110

    run(testbench)


def test_cocotb(run_cocotb):
    run_cocotb(RegisterFile(saturated_bits=4), "ionspike.sim.tb_registers", seed=1)
