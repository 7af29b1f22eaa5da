"""Checks of what a device model of :mod:`ionspike.sim` is given: one line that says what would do."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.spec.device import DeviceError
from ionspike.spec.strict_json import shown

__all__ = ["array", "number", "whole"]

F64 = NDArray[np.float64]


def number(where: str, name: str, value: Any, low: float, high: float) -> float:
    """``value``, which must be a number of ``low`` to ``high``; else a ``DeviceError``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) \
            or not low <= value <= high:
        raise DeviceError(f"{where}: {name} must be {low:g} to {high:g}, not {shown(value)}")
    return float(value)


def whole(where: str, name: str, value: Any, low: int, high: int) -> int:
    """``value``, which must be a whole number of ``low`` to ``high``; else a ``DeviceError``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) \
            or not low <= value <= high:
        raise DeviceError(f"{where}: {name} must be a whole number of {low} to {high}, "
                          f"not {value!r}")
    return int(value)


def array(where: str, name: str, value: Any, low: float, high: float, shapes: str, *ndims: int,
          size: int | None = None) -> F64:
    """``value`` as floats of ``low`` to ``high``; else a ``DeviceError``, which shows ``shapes``.

    It must have one of ``ndims`` dimensions, at least one value and, if not a scalar, ``size``.
    """
    wanted = f"{where}: {name} must be {shapes} of {low:g} to {high:g}"
    try:
        values = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise DeviceError(f"{wanted}, not {type(value).__name__}") from None
    if values.ndim not in ndims or not values.size or values.ndim and size not in (None, len(values)):
        raise DeviceError(f"{wanted}, not an array {list(values.shape)}")
    if (wrong := ~((values >= low) & (values <= high))).any():
        raise DeviceError(f"{wanted}, not {float(values[wrong][0])!r}")
    return values
