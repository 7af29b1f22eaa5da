"""How near a core's neurons of NIR are to those of floating point.

    python benchmarks/lif.py            # the tables of docs/nir.md
    python benchmarks/lif.py --json

Two layers, 40 inputs, 64 and 32 neurons, 1,000 steps in which each input fires with probability 0.1;
weights are drawn, and scaled so that neurons fire in some percent of the steps. The core is the golden
model, which gateware equals. "By weights" is floating point with the core's weights.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

import numpy as np

from ionspike.host.nir_import import imported
from ionspike.host.preflight import preflight
from ionspike.spec.lif import Reset
from ionspike.spec.shape import DEFAULT_SHAPE

DT_S, STEPS, SIZES, RATE = 1e-4, 1000, (40, 64, 32), 0.1
RESETS: tuple[Reset, ...] = ("zero", "subtract")
#: Kinds of the two layers, beta, reset, bits of a weight.
Case = tuple[tuple[str, str], float, Reset, int]
LIF: list[Case] = [(("LIF", "LIF"), beta, reset, 8)
                   for reset in RESETS for beta in (0.5, 0.8, 0.9, 0.95, 0.97)]
OTHERS: list[Case] = [
    (("IF", "IF"), 0.9, "zero", 8), (("IF", "IF"), 0.9, "subtract", 8),
    (("Threshold", "Threshold"), 0.9, "zero", 8), (("CubaLIF", "LIF"), 0.9, "zero", 8),
    (("LIF", "LI"), 0.9, "zero", 8), (("LI", ""), 0.9, "zero", 8),
    (("LIF", "LIF"), 0.9, "zero", 4), (("IF", "IF"), 0.9, "zero", 4),
    (("Threshold", "Threshold"), 0.9, "zero", 4)]
#: Of the current of a CubaLIF, what is kept from step to step.
ALPHA = 0.5


def neurons(kind: str, size: int, beta: float) -> dict[str, Any]:
    """A node, in steps and thresholds of 1."""
    one, tau = np.ones(size), DT_S / (1 - beta)
    leak = {"r": one * tau / DT_S, "v_leak": 0 * one}
    return {"type": kind, **{
        "LIF": {"tau": one * tau, "v_threshold": one, **leak},
        "IF": {"r": one / DT_S, "v_threshold": one},
        "LI": {"tau": one * tau, **leak},
        "CubaLIF": {"tau_syn": one * DT_S / (1 - ALPHA), "tau_mem": one * tau, "v_threshold": one, **leak},
        "Threshold": {"threshold": one}}[kind]}


def graph(kinds: tuple[str, str], beta: float, seed: int = 1) -> dict[str, Any]:
    """Two layers, or one, as ``nir.NIRGraph.to_dict`` gives them."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, Any] = {"in": {"type": "Input", "shape": np.array([SIZES[0]])}}
    rows = 0
    for k, kind in enumerate(filter(None, kinds)):
        columns, rows = SIZES[k], SIZES[k + 1]
        scale = (0.7 if kind == "Threshold" else 2.2 * (1 - beta) ** 0.7) / (RATE * columns) ** 0.5
        nodes[f"w{k}"] = {"type": "Linear", "weight": rng.normal(0.25, 1, (rows, columns)) * scale}
        nodes[f"n{k}"] = neurons(kind, rows, beta)
    nodes["out"] = {"type": "Output", "shape": np.array([rows])}
    names = list(nodes)
    return {"type": "NIRGraph", "nodes": nodes,
            "edges": list(zip(names, names[1:], strict=False))}


def measure(case: Case) -> dict[str, Any]:
    """One row."""
    kinds, beta, reset, bits = case
    sample = np.random.default_rng(2).random((STEPS, SIZES[0])) < RATE
    found = imported(graph(kinds, beta), dt_s=DT_S, reset=reset, sample=sample, bits=bits)
    report = preflight(found, source="drawn", board="icebreaker", shape=DEFAULT_SHAPE,
                       clock_Hz=24_000_000)
    assert report.early == 0
    return {"kinds": kinds, "beta": beta, "reset": reset, "bits": bits, "still": report.still,
            "relays": report.relays, "neurons": found.network.neurons,
            "layers": [asdict(one) for one in report.layers]}


def figures(one: dict[str, Any]) -> str:
    """Columns of one layer."""
    if one["rms"] is not None:
        return f"| membranes within {100 * one['rms']:.2g} % of their range (rms) | | | | "
    spikes = one["spikes_float"]
    return (f"| {spikes:,} | {one['spikes_core']:,} ({100 * (one['spikes_core'] / spikes - 1):+.1f} %) | "
            + " | ".join(f"{100 * one[key] / spikes:.1f} %" for key in ("same", "near", "weights_only")))


def render(rows: list[dict[str, Any]]) -> str:
    """As a table of a page."""
    names = ["nodes", "bits", "reset", "beta", "layer", "spikes", "on the core", "same step",
             "within a step", "same step, by weights"]
    # What is the same in all of them is said elsewhere.
    plain = all(row["kinds"] == ("LIF", "LIF") and row["bits"] == 8 for row in rows)
    names = names[2:] if plain else [name for name in names if name != "beta"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        for k, one in enumerate(row["layers"]):
            first = f"| {row['reset']} | {row['beta']:g} | {k + 1} " if plain else \
                f"| {row['kinds'][k]} | {row['bits']} | {row['reset']} | {k + 1} "
            lines.append(f"{first}{figures(one)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tables: list[list[dict[str, Any]]] = []
    for cases in (LIF, OTHERS):
        tables.append([])
        for case in cases:
            print(case, file=sys.stderr, flush=True)
            tables[-1].append(measure(case))
    print(json.dumps(tables, indent=2) if arguments.json else "\n\n".join(map(render, tables)))


if __name__ == "__main__":
    main()
