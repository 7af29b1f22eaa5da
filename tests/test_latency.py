"""Spike latency at the pins, held to its bound: benchmarks/latency.py, docs/link.md."""

import runpy
from pathlib import Path

import pytest
from conftest import require_compiler
from nets import SHAPE

from ionspike.spec import wire
from ionspike.spec.shape import DEFAULT_SHAPE

BENCHMARK = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "latency.py"))


@pytest.mark.parametrize("divisor", [4, 8])
@pytest.mark.parametrize(("shape", "neurons", "inputs", "events"), [
    (SHAPE, 8, 4, 1), (SHAPE, 20, 4, 4), (SHAPE, 48, 24, 24), (DEFAULT_SHAPE, 64, 16, 16),
    (DEFAULT_SHAPE, 200, 16, 1), (DEFAULT_SHAPE, 504, 200, 1), (DEFAULT_SHAPE, 504, 200, 200)])
def test_spikes_come_within_the_bound(shape, divisor, neurons, inputs, events):
    require_compiler()
    found = BENCHMARK["measure"](shape, divisor, neurons, inputs, events, 4)
    assert [one.spikes for one in found] == [neurons] * 4
    over = [one for one in found if one.clocks > one.bound]
    assert over == [], f"beyond the bound: {over}"
    # A bound that says little is none.
    assert max(one.clocks for one in found) > 0.5 * found[0].bound


def test_the_bound_is_that_of_the_document():
    text = (Path(__file__).parent.parent / "docs" / "link.md").read_text()
    assert "max(2 B + W + N, 220 d + 200) + 9 R + 662 + 10 d (8 + R)" in text
    # One event, eight neurons that fire, 3 Mbaud at 24 MHz.
    assert BENCHMARK["bound"](8, bytes([wire.Op.EVENTS, 0, 0, 0, wire.LIST_END]), 1, 8,
                              bytes(4)) == max(10 + 1 + 8, 1760 + 200) + 36 + 662 + 960
