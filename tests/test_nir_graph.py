"""NIR graphs as layers and matrices; and what is said of those that cannot be."""

import re
from pathlib import Path

import numpy as np
import pytest
from nirs import DT_S, chain, lif, linear, spikes, two_layers

from ionspike.host.errors import InputError
from ionspike.host.lif_float import simulate
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_memristor import KIND
from ionspike.host.nir_nodes import LINEAR, NEURONS


def test_what_is_linear_is_multiplied_out():
    first, second = linear(6, 8, 1), linear(4, 6, 2)
    affine = {"type": "Affine", "weight": second["weight"], "bias": np.arange(4.0)}
    scale = {"type": "Scale", "scale": np.array([1.0, 2.0, 3.0, 4.0])}
    flat = {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array([4])}
    graph = Graph.of(chain(first, affine, scale, flat, lif(4)))
    (c,) = graph.connections
    assert (c.source, c.target, c.delay_s) == ("in", "n4", 0.0)
    assert np.allclose(c.weights.T, np.diag(scale["scale"]) @ second["weight"] @ first["weight"])
    assert np.allclose(graph.bias["n4"], scale["scale"] * affine["bias"])
    assert (graph.inputs, graph.outputs, graph.width) == ({"in": 8}, ("n4",), 8)


def test_ways_that_meet_are_added_and_delays_kept_apart():
    delay = {"type": "Delay", "delay": np.array([0, 0, 2e-4, 2e-4, 0, 0, 0, 0])}
    root = chain(delay, linear(4, 8, 1), lif(4), edges=[("in", "extra"), ("extra", "n2")])
    root["nodes"]["extra"] = linear(4, 8, 2)
    graph = Graph.of(root)
    found = {c.delay_s: c.weights.T for c in graph.connections}
    late, a, b = [2, 3], root["nodes"]["n1"]["weight"], root["nodes"]["extra"]["weight"]
    assert set(found) == {0.0, 2e-4}
    assert np.allclose(found[2e-4][:, late], a[:, late]) and not found[2e-4][:, :2].any()
    assert np.allclose(found[0.0][:, late], b[:, late])
    assert np.allclose(found[0.0][:, :2], (a + b)[:, :2])


def test_biases_of_ways_that_meet_are_added_and_so_are_delays_in_a_row():
    first, second = ({"type": "Delay", "delay": np.full(8, s)} for s in (1e-4, 3e-4))
    affine = {**linear(4, 8, 1), "type": "Affine", "bias": np.arange(4.0)}
    root = chain(first, second, affine, lif(4), edges=[("in", "extra"), ("extra", "n3")])
    root["nodes"]["extra"] = affine | {"bias": np.full(4, 10.0)}
    graph = Graph.of(root)
    assert graph.bias["n3"].tolist() == [10, 11, 12, 13]
    assert sorted(c.delay_s for c in graph.connections) == pytest.approx([0, 4e-4])


def test_an_edge_that_is_there_twice_is_one():
    root = chain(linear(4, 8, 1), lif(4))
    twice = Graph.of(root | {"edges": [*root["edges"], *root["edges"]]})
    assert np.array_equal(twice.connections[0].weights, Graph.of(root).connections[0].weights)


def test_graphs_within_graphs_and_numbers_for_all():
    inner = chain(lif(5), linear(5, 5, 3), width=5)
    inner["edges"] = [("in", "n0"), ("n0", "n1"), ("n1", "n0"), ("n0", "out")]
    one = {"type": "LIF", "tau": np.array(1e-3), "r": 10.0, "v_leak": np.array(0.0),
           "v_threshold": np.array(1.0)}
    graph = Graph.of({"type": "NIRGraph", "nodes": {
        "in": {"type": "Input", "shape": np.array([2, 4])}, "n0": linear(5, 8), "n1": inner,
        "n2": linear(3, 5), "n3": one, "out": {"type": "Output", "shape": np.array([3])}},
        "edges": [("in", "n0"), ("n0", "n1"), ("n1", "n2"), ("n2", "n3"), ("n3", "out")]})
    assert {(c.source, c.target) for c in graph.connections} == {
        ("in", "n1/n0"), ("n1/n0", "n1/n0"), ("n1/n0", "n3")}
    assert graph.layers["n3"].parameters["tau"].tolist() == [1e-3] * 3
    assert graph.layers["n3"].parameters["v_reset"].tolist() == [0.0] * 3
    assert list(graph.layers) == ["n1/n0", "n3"]


