"""The nodes of NIR: which are neurons, which are linear, and what stands near those that are neither."""

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.spec.strict_json import shown

__all__ = ["LINEAR", "NEURONS", "Layer", "parameter", "refused"]

#: Parameters of neurons, and what those that may be missing are then.
NEURONS: dict[str, dict[str, float | None]] = {
    "LIF": {"tau": None, "r": None, "v_leak": None, "v_threshold": None, "v_reset": 0.0},
    "IF": {"r": None, "v_threshold": None, "v_reset": 0.0},
    "LI": {"tau": None, "r": None, "v_leak": None},
    "CubaLIF": {"tau_syn": None, "tau_mem": None, "r": None, "v_leak": None, "v_threshold": None,
                "v_reset": 0.0, "w_in": 1.0},
    "Threshold": {"threshold": None},
}
LINEAR = ("Affine", "Linear", "Scale", "Flatten", "Delay")
_CONVOLUTION = "write it out as the matrix of a Linear or Affine"
_NEAREST = {
    "Conv1d": _CONVOLUTION, "Conv2d": _CONVOLUTION, "SumPool2d": _CONVOLUTION,
    "AvgPool2d": _CONVOLUTION, "I": "an LI whose tau is longer than the run is near it",
    "CubaLI": "a CubaLIF whose threshold is never reached is near it",
}


@dataclass(frozen=True)
class Layer:
    """Neurons of one node.

    Parameters
    ----------
    name : of the node; those of graphs within graphs have a ``/``.
    kind : a key of :data:`NEURONS`.
    parameters : float64 ``[size]`` each.
    """

    name: str
    kind: str
    size: int
    parameters: dict[str, NDArray[np.float64]]


def refused(name: str, kind: object) -> InputError:
    """What is said of a node that is not known."""
    known = [*NEURONS, *LINEAR, "Input", "Output"]
    lower = {each.lower(): each for each in known}
    near = [lower[each] for each in difflib.get_close_matches(str(kind).lower(), lower, 1, 0.6)]
    way_out = _NEAREST.get(str(kind)) or (f"did you mean {near[0]}?" if near
                                          else f"known are {', '.join(known)}")
    return InputError(f"node {shown(name)} is {_article(str(kind))} {shown(kind)[1:-1]}, which is "
                      f"not known here; {way_out}")


def parameter(name: str, node: dict[str, Any], key: str,
              default: float | None = None) -> NDArray[np.float64]:
    """A node's parameter, float64 of any shape.

    Raises
    ------
    InputError
        For one that is missing, or not of finite numbers.
    """
    what = f"{node['type']} {shown(name)}"
    if key not in node:
        if default is None:
            raise InputError(f"{what} has no {key}")
        return np.array(default)
    try:
        array = np.asarray(node[key])
    except ValueError:
        raise InputError(f"{what}: {key} is ragged") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what}: {key} must be numbers, not {shown(node[key])}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"{what}: {key} {list(at)} is {values[at]}, not a finite number")
    return values


def _article(word: str) -> str:
    return "an" if word[:1].lower() in "aeiou" else "a"
