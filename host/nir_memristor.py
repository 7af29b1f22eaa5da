"""Our own neuron in NIR: networks of memristor neurons to files, and back: docs/nir.md."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.ageing import Faults
from ionspike.host.errors import InputError
from ionspike.host.hdf5 import Tree
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.nir_nodes import parameter
from ionspike.spec.device import Device, DeviceError
from ionspike.spec.strict_json import parse, shown

__all__ = ["KIND", "export", "from_tree", "holds_memristors"]

#: The type of the node.
KIND = "Memristor1M1T1R"

_INPUT, _NEURONS, _OUTPUT = "input", "neurons", "output"
_MISMATCH = ("growth", "gap", "rc")
_FAULTS = ("stuck_on", "stuck_off", "growth", "gap")
_WHOLE = 1e-6


def export(network: Network, path: str | Path) -> None:
    """Write a network as a NIR graph, with the extension node :data:`KIND`.

    Raises
    ------
    InputError
        For a network of LIF neurons, whose own file is nearer; without the package ``nir``.
    """
    try:
        import nir
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: writing it needs the package {error.name}; "
                         f"pip install -e '.[nir]' brings it") from None
    if Path(path).suffix != ".nir":
        raise InputError(f"{path}: NIR files are written as .nir")
    if network.lif is not None:
        raise InputError(f"{path}: a network of LIF neurons was imported from a NIR file, which is "
                         f"what it is in NIR; ionspike import NET.nir --output OTHER.nir writes it "
                         f"with the core's weights")
    nodes: dict[str, Any] = {_INPUT: nir.Input(np.array([network.inputs])),
                             _NEURONS: _node(nir, network),
                             _OUTPUT: nir.Output(np.array([network.neurons]))}
    edges = [(_NEURONS, _OUTPUT)]
    for k, p in enumerate(network.projections):
        sources = getattr(network, p.source)
        weight = np.zeros((network.neurons, sources))
        rows, columns = p.weights.shape
        weight[p.target_start:p.target_start + columns, p.source_start:p.source_start + rows] \
            = p.weights.T * network.scale_V
        nodes[f"weights_{k}"] = nir.Linear(weight, metadata={
            "block": np.array([p.source_start, p.target_start, rows, columns])})
        source = _INPUT if p.source == "inputs" else _NEURONS
        if p.delay:
            nodes[f"delay_{k}"] = nir.Delay(np.full(sources, p.delay * network.dt_s))
            edges += [(source, f"delay_{k}"), (f"delay_{k}", f"weights_{k}")]
        else:
            edges.append((source, f"weights_{k}"))
        edges.append((f"weights_{k}", _NEURONS))
    nir.write(str(path), nir.NIRGraph(nodes, edges, type_check=False))


def _node(nir: Any, network: Network) -> Any:
    values: dict[str, Any] = {
        "device": json.dumps(asdict(network.device), sort_keys=True, allow_nan=False),
        "dt_s": float(network.dt_s), "scale_V": float(network.scale_V),
        "output": json.dumps({"neurons": network.outputs.tolist(), "labels": list(network.labels)}),
        "info": json.dumps(network.metadata, sort_keys=True, allow_nan=False)}
    for name in ("r_control_ohm", "state", "votes"):
        if (value := getattr(network, name)) is not None:
            values[name] = value
    for prefix, names in (("mismatch", _MISMATCH), ("faults", _FAULTS)):
        if (group := getattr(network, prefix)) is not None:
            values |= {f"{prefix}_{name}": np.asarray(getattr(group, name)) for name in names}

    class Memristors(nir.NIRNode):
        def __init__(self) -> None:
            self.metadata: dict[str, Any] = {}
            self.input_type = {"input": np.array([network.neurons])}
            self.output_type = {"output": np.array([network.neurons])}

        def to_dict(self) -> dict[str, Any]:
            # HDF5 does not compress what is empty, and nothing stands for it as well.
            return {"type": KIND, **{name: value for name, value in values.items()
                                     if not isinstance(value, np.ndarray) or value.size}}

    return Memristors()


def holds_memristors(root: Tree) -> bool:
    """Whether any of a graph's nodes is ours."""
    nodes = root.get("nodes")
    return isinstance(nodes, dict) and any(
        isinstance(node, dict) and node.get("type") == KIND for node in nodes.values())


