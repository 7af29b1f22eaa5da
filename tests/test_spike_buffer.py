from amaranth.sim import Simulator

from ionspike.hdl.spikes import Expander, SpikeBuffer
from ionspike.spec.shape import CoreShape

SHAPE = CoreShape(neurons=40, inputs=8, words=64)
PARAMETERS = {"lanes": SHAPE.lanes, "groups": SHAPE.groups}


def run(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


def test_keeps_groups_in_which_any_neuron_fired():
    dut = SpikeBuffer(SHAPE)

    async def testbench(ctx):
        ctx.set(dut.begin, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        ctx.set(dut.i_valid, 1)
        for neuron in range(40):
            ctx.set(dut.i, neuron in (3, 7, 32))
            await ctx.tick()
        ctx.set(dut.i_valid, 0)
        await ctx.tick()
        assert ctx.get(dut.count) == 3
        # As often as wanted, and one group per clock.
        for _ in range(2):
            ctx.set(dut.rewind, 1)
            await ctx.tick()
            ctx.set(dut.rewind, 0)
            ctx.set(dut.o.ready, 1)
            got = []
            while not ctx.get(dut.done):
                await ctx.tick()
                if ctx.get(dut.o.valid):
                    got.append((ctx.get(dut.o.payload.group), ctx.get(dut.o.payload.mask)))
            assert got == [(0, 0b10001000), (4, 0b00000001)]

    run(dut, testbench)


def test_expands_without_a_pause():
    dut = Expander(SHAPE)
    groups = [(0, 0b10000001), (3, 0b00010000), (4, 0b11111111), (1, 0b10)]
    expected = [0, 7, 28, *range(32, 40), 9]

    async def testbench(ctx):
        queue, got = list(groups), []
        ctx.set(dut.o.ready, 1)
        while len(got) < len(expected):
            ctx.set(dut.i.valid, bool(queue))
            if queue:
                ctx.set(dut.i.payload, {"group": queue[0][0], "mask": queue[0][1]})
                if ctx.get(dut.i.ready):
                    queue.pop(0)
            await ctx.tick()
            got.append(ctx.get(dut.o.payload) if ctx.get(dut.o.valid) else None)
        assert got == expected
        ctx.set(dut.i.valid, 0)
        await ctx.tick()
        assert ctx.get(dut.idle)

    run(dut, testbench)


def test_buffer_cocotb(run_cocotb):
    run_cocotb(SpikeBuffer(SHAPE), "ionspike.sim.tb_spikes", seed=1, parameters=PARAMETERS,
               testcase="buffer")


def test_expander_cocotb(run_cocotb):
    run_cocotb(Expander(SHAPE), "ionspike.sim.tb_spikes", seed=1, parameters=PARAMETERS,
               testcase=[f"expander/stall={stall}/patient={patient}"
                         for stall in (0.0, 0.5) for patient in (False, True)])
