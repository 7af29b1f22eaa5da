"""Layers of neurons as a network for a core: docs/nir.md."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.lif_clock import Cells, timed
from ionspike.host.lif_float import FloatRun, steps_of
from ionspike.host.lif_settings import (
    DEEPEST,
    MOST_ABOVE,
    MOST_CLOCKS,
    Settings,
    settings,
)
from ionspike.host.lif_sums import MOST_THRESHOLDS, RESIDUES, Sums, gain, sums_of
from ionspike.host.network import Network, Projection
from ionspike.host.nir_graph import Connection, Graph
from ionspike.host.nir_nodes import Layer
from ionspike.host.readout import Readout
from ionspike.spec import formats as fmt
from ionspike.spec.lif import TICKS_PER_STEP, LifNeuron, Reset
from ionspike.spec.shape import DEFAULT_SHAPE

__all__ = ["Mapped", "map_lif"]

Array = NDArray[np.float64]

#: Weights that differ by less from whole steps are these, as a part of one.
_WHOLE = 1e-4
#: Taus that differ by less are one.
_SAME = 1e-3
#: What a synaptic current still has to give when its taps end.
_TAIL = 0.02
#: Steps for which a synaptic current is followed: each takes every source a neuron.
_MOST_TAPS = 64


@dataclass(frozen=True)
class Mapped:
    """A network for a core, of layers.

    Parameters
    ----------
    network : with inputs and outputs as the graph has them.
    first : first neuron of each layer.
    late : steps by which a layer's spikes come later than in the graph: each layer takes one.
    neuron : the one whose membrane stops furthest from rest; None in a network of Thresholds.
    beta : what a membrane keeps from step to step, of each layer as the file has it.
    clipped : weights beyond what their bits hold, which end there.
    vanished : weights to each layer that are not zero in the file, and are zero on the core.
    levels : steps of a weight to the threshold, float64 ``[size]`` of each layer.
    bits : of a weight.
    graph : the graph with the weights and biases that the core has.
    relays : neurons that pass spikes on.
    warnings : what cannot be as in the file.
    """

    network: Network
    first: dict[str, int]
    late: dict[str, int]
    neuron: LifNeuron | None
    beta: dict[str, tuple[float, float]]
    clipped: int
    vanished: dict[str, int]
    levels: dict[str, Array]
    bits: int
    graph: Graph
    relays: int
    warnings: tuple[str, ...]


def map_lif(graph: Graph, run: FloatRun, dt_s: float, *, reset: Reset = "zero",
            delay_slots: int = DEFAULT_SHAPE.delay_slots, bits: int = fmt.WEIGHT_BITS,
            metadata: dict[str, Any] | None = None) -> Mapped:
    """Make a network of a graph.

    Parameters
    ----------
    run : of the graph on inputs that are typical: what the drives have to hold.
    dt_s : seconds per step.
    delay_slots : of the core it is for: delays that these do not reach take neurons.
    bits : of a weight, 2 to 8.

    Raises
    ------
    InputError
        For layers that the core's neurons cannot be, by name and with what would do.
    """
    sums = sums_of(graph, run, dt_s)
    own = [layer for layer in graph.layers.values() if layer.kind in RESIDUES]
    _check_kinds(own)
    warnings: list[str] = []
    betas = {layer.name: 1 - dt_s / layer.parameters["tau_mem" if layer.kind == "CubaLIF" else "tau"]
             for layer in own if layer.kind != "IF"}
    beta = _one_beta(betas, dt_s, warnings)
    gains = {name: gain(layer, dt_s, sums[name].height) if name in sums else np.ones(layer.size)
             for name, layer in graph.layers.items()}
    taps = {id(c): _taps(graph.layers[c.target], c, gains[c.target], dt_s) for c in graph.connections}
    largest = {name: np.max([np.abs(taps[id(c)][0]).max(axis=0) for c in graph.connections
                             if c.target == name], axis=0) for name in graph.layers}
    for name in graph.layers:
        most = float(largest[name].max())
        if name in sums and not most < MOST_THRESHOLDS or not most < np.inf:
            raise InputError(f"a weight of {most:.3g} thresholds; a core's drive holds up to "
                             f"{MOST_THRESHOLDS}")
    try:
        made = settings(own, sums, largest, beta, reset)
    except InputError as error:
        raise InputError(f"LIF with tau {_tau_s(beta, dt_s):.3g} s in steps of {dt_s:.3g} s: {error}"
                         if betas else str(error)) from None
    warnings += _beyond(own, sums, made, reset)
    levels = {**made.levels, **{name: _threshold_levels(
        layer, np.vstack([c.weights for c in graph.connections if c.target == name]), graph.bias[name])
                                for name, layer in graph.layers.items() if layer.kind == "Threshold"}}
    top = (1 << bits - 1) - 1
    # Steps of a weight that are one of fewer bits.
    coarse = {name: np.clip(np.ceil(largest[name] * levels[name] / top - 1e-6), 1,
                            fmt.WEIGHT_MAX // top).astype(np.int64) if bits < fmt.WEIGHT_BITS else np.ones(layer.size, np.int64)
              for name, layer in graph.layers.items()}
    first = dict(zip(graph.layers, np.cumsum([0, *(layer.size for layer in graph.layers.values())])
                     .tolist(), strict=False))
    inputs = dict(zip(graph.inputs, np.cumsum([0, *graph.inputs.values()]).tolist(), strict=False))
    late = _late(graph)
    lines, clipped, vanished, quantised = [], 0, dict.fromkeys(graph.layers, 0), []
    for c in graph.connections:
        target, step = graph.layers[c.target], levels[c.target]
        waits = steps_of(c.delay_s, dt_s) + late[c.target]
        if c.source not in inputs:
            # The step that a layer takes is one of those it has to wait.
            waits -= late[c.source] + (c.source != c.target)
        # What a Threshold sums up is what its drive is tested with, a tick after the others integrate.
        delay = 1 + (target.kind == "Threshold") + TICKS_PER_STEP * waits
        line, lost = [], np.zeros(c.weights.shape)
        for k, weights in enumerate(taps[id(c)]):
            # What rounding takes from one tap is given to the next.
            wanted = weights * step / coarse[c.target] + lost
            steps = np.clip(np.round(wanted), -top, top)
            lost = wanted - steps if k + 1 < len(taps[id(c)]) else lost
            clipped += int((np.abs(np.round(wanted)) > top).sum())
            line.append(Projection(
                "inputs" if c.source in inputs else "neurons",
                (steps * coarse[c.target]).astype(np.int8),
                inputs[c.source] if c.source in inputs else first[c.source], first[c.target],
                delay + TICKS_PER_STEP * k))
        lines.append(line)
        given = sum(projection.weights.astype(np.int64) for projection in line)
        vanished[c.target] += int(np.count_nonzero(c.weights) - np.count_nonzero(given))
        quantised.append(replace(c, weights=given / _steps(target, gains[c.target], step)))
    bias = {name: np.round(graph.bias[name] * gains[name] * _of_current(layer) * levels[name])
            .astype(np.int64) if name in sums else np.zeros(layer.size, np.int64)
            for name, layer in graph.layers.items()}
    cells = [_cells(layer, made, levels[name], graph.bias[name], bias[name])
             for name, layer in graph.layers.items()]
    together = Cells(*(np.concatenate([getattr(each, key) for each in cells], axis=-1)
                       for key in ("mu", "theta", "start", "drives")))
    readout = _readout(graph, made, sums, first)
    network, relays = timed(
        together, made.registers, made.unit, lines, inputs=graph.width, dt_s=dt_s,
        longest=delay_slots - 1,
        outputs=np.concatenate([first[name] + np.arange(graph.layers[name].size)
                                for name in graph.outputs]),
        metadata={"clipped_weights": clipped, **({} if readout is None else readout.metadata()),
                  **(metadata or {})})
    return Mapped(
        network, first, late, made.worst,
        {name: (float(b.min()), float(b.max())) for name, b in betas.items()}, clipped, vanished,
        {name: levels[name] / coarse[name] for name in graph.layers}, bits,
        replace(graph, connections=tuple(quantised),
                bias={name: bias[name] / _steps(layer, gains[name], levels[name])
                      if name in sums else graph.bias[name] for name, layer in graph.layers.items()}),
        relays, tuple(warnings))


def _of_current(layer: Layer) -> Array | float:
    """What a constant input makes of a synaptic current in the end."""
    if layer.kind != "CubaLIF":
        return 1.0
    return np.where(layer.parameters["w_in"] == 0, 1.0, layer.parameters["w_in"])


def _steps(layer: Layer, gains: Array, levels: Array) -> Array:
    """Steps of the core's weights for each unit of the graph's; 1 where r makes all of them nothing."""
    found = levels * gains * _of_current(layer)
    return np.where(found == 0, 1.0, found)


def _check_kinds(layers: list[Layer]) -> None:
    plain = [layer for layer in layers if layer.kind == "IF"]
    leaking = [layer for layer in layers if layer.kind != "IF"]
    if plain and leaking:
        raise InputError(
            f"IF {plain[0].name!r} beside {leaking[0].kind} {leaking[0].name!r}: a core has one leak, and "
            f"an IF none; make all of them IF, or LIF of one tau")


def _beyond(layers: list[Layer], sums: dict[str, Sums], made: Settings, reset: Reset) -> list[str]:
    """What membranes of IF neurons do that those of a core do not."""
    said = []
    for layer in layers:
        if layer.kind != "IF":
            continue
        if (below := sums[layer.name].below) > DEEPEST:
            said.append(f"membranes of IF {layer.name!r} are up to {below:.2g} thresholds below rest; beyond "
                        f"{DEEPEST:g} a core pulls them up slowly")
        if reset == "subtract" and (above := sums[layer.name].above) > MOST_ABOVE:
            said.append(f"membranes of IF {layer.name!r} are up to {above:.2g} above the threshold; a core "
                        f"keeps {MOST_ABOVE:g}")
    return said


def _one_beta(betas: dict[str, Array], dt_s: float, warnings: list[str]) -> float:
    if not betas:
        return 0.0
    every = np.concatenate(list(betas.values()))
    beta = max(0.0, float(np.median(every)))
    if np.ptp(every) > _SAME:
        slow, fast = (_tau_s(float(each), dt_s) for each in (every.max(), every.min()))
        warnings.append(f"taus are {fast:.3g} to {slow:.3g} s; a core has one leak, here of the "
                        f"median, {_tau_s(beta, dt_s):.3g} s")
    return beta


def _tau_s(beta: float, dt_s: float) -> float:
    # A membrane that leaks less than a float can say keeps all: beta is 1.
    return dt_s / max(1 - beta, np.finfo(float).epsneg)


def _taps(layer: Layer, c: Connection, gains: Array, dt_s: float) -> list[Array]:
    """Weights in thresholds, step by step: those of a current fade."""
    with np.errstate(over="ignore", invalid="ignore"):
        weights = c.weights * gains
        if layer.kind != "CubaLIF":
            return [weights]
        given = np.minimum(1.0, dt_s / layer.parameters["tau_syn"])
        slowest = 1 - float(given.min())
        count = 1 if slowest < _SAME else math.ceil(math.log(_TAIL) / math.log(slowest))
        if count > _MOST_TAPS:
            raise InputError(f"CubaLIF {layer.name!r}: tau_syn is {1 / (1 - slowest):.3g} steps; a core's "
                             f"synaptic currents are made of up to {_MOST_TAPS} spikes, which is "
                             f"{_MOST_TAPS / -math.log(_TAIL):.0f} steps; take longer ones")
        # Of all that there would be, so that nothing is missing in the sum.
        whole = layer.parameters["w_in"] / (1 - (1 - given) ** count)
        return [weights * whole * given * (1 - given) ** k for k in range(count)]


def _threshold_levels(layer: Layer, weights: Array, bias: Array) -> Array:
    """Steps of a weight in a unit of what a Threshold sums up; weights that are whole steps stay so."""
    above = np.abs(layer.parameters["threshold"] - bias)
    largest = np.maximum(np.abs(weights).max(axis=0), 1e-30)
    # The least sum that fires is made to be the one that drives a memristor to the spike's level.
    most = np.minimum(fmt.WEIGHT_MAX, fmt.WEIGHT_MAX * (MOST_CLOCKS - 1) / np.maximum(above, 1e-30) * largest)
    parts = weights / largest
    for whole in range(fmt.WEIGHT_MAX, 0, -1):
        exact = (np.abs(parts * whole - np.round(parts * whole)) < _WHOLE).all(axis=0) & (whole <= most)
        # Ends with the coarsest steps that they are whole ones of, and then as many of these as there may be.
        most = np.where(exact, np.floor(most / whole) * whole, most)
    return most / largest


def _cells(layer: Layer, made: Settings, levels: Array, bias: Array, steps: NDArray[np.int64]) -> Cells:
    zero = np.zeros(layer.size, np.int64)
    if layer.kind == "Threshold":
        least = np.floor((layer.parameters["threshold"] - bias) * levels + 1e-6).astype(np.int64) + 1
        return Cells(zero, zero + fmt.THETA_STUCK, zero, np.array([zero, fmt.WEIGHT_MAX - least, zero]))
    own = made.neurons[layer.name]
    drives = np.array([[-(-drive // made.unit) for drive in n.drives] for n in own]).T
    drives[0] += steps
    mu, theta, start = (np.array([getattr(n, key) for n in own]) for key in ("mu", "theta", "start"))
    return Cells(mu, theta, start, drives)


def _readout(graph: Graph, made: Settings, sums: dict[str, Sums], first: dict[str, int]) -> Readout | None:
    names = [name for name, layer in graph.layers.items() if layer.kind == "LI"]
    if not names:
        return None
    cells = [n for name in names for n in made.neurons[name]]
    height = np.concatenate([sums[name].height for name in names])
    return Readout(
        np.concatenate([first[name] + np.arange(graph.layers[name].size) for name in names]),
        np.array([n.rest for n in cells]),
        height / np.array([n.threshold - n.rest for n in cells]),
        np.concatenate([graph.layers[name].parameters["v_leak"] for name in names]))


def _late(graph: Graph) -> dict[str, int]:
    late: dict[str, int] = {}
    for name in graph.layers:
        late[name] = max((late[c.source] + 1 for c in graph.connections
                          if c.target == name and c.source in late), default=0)
    return late
