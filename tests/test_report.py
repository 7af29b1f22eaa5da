"""Place and route's report, and the delay of multipliers that it does not have."""

import json

import pytest

from ionspike.boards import multiplier_timing as timing
from ionspike.boards import report
from ionspike.boards.errors import BuildError


def arc(start, end, ps):
    return f"(INTERCONNECT {start} {end} ({ps}:{ps}:{ps}) ({ps}:{ps}:{ps}))"


def cell(kind, name, arcs=(), setups=()):
    return "\n".join([
        f'(CELLTYPE "{kind}")', f"(INSTANCE {name})",
        *(f"(IOPATH {a} {b} ({ps}:{ps}:{ps}) ({ps}:{ps}:{ps}))" for a, b, ps in arcs),
        *(f"(SETUPHOLD (posedge {pin}) (posedge CLK) ({ps}:{ps}:{ps}) (0:0:0))"
          for pin, ps in setups)])


def design(kind):
    """Register a, 10 ns of wire, cell m, 5 ns, register b; and from a to b in 20 ns."""
    return "\n".join([
        cell("top", ""), arc("a/O", "m/A", 10000), arc("m/O", "b/I0", 5000), arc("a/O", "b/I1", 18000),
        cell("ICESTORM_LC", "a", [("CLK", "O", 1000)]),
        cell(kind, "m", [("CLK", "O", 100)], [("A", 100)]),
        cell("ICESTORM_LC", "b", (), [("I0", 1000), ("I1", 1000)])])


def longest_s(sdf, **mode):
    return 1 / timing.fmax_Hz(sdf, {"m": mode})


#: Registers of a multiplier within, and what is then in front of and behind it.
INSIDE = [
    ({}, timing.WHOLE_S, timing.WHOLE_S),
    ({"TOP_8x8_MULT_REG": 1, "BOT_8x8_MULT_REG": 1, "PIPELINE_16x16_MULT_REG1": 1,
      "TOPOUTPUT_SELECT": 3, "BOTOUTPUT_SELECT": 3}, timing.PART_S, timing.WHOLE_S),
    ({"TOPOUTPUT_SELECT": 1, "BOTOUTPUT_SELECT": 1}, timing.WHOLE_S, timing.CLOCK_TO_OUT_S),
    ({"A_REG": 1, "TOPOUTPUT_SELECT": 1, "BOTOUTPUT_SELECT": 1}, 0.02e-9, timing.CLOCK_TO_OUT_S),
    ({"A_REG": 1, "PIPELINE_16x16_MULT_REG2": 1, "TOPOUTPUT_SELECT": 3, "BOTOUTPUT_SELECT": 3},
     0.02e-9, timing.CLOCK_TO_OUT_S),
]


@pytest.mark.parametrize("mode, before_s, behind_s", INSIDE)
def test_multipliers_are_added_where_they_are(mode, before_s, behind_s):
    # Long wires to the multiplier, then long wires from it, so that each end decides once.
    to, frm = design("ICESTORM_DSP"), design("ICESTORM_DSP").replace("(5000:5000:5000)",
                                                                      "(30000:30000:30000)")
    to = to.replace("(10000:10000:10000)", "(30000:30000:30000)")
    assert longest_s(to, **mode) == pytest.approx(1e-9 + 30e-9 + 0.1e-9 + before_s)
    assert longest_s(frm, **mode) == pytest.approx(0.1e-9 + behind_s + 30e-9 + 1e-9)


def test_nothing_is_added_elsewhere():
    assert 1 / timing.fmax_Hz(design("ICESTORM_DSP")) == pytest.approx(20e-9)
    assert longest_s(design("ICESTORM_LC")) == pytest.approx(20e-9)


def test_an_addend_is_less_than_a_product():
    sdf = design("ICESTORM_DSP").replace("m/A", "m/C_3").replace("posedge A", "posedge C_3")
    sdf = sdf.replace("(18000:18000:18000)", "(1:1:1)")
    assert longest_s(sdf) == pytest.approx(0.1e-9 + timing.WHOLE_S + 5e-9 + 1e-9)
    assert longest_s(sdf, TOPOUTPUT_SELECT=1, BOTOUTPUT_SELECT=1) == pytest.approx(13.74e-9)


def test_a_multiplier_that_is_not_known_has_no_registers():
    assert timing.fmax_Hz(design("ICESTORM_DSP"), {}) == timing.fmax_Hz(design("ICESTORM_DSP"),
                                                                        {"m": {}})


def test_a_product_without_a_register_is_on_the_path_too():
    through = design("ICESTORM_DSP").replace("(IOPATH CLK O (100:100:100) (100:100:100))",
                                             "(IOPATH A O (100:100:100) (100:100:100))")
    assert longest_s(through) == pytest.approx(1e-9 + 10e-9 + 0.1e-9 + 5e-9 + 1e-9
                                               + timing.WHOLE_S)


@pytest.fixture
def folder(tmp_path):
    step = {"delay": 12.5, "type": "logic", "from": {"cell": "a"}, "to": {"cell": "b"}}
    (tmp_path / "report.json").write_text(json.dumps({
        "utilization": {"ICESTORM_LC": {"used": 7, "available": 9},
                        "SB_GB": {"used": 0, "available": 8}},
        "fmax": {"clk": {"achieved": 48.0, "constraint": 24.0}},
        "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": [step, step]}]}))
    return tmp_path


def test_a_report_is_read(folder):
    placed = report.read(folder, seed=3, clock_Hz=24e6)
    assert placed.used == {"ICESTORM_LC": (7, 9)} and placed.is_met
    assert placed.path == "a -> b: 25.0 ns, 25.0 ns of it in cells, 2 steps"
    assert str(placed) == "seed 3: 48.00 MHz; 24 MHz wanted"


def test_skew_is_kept_and_multipliers_count(folder):
    (folder / "top.sdf").write_text(design("ICESTORM_DSP"))
    (folder / "routed.json").write_text(json.dumps({"modules": {"top": {"cells": {
        "m": {"type": "ICESTORM_DSP", "parameters": {"A_REG": "0", "C_SIGNED": "1"}},
        "a": {"type": "ICESTORM_LC", "parameters": {"A_REG": "1"}}}}}}))
    placed = report.read(folder, seed=1, clock_Hz=48e6)
    # 1 / 48 MHz are 0.833 ns more than the 20 ns of the file.
    assert 1 / placed.checked_Hz == pytest.approx(1 / 48e6 + 0.15e-9) and not placed.is_met


def test_a_report_of_another_make_is_refused(folder):
    (folder / "report.json").write_text("{}")
    with pytest.raises(BuildError, match="report is not understood"):
        report.read(folder, seed=1, clock_Hz=1e6)
