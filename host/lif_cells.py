"""The integers of neurons that are no devices: LIF neurons, and what keeps their time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.host.errors import InputError
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.coefficients import Coefficients
from ionspike.spec.strict_json import shown

__all__ = ["LifCells"]

_COMMON = ("kf", "kr", "kb", "r_max", "spike_level")
_MOST_TICKS = 16


@dataclass(frozen=True)
class LifCells:
    """Coefficients as the core holds them, without a device they come from.

    Growth knows no feedback and nothing is noisy: both tables are constant.

    Parameters
    ----------
    kg, mu, theta : of each neuron, int64 ``[neurons]``; theta is signed.
    registers : ``kf, kr, kb, r_max, spike_level``.
    ticks_per_step : ticks that a step of the inputs takes; an input fires in the first of them.

    Raises
    ------
    InputError
        For values that the formats do not hold.
    """

    kg: NDArray[np.int64]
    mu: NDArray[np.int64]
    theta: NDArray[np.int64]
    registers: Any
    ticks_per_step: Any

    def __post_init__(self) -> None:
        half = 1 << fmt.THETA_BITS - 1
        for name, low, high in (("kg", 0, 1 << fmt.KG_BITS), ("mu", 0, 1 << fmt.MU_BITS),
                                ("theta", -half, half)):
            object.__setattr__(self, name, _integers(name, getattr(self, name), low, high))
            if len(getattr(self, name)) != len(self.kg):
                raise InputError(f"lif: {len(getattr(self, name))} values of {name}, {len(self.kg)} "
                                 f"of kg")
        if not isinstance(self.registers, dict) or sorted(self.registers) != sorted(_COMMON):
            raise InputError(f"lif: registers must be {', '.join(_COMMON)}, not "
                             f"{shown(self.registers)}")
        for name, value in self.registers.items():
            _one(name, value, 0, 1 << wire.register(name).width)
        _one("ticks_per_step", self.ticks_per_step, 1, _MOST_TICKS + 1)

    def __len__(self) -> int:
        return len(self.kg)

    def common(self) -> dict[str, Any]:
        """What is not an array, by name."""
        return {"registers": self.registers, "ticks_per_step": self.ticks_per_step}

    def coefficients(self) -> Coefficients:
        """Registers and tables of a core; kg and mu are each neuron's own."""
        return Coefficients(
            **self.registers, r_noise=0, sustained=0, kg=0, mu=0,
            feedback=(1 << fmt.H_FRAC,) * fmt.H_ENTRIES, noise=(0,) * fmt.NOISE_ENTRIES)


def _integers(name: str, values: ArrayLike, low: int, high: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size \
            or array.min() < low or array.max() >= high:
        raise InputError(f"lif: {name} must be integers from {low} to {high - 1}, one a neuron")
    return array.astype(np.int64)


def _one(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
        raise InputError(f"lif: {name} must be an integer from {low} to {high - 1}, not "
                         f"{shown(value)}")
