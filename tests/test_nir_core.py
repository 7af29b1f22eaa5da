"""Nodes other than LIF on a core: in floating point, on the golden model, in files."""

import numpy as np
import pytest
from conftest import require_package
from nirs import DT_S, chain, lif, linear, spikes

from ionspike import Board
from ionspike.host.errors import InputError
from ionspike.host.lif_float import simulate
from ionspike.host.lif_sums import gain
from ionspike.host.nir_export import export_graph
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_import import imported
from ionspike.host.preflight import preflight
from ionspike.host.readout import Readout
from ionspike.host.spikes import Spikes
from ionspike.host.steps import to_steps, to_ticks
from ionspike.spec.shape import DEFAULT_SHAPE


def node(kind, size, **changes):
    """One of each, in steps: what arrives is what the membrane gets."""
    one = np.ones(size)
    return {"LIF": lif(size), "IF": {"type": "IF", "r": one / DT_S, "v_threshold": one},
            "LI": {"type": "LI", "tau": one * 10 * DT_S, "r": 10 * one, "v_leak": 0.5 * one},
            "Threshold": {"type": "Threshold", "threshold": 0.6 * one},
            "CubaLIF": {"type": "CubaLIF", "tau_syn": one * 2 * DT_S, "tau_mem": one * 10 * DT_S,
                        "r": 10 * one, "v_leak": 0 * one, "v_threshold": one, "w_in": 2 * one}}[kind] | changes


def two(first, second, scale=0.3, **changes):
    root = chain(linear(12, 8, 1, 0.1, scale), node(first, 12, **changes), linear(5, 12, 2, 0.1, scale),
                 node(second, 5))
    root["nodes"]["out"]["shape"] = np.array([5])
    return root


def report(root, steps=400, **options):
    found = imported(root, dt_s=DT_S, sample=spikes(steps), **options)
    return found, preflight(found, source="a test", board="icebreaker", shape=DEFAULT_SHAPE,
                            clock_Hz=24_000_000)


@pytest.mark.parametrize("first, second, reset", [
    ("IF", "IF", "zero"), ("IF", "IF", "subtract"), ("Threshold", "Threshold", "zero"),
    ("LIF", "Threshold", "zero"), ("Threshold", "LIF", "subtract"), ("IF", "Threshold", "zero"),
    ("CubaLIF", "LIF", "zero"), ("LIF", "CubaLIF", "zero")])
def test_what_a_core_makes_of_them(first, second, reset):
    found, told = report(two(first, second), reset=reset)
    wanted = simulate(found.mapped.graph, spikes(400), DT_S, reset=reset).spikes
    assert told.early == told.saturated == told.clipped == told.clipped_drives == 0
    for one in told.layers:
        exact = int(wanted[one.name].sum())
        assert one.spikes_float > 100 and abs(one.spikes_core - exact) <= 0.06 * exact
        assert one.same >= 0.85 * one.weights_only and one.near >= 0.8 * one.spikes_float


def test_thresholds_are_exact_at_the_threshold():
    # Weights that are whole: sums are at the threshold often, and do not fire there.
    root = chain({"type": "Linear", "weight": np.round(linear(12, 8, 1, 0.5, 1)["weight"] * 4)},
                 node("Threshold", 12, threshold=np.arange(-3.0, 9.0)))
    root["nodes"]["out"]["shape"] = np.array([12])
    found, told = report(root)
    (one,) = told.layers
    assert one.equal == 12 and one.spikes_float == one.spikes_core > 1000
    assert one.saturated_core and one.dead_core < 12
    assert found.mapped.neuron is None and told.beta is None


def test_membranes_are_read():
    found, told = report(two("LIF", "LI"))
    assert told.layers[1].rms < 0.05 and told.layers[1].spikes_core == 0
    # Of inputs that are the same, only weights and the residue's last bits are left.
    assert report(chain(linear(5, 8, 2), node("LI", 5)))[1].layers[0].rms < 0.004
    net, late = found.network, found.mapped.late["n3"]
    with Board.open(backend="golden") as board:
        board.load(net)
        probes = Readout.of(net).neurons
        whole = board.run(to_ticks(Spikes(spikes(400), DT_S), net), seed=1, probes=probes)
        board.load(net)
        # In parts, of which the second does not begin with a step's first tick.
        ticks = to_ticks(Spikes(spikes(400), DT_S), net).raster
        board.run(Spikes(ticks[:500], net.dt_s), seed=1)
        rest = board.run(Spikes(ticks[500:], net.dt_s), probes=probes, reset=False)
    wanted = found.floats.membranes["n3"][:400 - late]
    got = whole.membranes[late:]
    assert got.shape == wanted.shape and np.ptp(wanted) > 1
    # A spike that comes a step late is a difference for as long as it is remembered.
    assert np.abs(got - wanted).mean() < 0.02 * np.ptp(wanted)
    assert rest.first_tick == 500
    assert np.array_equal(rest.membranes, whole.membranes[-len(rest.membranes):])
    with pytest.raises(InputError, match="neuron 12, whose membrane is to be read, was not probed"):
        Readout.of(net).membranes(type(whole.probes)(np.array([3]), whole.probes.words[:, :1]), 3)


