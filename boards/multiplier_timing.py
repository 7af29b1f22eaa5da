"""The delay of an iCE40UP5K's multipliers, of which nextpnr has next to nothing."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

__all__ = ["CLOCK_TO_OUT_S", "PART_S", "WHOLE_S", "Modes", "fmax_Hz", "read_modes"]

# Slowest corners of icestorm's timings_up5k.txt (tables SB_MAC16_*). Where it has no figure for a
# part of the cell there stands one for more than this part, so that no path is taken as too short.
#: A whole 16 x 16 product, from a pin to a pin.
WHOLE_S = 9.05e-9
#: An 8 x 8 product likewise: what is in front of a register between products and their sum.
PART_S = 5.96e-9
#: From the clock to a pin behind the last register.
CLOCK_TO_OUT_S = 2.12e-9
#: Setup of all other pins: the slowest chooses between adding and subtracting.
_OTHER_S = 2.64e-9
_REGISTERED_S = 0.02e-9

#: Parameters of each multiplier, by its name.
Modes = Mapping[str, Mapping[str, int]]


def read_modes(routed: Path) -> Modes:
    """Multipliers of a netlist as nextpnr writes it."""
    modules = json.loads(routed.read_text())["modules"]
    return {
        name: {key: int(str(value).replace("x", "0"), 2) for key, value in
               cell["parameters"].items() if "REG" in key or "OUTPUT_SELECT" in key}
        for module in modules.values() for name, cell in module["cells"].items()
        if cell["type"] == "ICESTORM_DSP"}


def _into_s(pin: str, mode: Mapping[str, int]) -> float:
    """What a path that ends at this pin has still before it."""
    operand = pin[:1]
    if re.fullmatch(r"[ABCD](_\d+)?", pin) and mode.get(f"{operand}_REG"):
        return _REGISTERED_S
    if re.fullmatch(r"[AB](_\d+)?", pin):
        parts = mode.get("TOP_8x8_MULT_REG") and mode.get("BOT_8x8_MULT_REG") \
            and mode.get("PIPELINE_16x16_MULT_REG1")
        return PART_S if parts else WHOLE_S
    return _OTHER_S


def _out_of_s(mode: Mapping[str, int]) -> float:
    """What a path that begins at this multiplier has behind it."""
    selected = {mode.get("TOPOUTPUT_SELECT"), mode.get("BOTOUTPUT_SELECT")}
    if selected == {1} or selected == {3} and mode.get("PIPELINE_16x16_MULT_REG2"):
        return CLOCK_TO_OUT_S
    return WHOLE_S


_ARC = re.compile(r"\((INTERCONNECT|IOPATH) (\S+) (\S+) \((?:\d+:\d+:)(\d+)\)")
_SETUP = re.compile(r"\(SETUPHOLD \((?:pos|neg)edge (\S+)\) \((?:pos|neg)edge (\S+)\) \(\d+:\d+:(\d+)\)")


def fmax_Hz(sdf: str, modes: Modes | None = None) -> float:
    """Longest path of a delay file, clock skew aside; with ``modes``, of multipliers too.

    A multiplier that ``modes`` does not have counts as one without registers.
    """
    arcs: dict[str, list[tuple[str, float]]] = defaultdict(list)
    setup: dict[str, float] = {}
    more: dict[str, float] = defaultdict(float)
    clocks = set()
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
                if kind == "ICESTORM_DSP" and modes is not None:
                    more[end] = _out_of_s(modes.get(instance, {}))
            arcs[end].append((start, int(ps) * 1e-12))
        elif found := _SETUP.search(line):
            pin, clock, ps = found.groups()
            setup[f"{instance}/{pin}"] = int(ps) * 1e-12
            clocks.add(f"{instance}/{clock}")
            if kind == "ICESTORM_DSP" and modes is not None:
                more[f"{instance}/{pin}"] = _into_s(pin, modes.get(instance, {}))
    for end in clocks:     # the clock tree is no path
        arcs.pop(end, None)
    arrival: dict[str, float] = {}
    for node in TopologicalSorter({end: [start for start, _ in into] for end, into in arcs.items()}
                                  ).static_order():
        longest = max((arrival[start] + delay for start, delay in arcs.get(node, ())), default=0.0)
        arrival[node] = longest + (more[node] if node not in setup else 0.0)
    longest = max((arrival.get(pin, 0.0) + time + more[pin] for pin, time in setup.items()),
                  default=0.0)
    return 1 / longest if longest else float("inf")
