"""Netlists and bitstreams of one design for the ladder of equivalence, made as `ionspike build` does.

The pins need no board: they only have to be there, and named.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from ionspike.boards import build
from ionspike.boards.flow import run_tool
from ionspike.spec.shape import CoreShape

__all__ = ["FAMILIES", "Family", "route", "synthesise"]


@dataclass(frozen=True)
class Family:
    """A chip, and how its tools are called."""

    device: str | None
    flow: str
    nextpnr: tuple[str, ...]
    shape: CoreShape
    pins: dict[str, str]


FAMILIES = {
    # Only this many words go into the large memories.
    "up5k": Family("iCE40UP5K", "up5k", ("ice40", "--up5k", "--package", "sg48"),
                   CoreShape(neurons=32, inputs=32, words=16384),
                   {"clk": "35", "rst": "10", "uart_rx": "6", "uart_tx": "9", "idle": "11"}),
    "hx8k": Family(None, "hx8k", ("ice40", "--hx8k", "--package", "ct256"),
                   CoreShape(neurons=32, inputs=32, words=256),
                   {"clk": "J3", "rst": "G1", "uart_rx": "B10", "uart_tx": "B12", "idle": "B5"}),
    "ecp5": Family(None, "ecp5", ("ecp5", "--25k", "--package", "CABGA381"),
                   CoreShape(neurons=32, inputs=32, words=256), {}),
}


def synthesise(top: Any, family: Family, folder: Path) -> None:
    """Write ``top.json``, the netlist after synthesis."""
    platform = type("Platform", (), {"device": family.device}) if family.device else None
    text = rtlil.convert(top, name="top", platform=platform, emit_src=False)
    (folder / "top.il").write_text(text)
    build.synthesise(family.flow, folder)


def route(family: Family, folder: Path, *, seed: int = 1) -> None:
    """Write ``routed.json`` and, for an iCE40, ``top.asc``, ``top.pcf`` and ``top.bin``."""
    chip, *options = family.nextpnr
    if chip == "ice40":
        (folder / "top.pcf").write_text(
            "".join(f"set_io {name} {pin}\n" for name, pin in family.pins.items()))
        files = ["--pcf", "top.pcf", "--asc", "top.asc"]
    else:
        (folder / "top.lpf").write_text("")
        files = ["--lpf", "top.lpf", "--lpf-allow-unconstrained", "--textcfg", "top.config"]
    run_tool(f"yowasp-nextpnr-{chip}", [
        *options, "--json", "top.json", *files, "--write", "routed.json", "--seed", str(seed),
        "--freq", "24", "--timing-allow-fail"], folder, "nextpnr.txt")
    if chip == "ice40":
        run_tool("yowasp-icepack", ["top.asc", "top.bin"], folder, "pack.txt")
