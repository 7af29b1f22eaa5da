import pytest
from amaranth.sim import Simulator

from ionspike.hdl.neuron import LATENCY, Neuron, NeuronInput
from ionspike.spec import formats as fmt

REST = {"kg": 0, "mu": 0, "theta": 0, "acc": 0}


def run(inputs, *, word=0x7788, feedback=0, noise=0, **registers):
    """Outputs ``(clock, state, spike)`` of one neuron per clock, from clock 0 on.

    The word's nibbles sum up to XI_MEAN unless given, which is no noise.
    """
    dut = Neuron()
    outputs = []

    async def testbench(ctx):
        for name, value in {"kf": 0, "kr": 0, "kb": 0, "scale": 0, "r_max": 0x7FFF,
                            "word": word, **registers}.items():
            ctx.set(getattr(dut, name), value)
        # A clock each, since both tables are written to at once.
        ctx.set(dut.access, 1)
        for strobe, entries, value in ((dut.feedback_write, fmt.H_ENTRIES, feedback),
                                       (dut.aux_write, fmt.NOISE_ENTRIES, noise)):
            ctx.set(strobe, 1)
            ctx.set(dut.w_data, value)
            for k in range(entries):
                ctx.set(dut.table_addr, k)
                await ctx.tick()
            ctx.set(strobe, 0)
        ctx.set(dut.access, 0)
        for clock in range(len(inputs) + LATENCY + 1):
            ctx.set(dut.i_valid, clock < len(inputs))
            if clock < len(inputs):
                f, r, g, on = inputs[clock][:4]
                ctx.set(dut.i, {**REST, **dict(*inputs[clock][4:]), "state": {
                    "f": f, "r_high": r >> 4, "r_low": r & 15, "g": g, "on": on}})
            # What an earlier clock gave is seen before the next edge.
            if ctx.get(dut.o_valid):
                o = ctx.get(dut.o)
                outputs.append((clock, (o.f, o.r_high << 4 | o.r_low, o.g, o.on),
                                ctx.get(dut.spike)))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return outputs


def update(state, neuron=(), **options):
    [(_, new, spike)] = run([(*state, neuron)], **options)
    return new, spike


def test_latency_and_one_neuron_per_clock():
    outputs = run([(100 * k, 0, 0, 0) for k in range(20)])
    assert [clock for clock, *_ in outputs] == list(range(LATENCY, LATENCY + 20))
    assert [state[0] for _, state, _ in outputs] == [max(0, 100 * k - 1) for k in range(20)]


def test_nothing_lingers_for_ever():
    # Without any loss coefficient one is taken off, down to zero.
    assert update((2, 2, 2, 0)) == ((1, 1, 1, 0), 0)
    assert update((0, 0, 0, 0)) == ((0, 0, 0, 0), 0)


def test_losses():
    # f: 3 * 2**14 / 2**16, r: (80 >> 3) 2**12 / 2**13, g: 100 * 2048 / 2**12; then one more each.
    new, _ = update((3, 80, 100, 0), [("kg", 2048)], kf=1 << 14, kr=1 << 12)
    assert new == (2, 80 - 5 - 1, 100 - 50 - 1, 0)


def test_drive_grows_the_filament():
    # v = 1000 * 256 >> 8; e = v - g = 800; e h = 800 * 16; times mu / 2**9.
    new, _ = update((0, 0, 200, 0), [("acc", 1000), ("mu", 64)], scale=256, feedback=4095)
    assert new[0] == ((800 * 4095 >> 8) * 64 >> 9) - 1


@pytest.mark.parametrize("f, fires", [(0x8000, False), (0x8001, True)])
def test_threshold(f, fires):
    """f after its loss of one has to reach the gap exactly; it stays at the gap."""
    new, spike = update((f, 0, 0, 0))
    assert (new[0], new[3], spike) == (0x8000 if fires else f - 1, fires, fires)


def test_residue_and_mismatch_lower_the_threshold():
    # Gap: 2**15 + 64 * -10 - (r >> 4), with r = 1600 - 1 after its loss.
    gap = 0x8000 - 640 - (1599 >> 4)
    assert update((gap, 1600, 0, 0), [("theta", -10)])[1] == 0
    assert update((gap + 1, 1600, 0, 0), [("theta", -10)]) == ((gap, 1599, 0, 1), 1)


def test_a_neuron_that_stays_on_spikes_once():
    assert update((0x8001, 0, 0, 0))[1] == 1
    assert update((0x8001, 0, 0, 1)) == ((0x8000, 0, 0, 1), 0)


def test_firing_charges_the_gate():
    # Refractory: g rises to the drive, which leaves nothing across the memristor.
    assert update((0x8001, 0, 300, 0), [("acc", 700)], scale=256)[0][2] == 700
    assert update((0x8001, 0, 300, 0), [("acc", 200)], scale=256)[0][2] == 300
    assert update((0, 0, 300, 0), [("acc", 700)], scale=256)[0][2] == 299


@pytest.mark.parametrize("acc, v", [(-1, 0), (0, 0), (4095, 4095), (4096, 4095), (32767, 4095)])
def test_drive_is_clipped(acc, v):
    assert update((0x9000, 0, 0, 0), [("acc", acc)], scale=256)[0][2] == v


def test_residue_grows_with_the_filament_up_to_r_max():
    new, _ = update((0x4001, 0, 0, 0), kb=1 << 12)
    assert new[1] == 0x4000
    new, _ = update((0x4001, 0, 0, 0), kb=1 << 12, r_max=0x123)
    assert new[1] == 0x123F


def test_residue_below_the_next_step_is_not_held():
    # r_max is a number of 15 bits; the four below it are free.
    assert update((0, 0x1236, 0, 0), r_max=0x123)[0][1] == 0x1235
    assert update((0, 0x1241, 0, 0), r_max=0x123)[0][1] == 0x123F


@pytest.mark.parametrize("word, xi", [(0x0000, -30), (0x7788, 0), (0xFFFF, 30), (0xF000, -15)])
def test_noise(word, xi):
    # xi * 16 * sigma / 2**4, on top of the loss of one.
    new, _ = update((1000, 0, 0, 0), word=word, noise=16)
    assert new[0] == 999 + xi


def test_filament_is_clipped():
    assert update((10, 0, 0, 0), word=0, noise=16)[0][0] == 0
    # Beyond 65535 it fires, and does not wrap to a small filament.
    assert update((65535, 0, 0, 0), word=0xFFFF, noise=16) == ((0x8000, 0, 0, 1), 1)


def test_input_layout():
    # The bench drives it as one integer.
    assert list(NeuronInput.members) == ["state", "kg", "mu", "theta", "acc"]
    assert NeuronInput.size == 96


def test_cocotb(run_cocotb):
    run_cocotb(Neuron(), "ionspike.sim.tb_neuron", seed=1, parameters={
        "runs": 60, "neurons": 1500, "updates": 100_000})
