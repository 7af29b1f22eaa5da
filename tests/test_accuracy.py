import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ionspike.host.board import Board
from ionspike.host.network import Network, Projection
from ionspike.host.spikes import Spikes

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")

from ionspike.train.cost import cost  # noqa: E402

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(ROOT / "benchmarks" / "accuracy.py"))


def network(bias=0):
    """Inputs and biases reach the second and third of three neurons, and these hold down both outputs."""
    return Network(
        device="zhao2025_ms", dt_s=1e-3, inputs=4 + bias, neurons=5, scale_V=2.0**-5, projections=(
            Projection("inputs", np.array([[0, 60, 60]] * (4 + bias), np.int8)),
            Projection("neurons", np.array([[0, 0], [-1, -1], [-1, -1]], np.int8), 0, 3)),
        outputs=np.array([3, 4]), labels=("a", "b"), metadata={"bias": bias})


@pytest.mark.parametrize("bias", [0, 2])
def test_operations_are_the_weights_that_spikes_add(bias):
    raster = np.random.default_rng(2).random((3, 60, 4)) < 0.1
    found = cost(network(bias), raster, 1)
    assert found.spikes >= 2 and found.chip_J > 0
    assert found.sops == pytest.approx(2 * (raster.sum() / 3 + 60 * bias) + 2 * found.spikes)
    silent = cost(network(), np.zeros((2, 20, 4), bool), 1)
    assert silent.sops == silent.spikes == 0


def test_each_vote_is_an_operation():
    raster = np.random.default_rng(2).random((3, 60, 4)) < 0.1
    votes = np.array([[1, 0, -2], [3, 4, 0]], np.int8)
    found = cost(replace(network(), labels=("a", "b", "c"), votes=votes), raster, 1)
    fired = sum(result.output_counts.sum() for result in outcomes(raster))
    assert fired == 0 and found.sops == cost(network(), raster, 1).sops
    every = replace(network(), outputs=np.arange(5), labels=("a", "b"), votes=np.full((5, 2), 7, np.int8))
    assert cost(every, raster, 1).sops == pytest.approx(found.sops + 2 * found.spikes)


def outcomes(raster):
    with Board.open(backend="golden") as board:
        board.load(network())
        return board.run_many([Spikes(item, 1e-3) for item in raster], seeds=[1, 2, 3])


def result(**changes):
    return {"data": "digits", "variant": "plain", "seed": 0, "epochs": 3, "float": 0.9,
            "exact": [0.8, 0.9, 0.85], "chips": [0.8, 0.7, 0.75],
            "cost": {"sops": 1234.6, "spikes": 9, "chip_J": 2.5e-9}, "inputs": 66, "neurons": 20,
            "synapses": 3000, "items": {"training": 100, "validation": 20}, "held_out": [1],
            "classes": 10, **changes}


def test_rows_are_means_and_deviations_of_seeds(benchmark):
    rows = [result(), result(seed=1, float=0.8, exact=[0.75] * 3),
            result(variant="cascade", chips=[])]
    del rows[2]["chips"]
    text = benchmark["written"]("before\n<!-- results -->\nold\n<!-- end -->\nafter\n", rows)
    assert text.startswith("before\n<!-- results -->\n\n## Handwritten digits") and "old" not in text
    assert text.endswith("<!-- end -->\nafter\n")
    assert ("| as they are | 0, 1; 3 | 66 inputs, 20 neurons, 3,000 weights | 85.0% ± 7.1 | 80.0% ± 7.1 "
            "| 75.0% ± 0.0 | 1,235 | 2.5 nJ |") in text
    assert ", 3,000 weights, 60 votes |" in benchmark["render"]([result(votes=60)])
    assert "| without cascade | 0; 3 |" in text and "| 90.0% | 85.0% | - |" in text


def test_devices_are_drawn_over_what_the_network_has(benchmark):
    net = network()
    one, again, other = (benchmark["drawn"](net, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.mismatch.growth, again.mismatch.growth)
    assert not np.array_equal(one.mismatch.growth, other.mismatch.growth)
    twice = benchmark["drawn"](one, 1)
    assert twice.mismatch.growth == pytest.approx(one.mismatch.growth**2)


def test_page_is_of_its_results(benchmark):
    page = benchmark["PAGE"].read_text()
    assert page == benchmark["written"](page, json.loads(benchmark["RESULTS"].read_text()))
