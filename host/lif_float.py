"""NIR's neurons in floating point, a step at a time, as the frameworks that export them compute."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_nodes import Layer
from ionspike.spec.lif import Reset
from ionspike.spec.strict_json import shown

__all__ = ["FloatRun", "simulate", "steps_of"]

Array = NDArray[np.float64]

#: How far a delay may be from a whole number of steps: rounding of 32-bit numbers.
_WHOLE = 1e-3
_MOST_STEPS = 1 << 20


@dataclass(frozen=True)
class FloatRun:
    """What a simulation gave.

    Parameters
    ----------
    spikes : bool ``[T, size]`` of each layer.
    membranes : float64 ``[T, size]`` of each layer that was asked for, after its reset.
    lowest, highest : float64 ``[size]`` of each layer: what its membranes were given in the steps, at the
        extremes; of a CubaLIF the current.
    deepest, top : float64 ``[size]`` of each layer: its membranes at the extremes.
    """

    spikes: dict[str, NDArray[np.bool_]]
    membranes: dict[str, Array] = field(default_factory=dict)
    lowest: dict[str, Array] = field(default_factory=dict)
    highest: dict[str, Array] = field(default_factory=dict)
    deepest: dict[str, Array] = field(default_factory=dict)
    top: dict[str, Array] = field(default_factory=dict)


def simulate(graph: Graph, inputs: NDArray[np.bool_], dt_s: float, *, reset: Reset = "zero",
             membranes: tuple[str, ...] = ()) -> FloatRun:
    """Run a graph. Within a step layers follow one another; a layer hears itself a step later.

    With i what arrives, and z a spike::

        LIF        u = v + dt / tau (v_leak - v + r i)
        IF         u = v + dt r i
        LI         v = v + dt / tau (v_leak - v + r i)                       no spikes
        CubaLIF    c = c + dt / tau_syn (w_in i - c),  u = v + dt / tau_mem (v_leak - v + r c)
        Threshold  z = i > threshold
        z = u > v_threshold,  v = v_reset if z else u

    Parameters
    ----------
    inputs : bool ``[T, graph.width]``.
    dt_s : seconds per step.
    reset : ``subtract``: v = u, and u of the next step is less by the threshold, as in snnTorch.
    membranes : layers whose v is wanted.

    Raises
    ------
    InputError
        For time constants below a step, and delays that are no whole number of steps.
    """
    for layer in graph.layers.values():
        _check(layer, dt_s)
    at = dict(zip(graph.inputs, np.cumsum([0, *graph.inputs.values()]), strict=False))
    sent: dict[str, NDArray[np.bool_]] = {
        name: inputs[:, at[name]:at[name] + size] for name, size in graph.inputs.items()}
    ticks = len(inputs)
    for name, layer in graph.layers.items():
        sent[name] = np.zeros((ticks, layer.size), bool)
    incoming = {name: [(c.source, c.weights, steps_of(c.delay_s, dt_s) + (c.source == name))
                       for c in graph.connections if c.target == name] for name in graph.layers}
    cells = {name: _Cells(layer, dt_s, reset) for name, layer in graph.layers.items()}
    kept = {name: np.zeros((ticks, graph.layers[name].size)) for name in membranes}
    lowest = {name: np.zeros(layer.size) for name, layer in graph.layers.items()}
    highest = {name: np.zeros(layer.size) for name, layer in graph.layers.items()}
    deepest = {name: each.v.copy() for name, each in cells.items()}
    top = {name: each.v.copy() for name, each in cells.items()}
    # Weights that are no weights overflow; what comes of them is refused where it is used.
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(ticks):
            for name in graph.layers:
                arrived = graph.bias[name].copy()
                for source, weights, delay in incoming[name]:
                    if t >= delay and (fired := sent[source][t - delay]).any():
                        arrived += weights[fired].sum(axis=0)
                sent[name][t] = cells[name].step(arrived)
                for given, low, high in ((cells[name].given, lowest[name], highest[name]),
                                         (cells[name].v, deepest[name], top[name])):
                    np.minimum(low, given, out=low)
                    np.maximum(high, given, out=high)
                if name in kept:
                    kept[name][t] = cells[name].v
    return FloatRun({name: sent[name] for name in graph.layers}, kept, lowest, highest, deepest, top)


def steps_of(delay_s: float, dt_s: float) -> int:
    """A delay in steps."""
    steps = delay_s / dt_s
    if not steps < _MOST_STEPS:
        raise InputError(f"a Delay of {delay_s:g} s is {steps:.3g} steps of {dt_s:g} s; up to "
                         f"{_MOST_STEPS:,} there may be")
    if abs(steps - round(steps)) > _WHOLE:
        raise InputError(f"a Delay of {delay_s:g} s is {steps:.3f} steps of {dt_s:g} s; make it "
                         f"{round(steps) * dt_s:g} s")
    return round(steps)


class _Cells:
    """Neurons of a layer."""

    def __init__(self, layer: Layer, dt_s: float, reset: Reset):
        p, self.kind, self.subtract = layer.parameters, layer.kind, reset == "subtract"
        self.p = p
        self.v: Array = p.get("v_leak", np.zeros(layer.size)).copy()
        self.current = self.given = np.zeros(layer.size)
        self.spiked = np.zeros(layer.size, bool)
        self.gain = dt_s / p["tau_mem" if layer.kind == "CubaLIF" else "tau"] \
            if layer.kind in ("LIF", "LI", "CubaLIF") else np.full(layer.size, dt_s)
        self.gain_in = dt_s / p["tau_syn"] if layer.kind == "CubaLIF" else self.gain

    def step(self, arrived: Array) -> NDArray[np.bool_]:
        p, self.given = self.p, arrived
        if self.kind == "Threshold":
            return arrived > p["threshold"]
        if self.kind == "CubaLIF":
            self.current = self.current + self.gain_in * (p["w_in"] * arrived - self.current)
            self.given = arrived = self.current
        pull = 0.0 if self.kind == "IF" else p["v_leak"] - self.v
        u = self.v + self.gain * (pull + p["r"] * arrived)
        if self.kind == "LI":
            self.v = u
            return self.spiked
        if self.subtract:
            u -= self.spiked * p["v_threshold"]
        self.spiked = u > p["v_threshold"]
        self.v = u if self.subtract else np.where(self.spiked, p["v_reset"], u)
        return self.spiked


def _check(layer: Layer, dt_s: float) -> None:
    for key in ("tau", "tau_mem", "tau_syn"):
        values = layer.parameters.get(key)
        if values is not None and values.min() < dt_s * (1 - 1e-6):
            raise InputError(
                f"{layer.kind} {shown(layer.name)}: {key} = {values.min():.3g} s is below the step "
                f"of {dt_s:.3g} s; take a step of {values.min():.2g} s or less")
