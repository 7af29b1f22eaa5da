"""Loading a bitstream into a board, with whichever tool is there."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ionspike.boards.errors import BuildError, ToolError
from ionspike.boards.output import MANIFEST
from ionspike.boards.table import BoardFacts
from ionspike.spec.strict_json import parse, shown

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
        said = parse((folder / MANIFEST).read_bytes())
        board, name, sha256 = said["board"], said["bitstream"], said.get("sha256")
    except (OSError, ValueError, KeyError):
        raise BuildError(f"{folder} holds no build; `ionspike build {facts.name}` makes "
                         f"one") from None
    for key in ("board", "build", "bitstream", "sha256", "note"):
        value = said.get(key)
        # The last three are not there where somebody else's tool makes the bitstream.
        if value is None and key not in ("board", "build"):
            continue
        if not isinstance(value, str) or len(value) > 300 or not value.isprintable():
            raise BuildError(f"{folder / MANIFEST}: {key} is {shown(value)}; build anew")
    if board != facts.name:
        raise BuildError(f"{folder} was built for {board}, not {facts.name}")
    if name is not None and Path(name).name != name:
        raise BuildError(f"{folder / MANIFEST}: bitstream is {shown(name)}, which is no file of "
                         f"that folder; build anew")
    if name is None:
        name, sha256 = "top.bit", None
    path = folder / name
    if not path.is_file():
        raise BuildError(f"{path} is missing; {said.get('note') or 'build anew'}")
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