def test_readouts_of_files_that_may_be_anybodys(tmp_path):
    from dataclasses import replace
    net = report(two("LIF", "LI"))[0].network
    good = net.metadata["readout"]
    for changes in ({"neurons": [99999]}, {"neurons": [-1]}, {"neurons": "all"}, {"rest": [1.0]},
                    {"v_leak": [[0.0]] * 5}, {"per_residue": [float("nan")] * 5}, {"neurons": [0.5] * 5}):
        with pytest.raises(InputError, match="metadata: readout must be neurons, rest, per_residue"):
            Readout.of(replace(net, metadata={"readout": good | changes}))
    for wrong in (5, [], "x"):
        with pytest.raises(InputError, match="metadata: readout must be"):
            Readout.of(replace(net, metadata={"readout": wrong}))


def test_currents_are_made_of_relays():
    found, told = report(two("CubaLIF", "LIF"))
    # 2 steps of tau_syn fade to 2 % in 6, of which a source gives the first, and four relays the others:
    # a relay reaches four ticks, which is one step or two.
    assert told.relays == found.mapped.relays == 4 * 8
    at_once, _ = report(two("CubaLIF", "LIF", tau_syn=np.full(12, DT_S), w_in=np.ones(12)))
    assert at_once.mapped.relays == 0
    # Without a current it is a LIF, weight by weight.
    plain = imported(two("LIF", "LIF"), dt_s=DT_S, sample=spikes(400))
    for a, b in zip(at_once.network.projections, plain.network.projections, strict=True):
        assert np.array_equal(a.weights, b.weights)


def test_what_rounding_takes_from_one_tap_of_a_current_the_next_has():
    root = two("CubaLIF", "LIF", tau_syn=np.full(12, 6 * DT_S))
    graph, mapped = Graph.of(root), imported(root, dt_s=DT_S, sample=spikes(400)).mapped
    layer = graph.layers["n1"]
    steps = mapped.levels["n1"] * gain(layer, DT_S) * layer.parameters["w_in"]
    (wanted,), (given,) = ([c.weights * steps for c in g.connections if c.target == "n1"]
                           for g in (graph, mapped.graph))
    # Many taps, each rounded: their sum is as near as one weight's, of which half a step may be left.
    assert sum(p.source == "inputs" for p in mapped.network.projections) > 1
    assert np.abs(given - wanted).max() < 0.51 and np.abs(wanted).max() > 50


def test_leaks_do_not_mix():
    with pytest.raises(InputError, match="IF 'n1' beside LIF 'n3': a core has one leak, and an IF none"):
        imported(two("IF", "LIF"), dt_s=DT_S, sample=spikes())


def test_each_neuron_has_its_own_scale():
    root = two("LIF", "LIF")
    root["nodes"]["n0"]["weight"][3] *= 0.1
    found, _ = report(root)
    levels = found.mapped.levels["n1"]
    assert levels[3] > 1.5 * np.median(levels)
    step = np.abs(found.mapped.graph.connections[0].weights - found.graph.connections[0].weights).max(axis=0)
    assert step[3] < 0.7 * np.median(step)


def test_four_bits():
    for kinds in (("LIF", "LIF"), ("IF", "IF"), ("Threshold", "LI")):
        found, told = report(two(*kinds), bits=4)
        full, _ = report(two(*kinds))
        assert (told.bits, told.clipped) == (4, 0)
        for c, fine in zip(found.mapped.graph.connections, full.mapped.graph.connections, strict=True):
            for column in c.weights.T:
                assert len(np.unique(np.round(np.abs(column[column != 0]), 9))) <= 7
            assert np.abs(c.weights - fine.weights).max() < 0.15 * np.abs(fine.weights).max()
        # What these weights cost alone is told.
        assert all(one.weights_only < one.spikes_float for one in told.layers if one.rms is None)


def test_files_there_and_back(tmp_path):
    require_package("nir", "nir")
    root = two("IF", "Threshold")
    root["nodes"]["n0"] = {"type": "Affine", "bias": np.linspace(0, 0.1, 12), "weight": root["nodes"]["n0"]["weight"]}
    root["nodes"] |= {"rec": linear(12, 12, 3, -0.05, 0.1), "wait": {"type": "Delay", "delay": np.full(12, 2 * DT_S)}}
    root["edges"] += [("n1", "wait"), ("wait", "rec"), ("rec", "n1")]
    inner = two("LIF", "CubaLIF")
    for graph in (Graph.of(root), Graph.of(two("CubaLIF", "LI")), Graph.of(
            {"type": "NIRGraph", "nodes": {"a": {"type": "Input", "shape": np.array([8])}, "g": inner,
                                           "b": {"type": "Output", "shape": np.array([5])}},
             "edges": [("a", "g"), ("g", "b")]})):
        export_graph(graph, tmp_path / "net.nir")
        found = imported(tmp_path / "net.nir", dt_s=DT_S, sample=spikes(100))
        back = simulate(found.graph, spikes(300), DT_S).spikes
        for wanted, got in zip(simulate(graph, spikes(300), DT_S).spikes.values(), back.values(), strict=True):
            assert np.array_equal(wanted, got)
        assert [layer.kind for layer in found.graph.layers.values()] \
            == [layer.kind for layer in graph.layers.values()]
    with pytest.raises(InputError, match="NIR files are written as .nir"):
        export_graph(graph, tmp_path / "net.h5")


def test_seeds_and_steps_of_an_if():
    net = imported(two("IF", "IF"), dt_s=DT_S, sample=spikes()).network
    with Board.open(backend="golden") as board:
        board.load(net)
        a, b = (to_steps(board.run(to_ticks(Spikes(spikes(), DT_S), net), seed=s).spikes, net)
                for s in (1, 2))
    assert np.array_equal(a.raster, b.raster) and a.count
