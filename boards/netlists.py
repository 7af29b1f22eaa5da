"""Netlists and bitstreams of one design for the ladder of equivalence.

The pins need no board: they only have to be there, and named.
"""

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from ionspike.boards import up5k
from ionspike.boards.up5k import BuildError
from ionspike.hdl.yosys import run_script
from ionspike.spec.shape import CoreShape

__all__ = ["FAMILIES", "Family", "route", "synthesise"]

# See boards/up5k.py for what the first lines are for.
_SCRIPT = """
read_rtlil top.il
delete */t:$meminit*
hierarchy -top top
proc
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i
{synthesis} -top top -json top.json
"""

# Rows of two bits: Yosys' own multipliers of logic cells take half as many again, and the
# default core would not fit an HX8K.
_MULTIPLIERS = """
flatten
opt
wreduce
opt_clean
techmap -autoproc -map multiplier.v t:$mul
"""


@dataclass(frozen=True)
class Family:
    """A chip, and how its tools are called."""

    device: str | None
    synthesis: str
    nextpnr: tuple[str, ...]
    shape: CoreShape
    pins: dict[str, str]


FAMILIES = {
    # Only this many words go into the large memories.
    "up5k": Family("iCE40UP5K", "synth_ice40 -device u -dsp", ("ice40", "--up5k", "--package", "sg48"),
                   CoreShape(neurons=32, inputs=32, words=16384),
                   {name: str(pin) for name, pin in up5k._PINS.items()}),
    "hx8k": Family(None, _MULTIPLIERS + "synth_ice40 -device hx",
                   ("ice40", "--hx8k", "--package", "ct256"),
                   CoreShape(neurons=32, inputs=32, words=256),
                   {"clk": "J3", "rst": "G1", "uart_rx": "B10", "uart_tx": "B12", "idle": "B5"}),
    "ecp5": Family(None, "synth_ecp5", ("ecp5", "--25k", "--package", "CABGA381"),
                   CoreShape(neurons=32, inputs=32, words=256), {}),
}


def synthesise(top: Any, family: Family, folder: Path) -> None:
    """Write ``top.json``, the netlist after synthesis."""
    platform = type("Platform", (), {"device": family.device}) if family.device else None
    text = rtlil.convert(top, name="top", platform=platform, emit_src=False)
    (folder / "top.il").write_text(text)
    (folder / "multiplier.v").write_text(Path(__file__).with_name("multiplier.v").read_text())
    run_script(_SCRIPT.format(synthesis=family.synthesis), folder)


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
    _run([f"yowasp-nextpnr-{chip}", *options, "--json", "top.json", *files,
          "--write", "routed.json", "--seed", str(seed), "--freq", "24", "--timing-allow-fail"],
         folder)
    if chip == "ice40":
        _run(["yowasp-icepack", "top.asc", "top.bin"], folder)


def _run(command: list[str], folder: Path) -> None:
    tool = Path(sysconfig.get_path("scripts")) / command[0]
    if not tool.exists():
        raise BuildError(f"{command[0]} is missing: `pip install 'ionspike[boards]'`")
    done = subprocess.run([sys.executable, str(tool), *command[1:]], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode:
        tail = done.stderr.strip().splitlines()[-3:]
        raise BuildError(f"{command[0]} failed: " + " / ".join(tail))
