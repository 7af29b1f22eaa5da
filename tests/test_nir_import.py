"""From NIR to a core and its spikes: mapping, report and verb."""

import json

import numpy as np
import pytest
from conftest import require_compiler, require_package
from nets import network
from nirs import DT_S, chain, lif, linear, spikes, two_layers
from test_nir_core import two

from ionspike import Board
from ionspike.host import cli, ionfile
from ionspike.host.compiler import compile
from ionspike.host.errors import InputError
from ionspike.host.lif_cells import LifCells
from ionspike.host.lif_float import simulate
from ionspike.host.network import Network, Projection
from ionspike.host.nir_import import imported
from ionspike.host.preflight import preflight
from ionspike.host.relays import relayed
from ionspike.host.spikes import Spikes
from ionspike.host.steps import to_steps, to_ticks
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape


@pytest.fixture
def nir():
    require_package("nir", "nir")
    import nir
    return nir


@pytest.fixture
def file(nir, tmp_path):
    """Two layers in a file."""
    nir.write(str(tmp_path / "net.nir"), nir.dict2NIRNode(two_layers()))
    return str(tmp_path / "net.nir")


def report(root, steps=300, reset="zero", shape=DEFAULT_SHAPE, **options):
    found = imported(root, dt_s=DT_S, sample=spikes(steps), reset=reset,
                     delay_slots=shape.delay_slots, **options)
    return found, preflight(found, source="a test", board="icebreaker", shape=shape, clock_Hz=24_000_000)


# -------------------------------------------------------------------------------------- mapping --

@pytest.mark.parametrize("beta, reset", [
    (0.0, "zero"), (0.5, "zero"), (0.9, "zero"), (0.95, "zero"), (0.5, "subtract"), (0.9, "subtract")])
def test_a_core_gives_what_floating_point_gives(beta, reset):
    mapped, found = report(two_layers(beta), 500, reset)
    # Of what the core's weights are in floating point.
    wanted = simulate(mapped.mapped.graph, spikes(500), DT_S, reset=reset).spikes
    assert found.early == found.saturated == found.clipped == found.clipped_drives == 0
    first, last = found.layers
    assert (first.late, last.late) == (0, 1) and first.spikes_float > 400
    for one in found.layers:
        assert abs(one.spikes_core - int(wanted[one.name].sum())) <= 0.03 * one.spikes_float
    assert first.near >= 0.93 * first.spikes_float


def test_a_rest_that_is_not_zero_is_only_another_origin():
    def at(rest):
        levels = {"v_leak": rest, "v_threshold": rest + 1, "v_reset": rest}
        root = two_layers()
        for name in ("n1", "n3"):
            root["nodes"][name] |= {key: np.full_like(root["nodes"][name][key], level) for key, level in levels.items()}
        return imported(root, dt_s=DT_S, sample=spikes(300)).network

    assert ionfile.dump(at(-0.5)) == ionfile.dump(at(0.0)) == ionfile.dump(at(2.0))


def test_biases_recurrence_delays_and_ways_of_two_lengths():
    root = chain({"type": "Affine", "weight": linear(12, 8, 1, 0.2)["weight"],
                  "bias": np.random.default_rng(7).normal(0, 0.1, 12)}, lif(12),
                 linear(5, 12, 2, 0.2), lif(5),
                 edges=[("n1", "rec"), ("rec", "n1"), ("in", "skip"), ("skip", "wait"), ("wait", "n3")])
    root["nodes"] |= {"rec": linear(12, 12, 3, -0.05, 0.1), "skip": linear(5, 8, 4),
                      "wait": {"type": "Delay", "delay": np.full(5, 4 * DT_S)}}
    mapped, found = report(root, 600)
    assert found.early == 0 and max(p.delay for p in mapped.network.projections) <= 3
    for one in found.layers:
        assert one.same >= 0.7 * one.spikes_float
    # Without the delay it is another network, which this would notice.
    root["nodes"]["wait"]["delay"][:] = 0
    other, _ = report(root, 600)
    with Board.open(backend="golden") as board:
        board.load(other.network)
        got = to_steps(board.run(to_ticks(Spikes(spikes(600), DT_S), other.network), seed=1).spikes,
                       other.network).raster[1:, 12:17]
    wanted = mapped.floats.spikes["n3"][:599]
    assert (wanted & got).sum() < 0.7 * wanted.sum()