def test_equations_by_hand():
    def one(node, i):
        graph = Graph.of(chain(linear(1, 1) | {"weight": np.array([[i]])}, node, width=1))
        run = simulate(graph, np.ones((4, 1), bool), DT_S, membranes=("n1",))
        return run.spikes["n1"][:, 0].tolist(), run.membranes["n1"][:, 0]

    one_ = np.ones(1)
    fired, v = one({"type": "IF", "r": one_ / DT_S, "v_threshold": one_}, 0.4)
    assert fired == [False, False, True, False] and np.allclose(v, [0.4, 0.8, 0, 0.4])
    fired, v = one({"type": "LI", "tau": one_ * 2 * DT_S, "r": one_, "v_leak": one_}, 1.0)
    assert fired == [False] * 4 and np.allclose(v, [1.5, 1.75, 1.875, 1.9375])
    fired, _ = one({"type": "Threshold", "threshold": one_}, 1.0)
    assert fired == [False] * 4         # above, not at
    fired, v = one(lif(1, 0.5, v_reset=-one_, v_leak=0 * one_), 0.8)
    assert fired == [False, True, False, False] and np.allclose(v, [0.8, -1, 0.3, 0.95])
    cuba = {"type": "CubaLIF", "tau_syn": one_ * 2 * DT_S, "tau_mem": one_ * 2 * DT_S,
            "r": 2 * one_, "v_leak": 0 * one_, "v_threshold": one_, "w_in": 2 * one_}
    _, v = one(cuba, 0.2)               # currents 0.2, 0.3, 0.35, 0.375
    assert np.allclose(v, [0.2, 0.4, 0.55, 0.65])


def test_recurrence_is_heard_a_step_later_and_delays_are_steps():
    root = chain(linear(2, 2) | {"weight": np.array([[2.0, 0], [0, 0]])}, lif(2, 0.5), width=2,
                 edges=[("n1", "d"), ("d", "w"), ("w", "n1")])
    root["nodes"] |= {"d": {"type": "Delay", "delay": np.full(2, 2 * DT_S)},
                      "w": linear(2, 2) | {"weight": np.array([[0, 0], [2.0, 0]])}}
    x = np.zeros((6, 2), bool)
    x[1, 0] = True
    fired = simulate(Graph.of(root), x, DT_S).spikes["n1"]
    with pytest.raises(InputError, match="a Delay of 1e[+]10 s is 1e[+]14 steps of 0.0001 s; up to"):
        simulate(Graph.of(chain({"type": "Delay", "delay": np.full(8, 1e10)}, lif(8))), spikes(), DT_S)
    assert [np.flatnonzero(f).tolist() for f in fired.T] == [[1], [4]]


