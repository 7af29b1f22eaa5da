"""What place and route says of a design: how much it takes, and how fast it is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ionspike.boards import multiplier_timing
from ionspike.boards.errors import BuildError

__all__ = ["Placed", "read"]


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
        modes = multiplier_timing.read_modes(folder / "routed.json")
        # The file has no clock skew; what nextpnr finds more than the file, all paths may have.
        skew_s = max(0.0, 1 / checked_Hz - 1 / multiplier_timing.fmax_Hz(text))
        checked_Hz = min(checked_Hz, 1 / (1 / multiplier_timing.fmax_Hz(text, modes) + skew_s))
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
