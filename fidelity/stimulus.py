"""What an experiment does to neurons, and what it sees of them; the same for every rig."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError

__all__ = ["Chain", "Response", "Stimulus", "pulse_train", "side_by_side", "ticks_of"]


@dataclass(frozen=True)
class Chain:
    """Lane k drives lane k + 1.

    Parameters
    ----------
    weight_V : height of the pulse that a spike makes at the next lane.
    width_ticks : how long it is; it begins in the tick after the spike.
    """

    weight_V: float
    width_ticks: int


@dataclass(frozen=True)
class Stimulus:
    """Pulses for some neurons side by side, the lanes.

    Parameters
    ----------
    pulses : bool ``[T, lanes]``.
    volts : height of each lane's pulses, ``[lanes]``.
    dt_s : seconds per tick.
    r_control_ohm : of each lane; without it, the device's.
    chain : whether and how lanes drive their next ones.
    jitter : whether every trial begins with a residue drawn from 0 to the device's
        ``residue_jitter``, instead of none.
    """

    pulses: NDArray[np.bool_]
    volts: NDArray[np.float64]
    dt_s: float
    r_control_ohm: NDArray[np.float64] | None = None
    chain: Chain | None = None
    jitter: bool = False

    def __post_init__(self) -> None:
        if self.pulses.ndim != 2 or self.volts.shape != self.pulses.shape[1:]:
            raise ValueError(f"pulses {self.pulses.shape} and volts {self.volts.shape} of a "
                             f"stimulus differ in lanes")

    @property
    def ticks(self) -> int:
        return self.pulses.shape[0]

    @property
    def lanes(self) -> int:
        return self.pulses.shape[1]


@dataclass(frozen=True)
class Response:
    """What came of a stimulus.

    Parameters
    ----------
    spikes : bool ``[trials, T, lanes]``.
    filament, residue, gate_V : means over the trials after each tick, ``[T, lanes]``; on a board,
        over as many trials as it has probes for.
    digests : uint32 ``[passes, T]``: of all state words after each tick, from golden model and
        boards.
    counters : of everything lost or saturated, summed over the passes.
    seeds : of each pass.
    where : what ran it.
    """

    spikes: NDArray[np.bool_]
    filament: NDArray[np.float64] | None = None
    residue: NDArray[np.float64] | None = None
    gate_V: NDArray[np.float64] | None = None
    digests: NDArray[np.uint32] | None = None
    counters: dict[str, int] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    where: str = ""

    def with_means(self, filament: NDArray[np.float64], residue: NDArray[np.float64],
                   gate_V: NDArray[np.float64]) -> "Response":
        """The same with these means."""
        return replace(self, filament=filament, residue=residue, gate_V=gate_V)


def ticks_of(seconds: float, dt_s: float, what: str) -> int:
    """``seconds`` in ticks; InputError where it is no whole number of them."""
    ticks = seconds / dt_s
    if abs(ticks - round(ticks)) > 1e-6 or round(ticks) < 1:
        raise InputError(f"{what} of {seconds:g} s is no whole number of ticks of {dt_s:g} s; "
                         f"a tick of 2e-4 s suits all experiments of the paper")
    return round(ticks)


def pulse_train(on: int, off: int, count: int) -> NDArray[np.bool_]:
    """``count`` pulses of ``on`` ticks with ``off`` ticks after each, ``[T]``."""
    return np.tile(np.arange(on + off) < on, count)


def side_by_side(trains: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Trains of any length as lanes, ``[T, lanes]``."""
    lanes = np.zeros((max(map(len, trains)), len(trains)), bool)
    for k, train in enumerate(trains):
        lanes[:len(train), k] = train
    return lanes
