"""Figures of benchmarks/core.py, and the bars that they have to pass."""

import runpy
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "core.py"


@pytest.mark.parametrize("length, events", [(64, 24), (1, 200)])
def test_default_core(length, events):
    found = runpy.run_path(str(BENCHMARK))["burst"](events=events, length=length)
    assert found.words == length * events
    assert found.sop_per_clock >= 0.95 * found.lanes
    assert found.neurons_per_clock >= 0.95


def test_table(capsys):
    runpy.run_path(str(BENCHMARK))["main"]()
    header, *lines = capsys.readouterr().out.splitlines()
    assert "SOP/clock" in header and len(lines) == 2
