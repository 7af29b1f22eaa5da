"""What becomes of devices: some drift, some get stuck."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.host.errors import InputError
from ionspike.host.mismatch import RANGES

__all__ = ["Faults"]


@dataclass(frozen=True)
class Faults:
    """Faults of the devices of a network, to be had with :meth:`Network.with_faults`.

    A device that is stuck off cannot grow a filament: its neuron never fires. One that is stuck on
    conducts for good: its gate follows the drive, and its neuron fires whenever that rises past
    the spike level. Drift comes on top of a network's mismatch.

    Parameters
    ----------
    neurons : how many devices there are.
    stuck_on, stuck_off : indices of those that are; none is both.
    growth : drift, a factor on the growth ``mu`` of each, ``[neurons]``; without it, 1.
    gap : drift, added to the gap of each, ``[neurons]``; without it, 0.

    Raises
    ------
    InputError
        For indices that are no neurons, or values beyond what a neuron's coefficients hold.
    """

    neurons: int
    stuck_on: NDArray[np.int64] = ()  # type: ignore[assignment]
    stuck_off: NDArray[np.int64] = ()  # type: ignore[assignment]
    growth: NDArray[np.float64] = None  # type: ignore[assignment]
    gap: NDArray[np.float64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _count(self.neurons)
        for name in ("stuck_on", "stuck_off"):
            object.__setattr__(self, name, self._indices(name, getattr(self, name)))
        for both in np.intersect1d(self.stuck_on, self.stuck_off)[:1]:
            raise InputError(f"neuron {both} is stuck both on and off")
        for name, nominal in (("growth", 1.0), ("gap", 0.0)):
            given, (low, high) = getattr(self, name), RANGES[name]
            values = np.full(self.neurons, nominal) if given is None \
                else np.asarray(given, np.float64)
            if values.shape != (self.neurons,):
                raise InputError(f"drift of {name} must have shape [{self.neurons}], not "
                                 f"{list(values.shape)}")
            for at in np.flatnonzero(~((values >= low) & (values <= high)))[:1]:
                raise InputError(f"drift of {name} of neuron {at} must be {low:g} to {high:g}, "
                                 f"not {values[at]:g}")
            object.__setattr__(self, name, values)

    def _indices(self, name: str, given: ArrayLike) -> NDArray[np.int64]:
        values = np.asarray(given)
        if not values.size:
            return np.zeros(0, np.int64)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise InputError(f"{name} must be a list of indices of neurons, not "
                             f"{' '.join(repr(given).split())[:100]}")
        for value in values[(values < 0) | (values >= self.neurons)][:1]:
            raise InputError(f"{name}: there is no neuron {value}, only 0 to {self.neurons - 1}")
        return np.unique(values).astype(np.int64)

    def __len__(self) -> int:
        return self.neurons

    @property
    def drifted(self) -> int:
        """How many devices are not what they were, but for those that are stuck."""
        moved = (self.growth != 1) | (self.gap != 0)
        moved[self.stuck_on] = moved[self.stuck_off] = False
        return int(np.count_nonzero(moved))

    @classmethod
    def draw(cls, neurons: int, *, seed: int, stuck_on: float = 0.0, stuck_off: float = 0.0,
             drift: float = 0.0, drift_gap: float = 0.0, spread: float = 0.5) -> "Faults":
        """Faults of devices that have aged.

        Every device ages at a rate of its own, log-normal with a mean of 1. Equal seeds give equal
        rates and equal orders in which devices fail: larger numbers are the same devices, older.

        Parameters
        ----------
        seed : which devices age fast and which fail.
        stuck_on, stuck_off : fractions of the devices, of which the nearest whole number fails.
        drift : how much growth the average device has lost: a factor of ``exp(-drift rate)``.
        drift_gap : how much longer its gap has become: ``drift_gap rate``.
        spread : standard deviation of the rate's logarithm.
        """
        _count(neurons)
        for name, value, limit in (("stuck_on", stuck_on, 1), ("stuck_off", stuck_off, 1),
                                   ("drift", drift, 5), ("drift_gap", drift_gap, 0.25),
                                   ("spread", spread, 2)):
            if not (np.isfinite(value) and 0 <= value <= limit):
                raise InputError(f"{name} must be 0 to {limit:g}, not {value!r}")
        if stuck_on + stuck_off > 1:
            raise InputError(f"stuck_on and stuck_off are {stuck_on + stuck_off:g} of the devices "
                             f"together, more than there are")
        rng = np.random.default_rng(seed)
        order = rng.permutation(neurons)
        rate = np.exp(spread * rng.standard_normal(neurons) - spread ** 2 / 2)
        on, off = round(stuck_on * neurons), round(stuck_off * neurons)
        return cls(neurons, order[:on], order[max(on, neurons - off):],
                   np.clip(np.exp(-drift * rate), *RANGES["growth"]),
                   np.clip(drift_gap * rate, *RANGES["gap"]))

    def summary(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"stuck_on": self.stuck_on.tolist(), "stuck_off": self.stuck_off.tolist(),
                "drifted": self.drifted, "mean_growth": round(float(self.growth.mean()), 6),
                "mean_gap": round(float(self.gap.mean()), 6)}

    def __str__(self) -> str:
        return (f"{len(self.stuck_on)} of {self.neurons} devices stuck on, {len(self.stuck_off)} "
                f"stuck off, {self.drifted} drifted")


def _count(neurons: Any) -> None:
    if isinstance(neurons, bool) or not isinstance(neurons, (int, np.integer)) or neurons < 1:
        raise InputError(f"neurons must be a positive integer, not {neurons!r}")
