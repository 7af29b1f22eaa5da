"""The settings of a core's neurons for layers: one leak for all, a scale of weights for each neuron."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.lif_rows import fitted
from ionspike.host.lif_sums import Sums
from ionspike.host.nir_nodes import Layer
from ionspike.spec import formats as fmt
from ionspike.spec.integrate import integrate_and_fire
from ionspike.spec.lif import SPARE, LifError, LifNeuron, Reset, lif

__all__ = ["DEEPEST", "MOST_ABOVE", "MOST_CLOCKS", "Settings", "settings"]

Array = NDArray[np.float64]

_V_TOP = (1 << fmt.G_BITS) - 1
#: Sources that make the constant drive of a tick: more make finer weights and take more neurons.
MOST_CLOCKS = 16
_FEWEST = math.ceil(_V_TOP / fmt.WEIGHT_MAX / MOST_CLOCKS)
#: A finer unit of drives is taken unless a membrane rests further from where it should than this, and
#: than with the unit for which the largest weight just has 127 steps.
_STILL, _WORSE = 0.006, 1.1
#: Neurons whose sums and weights differ by less have one setting.
_ALIKE = 0.02
#: How deep a membrane of an IF may be without being pulled back, slowly; and what it keeps above the
#: threshold when that is subtracted.
DEEPEST, MOST_ABOVE = 0.5, 2.0
#: An IF that has just fired may end so far below rest, in thresholds, with the fewest steps there are.
_LEAST_DEPTH = 0.1


@dataclass(frozen=True)
class Settings:
    """What layers are made of.

    Parameters
    ----------
    neurons : of each layer, one for each of its neurons.
    levels : float64 ``[size]`` of each layer: steps of a weight in a threshold.
    unit : drive of a weight of 1.
    registers : ``kr, kb, r_max`` of the core.
    """

    neurons: dict[str, list[LifNeuron]]
    levels: dict[str, Array]
    unit: int
    registers: dict[str, int]

    @property
    def worst(self) -> LifNeuron | None:
        """The one whose membrane stops furthest from rest; None in a core of none."""
        return max((n for each in self.neurons.values() for n in each), key=lambda n: n.still,
                   default=None)


def settings(layers: list[Layer], sums: dict[str, Sums], largest: dict[str, Array], beta: float,
             reset: Reset) -> Settings:
    """Settings for layers that are all of LIF, CubaLIF and LI neurons, or all of IF neurons.

    Parameters
    ----------
    largest : largest weight of each neuron, in thresholds.
    beta : what a membrane keeps from step to step.

    Raises
    ------
    InputError
    """
    if not layers:
        return Settings({}, {}, 2 * _FEWEST, {"kr": 0, "kb": 0, "r_max": 0})
    if layers[0].kind == "IF":
        return _integrating(layers, sums, largest, reset)
    try:
        base = _base(layers, sums, largest, beta, reset)
    except LifError as error:
        raise InputError(str(error)) from None
    neurons: dict[str, list[LifNeuron]] = {}
    known: dict[tuple[int | bool, ...], LifNeuron] = {}
    for layer in layers:
        reads, own = layer.kind == "LI", sums[layer.name]
        neurons[layer.name] = []
        for row in zip(own.inhibition, own.excitation, _most(largest[layer.name], base.unit), strict=True):
            # Rounded up, up, and down.
            near = tuple(int(math.floor(math.log(x) / _ALIKE)) + k
                         for x, k in zip(row, (1, 1, 0), strict=True))
            if (key := (*near, reads)) not in known:
                inhibition, excitation, most = (math.exp(k * _ALIKE) for k in near)
                known[key] = fitted(base, inhibition=inhibition, excitation=excitation, most=most,
                                    reset=reset, reads=reads)
            neurons[layer.name].append(known[key])
            if reads and known[key] is base:
                raise InputError(f"LI {layer.name!r}: no setting of the neuron has its range; make its "
                                 f"weights smaller")
    levels = {name: np.array([n.threshold_drive / n.unit for n in each])
              for name, each in neurons.items()}
    return Settings(neurons, levels, base.unit, {"kr": base.kr, "kb": base.kb, "r_max": base.r_max})


def _most(largest: Array, unit: int) -> Array:
    """Drive of a threshold with which the largest weight is one of 127."""
    return np.minimum(fmt.WEIGHT_MAX * unit / np.maximum(largest, 1e-9), 1e9)


def _base(layers: list[Layer], sums: dict[str, Sums], largest: dict[str, Array], beta: float,
          reset: Reset) -> LifNeuron:
    """Leak, and what goes with it, for the largest sums of any neuron."""
    # What is only read takes what the others leave.
    firing = [layer for layer in layers if layer.kind != "LI"] or layers
    inhibition = max(float(sums[layer.name].inhibition.max()) for layer in firing)
    excitation = max(float(sums[layer.name].excitation.max()) for layer in firing)
    weight = max(float(largest[layer.name].max()) for layer in firing)
    coarsest = min(max(_FEWEST, math.ceil(weight * _V_TOP / (inhibition + excitation) / fmt.WEIGHT_MAX)),
                   _V_TOP // fmt.WEIGHT_MAX)

    def made(unit: int) -> LifNeuron:
        spare = 0.0
        if reset == "subtract":
            # As much as half of a threshold of most neurons: what is kept above it ends at one residue.
            drives = [np.minimum(_most(largest[layer.name], unit), _V_TOP / (
                sums[layer.name].inhibition + sums[layer.name].excitation + SPARE)) for layer in firing]
            spare = SPARE * float(np.median(np.concatenate(drives)))
        return lif(beta, inhibition=inhibition, excitation=excitation, unit=unit, reset=reset,
                   most=float(_most(np.array(weight), unit)), spare=spare)

    base = made(coarsest)
    for unit in range(_FEWEST, coarsest):
        try:
            found = made(unit)
        except LifError:
            continue
        if found.still <= max(_STILL, _WORSE * base.still):
            return found
    return base


def _integrating(layers: list[Layer], sums: dict[str, Sums], largest: dict[str, Array],
                 reset: Reset) -> Settings:
    """IF neurons have one scale for all of a core."""
    names = [layer.name for layer in layers]
    weight = max(float(largest[name].max()) for name in names)
    try:
        found = integrate_and_fire(
            inhibition=max(float(sums[name].inhibition.max()) for name in names),
            excitation=max(float(sums[name].excitation.max()) for name in names),
            below=min(DEEPEST, max(_LEAST_DEPTH, *(sums[name].below for name in names))),
            above=min(MOST_ABOVE, max(SPARE, *(sums[name].above for name in names))),
            # A threshold that is subtracted may be a step more.
            levels=fmt.WEIGHT_MAX / max(weight, fmt.WEIGHT_MAX / _V_TOP) - (reset == "subtract"), reset=reset)
    except LifError as error:
        raise InputError(f"IF {names[0]!r}: {error}") from None
    levels = found.threshold_drive / found.unit
    return Settings({layer.name: [found] * layer.size for layer in layers},
                    {layer.name: np.full(layer.size, levels) for layer in layers}, found.unit,
                    {"kr": found.kr, "kb": found.kb, "r_max": found.r_max})