def test_seeds_change_nothing():
    net = imported(two_layers(), dt_s=DT_S, sample=spikes()).network
    with Board.open(backend="golden") as board:
        board.load(net)
        a, b = (board.run(to_ticks(Spikes(spikes(), DT_S), net), seed=s) for s in (1, 2))
    assert np.array_equal(a.spikes.raster, b.spikes.raster) and a.spikes.count
    assert a.estimate is None and a.summary()["estimate"] is None


@pytest.mark.parametrize("delay", range(1, 24))
@pytest.mark.parametrize("longest", [1, 3])
def test_relays_take_as_long_as_they_should(delay, longest):
    weights = np.array([[3, 0], [0, 0], [0, 5]], np.int8)
    for source in ("inputs", "neurons"):
        found, count = relayed(Projection(source, weights, 0, 0, delay), longest, 10)
        assert all(p.delay <= longest for p in found)
        hops = len(found) - 1
        assert count == 2 * hops and sum(p.delay for p in found) + hops == delay
        assert np.allclose(np.linalg.multi_dot([np.eye(3), *(
            p.weights / (127 if k < hops else 1) for k, p in enumerate(found))]), weights)


def test_delays_of_more_neurons_than_there_are_are_refused():
    with pytest.raises(InputError, match="a delay of 9,999 ticks of 2 sources takes 4,998 neurons"):
        relayed(Projection("inputs", np.ones((2, 2), np.int8), 0, 0, 9999), 3, 10)


def test_layers_that_a_core_has_no_neurons_for():
    ones = np.ones(4)
    for node, way_out in (
            ({"type": "IF", "r": ones, "v_threshold": 0 * ones}, "v_threshold must be above 0, or it fires"),
            ({"type": "IF", "r": ones, "v_threshold": ones, "v_reset": -ones},
             "v_reset must be 0 on a core, which resets to rest; it is -1"),
            ({"type": "IF", "r": ones * 1e9, "v_threshold": ones}, "a core's drive holds up to 512"),
            ({"type": "CubaLIF", "tau_syn": 40 * DT_S * ones, "tau_mem": 10 * DT_S * ones, "r": ones,
              "v_leak": 0 * ones, "v_threshold": ones},
             "CubaLIF 'n1': tau_syn is 40 steps; .* up to 64 spikes, which is 16 steps; take longer ones"),
            (lif(4, v_reset=ones / 2), "v_reset must be v_leak on a core"),
            (lif(4, v_leak=ones), "v_threshold must be above v_leak"),
            (lif(4, 0.999), "beta 0.999 leaks too slowly")):
        with pytest.raises(InputError, match=way_out):
            imported(chain(linear(4, 8), node), dt_s=DT_S, sample=spikes())


def test_taus_that_differ_are_said():
    root = two_layers()
    root["nodes"]["n3"] = lif(5, 0.8)
    assert imported(two_layers(), dt_s=DT_S).mapped.warnings == ()
    (warning,) = imported(root, dt_s=DT_S).mapped.warnings
    assert warning.startswith("taus are 0.0005 to 0.001 s; a core has one leak, here of the median")


def test_inputs_beyond_the_sample_are_noticed(capsys, tmp_path):
    root = chain(linear(12, 80, 1, 0.25), lif(12), linear(5, 12, 2, 0.2), lif(5), width=80)
    found = imported(root, dt_s=DT_S, sample=np.zeros((10, 80), bool))
    found.network.save(tmp_path / "net.ion")
    counts = []
    for name, raster in (("quiet", np.zeros((40, 80), bool)), ("loud", np.ones((40, 80), bool))):
        Spikes(raster, DT_S).save(tmp_path / f"{name}.npz")
        assert cli.main(["run", str(tmp_path / "net.ion"), "--input", str(tmp_path / f"{name}.npz"),
                         "--backend", "golden", "--json"]) == 0
        out, err = capsys.readouterr()
        counts.append(json.loads(out)["clipped_drives"])
        assert ("times more arrived than a LIF neuron's drive holds" in err) == (name == "loud")
    assert counts[0] == 0 and 40 <= counts[1] <= 40 * 17
    quiet = preflight(found, source="nothing", board="icebreaker", shape=DEFAULT_SHAPE,
                      clock_Hz=24_000_000)
    assert "layer 'n1' never fires on this sample" in quiet.warnings
    assert (quiet.layers[0].dead_core, quiet.layers[0].spikes_core) == (12, 0)


