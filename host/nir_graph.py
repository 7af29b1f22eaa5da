"""A NIR graph as layers of neurons and the matrices between them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.hdf5 import Tree
from ionspike.host.nir_nodes import LINEAR, NEURONS, Layer, parameter, refused
from ionspike.spec.strict_json import shown

__all__ = ["Connection", "Graph"]

#: Of a matrix: as many as the largest core has.
_MOST_WEIGHTS = 1 << 22
#: Ways from one neuron to another that are followed.
_MOST_PATHS = 10_000
_MOST_DEPTH = 12
#: What graphs within graphs begin and end with.
_PASS = "Pass"


@dataclass(frozen=True)
class Connection:
    """Weights from an input or a layer to a layer.

    Parameters
    ----------
    weights : float64 ``[source's size, target's size]``.
    delay_s : of all of them.
    """

    source: str
    target: str
    weights: NDArray[np.float64]
    delay_s: float


@dataclass(frozen=True)
class Graph:
    """Layers in the order in which a step computes them.

    Parameters
    ----------
    inputs : size of each by name.
    layers : by name; none depends on a later one but for itself.
    connections : all that is linear between them, multiplied out.
    bias : float64 ``[size]`` of each layer: what affine nodes add in every step.
    outputs : layers that an output takes.
    """

    inputs: dict[str, int]
    layers: dict[str, Layer]
    connections: tuple[Connection, ...]
    bias: dict[str, NDArray[np.float64]]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, root: Tree) -> "Graph":
        """From what a ``nir.NIRGraph``'s ``to_dict`` gives.

        Raises
        ------
        InputError
            For what is no graph, nodes that are not known, values that are not finite, sizes that
            do not fit, and cycles through more than one layer.
        """
        return _Reader(root).graph()

    @property
    def width(self) -> int:
        """Channels of all inputs together, in the order of :attr:`inputs`."""
        return sum(self.inputs.values())


class _Reader:
    def __init__(self, root: Tree):
        self.nodes: dict[str, Tree] = {}
        self.before: dict[str, list[str]] = {}
        self._flatten(root, "", 0)
        self.sizes: dict[str, int] = {}
        self._infer_sizes()

    # ------------------------------------------------------------------------------- structure --

    def _flatten(self, graph: Tree, prefix: str, depth: int) -> None:
        if graph.get("type") != "NIRGraph" or not isinstance(graph.get("nodes"), dict):
            raise InputError(f"{shown(prefix[:-1]) if prefix else 'it'} holds no NIR graph, but "
                             f"{shown(graph.get('type'))}")
        if depth > _MOST_DEPTH:
            raise InputError(f"graphs within graphs, more than {_MOST_DEPTH} deep")
        inner: dict[str, Tree] = {}
        for key, node in graph["nodes"].items():
            name = prefix + str(key)
            if not isinstance(node, dict) or not isinstance(node.get("type"), str):
                raise InputError(f"node {shown(name)} has no type")
            kind = node["type"]
            if kind == "NIRGraph":
                inner[str(key)] = node
                self._flatten(node, f"{name}/", depth + 1)
            elif kind in ("Input", "Output"):
                self._add(name, node if not depth else {**node, "type": _PASS})
            elif kind in NEURONS or kind in LINEAR:
                self._add(name, node)
            else:
                raise refused(name, kind)
        for edge in self._edges(graph, prefix):
            ends = []
            for key, end in zip(edge, ("Output", "Input"), strict=True):
                if key in inner:
                    ports = [k for k, node in inner[key]["nodes"].items()
                             if isinstance(node, dict) and node.get("type") == end]
                    if len(ports) != 1:
                        raise InputError(f"graph {shown(prefix + key)} within the graph has "
                                         f"{len(ports)} nodes {end}; one is what is known here")
                    ends.append(f"{prefix}{key}/{ports[0]}")
                elif f"{prefix}{key}" in self.nodes:
                    ends.append(f"{prefix}{key}")
                else:
                    raise InputError(f"an edge names node {shown(prefix + key)}, which is not there")
            if ends[0] not in self.before[ends[1]]:
                self.before[ends[1]].append(ends[0])

    def _add(self, name: str, node: Tree) -> None:
        if name in self.nodes:
            raise InputError(f"two nodes are called {shown(name)}")
        self.nodes[name], self.before[name] = node, []

    @staticmethod
    def _edges(graph: Tree, prefix: str) -> Iterator[tuple[str, str]]:
        edges = graph.get("edges", [])
        if isinstance(edges, np.ndarray):
            edges = edges.tolist()
        for edge in edges if isinstance(edges, (list, tuple)) else [edges]:
            pair = tuple(edge) if isinstance(edge, (list, tuple)) else ()
            if len(pair) != 2 or not all(isinstance(end, str) for end in pair):
                raise InputError(f"an edge must name two nodes, not {shown(edge)}")
            yield pair

    def _infer_sizes(self) -> None:
        waiting = list(self.nodes)
        while waiting:
            left = [name for name in waiting if not self._infer(name)]
            if len(left) == len(waiting):
                raise InputError(f"the size of {self._what(left[0])} cannot be told: it is neither "
                                 f"in its parameters nor in what leads to it")
            waiting = left
        for name, sources in self.before.items():
            for source in sources:
                have, want = self.sizes[source], self._wanted(name)
                if have != want:
                    raise InputError(f"{self._what(source)} gives {have} values, "
                                     f"{self._what(name)} takes {want}")

    def _infer(self, name: str) -> bool:
        node, kind = self.nodes[name], self.nodes[name]["type"]
        size = 0
        if kind in ("Affine", "Linear"):
            size = self._weight(name).shape[0]
        elif kind in ("Input", "Output"):
            shape = parameter(name, node, "shape")
            if shape.size > 8 or (shape < 1).any() or shape.prod() > _MOST_WEIGHTS:
                raise InputError(f"{kind} {shown(name)} has shape {shape.ravel()[:8].tolist()}")
            size = int(shape.prod()) if shape.size else 1
        else:
            keys = {"Scale": ["scale"], "Delay": ["delay"]}.get(kind, list(NEURONS.get(kind, ())))
            for key in keys:
                default = NEURONS[kind][key] if kind in NEURONS else None
                size = max(size, parameter(name, node, key, default).size)
            # One value serves neurons of any number, so only what leads here tells.
            if size <= 1:
                known = [self.sizes[source] for source in self.before[name] if source in self.sizes]
                if not known and self.before[name]:
                    return False
                size = known[0] if known else 1
        self.sizes[name] = size
        return True

    def _wanted(self, name: str) -> int:
        return self._weight(name).shape[1] if self.nodes[name]["type"] in ("Affine", "Linear") \
            else self.sizes[name]

    def _weight(self, name: str) -> NDArray[np.float64]:
        weight = parameter(name, self.nodes[name], "weight")
        if weight.ndim != 2 or 0 in weight.shape:
            raise InputError(f"{self._what(name)}: weight must have shape [out, in], not "
                             f"{list(weight.shape)}")
        return weight

    def _what(self, name: str) -> str:
        kind = self.nodes[name]["type"]
        return shown(name) if kind == _PASS else f"{kind} {shown(name)}"

    def _vector(self, name: str, key: str, default: float | None = None) -> NDArray[np.float64]:
        values, size = parameter(name, self.nodes[name], key, default).ravel(), self.sizes[name]
        if values.size not in (1, size):
            raise InputError(f"{self._what(name)}: {key} has {values.size} values for {size}")
        return np.broadcast_to(values, size).copy()

    # ---------------------------------------------------------------------------------- matrices --

    def graph(self) -> Graph:
        """What was read."""
        kinds = {name: node["type"] for name, node in self.nodes.items()}
        inputs = {name: self.sizes[name] for name, kind in kinds.items() if kind == "Input"}
        layers = {name: Layer(name, kind, self.sizes[name], {
            key: self._vector(name, key, default) for key, default in NEURONS[kind].items()})
            for name, kind in kinds.items() if kind in NEURONS}
        for what, there in (("Input", inputs), ("neurons", layers)):
            if not there:
                raise InputError(f"the graph has no {what}")
        for layer in layers.values():
            _check(layer)
        self.paths = 0
        self.bias = {name: np.zeros(layer.size) for name, layer in layers.items()}
        self.found: dict[tuple[str, str, float], NDArray[np.float64]] = {}
        for name in layers:
            if not self.before[name]:
                raise InputError(f"nothing leads to {self._what(name)}")
            for source in self.before[name]:
                self._follow(source, name, None, 0.0, ())
        outputs: list[str] = []
        for name in (name for name, kind in kinds.items() if kind == "Output"):
            outputs += self._ends(name, layers)
        order = _ordered(layers, {(s, t) for s, t, _ in self.found if s in layers})
        return Graph(inputs, {name: layers[name] for name in order},
                     tuple(Connection(source, target, weights, delay_s)
                           for (source, target, delay_s), weights in self.found.items()),
                     self.bias, tuple(dict.fromkeys(outputs)) or tuple(order[-1:]))

    def _follow(self, name: str, target: str, after: NDArray[np.float64] | None, delay_s: float,
                passed: tuple[str, ...]) -> None:
        """Back from a layer through what is linear; ``after`` is ``[target, values of name]``."""
        self.paths += 1
        if self.paths > _MOST_PATHS:
            raise InputError(f"more than {_MOST_PATHS:,} ways lead through the graph's linear nodes")
        if name in passed:
            cycle = (*passed[passed.index(name):], name)[::-1]
            raise InputError(f"a cycle without neurons: {' -> '.join(map(shown, cycle))}; a "
                             f"LIF in it would make it one that waits")
        kind, size = self.nodes[name]["type"], self.sizes[name]
        if after is None and kind != _PASS:
            if size * size > _MOST_WEIGHTS:
                raise InputError(f"{self._what(name)} has {size} values, too many for any core")
            after = np.eye(size)
        if kind == "LI":
            raise InputError(f"LI {shown(name)} leads to {self._what((*passed, target)[0])}: membranes, not "
                             f"spikes; an LI may lead to an Output")
        if kind == "Input" or kind in NEURONS:
            assert after is not None
            key = (name, target, delay_s)
            if key in self.found:
                self.found[key] = self.found[key] + after.T
            else:
                self.found[key] = after.T.copy()
            return
        if not self.before[name]:
            raise InputError(f"nothing leads to {self._what(name)}")
        branches: list[tuple[NDArray[np.float64] | None, float]] = [(after, delay_s)]
        if kind in ("Affine", "Linear"):
            assert after is not None
            weight = self._weight(name)
            if kind == "Affine":
                self.bias[target] += after @ self._vector(name, "bias")
            branches = [(after @ weight, delay_s)]
        elif kind == "Scale":
            assert after is not None
            branches = [(after * self._vector(name, "scale"), delay_s)]
        elif kind == "Delay":
            assert after is not None
            delays = self._vector(name, "delay")
            if (delays < 0).any():
                raise InputError(f"{self._what(name)}: a delay of {delays.min():g} s")
            branches = [(after * (delays == each), delay_s + float(each))
                        for each in np.unique(delays)]
        for matrix, total_s in branches:
            for source in self.before[name]:
                self._follow(source, target, matrix, total_s, (*passed, name))

    def _ends(self, name: str, layers: dict[str, Layer]) -> Iterator[str]:
        for source in self.before[name]:
            kind = self.nodes[source]["type"]
            if source in layers:
                yield source
            elif kind in (_PASS, "Flatten"):
                yield from self._ends(source, layers)
            else:
                raise InputError(f"{self._what(name)} is fed by {self._what(source)}: numbers, not "
                                 f"spikes; end with neurons, an LI among them")


def _check(layer: Layer) -> None:
    for key in ("tau", "tau_mem", "tau_syn"):
        if key in layer.parameters and (values := layer.parameters[key]).min() <= 0:
            raise InputError(f"{layer.kind} {shown(layer.name)}: {key} must be positive seconds, not "
                             f"{values.min():g}")


def _ordered(layers: dict[str, Layer], edges: set[tuple[str, str]]) -> list[str]:
    """Layers so that each comes after those it depends on, itself aside."""
    before = {name: {s for s, t in edges if t == name and s != name} for name in layers}
    order: list[str] = []
    while before:
        ready = [name for name, sources in before.items() if not sources & before.keys()]
        if not ready:
            # Every one that is left has one before it that is left too: going back ends in a cycle.
            walk = [next(iter(before))]
            while walk[-1] not in walk[:-1]:
                walk.append(min(before[walk[-1]] & before.keys()))
            cycle = walk[walk.index(walk[-1]):][::-1]
            raise InputError(
                f"a cycle through several layers: {' -> '.join(map(shown, cycle))}; the file does "
                f"not say which of them waits a step. Recurrence of one layer with itself is known "
                f"here: make them one layer")
        order += ready
        before = {name: sources for name, sources in before.items() if name not in ready}
    return order