ONE = np.ones(1)
BAD = {
    "node 'n1' is a Conv2d, which is not known here; write it out as the matrix of a Linear":
        chain(linear(4, 8), {"type": "Conv2d"}, lif(4)),
    "node 'n1' is a Lif, which is not known here; did you mean LIF":
        chain(linear(4, 8), {"type": "Lif"}, lif(4)),
    "node 'n0' is an Izhikevich, which is not known here; known are LIF":
        chain({"type": "Izhikevich"}, lif(8)),
    r"Linear 'n0': weight \[1, 2\] is nan, not a finite number":
        chain(linear(4, 8) | {"weight": np.where(np.arange(32).reshape(4, 8) == 10, np.nan, 1.0)},
              lif(4)),
    "LIF 'n1': tau must be positive seconds, not -0.001":
        chain(linear(4, 8), lif(4, tau=np.full(4, -1e-3))),
    "LIF 'n1' has no tau": chain(linear(4, 8), {"type": "LIF", "r": ONE}),
    "Linear 'n0' gives 4 values, LIF 'n1' takes 5": chain(linear(4, 8), lif(5)),
    r"weight must have shape \[out, in\], not \[2, 3, 4\]":
        chain({"type": "Linear", "weight": np.zeros((2, 3, 4))}, lif(4)),
    "weight must be numbers": chain({"type": "Linear", "weight": "all"}, lif(4)),
    "v_leak has 3 values for 4": chain(linear(4, 8), lif(4, v_leak=np.zeros(3))),
    "Output 'out' is fed by Linear 'n2': numbers, not spikes":
        chain(linear(4, 8), lif(4), linear(4, 4)),
    "LI 'n1' leads to LIF 'n2': membranes, not spikes; an LI may lead to an Output":
        chain(linear(4, 8), {"type": "LI", "tau": ONE, "r": ONE, "v_leak": ONE}, lif(4)),
    "LI 'n1' leads to Linear 'n2': membranes, not spikes":
        chain(linear(4, 8), {"type": "LI", "tau": ONE, "r": ONE, "v_leak": ONE}, linear(4, 4), lif(4)),
    "the graph has no neurons": chain(linear(8, 8), width=8),
    "a cycle without neurons: 'n2' -> 'n1' -> 'n2'":
        chain(linear(4, 8), linear(4, 4), linear(4, 4), lif(4), edges=[("n2", "n1")]),
    "an edge names node 'n7', which is not there": chain(linear(4, 8), lif(4), edges=[("n7", "n1")]),
    "an edge must name two nodes": chain(linear(4, 8), lif(4), edges=["n1"]),
    "nothing leads to LIF 'n1'":
        chain(linear(4, 8), lif(4)) | {"edges": [("in", "n0"), ("n1", "out")]},
    "holds no NIR graph, but 'LIF'": lif(4),
    r"Delay 'n0': a delay of -1 s": chain({"type": "Delay", "delay": -np.ones(8)}, lif(8)),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_is_named(message):
    with pytest.raises(InputError, match=message) as raised:
        Graph.of(BAD[message])
    assert "\n" not in str(raised.value)


def test_a_cycle_through_layers_is_named():
    root = chain(linear(4, 8), lif(4), linear(4, 4), lif(4),
                 edges=[("n3", "back"), ("back", "n1")])
    root["nodes"]["back"] = linear(4, 4)
    with pytest.raises(InputError, match="a cycle through several layers: 'n[13]' -> 'n[13]' -> .*"
                                         "make them one layer"):
        Graph.of(root)


def test_many_ways_and_great_sizes_end():
    root = chain(*[{"type": "Scale", "scale": np.ones(8)} for _ in range(60)], lif(8))
    root["edges"] += [(f"n{k}", f"n{k + 2}") for k in range(58)]
    with pytest.raises(InputError, match="more than 10,000 ways"):
        Graph.of(root)
    with pytest.raises(InputError, match="Input 'in' has shape"):
        Graph.of(chain(lif(8)) | {"nodes": {"in": {"type": "Input", "shape": np.array([1 << 30, 8])},
                                            "n0": lif(8), "out": {"type": "Output", "shape": [8]}}})


def test_times_that_steps_do_not_hold():
    graph = Graph.of(two_layers())
    with pytest.raises(InputError, match="LIF 'n1': tau = 0.001 s is below the step of 0.002 s; "
                                         "take a step of 0.001 s or less"):
        simulate(graph, spikes(), 2e-3)
    delayed = Graph.of(chain({"type": "Delay", "delay": np.full(8, 2.5e-4)}, lif(8)))
    with pytest.raises(InputError, match="a Delay of 0.00025 s is 2.500 steps of 0.0001 s"):
        simulate(delayed, spikes(), DT_S)


def test_the_page_lists_every_node_that_is_known():
    page = (Path(__file__).parents[1] / "docs" / "nir.md").read_text()
    rows = re.findall(r"^\| (`[^|]*) \| [^|]* \| [^|]* \|$", page.split("## Steps")[0], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == {*NEURONS, *LINEAR, "Input", "Output", KIND}