def test_always_on_and_vanished_are_counted():
    weight = np.full((4, 8), 5.0)
    weight[0] = 0.001
    _, found = report(chain({"type": "Linear", "weight": weight}, lif(4)))
    (one,) = found.layers
    assert one.vanished == 8 and one.dead_core == 1 and found.clipped == 0
    root = chain({"type": "Linear", "weight": weight}, lif(4))
    always = imported(root, dt_s=DT_S, sample=np.ones((100, 8), bool))
    full = preflight(always, source="ones", board="icebreaker", shape=DEFAULT_SHAPE, clock_Hz=1000)
    assert (full.layers[0].saturated_float, full.layers[0].saturated_core) == (3, 3)
    assert any("not in real time" in text for text in full.warnings)


# ------------------------------------------------------------------------------- files, a board --

def test_files_keep_all_of_it(tmp_path):
    net = imported(two_layers(), dt_s=DT_S, sample=spikes()).network
    net.save(tmp_path / "net.ion")
    back = Network.load(tmp_path / "net.ion")
    assert back.ticks_per_step == 3 and back.step_s == pytest.approx(DT_S)
    assert compile(back, DEFAULT_SHAPE).image.digest() == compile(net, DEFAULT_SHAPE).image.digest()


def test_integers_beyond_their_formats_are_refused():
    good = dict(kg=np.zeros(2, int), mu=np.zeros(2, int), theta=np.zeros(2, int), ticks_per_step=3,
                registers={"kf": 1, "kr": 1, "kb": 1, "r_max": 1, "spike_level": 1})
    assert len(LifCells(**good)) == 2
    for name, value, message in (
            ("kg", np.array([0, 4096]), "kg must be integers from 0 to 4095"),
            ("theta", np.array([0, 200]), "theta must be integers from -128 to 127"),
            ("mu", np.zeros(3, int), "3 values of mu, 2 of kg"),
            ("registers", {"kf": 1}, "registers must be kf, kr, kb, r_max, spike_level"),
            ("registers", good["registers"] | {"kr": 1 << 16}, "kr must be an integer from 0 to 65535"),
            ("ticks_per_step", 0, "ticks_per_step must be an integer from 1 to 16")):
        with pytest.raises(InputError, match=message):
            LifCells(**(good | {name: value}))
    with pytest.raises(InputError, match="lif is of 2 neurons, the network has 20"):
        network(lif=LifCells(**good))


def test_steps_become_ticks_and_back():
    net = imported(two_layers(), dt_s=DT_S, sample=spikes()).network
    given = Spikes(spikes(50), DT_S)
    ticks = to_ticks(given, net)
    assert ticks.ticks == 150 and ticks.count == given.count and ticks.raster[::3].sum() == given.count
    assert np.array_equal(to_steps(ticks, net).raster, given.raster)
    twice = Spikes(np.ones((4, 2), bool), net.dt_s)
    assert (to_steps(twice, net).ticks, to_steps(twice, net).merged) == (2, 4)


@pytest.mark.parametrize("kinds", ["LIF LIF", "IF Threshold", "Threshold LI"])
def test_the_virtual_board_computes_the_same(kinds):
    require_compiler()
    from ionspike.host.cases import Case
    from ionspike.host.verify import verify
    shape = CoreShape(neurons=48, inputs=24, lanes=8, words=256, delay_slots=4)
    net = imported(two_layers() if kinds == "LIF LIF" else two(*kinds.split()), dt_s=DT_S,
                   sample=spikes()).network
    case = Case(compile(net, shape), to_ticks(Spikes(spikes(60), DT_S), net), 1)
    with Board.open(backend="virtual", shape=shape) as board:
        done = verify(board, ticks=180, seed=1, cases=[case])
    assert done.equal and done.spikes > 200


# ----------------------------------------------------------------------------------------- verb --

