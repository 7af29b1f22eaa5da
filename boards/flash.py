"""Loading a bitstream into a board, with whichever tool is there."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ionspike.boards.errors import BuildError, ToolError
from ionspike.boards.output import MANIFEST
from ionspike.boards.table import BoardFacts

__all__ = ["built", "command", "load"]

TIMEOUT_S = 300.0


def built(facts: BoardFacts, folder: Path) -> dict[str, Any]:
    """What ``build.json`` of a folder says.

    Raises
    ------
    BuildError
        If there is none, or it is another board's, or the bitstream is not the one built.
    """
    import hashlib
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        board, name, sha256 = said["board"], said["bitstream"], said.get("sha256")
    except (OSError, ValueError, KeyError):
        raise BuildError(f"{folder} holds no build; `ionspike build {facts.name}` makes "
                         f"one") from None
    if board != facts.name:
        raise BuildError(f"{folder} was built for {board}, not {facts.name}")
    if name is None:
        name, sha256 = "top.bit", None
    path = folder / name
    if not path.exists():
        raise BuildError(f"{path} is missing; {said.get('note', 'build anew')}")
    if sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise BuildError(f"{path} is not what was built; build anew")
    return {**said, "bitstream": name}


def command(facts: BoardFacts, bitstream: Path) -> list[str]:
    """The first of the board's tools that is on PATH, with its arguments.

    Raises
    ------
    ToolError
        If none is.
    """
    for tool, *arguments in facts.flash:
        if found := shutil.which(tool):
            return [found, *(part.format(bitstream=bitstream) for part in arguments)]
    names = " or ".join(tool for tool, *_ in facts.flash)
    raise ToolError(f"no tool to load {facts.title}: install {names} (Debian: sudo apt install "
                    f"openfpgaloader fpga-icestorm)")


def load(facts: BoardFacts, bitstream: Path) -> list[str]:
    """Load a bitstream; returns the command that did.

    Raises
    ------
    ToolError
        If there is no tool, or it fails; has its last line.
    """
    words = command(facts, bitstream)
    name = Path(words[0]).name
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace",
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{name} did not end within {TIMEOUT_S:g} s; unplug the board and try "
                        f"again") from None
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["it said nothing"]
        raise ToolError(f"{name} failed with status {done.returncode}: {lines[-1].strip()}; is the "
                        f"board plugged in, and may you use it (docs/boards.md has the udev rule)?")
    return words
