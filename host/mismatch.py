"""How the devices of a network differ from one another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.spec.device import Device

__all__ = ["RANGES", "Mismatch"]

#: Range of what a neuron's own coefficients can hold, or beyond what a device of a kind can be.
RANGES = {"growth": (0.01, 100.0), "gap": (-0.248, 0.248), "rc": (0.001, 1000.0)}


@dataclass(frozen=True)
class Mismatch:
    """Relative deviations of each neuron, float64 ``[neurons]`` each.

    Parameters
    ----------
    growth : factor on the field-driven growth ``mu``.
    gap : added to the gap that filament and residue bridge (1 nominally), so to the threshold.
    rc : factor on the refractory time constant ``Rc Cg``.

    Raises
    ------
    InputError
        For values that are not finite or beyond what the neuron's coefficients hold.
    """

    growth: NDArray[np.float64]
    gap: NDArray[np.float64]
    rc: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            values = np.asarray(getattr(self, name), np.float64)
            if values.ndim != 1 or len(values) != len(np.atleast_1d(self.growth)):
                raise InputError(f"mismatch {name} must have shape [neurons], not "
                                 f"{list(values.shape)}")
            bad = ~((values >= low) & (values <= high))
            if bad.any():
                at = int(np.argmax(bad))
                raise InputError(f"mismatch {name} of neuron {at} must be {low:g} to {high:g}, "
                                 f"not {values[at]:g}")
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.growth)

    @classmethod
    def none(cls, neurons: int) -> "Mismatch":
        """Devices that are all alike."""
        return cls(np.ones(neurons), np.zeros(neurons), np.ones(neurons))

    @classmethod
    def draw(cls, neurons: int, *, seed: int, growth: float = 0.0, gap: float = 0.0,
             rc: float = 0.0) -> "Mismatch":
        """Devices drawn from a spread: log-normal ``growth`` and ``rc``, normal ``gap``.

        Parameters
        ----------
        growth, rc : standard deviation of the factor's logarithm.
        gap : standard deviation of the gap.
        seed : the same seed gives the same devices.

        What lies beyond the range of :class:`Mismatch` ends at it.
        """
        for name, value in (("growth", growth), ("gap", gap), ("rc", rc)):
            if not (np.isfinite(value) and 0 <= value <= 1):
                raise InputError(f"spread of {name} must be 0 to 1, not {value!r}")
        z = np.random.default_rng(seed).standard_normal((3, neurons))
        drawn = {"growth": np.exp(growth * z[0]), "gap": gap * z[1], "rc": np.exp(rc * z[2])}
        return cls(**{name: np.clip(values, *RANGES[name]) for name, values in drawn.items()})

    @classmethod
    def of_device(cls, device: Device, neurons: int, *, seed: int) -> "Mismatch":
        """Devices drawn from the spread that a preset says its devices have.

        Parameters
        ----------
        device : its ``spread_growth``, ``spread_rc`` and ``spread_gap``; without any, devices are
            all alike.
        """
        return cls.draw(neurons, seed=seed, growth=device.spread_growth, gap=device.spread_gap,
                        rc=device.spread_rc)