def run(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_import_and_run(capsys, file, tmp_path):
    ion, x = tmp_path / "net.ion", tmp_path / "x.npz"
    Spikes(spikes(100), DT_S).save(x)
    code, out, err = run(capsys, "import", file, "--dt", DT_S, "--sample", x, "--report", "--output", ion)
    assert (code, err) == (0, "") and "same step" in out and f"ionspike run {ion}" in out
    code, out, err = run(capsys, "run", ion, "--input", x, "--backend", "golden", "--json",
                         "--output", tmp_path / "out.npz")
    told = json.loads(out)
    assert code == 0 and told["ticks"] == 300 and told["estimate"] is None
    assert sum(told["output_counts"]) > 10
    code, out, _ = run(capsys, "verify", ion, "--input", x, "--backend", "golden", "--json")
    assert code == 0 and json.loads(out)["ticks"] == 300
    assert run(capsys, "info", ion)[0] == 0


def test_bits_and_the_graph_as_the_core_has_it(capsys, nir, file, tmp_path):
    out = tmp_path / "core.nir"
    code, said, err = run(capsys, "import", file, "--dt", DT_S, "--bits", 4, "--report", "--output", out)
    assert (code, err) == (0, "") and "4 bits, a scale for each neuron" in said and "by weights" in said
    for c in imported(out, dt_s=DT_S).graph.connections:
        assert all(len(np.unique(np.round(column, 6))) <= 15 for column in c.weights.T)
    with pytest.raises(InputError, match="bits must be 2 to 8, not 9"):
        imported(file, dt_s=DT_S, bits=9)


def test_membranes_come_with_a_run(capsys, nir, tmp_path):
    li = {"type": "LI", "tau": np.full(4, 1e-3), "r": np.full(4, 10.0), "v_leak": np.zeros(4)}
    nir.write(str(tmp_path / "net.nir"), nir.dict2NIRNode(chain(linear(12, 8, 1, 0.25), lif(12), linear(4, 12), li)))
    ion, out = tmp_path / "net.ion", tmp_path / "out.npz"
    quiet, loud = tmp_path / "quiet.npz", tmp_path / "loud.npz"
    Spikes(spikes(100, rate=0.1), DT_S).save(quiet)
    Spikes(spikes(100, rate=0.9), DT_S).save(loud)
    code, said, _ = run(capsys, "import", tmp_path / "net.nir", "--dt", DT_S, "--sample", quiet, "--output", ion)
    assert code == 0 and "12 LIF from 0, beta 0.9; n3: 4 LI from 12" in said
    for x in (quiet, loud):
        code, said, err = run(capsys, "run", ion, "--input", x, "--backend", "golden", "--json", "--output", out)
        told = json.loads(said)
        with np.load(out) as arrays:
            assert arrays["membranes"].shape == (100, 4)
            assert np.allclose(arrays["membranes"][-1], told["membranes"][0])
        assert code == 0 and (told["clipped_membranes"] > 0) == (x == loud)
        assert ("a membrane that is read was at the end of its range" in err) == (x == loud)


def test_report_for_machines(capsys, file):
    code, out, _ = run(capsys, "import", file, "--dt", DT_S, "--report", "--json", "--board", "ulx3s_85f")
    told = json.loads(out)
    assert code == 0 and told["board"] == "ulx3s_85f" and told["layers"]["n3"]["late_steps"] == 1
    layers = {one["name"]: one for one in told["report"]["layers"]}
    assert layers["n1"]["spikes_core"] > 0 and told["report"]["steps"] == 500
    assert told["report"]["fits"]["neurons"][1] == 1024


@pytest.mark.parametrize("arguments, message", [
    ([], "give dt (--dt), which is 1e-4 s for files of snnTorch"),
    (["--dt", "2e-3"], "net.nir: LIF 'n1': tau = 0.001 s is below the step of 0.002 s"),
    (["--dt", "1e-4", "--board", "icebraker"], "did you mean icebreaker?"),
    (["--dt", "1e-4", "--output", "net.npz"], "net.npz: networks are written as .ion"),
    (["--dt", "1e-4", "--output", "/no/where/net.ion"], "there is no folder /no/where"),
    (["--dt", "1e-4", "--sample", "missing.npy"], "missing.npy: no such file"),
    (["--sample", "missing.npy"], "--sample is in steps: give --dt"),
    (["--dt", "0"], "'0' is not a positive number of seconds"),
    (["--dt", "1e-4", "--reset", "none"], "invalid choice: 'none'")])
def test_mistakes_are_one_line(capsys, file, arguments, message):
    try:
        code, out, err = run(capsys, "import", file, *arguments)
    except SystemExit as raised:
        code, out, err = raised.code, "", capsys.readouterr().err
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_what_does_not_fit_is_named(capsys, nir, tmp_path):
    path = tmp_path / "wide.nir"
    nir.write(str(path), nir.dict2NIRNode(chain(linear(150, 8), lif(150))))
    code, _, err = run(capsys, "import", path, "--dt", DT_S, "--board", "hx8k_evn")
    assert code == 2 and "wide.nir: hx8k_evn: the network has 1" in err and "this board has 128" in err


