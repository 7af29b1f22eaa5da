"""What place and route says of a design: how much it takes, and how fast it is."""

import json
import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ionspike.boards.errors import BuildError

__all__ = ["MULTIPLIER_S", "Placed", "fmax_with_multipliers_Hz", "read"]

#: nextpnr has 0.1 ns for whatever SB_MAC16 does; icestorm's table has this for a whole 16 x 16
#: product without registers. It is added to each path that begins or ends at one, or goes through:
#: too much for a product that has a register within, but never too little.
MULTIPLIER_S = 9.05e-9


@dataclass(frozen=True)
class Placed:
    """A placed and routed design.

    Parameters
    ----------
    used : cells by type: taken, of how many.
    fmax_Hz : by clock, as nextpnr gives it.
    checked_Hz : what is compared with the constraint: the slowest clock, multipliers included.
    path : cells at the ends of the longest path, and how long it is.
    """

    seed: int
    used: dict[str, tuple[int, int]]
    fmax_Hz: dict[str, float]
    constraint_Hz: float
    checked_Hz: float
    path: str

    @property
    def is_met(self) -> bool:
        return self.checked_Hz >= self.constraint_Hz

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "is_met": self.is_met}

    def __str__(self) -> str:
        plain = min(self.fmax_Hz.values())
        checked = ("" if self.checked_Hz == plain
                   else f", {self.checked_Hz / 1e6:.2f} MHz with the multipliers' delay")
        return (f"seed {self.seed}: {plain / 1e6:.2f} MHz{checked}; "
                f"{self.constraint_Hz / 1e6:g} MHz wanted")


def read(folder: Path, *, seed: int, clock_Hz: float) -> Placed:
    """nextpnr's ``report.json``; with ``top.sdf`` beside it, multipliers are timed too."""
    try:
        said = json.loads((folder / "report.json").read_text())
        used = {name: (cell["used"], cell["available"])
                for name, cell in said["utilization"].items() if cell["used"]}
        fmax_Hz = {name: clock["achieved"] * 1e6 for name, clock in said["fmax"].items()}
        checked_Hz = min(fmax_Hz.values())
        path = _longest(said["critical_paths"])
    except (OSError, KeyError, ValueError) as error:
        raise BuildError(f"nextpnr's report is not understood: {error!r}") from error
    sdf = folder / "top.sdf"
    if sdf.exists():
        text = sdf.read_text()
        # The file has no clock skew; what nextpnr finds more than the file, all paths may have.
        skew_s = max(0.0, 1 / checked_Hz - 1 / fmax_with_multipliers_Hz(text, 0.0))
        checked_Hz = min(checked_Hz, 1 / (1 / fmax_with_multipliers_Hz(text) + skew_s))
    return Placed(seed, used, fmax_Hz, clock_Hz, checked_Hz, path)


def _longest(paths: list[dict[str, Any]]) -> str:
    clocked = [p for p in paths if "<async>" not in (p["from"], p["to"])]
    if not clocked:
        return ""
    steps = max(clocked, key=lambda p: sum(s["delay"] for s in p["path"]))["path"]
    length = sum(step["delay"] for step in steps)
    first, last = steps[0]["from"]["cell"], steps[-1]["to"]["cell"]
    logic = sum(step["delay"] for step in steps if step["type"] != "routing")
    return f"{first} -> {last}: {length:.1f} ns, {logic:.1f} ns of it in cells, {len(steps)} steps"


_ARC = re.compile(r"\((INTERCONNECT|IOPATH) (\S+) (\S+) \((?:\d+:\d+:)(\d+)\)")
_SETUP = re.compile(r"\(SETUPHOLD \((?:pos|neg)edge (\S+)\) \((?:pos|neg)edge (\S+)\) \(\d+:\d+:(\d+)\)")


def fmax_with_multipliers_Hz(sdf: str, multiplier_s: float = MULTIPLIER_S) -> float:
    """Longest path of a delay file, clock skew aside, with its multipliers' delay."""
    arcs: dict[str, list[tuple[str, float]]] = defaultdict(list)
    setup: dict[str, float] = {}
    inputs, outputs, clocks = set(), set(), set()
    kind = instance = ""
    for line in sdf.splitlines():
        if "(CELLTYPE" in line:
            kind = line.split('"')[1]
        elif "(INSTANCE" in line:
            instance = line.split("(INSTANCE", 1)[1].strip().removesuffix(")")
        elif found := _ARC.search(line):
            what, start, end, ps = found.groups()
            if what == "IOPATH":
                start, end = f"{instance}/{start}", f"{instance}/{end}"
                if kind == "ICESTORM_DSP":
                    outputs.add(end)
            arcs[end].append((start, int(ps) * 1e-12))
        elif found := _SETUP.search(line):
            pin, clock, ps = found.groups()
            setup[f"{instance}/{pin}"] = int(ps) * 1e-12
            clocks.add(f"{instance}/{clock}")
            if kind == "ICESTORM_DSP":
                inputs.add(f"{instance}/{pin}")
    for end in clocks:     # the clock tree is no path
        arcs.pop(end, None)
    arrival: dict[str, float] = {}
    for node in TopologicalSorter({end: [start for start, _ in into] for end, into in arcs.items()}
                                  ).static_order():
        arrival[node] = max((arrival[start] + delay for start, delay in arcs.get(node, ())),
                            default=0.0) + (multiplier_s if node in outputs else 0.0)
    longest = max((arrival.get(pin, 0.0) + time + (multiplier_s if pin in inputs else 0.0)
                   for pin, time in setup.items()), default=0.0)
    return 1 / longest if longest else float("inf")
