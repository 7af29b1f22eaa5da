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


def longest_ns(sdf, mode):
    return 1e9 / timing.fmax_Hz(sdf, {"m": mode})


def with_pins(operand="A_3", output="O_7"):
    return design("ICESTORM_DSP").replace("m/A", f"m/{operand}").replace(
        "posedge A)", f"posedge {operand})").replace("m/O", f"m/{output}").replace(
        "CLK O (100:", f"CLK {output} (100:")


def selects(which):
    return {"TOPOUTPUT_SELECT": which, "BOTOUTPUT_SELECT": which}


PARTS = {"TOP_8x8_MULT_REG": 1, "BOT_8x8_MULT_REG": 1, "PIPELINE_16x16_MULT_REG1": 1}


@pytest.mark.parametrize("mode, before_ns, behind_ns, longest", [
    # A long wire to an operand's pin: to the product's register, the sum's, its own.
    (selects(3) | {"PIPELINE_16x16_MULT_REG2": 1}, 30, 1, 1 + 30 + 0.1 + 6.51),
    (selects(3) | PARTS, 30, 1, 1 + 30 + 0.1 + 6.51),
    (selects(1), 30, 1, 1 + 30 + 0.1 + 6.51),
    (selects(1) | {"A_REG": 1}, 30, 1, 1 + 30 + 0.1 + 0.02),
    # Through the product, or its sum, and on; a register of half of the product is none.
    (selects(3), 10, 10, 1 + 10 + 9.05 + 10 + 1),
    (selects(3) | {"TOP_8x8_MULT_REG": 1}, 10, 10, 1 + 10 + 9.05 + 10 + 1),
    (selects(0), 10, 10, 1 + 10 + 12.4 + 10 + 1),
    # From the clock: behind the last register, between parts and product, in front of both.
    (selects(1) | {"A_REG": 1}, 1, 30, 2.12 + 30 + 1),
    (selects(3) | {"PIPELINE_16x16_MULT_REG2": 1}, 1, 30, 2.12 + 30 + 1),
    (selects(3) | PARTS, 1, 30, 9.05 + 30 + 1),
    (selects(3) | {"A_REG": 1}, 1, 30, 9.05 + 30 + 1),
    (selects(0) | {"A_REG": 1}, 1, 30, 12.4 + 30 + 1)])
def test_registers_within_a_multiplier_count(mode, before_ns, behind_ns, longest):
    text = with_pins().replace("10000", str(1000 * before_ns)).replace("5000", str(1000 * behind_ns))
    assert longest_ns(text, mode) == pytest.approx(longest)


@pytest.mark.parametrize("mode", [selects(1), selects(3) | {"A_REG": 0}])
def test_a_carry_is_on_the_path_of_an_operand_though_the_sum_has_a_register(mode):
    assert longest_ns(with_pins(output="CO"), mode) == pytest.approx(1 + 10 + 11.24 + 5 + 1)


def test_the_halves_of_an_output_have_registers_of_their_own():
    mode = {"TOPOUTPUT_SELECT": 3, "BOTOUTPUT_SELECT": 1}
    assert longest_ns(with_pins(output="O_16"), mode) == pytest.approx(1 + 10 + 9.05 + 5 + 1)
    assert longest_ns(with_pins(output="O_15"), mode) == pytest.approx(20)


def test_an_addend_is_less_than_a_product():
    assert longest_ns(with_pins("C_3").replace("(10000:10000:10000)", "(30000:30000:30000)"),
                      selects(1)) == pytest.approx(1 + 30 + 0.1 + 2.64)


def test_nothing_is_added_elsewhere():
    assert 1 / timing.fmax_Hz(design("ICESTORM_DSP")) == pytest.approx(20e-9)
    assert longest_ns(design("ICESTORM_LC"), {}) == pytest.approx(20)


def test_a_multiplier_that_is_not_known_has_no_registers():
    assert 1e9 / timing.fmax_Hz(with_pins(), {}) == pytest.approx(longest_ns(with_pins(), {}))


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
    # 1 / 48 MHz are 0.833 ns more than the 20 ns of the file; the longest is from A's register on.
    assert 1 / placed.checked_Hz == pytest.approx(1 / 48e6 - 20e-9 + 29.4e-9) and not placed.is_met


def test_a_report_of_another_make_is_refused(folder):
    (folder / "report.json").write_text("{}")
    with pytest.raises(BuildError, match="report is not understood"):
        report.read(folder, seed=1, clock_Hz=1e6)
