"""How near a core's LIF neurons are to those of floating point.

    python benchmarks/lif.py            # the table of docs/nir.md
    python benchmarks/lif.py --json

Two layers, 40 inputs, 64 and 32 neurons, 1,000 steps in which each input fires with probability 0.1;
weights are drawn, and scaled so that neurons fire in some percent of the steps. The core is the golden
model, which gateware equals. Its weights have 8 bits; "8 bits" is floating point with those.
"""

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from ionspike.host.lif_float import simulate
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_import import Imported, imported
from ionspike.host.preflight import preflight
from ionspike.spec.lif import Reset
from ionspike.spec.shape import DEFAULT_SHAPE

DT_S, STEPS, SIZES, RATE = 1e-4, 1000, (40, 64, 32), 0.1
RESETS: tuple[Reset, ...] = ("zero", "subtract")
CASES = [(beta, reset) for reset in RESETS for beta in (0.5, 0.8, 0.9, 0.95, 0.97)]


def graph(beta: float, seed: int = 1) -> dict[str, Any]:
    """Two layers, as ``nir.NIRGraph.to_dict`` gives them."""
    rng = np.random.default_rng(seed)
    tau = DT_S / (1 - beta)
    nodes: dict[str, Any] = {"in": {"type": "Input", "shape": np.array([SIZES[0]])}}
    for k, (columns, rows) in enumerate(zip(SIZES, SIZES[1:], strict=False)):
        scale = 2.2 * (1 - beta) ** 0.7 / (RATE * columns) ** 0.5
        nodes[f"w{k}"] = {"type": "Linear", "weight": rng.normal(0.25, 1, (rows, columns)) * scale}
        nodes[f"lif{k}"] = {
            "type": "LIF", "tau": np.full(rows, tau), "r": np.full(rows, tau / DT_S),
            "v_leak": np.zeros(rows), "v_threshold": np.ones(rows)}
    nodes["out"] = {"type": "Output", "shape": np.array([SIZES[-1]])}
    names = list(nodes)
    return {"type": "NIRGraph", "nodes": nodes,
            "edges": list(zip(names, names[1:], strict=False))}


def measure(beta: float, reset: Reset) -> dict[str, Any]:
    """One row."""
    sample = np.random.default_rng(2).random((STEPS, SIZES[0])) < RATE
    found = imported(graph(beta), dt_s=DT_S, reset=reset, sample=sample)
    report = preflight(found, source="drawn", board="icebreaker", shape=DEFAULT_SHAPE,
                       clock_Hz=24_000_000)
    rounded = simulate(found.mapped.graph, sample, DT_S, reset=reset)
    assert found.floats is not None and found.mapped is not None and report.early == 0
    return {"beta": beta, "reset": reset, "still": report.still,
            "layers": [{
                "spikes": one.spikes_float, "core": one.spikes_core, "same": one.same,
                "near": one.near, "equal": one.equal, "neurons": one.size,
                "same_8_bits": int((found.floats.spikes[one.name] & rounded.spikes[one.name]).sum())}
                for one in report.layers]}


def render(rows: list[dict[str, Any]]) -> str:
    """As a table of a page."""
    lines = ["| reset | beta | layer | spikes | on the core | same step | within a step | same step, "
             "8 bits |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        for k, one in enumerate(row["layers"]):
            lines.append(
                f"| {row['reset']} | {row['beta']:g} | {k + 1} | {one['spikes']:,} | "
                f"{one['core']:,} ({100 * (one['core'] / one['spikes'] - 1):+.1f} %) | "
                f"{100 * one['same'] / one['spikes']:.1f} % | {100 * one['near'] / one['spikes']:.1f} % | "
                f"{100 * one['same_8_bits'] / one['spikes']:.1f} % |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for beta, reset in CASES:
        rows.append(measure(beta, reset))
        print(f"beta {beta:g}, reset {reset}", file=sys.stderr, flush=True)
    print(json.dumps(rows, indent=2) if arguments.json else render(rows))


if __name__ == "__main__":
    main()
