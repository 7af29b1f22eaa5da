"""LIF layers as a network for a core: docs/nir.md."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.lif_cells import LifCells
from ionspike.host.lif_float import FloatRun, steps_of
from ionspike.host.network import Network, Projection
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_nodes import Layer
from ionspike.host.relays import relayed
from ionspike.spec import formats as fmt
from ionspike.spec.device import Device
from ionspike.spec.lif import TICKS_PER_STEP, LifError, LifNeuron, Reset, lif
from ionspike.spec.shape import DEFAULT_SHAPE

__all__ = ["Mapped", "Sums", "map_lif", "sums_of"]

_WEIGHT_TOP = (1 << fmt.WEIGHT_BITS - 1) - 1
_V_TOP = (1 << fmt.G_BITS) - 1
#: Sources that make the constant drive of a tick: more make finer weights and take more neurons.
_MOST_CLOCKS = 16
#: How much more than the sums that were seen the drives hold; and the least of both, in thresholds.
_MARGIN, _LEAST_INHIBITION, _LEAST_EXCITATION = 1.05, 0.25, 1.25
#: With more, a threshold is less than 8 steps of the drive.
_MOST_THRESHOLDS = 512
#: Taus that differ by less are one.
_SAME = 1e-3

#: Neurons of these networks are no devices; networks name one.
_NO_DEVICE = Device(name="none: LIF neurons", mu_per_V_s=1.0, alpha=1.0, beta_per_s=0.0,
                    gamma1_per_s=1.0, gamma2_per_s=1.0, r_control_ohm=1.0, c_gate_F=1e-3)


@dataclass(frozen=True)
class Sums:
    """Largest inhibition and excitation of a step, in thresholds, positive both."""

    inhibition: float
    excitation: float


@dataclass(frozen=True)
class Mapped:
    """A network of LIF neurons for a core.

    Parameters
    ----------
    network : with inputs and outputs as the graph has them.
    first : first neuron of each layer.
    late : steps by which a layer's spikes come later than in the graph: each layer takes one.
    neuron : what all LIF neurons are made of.
    beta : what a membrane keeps from step to step, of each layer as the file has it.
    clipped : weights beyond what 8 bits hold, which end there.
    vanished : weights to each layer that are not zero in the file, and are zero on the core.
    levels : steps of a weight to the threshold.
    warnings : what cannot be as in the file.
    """

    network: Network
    first: dict[str, int]
    late: dict[str, int]
    neuron: LifNeuron
    beta: dict[str, tuple[float, float]]
    clipped: int
    vanished: dict[str, int]
    levels: float
    warnings: tuple[str, ...]


def map_lif(graph: Graph, dt_s: float, sums: Sums, *, reset: Reset = "zero",
            delay_slots: int = DEFAULT_SHAPE.delay_slots,
            metadata: dict[str, Any] | None = None) -> Mapped:
    """Make a network of a graph.

    Parameters
    ----------
    dt_s : seconds per step.
    sums : what the drives have to hold.
    delay_slots : of the core it is for: delays that these do not reach take neurons.

    Raises
    ------
    InputError
        For layers that the core's neurons cannot be, by name and with what would do.
    """
    for layer in graph.layers.values():
        _check(layer)
    warnings: list[str] = []
    betas = {name: 1 - dt_s / layer.parameters["tau"] for name, layer in graph.layers.items()}
    every = np.concatenate(list(betas.values()))
    beta = max(0.0, float(np.median(every)))
    if np.ptp(every) > _SAME:
        slow, fast = dt_s / (1 - every.max()), dt_s / (1 - every.min())
        warnings.append(f"taus are {fast:.3g} to {slow:.3g} s; a core has one leak, here of the "
                        f"median, {dt_s / (1 - beta):.3g} s")
    needed = Sums(max(_LEAST_INHIBITION, _MARGIN * sums.inhibition),
                  max(_LEAST_EXCITATION, _MARGIN * sums.excitation))
    gains = {name: _gain(layer, dt_s) for name, layer in graph.layers.items()}
    with np.errstate(over="ignore"):
        largest = max(float(np.abs(c.weights * gains[c.target]).max()) for c in graph.connections)
    if not largest < _MOST_THRESHOLDS:
        raise InputError(f"a weight of {largest:.3g} thresholds; a core's drive holds up to "
                         f"{_MOST_THRESHOLDS}")
    unit = _unit(largest, needed)
    try:
        neuron = lif(beta, inhibition=needed.inhibition, excitation=needed.excitation, unit=unit,
                     reset=reset)
    except LifError as error:
        raise InputError(f"LIF with tau {dt_s / (1 - beta):.3g} s in steps of {dt_s:.3g} s: {error}") \
            from None
    levels = neuron.threshold_drive / unit
    first = dict(zip(graph.layers, np.cumsum([0, *(layer.size for layer in graph.layers.values())])
                     .tolist(), strict=False))
    inputs = dict(zip(graph.inputs, np.cumsum([0, *graph.inputs.values()]).tolist(), strict=False))
    late = _late(graph)
    projections, clipped, vanished = [], 0, dict.fromkeys(graph.layers, 0)
    for c in graph.connections:
        steps = np.round(c.weights * gains[c.target] * levels)
        clipped += int((np.abs(steps) > _WEIGHT_TOP).sum())
        vanished[c.target] += int(np.count_nonzero(c.weights) - np.count_nonzero(steps))
        weights = np.clip(steps, -_WEIGHT_TOP, _WEIGHT_TOP).astype(np.int8)
        waits = steps_of(c.delay_s, dt_s) + late[c.target]
        if c.source in inputs:
            projections.append(Projection("inputs", weights, inputs[c.source], first[c.target],
                                          1 + TICKS_PER_STEP * waits))
        else:
            # The step that a layer takes is one of those it has to wait.
            waits -= late[c.source] + (c.source != c.target)
            projections.append(Projection("neurons", weights, first[c.source], first[c.target],
                                          1 + TICKS_PER_STEP * waits))
    count = sum(layer.size for layer in graph.layers.values())
    bias = np.concatenate([np.round(graph.bias[name] * gains[name] * levels) for name in graph.layers])
    network = _timed(graph, dt_s, neuron, count, bias.astype(np.int64), projections, delay_slots - 1,
                     np.concatenate([first[name] + np.arange(graph.layers[name].size)
                                     for name in graph.outputs]),
                     {"clipped_weights": clipped, **(metadata or {})})
    return Mapped(network, first, late, neuron,
                  {name: (float(b.min()), float(b.max())) for name, b in betas.items()},
                  clipped, vanished, levels, tuple(warnings))


def sums_of(graph: Graph, run: FloatRun, dt_s: float) -> Sums:
    """The largest sums that arrived in a run."""
    inhibition, excitation = [0.0], [0.0]
    for name, layer in graph.layers.items():
        if layer.kind == "LIF":
            with np.errstate(over="ignore", invalid="ignore"):
                gain = _gain(layer, dt_s)
                low, high = run.lowest[name] * gain, run.highest[name] * gain
            if not (np.abs([low, high]) < _MOST_THRESHOLDS).all():
                raise InputError(f"LIF {name!r}: what arrives in a step is up to "
                                 f"{np.nanmax(np.abs([low, high])):.3g} thresholds; a core's drive "
                                 f"holds up to {_MOST_THRESHOLDS}")
            inhibition.append(-float(np.minimum(low, high).min()))
            excitation.append(float(np.maximum(low, high).max()))
    return Sums(max(inhibition), max(excitation))


def _gain(layer: Layer, dt_s: float) -> NDArray[np.float64]:
    """Thresholds for each unit of what arrives in a step."""
    p = layer.parameters
    return dt_s / p["tau"] * p["r"] / np.where(_threshold(layer) > 0, _threshold(layer), np.inf)


def _check(layer: Layer) -> None:
    what = f"{layer.kind} {layer.name!r}"
    if layer.kind != "LIF":
        raise InputError(
            f"{what}: a core's neurons can be LIF neurons only; "
            + {"IF": "a LIF of beta up to about 0.98 is near it",
               "LI": "a LIF is near it, whose spikes are counted",
               "CubaLIF": "a LIF is near it, if tau_syn is short",
               "Threshold": "a LIF whose tau is one step is the same, in a network of such"}[layer.kind])
    p = layer.parameters
    if (p["v_threshold"] <= p["v_leak"]).any():
        raise InputError(f"{what}: v_threshold must be above v_leak, or it fires without inputs")
    if (np.abs(p["v_reset"] - p["v_leak"]) > 1e-6 * _threshold(layer)).any():
        raise InputError(f"{what}: v_reset must be v_leak on a core, which resets to rest; it is "
                         f"{p['v_reset'][0]:g}, v_leak is {p['v_leak'][0]:g}")


def _threshold(layer: Layer) -> NDArray[np.float64]:
    return layer.parameters["v_threshold"] - layer.parameters["v_leak"]


def _unit(largest: float, sums: Sums) -> int:
    """Drive of a weight of 1, so that the largest weight is one of 127."""
    per_threshold = _V_TOP / (sums.inhibition + sums.excitation)
    fewest = math.ceil(_V_TOP / _WEIGHT_TOP / _MOST_CLOCKS)
    return min(max(fewest, math.ceil(largest * per_threshold / _WEIGHT_TOP)), _V_TOP // _WEIGHT_TOP)


def _late(graph: Graph) -> dict[str, int]:
    late: dict[str, int] = {}
    for name in graph.layers:
        late[name] = max((late[c.source] + 1 for c in graph.connections
                          if c.target == name and c.source in late), default=0)
    return late


def _timed(graph: Graph, dt_s: float, neuron: LifNeuron, count: int, bias: NDArray[np.int64],
           wanted: list[Projection], longest: int, outputs: NDArray[np.int64],
           metadata: dict[str, Any]) -> Network:
    """The network with the neurons that make the constant drives of the three ticks.

    Those of a tick fire in the one before it, all at once, and make those of the next tick fire; all
    are memristors that are stuck on, which fire in the tick in which they are driven. Starters fire
    in the first tick of all, once, in place of those that make it integrate.
    """
    amounts = [np.full(count, -(-drive // neuron.unit)) for drive in neuron.drives]
    amounts[0] = amounts[0] + bias
    rows = [max(1, -(-int(np.abs(amount).max()) // _WEIGHT_TOP)) for amount in amounts]
    starts = np.cumsum([count, rows[0], *rows]).tolist()
    starters, phases, total = starts[0], starts[1:4], starts[4]
    projections = []
    for projection in wanted:
        several, relays = relayed(projection, longest, total)
        projections += several
        total += relays
    for firsts, amount, number in ((phases[0], amounts[0], rows[0]), (phases[1], amounts[1], rows[1]),
                                   (phases[2], amounts[2], rows[2]), (starters, amounts[0], rows[0])):
        # As even as can be: rows that are equal share their memory.
        shares = np.array([(amount * (k + 1)) // number - (amount * k) // number
                           for k in range(number)])
        projections.append(Projection("neurons", shares.astype(np.int8), firsts, 0))
    for source, phase in ((starters, 1), (phases[0], 1), (phases[1], 2), (phases[2], 0)):
        projections.append(Projection(
            "neurons", np.full((1, rows[phase]), _WEIGHT_TOP, np.int8), source, phases[phase]))
    kg, mu = np.full(total, (1 << fmt.KG_BITS) - 1), np.zeros(total, np.int64)
    theta = np.full(total, fmt.THETA_STUCK)
    mu[:count], theta[:count] = neuron.mu, neuron.theta
    state = np.zeros((total, 3), np.uint16)
    state[:count, 1] = neuron.start >> fmt.R_LOW_BITS
    state[:count, 2] = (neuron.start & (1 << fmt.R_LOW_BITS) - 1) << fmt.G_BITS
    kg[starters:phases[0]], theta[starters:phases[0]] = 0, 0
    state[starters:phases[0], 2] = _V_TOP
    registers = {"kf": (1 << fmt.KF_BITS) - 1, "kr": neuron.kr, "kb": neuron.kb,
                 "r_max": neuron.r_max, "spike_level": _WEIGHT_TOP * neuron.unit}
    return Network(
        device=_NO_DEVICE, dt_s=dt_s / TICKS_PER_STEP, inputs=graph.width, neurons=total,
        projections=tuple(projections),
        scale_V=neuron.unit * 2.0 ** -fmt.G_FRAC,
        outputs=outputs, state=state, metadata=metadata,
        lif=LifCells(kg, mu, theta, registers, TICKS_PER_STEP))
