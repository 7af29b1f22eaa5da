"""Small NIR graphs for tests, as ``nir.NIRGraph.to_dict`` gives them: no package is needed."""

import numpy as np

DT_S = 1e-4


def lif(size, beta=0.9, threshold=1.0, **changes):
    """As snnTorch writes them: ``u' = beta u + i``."""
    tau = DT_S / (1 - beta)
    return {"type": "LIF", "tau": np.full(size, tau), "r": np.full(size, tau / DT_S),
            "v_leak": np.zeros(size), "v_threshold": np.full(size, threshold),
            "v_reset": np.zeros(size), **changes}


def linear(rows, columns, seed=0, mean=0.1, scale=0.3):
    return {"type": "Linear", "weight": np.random.default_rng(seed).normal(mean, scale, (rows, columns))}


def chain(*nodes, width=8, edges=()):
    """Input, the nodes one after another as n0, n1 and so on, Output; and edges beside them."""
    names = ["in", *(f"n{k}" for k in range(len(nodes))), "out"]
    given = {"in": {"type": "Input", "shape": np.array([width])},
             **dict(zip(names[1:-1], nodes, strict=True)),
             "out": {"type": "Output", "shape": np.array([1])}}
    sizes = [np.size(node["r"]) for node in nodes if "r" in node]
    size = sizes[-1] if sizes else width
    given["out"]["shape"] = np.array([size])
    return {"type": "NIRGraph", "nodes": given, "edges": [
        *zip(names[:-1], names[1:], strict=True), *edges]}


def two_layers(beta=0.9):
    """8 inputs, 12 and 5 LIF neurons."""
    return chain(linear(12, 8, 1, 0.25), lif(12, beta), linear(5, 12, 2, 0.2), lif(5, beta))


def spikes(steps=300, width=8, rate=0.2, seed=0):
    return np.random.default_rng(seed).random((steps, width)) < rate
