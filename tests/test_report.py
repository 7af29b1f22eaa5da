"""Place and route's report, and the delay of multipliers that it does not have."""

import json

import pytest

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


def test_multipliers_are_added_where_they_are():
    assert 1 / report.fmax_with_multipliers_Hz(design("ICESTORM_DSP")) == pytest.approx(20.15e-9)
    assert 1 / report.fmax_with_multipliers_Hz(design("ICESTORM_DSP"), 0) == pytest.approx(20e-9)
    assert 1 / report.fmax_with_multipliers_Hz(design("ICESTORM_LC")) == pytest.approx(20e-9)


def test_a_product_without_a_register_is_on_the_path_too():
    through = design("ICESTORM_DSP").replace("(IOPATH CLK O (100:100:100) (100:100:100))",
                                             "(IOPATH A O (100:100:100) (100:100:100))")
    longest_s = 1e-9 + 10e-9 + 0.1e-9 + 5e-9 + 1e-9 + report.MULTIPLIER_S
    assert 1 / report.fmax_with_multipliers_Hz(through) == pytest.approx(longest_s)


@pytest.mark.parametrize(("mode", "longest_ns"), [
    # An operand's pin to the product's register; the register to the output; the same, kept out.
    ({"TOPOUTPUT_SELECT": 3, "PIPELINE_16x16_MULT_REG2": 1}, 1 + 10 + 0.1 + 6.51),
    ({"TOPOUTPUT_SELECT": 1, "A_REG": 1, "B_REG": 1}, 1 + 10 + 0.1),
    # Through the product, or its sum; the way that is left is one of 20 ns without it.
    ({"TOPOUTPUT_SELECT": 3}, 1 + 10 + 9.05 + 5 + 1),
    ({"TOPOUTPUT_SELECT": 0}, 1 + 10 + 12.4 + 5 + 1),
    ({"TOPOUTPUT_SELECT": 0, "A_REG": 1, "B_REG": 1}, 12.4 + 5 + 1)])
def test_registers_of_a_known_multiplier_are_counted(mode, longest_ns):
    text = design("ICESTORM_DSP").replace("m/A", "m/A_3").replace("posedge A)", "posedge A_3)") \
        .replace("m/O", "m/O_7").replace("CLK O (100:", "CLK O_7 (100:")
    found = 1 / report.fmax_with_multipliers_Hz(text, modes={"m": mode})
    assert found == pytest.approx(max(longest_ns, 20) * 1e-9)


def test_a_carry_is_on_the_path_of_an_operand_though_the_sum_has_a_register():
    text = design("ICESTORM_DSP").replace("m/A", "m/A_3").replace("posedge A)", "posedge A_3)") \
        .replace("m/O", "m/CO").replace("CLK O (100:", "CLK CO (100:")
    found = 1 / report.fmax_with_multipliers_Hz(text, modes={"m": {"TOPOUTPUT_SELECT": 1}})
    assert found == pytest.approx(1e-9 + 10e-9 + 12.4e-9 + 5e-9 + 1e-9)


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
    placed = report.read(folder, seed=1, clock_Hz=48e6)
    # 1 / 48 MHz are 0.833 ns more than the 20 ns of the file.
    assert 1 / placed.checked_Hz == pytest.approx(1 / 48e6 + 0.15e-9) and not placed.is_met


def test_a_report_of_another_make_is_refused(folder):
    (folder / "report.json").write_text("{}")
    with pytest.raises(BuildError, match="report is not understood"):
        report.read(folder, seed=1, clock_Hz=1e6)
