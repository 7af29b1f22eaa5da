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

#: nextpnr has 0.1 ns for whatever SB_MAC16 does, and a register in each; icestorm's table has this
#: for a whole 16 x 16 product without registers. It is added to each path that begins or ends at
#: one of which nothing else is known, or goes through.
MULTIPLIER_S = 9.05e-9
#: Likewise: a product and its sum with C and D, which the table has not as one, but its carry and
#: what the highest bit takes longer than that; until a register within that an operand's pin
#: reaches only as a product; and from such a register to the output.
_SUM_S, _SETUP_S, _OUTPUT_S = 12.4e-9, 6.51e-9, 2.01e-9


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
        slow_Hz = fmax_with_multipliers_Hz(text, modes=_modes(folder / "top.json"))
        checked_Hz = min(checked_Hz, 1 / (1 / slow_Hz + skew_s))
    return Placed(seed, used, fmax_Hz, clock_Hz, checked_Hz, path)


def _modes(netlist: Path) -> dict[str, dict[str, int]]:
    """Parameters of each SB_MAC16 of a netlist, by the name that nextpnr gives it."""
    if not netlist.exists():
        return {}
    module = json.loads(netlist.read_text())["modules"]["top"]
    return {f"{name}_DSP": {key: int(str(value), 2) for key, value in cell["parameters"].items()}
            for name, cell in module["cells"].items() if cell["type"] == "SB_MAC16"}


@dataclass(frozen=True)
class _Inside:
    """Times within a multiplier: from ports through it to O and to CO, from ports to a register in
    it, and from its clock."""

    to_o: dict[str, float]
    to_carry: dict[str, float]
    until: dict[str, float]
    o_s: float
    carry_s: float = _SUM_S

    @classmethod
    def of(cls, mode: dict[str, int]) -> "_Inside":
        is_on = {key: bool(value) for key, value in mode.items()}.get
        output = mode.get("TOPOUTPUT_SELECT", 0)
        made = is_on("TOP_8x8_MULT_REG", False) or is_on("PIPELINE_16x16_MULT_REG2", False)
        free = [port for port in ("A", "B") if not is_on(f"{port}_REG", False)]
        terms = [port for port in ("C", "D") if output == 0 and not is_on(f"{port}_REG", False)]
        caught = made or output == 1
        o_s = _SUM_S if output == 0 else _OUTPUT_S if output == 1 or is_on(
            "PIPELINE_16x16_MULT_REG2", False) else MULTIPLIER_S
        return cls(dict.fromkeys(terms + free * (not caught), o_s),
                   {} if made else dict.fromkeys(free, _SUM_S),
                   dict.fromkeys(free * caught, _SETUP_S), o_s)


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


def _port(pin: str) -> str:
    """What a pin is one bit of."""
    return pin.rpartition("/")[2].partition("_")[0]


def fmax_with_multipliers_Hz(sdf: str, multiplier_s: float = MULTIPLIER_S,
                             modes: dict[str, dict[str, int]] | None = None) -> float:
    """Longest path of a delay file, clock skew aside, with its multipliers' delay.

    ``modes`` has the parameters of those that are known; their registers are counted.
    """
    arcs: dict[str, list[tuple[str, float]]] = defaultdict(list)
    setup: dict[str, float] = {}
    inputs, outputs, clocks = set(), set(), set()
    pins: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    known = {name: _Inside.of(mode) for name, mode in (modes or {}).items()}
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
                    if instance in known:
                        pins[instance][_port(end)].append(end)
                        continue
                    outputs.add(end)
            arcs[end].append((start, int(ps) * 1e-12))
        elif found := _SETUP.search(line):
            pin, clock, ps = found.groups()
            setup[f"{instance}/{pin}"] = int(ps) * 1e-12
            clocks.add(f"{instance}/{clock}")
            if kind == "ICESTORM_DSP":
                if instance in known:
                    pins[instance][_port(pin)].append(f"{instance}/{pin}")
                else:
                    inputs.add(f"{instance}/{pin}")
    for instance, ports in pins.items():
        inside = known[instance]
        for port, time in inside.until.items():
            for pin in ports[port]:
                setup[pin] += time
        for output, through, begin_s in (("O", inside.to_o, inside.o_s),
                                         ("CO", inside.to_carry, inside.carry_s)):
            into = [(pin, time) for port, time in through.items() for pin in ports[port]]
            for end in ports[output]:
                arcs[end] += [(f"{instance}/CLK", begin_s), *into]
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
