"""The delay of an iCE40UP5K's multipliers: nextpnr has next to nothing, and takes each for a register."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

__all__ = ["CARRY_S", "CLOCK_TO_OUT_S", "OTHER_S", "REGISTERED_S", "SETUP_S", "SUM_S", "WHOLE_S", "Modes",
           "fmax_Hz", "read_modes"]

# Slowest corners of icestorm's timings_up5k.txt (tables SB_MAC16_*). Where it has no figure for a
# part of the cell there stands one for more than this part, so that no path is taken as too short.
#: A whole 16 x 16 product, from a pin to a pin.
WHOLE_S = 9.05e-9
#: From an operand's pin to the register behind product and sum.
SETUP_S = 6.51e-9
#: Product and sum to the carry; and to the sum, which the table has not as one: the carry's, and
#: what the highest bit of a sum takes longer than its carry.
CARRY_S, SUM_S = 11.24e-9, 12.4e-9
#: From the clock to a pin behind the last register.
CLOCK_TO_OUT_S = 2.12e-9
#: Setup in front of an operand's register, and of all other pins: the slowest chooses between
#: adding and subtracting.
REGISTERED_S, OTHER_S = 0.02e-9, 2.64e-9

#: Parameters of each multiplier, by its name.
Modes = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class _Inside:
    """What paths meet in a multiplier with these parameters."""

    mode: Mapping[str, int]

    def _is_on(self, *names: str) -> bool:
        return all(self.mode.get(name, 0) for name in names)

    @property
    def _product_kept(self) -> bool:
        """A register holds the product or its parts."""
        return (self._is_on("PIPELINE_16x16_MULT_REG2") or self._is_on(
            "TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG", "PIPELINE_16x16_MULT_REG1"))

    def setup_s(self, port: str) -> float:
        """From a pin of this port to the first register."""
        if port in ("A", "B", "C", "D") and self._is_on(f"{port}_REG"):
            return REGISTERED_S
        return SETUP_S if port in ("A", "B") else OTHER_S

    def _selects(self, output: str) -> int | None:
        """What is behind an output: 0 the sum, 1 its register, 3 the product; of CO, the sum's carry."""
        return self.mode.get({"high": "TOP", "low": "BOT"}[output] + "OUTPUT_SELECT", 0) \
            if output != "carry" else None

    def through_s(self, port: str, output: str) -> float | None:
        """From a pin of a port to an output without a clock; None where one is between."""
        if port not in ("A", "B", "C", "D") or self._is_on(f"{port}_REG"):
            return None
        if port in ("A", "B") and self._product_kept:
            return None
        if output == "carry":
            return CARRY_S
        selects = self._selects(output)
        return SUM_S if selects == 0 else WHOLE_S if selects == 3 and port in ("A", "B") else None

    def begin_s(self, output: str) -> float:
        """From the clock to an output."""
        if output == "carry":
            return CARRY_S
        if (selects := self._selects(output)) == 0:
            return SUM_S
        if selects == 3 and not self._is_on("PIPELINE_16x16_MULT_REG2"):
            return WHOLE_S
        return CLOCK_TO_OUT_S


def _output(pin: str) -> str:
    """The part of the outputs that a pin belongs to: of the sum, or its carry."""
    name, _, bit = pin.partition("_")
    return "carry" if name != "O" else "high" if int(bit or 0) >= 16 else "low"


def read_modes(routed: Path) -> Modes:
    """Multipliers of a netlist as nextpnr writes it."""
    modules = json.loads(routed.read_text())["modules"]
    return {
        name: {key: int(str(value).replace("x", "0"), 2) for key, value in
               cell["parameters"].items() if "REG" in key or "OUTPUT_SELECT" in key}
        for module in modules.values() for name, cell in module["cells"].items()
        if cell["type"] == "ICESTORM_DSP"}


_ARC = re.compile(r"\((INTERCONNECT|IOPATH) (\S+) (\S+) \((?:\d+:\d+:)(\d+)\)")
_SETUP = re.compile(r"\(SETUPHOLD \((?:pos|neg)edge (\S+)\) \((?:pos|neg)edge (\S+)\) \(\d+:\d+:(\d+)\)")


def fmax_Hz(sdf: str, modes: Modes | None = None) -> float:
    """Longest path of a delay file, clock skew aside; with ``modes``, of multipliers too.

    A multiplier that ``modes`` does not have counts as one without registers.
    """
    arcs: dict[str, list[tuple[str, float]]] = defaultdict(list)
    setup: dict[str, float] = {}
    clocks = set()
    inputs: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    kind = instance = ""
    for line in sdf.splitlines():
        if "(CELLTYPE" in line:
            kind = line.split('"')[1]
        elif "(INSTANCE" in line:
            instance = line.split("(INSTANCE", 1)[1].strip().removesuffix(")")
        is_timed = kind == "ICESTORM_DSP" and modes is not None
        if found := _ARC.search(line):
            what, start, end, ps = found.groups()
            if what == "IOPATH":
                if is_timed and modes is not None:
                    output = _output(end)
                    inside = _Inside(modes.get(instance, {}))
                    arcs[f"{instance}/{end}"] += [
                        (f"{instance}/CLK", inside.begin_s(output)), (f"{instance}/to {output}", 0.0)]
                    continue
                start, end = f"{instance}/{start}", f"{instance}/{end}"
            arcs[end].append((start, int(ps) * 1e-12))
        elif found := _SETUP.search(line):
            pin, clock, ps = found.groups()
            setup[f"{instance}/{pin}"] = int(ps) * 1e-12
            clocks.add(f"{instance}/{clock}")
            if is_timed:
                inputs[instance][pin.partition("_")[0]].add(f"{instance}/{pin}")
    for name, ports in inputs.items():
        inside = _Inside((modes or {}).get(name, {}))
        for port, pins in ports.items():
            for pin in pins:
                setup[pin] += inside.setup_s(port)
                for output in ("high", "low", "carry"):
                    if (through_s := inside.through_s(port, output)) is not None:
                        arcs[f"{name}/to {output}"].append((pin, through_s))
    for end in clocks:     # the clock tree is no path
        arcs.pop(end, None)
    arrival: dict[str, float] = {}
    for node in TopologicalSorter({end: [start for start, _ in into] for end, into in arcs.items()}
                                  ).static_order():
        arrival[node] = max((arrival[start] + delay for start, delay in arcs.get(node, ())),
                            default=0.0)
    longest = max((arrival.get(pin, 0.0) + time for pin, time in setup.items()), default=0.0)
    return 1 / longest if longest else float("inf")
