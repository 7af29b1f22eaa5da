"""What a core's neurons have to hold, of layers and what they heard in a run; and layers that none can be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.lif_float import FloatRun
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_nodes import Layer

__all__ = ["MOST_THRESHOLDS", "RESIDUES", "Sums", "check", "gain", "sums_of", "threshold"]

Array = NDArray[np.float64]

#: Kinds of layers whose membranes are residues.
RESIDUES = ("LIF", "CubaLIF", "LI", "IF")
#: With more, a threshold is less than 8 steps of the drive.
MOST_THRESHOLDS = 512
#: How much more than what was seen there is room for.
_MARGIN = 1.05
#: Least inhibition and excitation, in thresholds; of an LI, whose membrane takes many steps to its top.
_LEAST, _LEAST_READ = (0.25, 1.25), (0.02, 0.05)
#: An LI's top is no less than this part of its depth, or of what a unit of its weights makes of it.
_LEAST_TOP = 0.25


@dataclass(frozen=True)
class Sums:
    """What the membranes of a layer were given, and where they were, in thresholds.

    Parameters
    ----------
    inhibition, excitation : float64 ``[size]``, the largest sums of a step, positive both.
    below, above : how far under rest membranes of the layer were, and how far above the threshold.
    height : float64 ``[size]``, what a threshold is; of an LI, the top of its range.
    """

    inhibition: Array
    excitation: Array
    below: float
    above: float
    height: Array


def sums_of(graph: Graph, run: FloatRun, dt_s: float) -> dict[str, Sums]:
    """Of all layers whose membranes are residues, with a margin."""
    found = {}
    for name, layer in graph.layers.items():
        if layer.kind not in RESIDUES:
            continue
        check(layer)
        rest = layer.parameters.get("v_leak", np.zeros(layer.size))
        with np.errstate(over="ignore", invalid="ignore"):
            height = threshold(layer) if layer.kind != "LI" else np.maximum(
                _MARGIN * (run.top[name] - rest), _LEAST_TOP * (rest - run.deepest[name]))
            if layer.kind == "LI":
                height = np.where(height > 0, height, 1.0)
            scale = gain(layer, dt_s, height)
            ends = np.array([run.lowest[name] * scale, run.highest[name] * scale])
            low, high = ends.min(axis=0), ends.max(axis=0)
            deep, high_up = (rest - run.deepest[name]) / height, (run.top[name] - rest) / height
        if not (np.abs(ends) < MOST_THRESHOLDS).all() or not np.isfinite([deep, high_up]).all():
            raise InputError(f"{layer.kind} {name!r}: what arrives in a step is up to "
                             f"{np.nanmax(np.abs(ends)):.3g} thresholds; a core's drive holds up to "
                             f"{MOST_THRESHOLDS}")
        least = _LEAST_READ if layer.kind == "LI" else _LEAST
        found[name] = Sums(np.maximum(least[0], -_MARGIN * low), np.maximum(least[1], _MARGIN * high),
                           max(0.0, _MARGIN * float(deep.max())),
                           max(0.0, _MARGIN * float(high_up.max()) - 1), height)
    return found


def gain(layer: Layer, dt_s: float, height: Array | None = None) -> Array:
    """Thresholds for each unit of what a membrane is given in a step."""
    p = layer.parameters
    rate = np.full(layer.size, dt_s) if layer.kind == "IF" else dt_s / p["tau_mem" if layer.kind == "CubaLIF" else "tau"]
    found: Array = rate * p["r"] / (threshold(layer) if height is None else height)
    return found


def threshold(layer: Layer) -> Array:
    """How far it is above rest."""
    return layer.parameters["v_threshold"] - layer.parameters.get("v_leak", 0.0)


def check(layer: Layer) -> None:
    """Refuse what no neuron of a core is, with what would do.

    Raises
    ------
    InputError
    """
    p, what = layer.parameters, f"{layer.kind} {layer.name!r}"
    if "v_threshold" not in p:
        return
    rest = p.get("v_leak", np.zeros(layer.size))
    where = "v_leak" if "v_leak" in p else "0"
    if (p["v_threshold"] <= rest).any():
        raise InputError(f"{what}: v_threshold must be above {where}, or it fires without inputs")
    beyond = np.abs(p["v_reset"] - rest) > 1e-6 * threshold(layer)
    if beyond.any():
        at = int(np.flatnonzero(beyond)[0])
        raise InputError(f"{what}: v_reset must be {where} on a core, which resets to rest; it is "
                         f"{p['v_reset'][at]:g}" + (f", v_leak is {rest[at]:g}" if "v_leak" in p else ""))
