"""A graph of neurons as a NIR file."""

from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.errors import InputError
from ionspike.host.nir_graph import Graph

__all__ = ["export_graph"]


def export_graph(graph: Graph, path: str | Path) -> None:
    """Write a graph: what is linear between two layers is one node Linear, or Affine, and a Delay.

    Raises
    ------
    InputError
        Without the package ``nir``.
    """
    try:
        import nir
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: writing it needs the package {error.name}; "
                         f"pip install -e '.[nir]' brings it") from None
    if Path(path).suffix != ".nir":
        raise InputError(f"{path}: NIR files are written as .nir")
    # A slash parts groups of HDF5.
    called = {name: name.replace("/", ".") for name in (*graph.inputs, *graph.layers)}
    if len(set(called.values())) != len(called):
        called = {name: f"{at}.{short}" for at, (name, short) in enumerate(called.items())}
    nodes: dict[str, Any] = {called[name]: nir.Input(np.array([size]))
                             for name, size in graph.inputs.items()}
    for name, layer in graph.layers.items():
        nodes[called[name]] = getattr(nir, layer.kind)(**layer.parameters)
    taken, edges = set(nodes), []

    def put(what: str, node: Any) -> str:
        while what in taken:
            what += "_"
        taken.add(what)
        nodes[what] = node
        return what

    biased = {name for name in graph.layers if graph.bias[name].any()}
    for k, c in enumerate(graph.connections):
        way = [called[c.source]]
        if c.delay_s:
            way.append(put(f"delay_{k}", nir.Delay(np.full(len(c.weights), c.delay_s))))
        node = nir.Linear(c.weights.T)
        if c.target in biased and c.source != c.target:
            node = nir.Affine(c.weights.T, graph.bias[c.target])
            biased.remove(c.target)
        way += [put(f"weights_{k}", node), called[c.target]]
        edges += list(zip(way, way[1:], strict=False))
    for k, name in enumerate(graph.outputs):
        edges.append((called[name], put(f"output_{k}", nir.Output(np.array([graph.layers[name].size])))))
    nir.write(str(path), nir.NIRGraph(nodes, edges, type_check=False))
