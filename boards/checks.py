"""What Yosys does to a design without a word, looked for in the netlist after every synthesis.

Each has happened here: a multiplier dropped, its operand left undefined, or all that was written
of it overwritten; some 900 cells spent on comparing addresses; a product that goes on into logic
in the clock in which it is made.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ionspike.boards.errors import BuildError

__all__ = ["cells", "check", "check_memories", "check_modes", "check_multipliers",
           "check_products", "products"]

_MULTIPLIERS = ("SB_MAC16", "MULT18X18D", "MULT9X9", "MULT18X18", "MULT36X36")
#: What ends a product's path within SB_MAC16: registers of its parts, of it, of the sum.
_REGISTERS = (("TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG"), ("PIPELINE_16x16_MULT_REG2",),
              ("TOPOUTPUT_SELECT", "BOTOUTPUT_SELECT"))
_OPERANDS = ("A", "B", "C", "D")


def check(folder: Path, *, has_multipliers: bool) -> dict[str, int]:
    """All checks on a synthesised folder; returns cells by type.

    Raises
    ------
    BuildError
        At the first that fails.
    """
    check_memories((folder / "emulation.txt").read_text())
    module = json.loads((folder / "top.json").read_text())["modules"]["top"]
    if has_multipliers:
        design = (folder / "top.il").read_text()
        check_multipliers(module, products(design))
        check_modes(module, design)
        check_products(module)
    return cells(module)


def products(design: str) -> int:
    """Products of two variables in an RTLIL file; those by a constant are shifts and sums.

    With those that are multipliers there already, as :mod:`ionspike.hdl.multiplier` writes them.
    """
    found = re.findall(r"^\s*cell \$mul .*?^\s*end$", design, re.MULTILINE | re.DOTALL)
    written = re.findall(r"^\s*cell \\SB_MAC16 ", design, re.MULTILINE)
    return len(written) + sum(not re.search(r"connect \\[AB] \d+'", cell) for cell in found)


def cells(module: dict[str, Any]) -> dict[str, int]:
    """Cells by type."""
    return dict(sorted(Counter(cell["type"] for cell in module["cells"].values()
                               if not cell["type"].startswith("$")).items()))


def check_memories(emulation: str) -> None:
    """``emulation`` lists cells that stand in for what a memory cannot do."""
    if names := emulation.split():
        raise BuildError(f"{len(names)} cells emulate how a memory port reads, such as {names[0]}; "
                         f"set COLLISION_X_MASK on it, or change the port")


def _multipliers(module: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: cell for name, cell in module["cells"].items() if cell["type"] in _MULTIPLIERS}


def check_multipliers(module: dict[str, Any], expected: int) -> None:
    """As many multipliers as there were products, and every operand is driven."""
    found = _multipliers(module)
    if len(found) != expected:
        raise BuildError(f"the netlist has {len(found)} multipliers, not {expected}: Yosys dropped "
                         f"or added one; keep=1 on the product's register may help")
    driven = {bit for cell in module["cells"].values() for port, bits in cell["connections"].items()
              if cell["port_directions"][port] != "input" for bit in bits}
    driven |= {bit for port in module["ports"].values() if port["direction"] == "input"
               for bit in port["bits"]}
    for name, cell in found.items():
        for port in _OPERANDS:
            lost = [bit for bit in cell["connections"].get(port, ())
                    if bit == "x" or isinstance(bit, int) and bit not in driven]
            if lost:
                raise BuildError(f"multiplier {name}: {len(lost)} bits of operand {port} are "
                                 f"undefined")


def check_modes(module: dict[str, Any], design: str) -> None:
    """Multipliers that are written as cells have the parameters that were written."""
    cell = re.compile(r"^\s*cell \\SB_MAC16 .*?^\s*end$", re.MULTILINE | re.DOTALL)
    wanted = [{key: int(value, 2) for key, value in re.findall(
        r"parameter (?:signed )?\\(\w+) (?:\d+')?([01]+)$", text, re.MULTILINE)}
        for text in cell.findall(design)]
    found = [{key: int(str(value), 2) for key, value in cell["parameters"].items()}
             for cell in _multipliers(module).values() if cell["type"] == "SB_MAC16"]

    def order(modes: list[dict[str, int]]) -> Counter[tuple[tuple[str, int], ...]]:
        return Counter(tuple(sorted((k, v) for k, v in mode.items() if v)) for mode in modes)

    if lost := order(wanted) - order(found):
        raise BuildError(f"Yosys changed {lost.total()} multipliers: none is left with "
                         + ", ".join(f"{key}={value}" for key, value in next(iter(lost))))


def check_products(module: dict[str, Any]) -> None:
    """A product without a register within goes to registers only.

    But for those that say that they do not: :mod:`ionspike.boards.report` adds their time to the
    paths through them.
    """
    users: dict[Any, list[tuple[str, str]]] = {}
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    users.setdefault(bit, []).append((cell["type"], port))
    for name, cell in _multipliers(module).items():
        if "through" in cell.get("attributes", {}) or cell["type"] == "SB_MAC16" and any(
                all(int(str(cell["parameters"].get(key, "0")), 2) == 1 for key in keys)
                for keys in _REGISTERS):
            continue
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                continue
            for bit in bits:
                for kind, pin in users.get(bit, ()):
                    if pin not in ("D", "DI", "M"):
                        raise BuildError(f"multiplier {name}: its product goes to {kind}.{pin} "
                                         f"before any register")