def from_tree(root: Tree) -> Network:
    """The network in a graph of one Input, one node :data:`KIND`, and Linear nodes that lead to it
    from either, each with a Delay before it or none.

    Raises
    ------
    InputError
        For graphs of any other form, and values that no network has.
    """
    nodes, kinds = root["nodes"], {}
    for name, node in nodes.items():
        kinds[name] = node.get("type") if isinstance(node, dict) else None
        if kinds[name] not in (KIND, "Input", "Output", "Linear", "Delay"):
            raise InputError(f"node {shown(name)} is {shown(kinds[name])}; beside a {KIND} there may "
                             f"be Input, Linear, Delay and Output")
    input_, neurons = (_only(kinds, kind) for kind in ("Input", KIND))
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for edge in root.get("edges", []):
        ends = list(edge) if isinstance(edge, (list, tuple)) else []
        if len(ends) != 2 or not all(isinstance(end, str) and end in nodes for end in ends):
            raise InputError(f"an edge names what is not there: {shown(edge)}")
        before[ends[1]].append(ends[0])
    node = nodes[neurons]
    dt_s, scale_V = (float(parameter(neurons, node, key).ravel()[0]) for key in ("dt_s", "scale_V"))
    for key, value in (("dt_s", dt_s), ("scale_V", scale_V)):
        if value <= 0:
            raise InputError(f"{KIND} {shown(neurons)}: {key} must be positive, not {value:g}")
    projections, counts = [], {input_: _count(parameter(input_, nodes[input_], "shape")), neurons: 0}
    for name in before[neurons]:
        weight = parameter(name, nodes[name], "weight") if kinds[name] == "Linear" \
            else np.zeros((0,))
        if weight.ndim != 2:
            raise InputError(f"{kinds[name]} {shown(name)} leads to {shown(neurons)}; a Linear must, "
                             f"whose weights are volts")
        counts[neurons] = counts[neurons] or weight.shape[0]
        source, delay = _source(nodes, kinds, before, name, dt_s)
        if source not in counts:
            raise InputError(f"{kinds[source]} {shown(source)} leads to {shown(name)}; {shown(input_)} "
                             f"or {shown(neurons)} may")
        if weight.shape != (counts[neurons], counts[source]):
            raise InputError(f"Linear {shown(name)}: weight is {list(weight.shape)}, not "
                             f"{[counts[neurons], counts[source]]}")
        projections.append(_projection(name, nodes[name], weight, scale_V, delay,
                                       "inputs" if source == input_ else "neurons"))
    if not projections:
        raise InputError(f"nothing leads to {KIND} {shown(neurons)}")
    try:
        return _network(node, dt_s, scale_V, counts[input_], counts[neurons], projections)
    except (DeviceError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{KIND} {shown(neurons)}: {type(error).__name__}: {error}") from error


def _network(node: Tree, dt_s: float, scale_V: float, inputs: int, neurons: int,
             projections: list[Projection]) -> Network:
    def arrays(prefix: str, names: tuple[str, ...]) -> list[Any] | None:
        return [np.asarray(node.get(f"{prefix}_{name}", np.zeros(0, np.int64))) for name in names] \
            if f"{prefix}_growth" in node else None

    output = parse(node["output"]) if "output" in node else {"neurons": None, "labels": []}
    mismatch, faults = arrays("mismatch", _MISMATCH), arrays("faults", _FAULTS)
    return Network(
        device=Device(**parse(node["device"])), dt_s=dt_s, inputs=inputs, neurons=neurons,
        projections=tuple(projections), scale_V=scale_V,
        r_control_ohm=node.get("r_control_ohm"),
        mismatch=None if mismatch is None else Mismatch(*mismatch),
        faults=None if faults is None else Faults(neurons, *faults),
        outputs=output["neurons"], labels=tuple(output["labels"]),
        state=node.get("state"), votes=node.get("votes"), metadata=parse(node.get("info", "{}")))


def _only(kinds: dict[str, Any], kind: str) -> str:
    found = [name for name, each in kinds.items() if each == kind]
    if len(found) != 1:
        raise InputError(f"{len(found)} nodes are {kind}; with a {KIND} there is one")
    return found[0]


def _count(shape: NDArray[np.float64]) -> int:
    if shape.size != 1 or not 1 <= float(shape.ravel()[0]) < 1 << 20:
        raise InputError(f"Input has shape {shape.ravel()[:8].tolist()}; it must be one number of "
                         f"channels")
    return int(shape.ravel()[0])


def _source(nodes: Tree, kinds: dict[str, Any], before: dict[str, list[str]], name: str,
            dt_s: float) -> tuple[str, int]:
    """Where a Linear's values come from, and after how many ticks."""
    delay = 0
    while True:
        if len(before[name]) != 1:
            raise InputError(f"{len(before[name])} nodes lead to {kinds[name]} {shown(name)}; beside a "
                             f"{KIND} it is one")
        source = before[name][0]
        if kinds[source] != "Delay" or delay:
            return source, delay
        values = parameter(source, nodes[source], "delay")
        ticks = values / dt_s if values.size else np.zeros(1)
        if np.ptp(ticks) > _WHOLE or not 0 <= ticks.flat[0] < 1 << 16 \
                or abs(ticks.flat[0] - round(ticks.flat[0])) > _WHOLE:
            raise InputError(f"Delay {shown(source)} must be one whole number of ticks of {dt_s:g} s, "
                             f"not {ticks.min():g} to {ticks.max():g}")
        delay, name = round(float(ticks.flat[0])), source


def _projection(name: str, node: Tree, weight: NDArray[np.float64], scale_V: float, delay: int,
                source: Any) -> Projection:
    metadata = node.get("metadata")
    block = np.asarray(metadata.get("block", ())) if isinstance(metadata, dict) else np.zeros(0)
    first, to, rows, columns = (0, 0, weight.shape[1], weight.shape[0])
    if block.shape == (4,) and block.dtype.kind in "iu":
        first, to, rows, columns = (int(k) for k in block)
    kept = weight[to:to + columns, first:first + rows] if min(first, to) >= 0 else weight[:0]
    if kept.shape != (columns, rows) or np.count_nonzero(kept) != np.count_nonzero(weight):
        raise InputError(f"Linear {shown(name)}: weights are not all in the block that its metadata "
                         f"names, {[first, to, rows, columns]}")
    # A scale that is next to nothing makes infinite steps, which are no multiples either.
    with np.errstate(over="ignore", invalid="ignore"):
        steps = kept.T / scale_V
        odd = ~(np.abs(steps - np.round(steps)) <= _WHOLE)
    if (odd & np.isfinite(kept.T)).any():
        raise InputError(f"Linear {shown(name)}: weights must be multiples of scale_V = {scale_V:g} V")
    return Projection(source, np.round(steps), first, to, delay)
