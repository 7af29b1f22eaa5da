import pytest
from amaranth.sim import Simulator

from ionspike.hdl.neuron import HELD, Neuron, NeuronInput
from ionspike.spec import formats as fmt

REST = {"kg": 0, "mu": 0, "theta": 0}


def run(inputs, **options):
    """Outputs ``(clock, state, spike)`` of one neuron per clock, after the latency.

    The word's nibbles sum up to XI_MEAN unless given, which is no noise. A gate is at the spike's
    level as soon as it is charged at all. Both pipelines have to agree.
    """
    plain, through = (simulate(Neuron(through=kind), inputs, **options) for kind in (False, True))
    assert plain == through
    return plain


def simulate(dut, inputs, *, word=0x7788, feedback=0, noise=0, **registers):
    outputs = []
    given = [(*neuron[:4], {"acc": 0, **REST, **dict(*neuron[4:])}) for neuron in inputs]
    accs = [neuron[4].pop("acc") for neuron in given]

    async def testbench(ctx):
        for name, value in {"kf": 0, "kr": 0, "kb": 0, "scale": 256, "r_max": 0x7FFF,
                            "spike_level": 1, "r_noise": 0, "sustained": 0, "word": word, **registers}.items():
            if name in HELD:
                ctx.set(dut.load[name], 1)
                ctx.set(dut.w_data, value)
                await ctx.tick()
                ctx.set(dut.load[name], 0)
            else:
                ctx.set(getattr(dut, name), value)
        # A clock each, since both tables are written to at once.
        ctx.set(dut.access, 1)
        for strobe, entries, table in ((dut.feedback_write, fmt.H_ENTRIES, feedback),
                                       (dut.aux_write, fmt.NOISE_ENTRIES, noise)):
            ctx.set(strobe, 1)
            for k in range(entries):
                ctx.set(dut.table_addr, k)
                ctx.set(dut.w_data, table if isinstance(table, int) else table[k])
                await ctx.tick()
            ctx.set(strobe, 0)
        ctx.set(dut.access, 0)
        for clock in range(-1, len(inputs) + dut.latency + 1):
            ctx.set(dut.i_valid, 0 <= clock < len(inputs))
            if 0 <= clock < len(inputs):
                f, r, g, on, neuron = given[clock]
                ctx.set(dut.i, {**neuron, "state": {
                    "f": f, "r_high": r >> 4, "r_low": r & 15, "g": g, "on": on}})
            ctx.set(dut.acc, accs[clock + 1] if clock + 1 < len(inputs) else 0x5555)
            # What an earlier clock gave is seen before the next edge.
            if ctx.get(dut.o_valid):
                o = ctx.get(dut.o)
                outputs.append((clock - dut.latency, (o.f, o.r_high << 4 | o.r_low, o.g, o.on),
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
    assert [clock for clock, *_ in outputs] == list(range(20))
    assert [state[0] for _, state, _ in outputs] == [max(0, 100 * k - 1) for k in range(20)]


def test_nothing_lingers_for_ever():
    # Without any loss coefficient one is taken off, down to zero.
    assert update((2, 2, 2, 0), spike_level=2) == ((1, 1, 1, 0), 0)
    assert update((0, 0, 0, 0)) == ((0, 0, 0, 0), 0)


def test_losses():
    # f: 3 * 2**14 / 2**16, r: (80 >> 3) 2**12 / 2**13, g: 100 * 2048 / 2**12; then one more each.
    new, _ = update((3, 80, 100, 1), [("kg", 2048)], kf=1 << 14, kr=1 << 12)
    assert new == (2, 80 - 5 - 1, 100 - 50 - 1, 1)


def test_drive_grows_the_filament():
    # v = 1000 * 256 >> 8; e = v - g = 800; e h = 800 * 16; times mu / 2**9.
    new, _ = update((0, 0, 200, 0), [("acc", 1000), ("mu", 64)], feedback=4095)
    assert new[0] == ((800 * 4095 >> 8) * 64 >> 9) - 1


@pytest.mark.parametrize("f, bridges", [(0x8000, False), (0x8001, True)])
def test_threshold(f, bridges):
    """f after its loss of one has to reach the gap exactly; it stays at the gap."""
    new, spike = update((f, 0, 0, 0), [("acc", 5)])
    assert (new[0], new[2], spike) == ((0x8000, 5, 1) if bridges else (f - 1, 0, 0))


def test_residue_and_mismatch_lower_the_threshold():
    # Gap: 2**15 + 64 * -10 - (r >> 4), with r = 1600 - 1 after its loss.
    gap = 0x8000 - 640 - (1599 >> 4)
    neuron = [("theta", -10), ("acc", 5)]
    assert update((gap, 1600, 0, 0), neuron)[1] == 0
    assert update((gap + 1, 1600, 0, 0), neuron) == ((gap, 1599, 5, 1), 1)


def test_bridging_charges_the_gate():
    # Refractory: g rises to the drive, which leaves nothing across the memristor.
    bridges = {"word": 0xFFFF, "noise": 16}
    assert update((0x7FFF, 0, 300, 0), [("acc", 700)], **bridges) == ((0x8000, 0, 700, 1), 1)
    assert update((0x7FFF, 0, 300, 1), [("acc", 200)], **bridges) == ((0x8000, 0, 300, 1), 0)
    assert update((0x7FFF, 0, 300, 1), [("acc", 700)]) == ((0x7FFE, 0, 299, 1), 0)


def test_a_bridge_that_lasts_keeps_the_gate_where_it_is():
    # A drive that falls takes no charge from it: it stays refractory.
    assert update((0x8001, 0, 300, 1), [("acc", 200)])[0][:3] == (0x8000, 0, 300)
    assert update((0x8001, 0, 300, 1), [("acc", 400)])[0][:3] == (0x8000, 0, 400)


@pytest.mark.parametrize("acc, on", [(699, 0), (700, 1), (701, 1)])
def test_a_bridge_is_a_spike_only_if_it_charges_the_gate_to_the_level(acc, on):
    new, spike = update((0x8001, 0, 300, 0), [("acc", acc)], spike_level=700)
    assert (new, spike) == ((0x8000, 0, acc, on), on)


@pytest.mark.parametrize("g, on", [(700, 0), (701, 1)])
def test_the_output_lasts_until_the_gate_has_discharged_below_the_level(g, on):
    # The drive, which would be enough, does not matter without a bridge.
    new, spike = update((0, 0, g, 1), [("acc", 4000)], spike_level=700)
    assert (new, spike) == ((0, 0, g - 1, on), 0)


def test_a_spike_is_the_rising_edge_of_the_output():
    # However long it lasts, bridged or not, and however often it bridges meanwhile.
    bridged, open_ = (0x8001, 0, 800), (0, 0, 800)
    spikes = [update((*state, on), [("acc", 900)], spike_level=700)[1]
              for state in (bridged, open_) for on in (0, 1)]
    # A gate that is charged to begin with, which only a load can make, is an edge like any other.
    assert spikes == [1, 0, 1, 0]


def test_sustained_it_is_the_output_itself():
    bridged, open_, low = (0x8001, 0, 800), (0, 0, 800), (0, 0, 500)
    found = [update((*state, on), [("acc", 900)], spike_level=700, sustained=1)
             for state in (bridged, open_, low) for on in (0, 1)]
    assert [spike for _, spike in found] == [1, 1, 1, 1, 0, 0] == [state[3] for state, _ in found]


@pytest.mark.parametrize("acc, v", [(-1, 0), (0, 0), (4095, 4095), (4096, 4095), (32767, 4095)])
def test_drive_is_clipped(acc, v):
    assert update((0x9000, 0, 0, 0), [("acc", acc)])[0][2] == v


@pytest.mark.parametrize("theta, limit", [(-128, 0), (-127, 0x8000 - 127 * 64),
                                          (127, 0x8000 + 127 * 64)])
def test_the_least_theta_is_a_device_that_is_stuck_on(theta, limit):
    neuron = [("theta", theta), ("acc", 700)]
    # One short of the limit, and at it.
    assert update((limit, 0, 0, 0), neuron)[0][0] == max(0, limit - 1)
    assert update((limit + 1, 0, 0, 0), neuron) == ((limit, 0, 700, 1), 1)


def test_a_device_that_is_stuck_on_hands_the_drive_through():
    assert update((0, 0, 0, 0), [("theta", -128), ("acc", 700)], spike_level=700) \
        == ((0, 0, 700, 1), 1)
    assert update((0, 0, 700, 1), [("theta", -128), ("acc", 699)], spike_level=700) \
        == ((0, 0, 699, 0), 0)


@pytest.mark.parametrize("theta, entry", [(-128, 0), (-127, 190), (0, 253), (127, 255)])
def test_feedback_is_that_of_the_gap(theta, entry):
    # Filament and residue of 200 and 100 leave the limit less 300, a 128th of which is the entry;
    # with d = h of it, the filament before it is cut is what the residue gains.
    (_, residue, *_), _ = update((200, 1600, 0, 0), [("theta", theta), ("acc", 256), ("mu", 512)],
                                 feedback=range(1000, 1000 + fmt.H_ENTRIES), kb=1 << 12)
    assert residue - 1599 == 200 + 1000 + entry - 1


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
    # Beyond 65535 it bridges, and does not wrap to a small filament.
    assert update((65535, 0, 0, 0), [("acc", 5)], word=0xFFFF, noise=16) == ((0x8000, 0, 5, 1), 1)


@pytest.mark.parametrize("word, xi_r", [
    (0x7788, 0), (0xFFFF, 0), (0x000F, 15), (0x00F0, -15), (0x0F00, 15), (0xF000, -15),
    (0x0F0F, 30), (0xF0F0, -30), (0x4321, -2)])
def test_residue_noise(word, xi_r):
    # The nibbles with alternating signs, times r_noise in units of 2**3.
    new, _ = update((0, 0x20001, 0, 0), word=word, r_noise=255)
    assert new[1] == 0x20000 + xi_r * 255 * 8


def test_noise_leaves_the_residue_within_its_limits():
    top = 0x123F
    assert update((0, 80, 0, 0), word=0xF0F0, r_noise=1)[0][1] == 0
    assert update((0, 242, 0, 0), word=0xF0F0, r_noise=1)[0][1] == 1
    assert update((0, top, 0, 0), word=0x0F0F, r_noise=1, r_max=0x123)[0][1] == top
    # What is above the limit to begin with is cut once, after the noise.
    assert update((0, top + 101, 0, 0), word=0xF0F0, r_noise=1, r_max=0x123)[0][1] == top - 140


def test_input_layout():
    # The bench drives it as one integer.
    assert list(NeuronInput.members) == ["state", "kg", "mu", "theta"]
    assert NeuronInput.size == 80


@pytest.mark.parametrize("through", [False, True])
def test_cocotb(run_cocotb, through):
    dut = Neuron(through=through)
    run_cocotb(dut, "ionspike.sim.tb_neuron", seed=1, parameters={
        "runs": 60, "neurons": 1500, "updates": 100_000, "latency": dut.latency})
