"""How far outcomes are from each other and from the paper, and what is allowed.

**NRMSE**: root mean square of the differences over all points, divided by the range (largest less
smallest) of the reference's values. ``chance`` is the NRMSE that two runs of one and the same model
would show: from the standard errors of both for curves, from a second run of the reference with
another seed for traces. What is not well above it says nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.experiments import Curve, Outcome
from ionspike.fidelity.stimulus import Response
from ionspike.fidelity.traces import STATES, Trace

__all__ = ["EXCEPTIONS", "NRMSE_BAR", "Agreement", "Deviation", "Difference", "ExceptionFrom",
           "against_paper", "compare_curve", "compare_trace", "difference", "nrmse"]

F64 = NDArray[np.float64]

#: Golden model against reference.
NRMSE_BAR = 0.02
#: Lanes with less of the range of all have no NRMSE of their own: nothing happens there.
_LIVELY = 0.05


@dataclass(frozen=True)
class ExceptionFrom:
    """Where golden model and reference are known to differ, and why.

    Parameters
    ----------
    experiment, what : of which curve, or which state of a trace.
    """

    experiment: str
    what: str
    reason: str


_LEAKS = ("where the residue is large, noise bridges the gap again and again. The reference lets the "
          "gate lose its charge through such a bridge while no pulse is on, and fires again sooner; "
          "the golden model lets charge in only, or neurons with short drives would never be "
          "refractory. How often it bridges depends on the reference's own step, too")
_RARE = ("with long gaps only noise brings some of the last pulses to fire, and the golden model has one "
         "draw a tick where the reference has ten")
_SHARP = ("a gate is charged and let go within microseconds: the reference bridges several times "
          "within a tick and holds the gate near the drive, the golden model bridges once a tick")
_COARSE = ("a tick of 1 ms, which pulses of 4 ms take on a board with 4 delays: at this tick a spike "
           "of the golden model comes about a tick later, a quarter of such a pulse")

#: Of traces, one only counts where the bar is missed.
EXCEPTIONS: tuple[ExceptionFrom, ...] = (
    ExceptionFrom("refractory", "interval", _LEAKS),
    ExceptionFrom("refractory", "interval_cv", _LEAKS),
    ExceptionFrom("integration", "pulses", _RARE),
    *(ExceptionFrom(name, "gate_V", _SHARP)
      for name in ("integration", "threshold", "plasticity", "refractory", "stochasticity")),
    ExceptionFrom("refractory", "filament", _SHARP),
    *(ExceptionFrom("cascade", what, _COARSE)
      for what in ("stage_2", "stage_3", "stage_4", "arrival", *STATES)))


@dataclass(frozen=True)
class Agreement:
    """One observable of the golden model against the reference.

    Parameters
    ----------
    nrmse, chance : over the points that are not excepted; NaN where there are none.
    everywhere : NRMSE over all points.
    lanes : the same for each lane of a trace in which the state changes much.
    exception : the one that applies to some or all points.
    """

    experiment: str
    what: str
    nrmse: float
    chance: float
    everywhere: float
    exception: ExceptionFrom | None = None
    lanes: dict[str, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where all points are excepted."""
        return None if math.isnan(self.nrmse) else self.nrmse <= NRMSE_BAR


def nrmse(y: F64, reference: F64) -> float:
    """See above; NaN where no point is there in both, or the reference has no range."""
    both = np.isfinite(y) & np.isfinite(reference)
    if not both.any() or np.ptp(reference[both]) == 0:
        return math.nan
    rms = np.sqrt(np.mean((y[both] - reference[both]) ** 2))
    return float(rms / np.ptp(reference[both]))


def _exception(experiment: str, what: str) -> ExceptionFrom | None:
    return next((e for e in EXCEPTIONS if (e.experiment, e.what) == (experiment, what)), None)


def compare_curve(experiment: str, curve: Curve, reference: Curve) -> Agreement:
    """A curve against the reference's."""
    exception = _exception(experiment, curve.name)

    def over(values: F64) -> float:
        which = np.isfinite(values)
        width = float(np.ptp(reference.y[which])) if which.any() else 0.0
        return float(np.sqrt(np.mean(values[which]))) / width if width else math.nan

    squares = (curve.y - reference.y) ** 2
    value = over(squares)
    return Agreement(experiment, curve.name, math.nan if exception else value,
                     over(curve.error ** 2 + reference.error ** 2), value, exception)


def compare_trace(trace: Trace, reference: Trace, repeat: Trace) -> list[Agreement]:
    """Each state against the reference's, over all lanes; ``repeat`` has another seed."""
    found = []
    for state in STATES:
        y, of, again = (getattr(t, state) for t in (trace, reference, repeat))
        value = nrmse(y, of)
        exception = _exception(trace.experiment, state) if value > NRMSE_BAR else None
        found.append(Agreement(
            trace.experiment, state, math.nan if exception else value, nrmse(again, of), value,
            exception, {lane: nrmse(y[:, k], of[:, k]) for k, lane in enumerate(trace.lanes)
                        if np.ptp(of[:, k]) > _LIVELY * np.ptp(of)}))
    return found


# -------------------------------------------------------------------------------------- paper --

@dataclass(frozen=True)
class Deviation:
    """One number against the paper's.

    Parameters
    ----------
    unit : of people who read it; ``value``, ``low`` and ``high`` are in SI.
    error_abs : standard error of ``value``.
    deviation : relative, or the difference itself where ``relative`` is False; NaN for a range.
    error : its standard error.
    limit : how much is allowed; None if nothing was asked for.
    low, high : the paper's value, or the range that was asked for.
    """

    observable: str
    unit: str
    setting: str
    value: float
    error_abs: float
    low: float
    high: float
    deviation: float
    error: float
    relative: bool
    limit: float | None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.low < self.high:
            return bool(self.low <= self.value <= self.high)
        return None if self.limit is None else bool(abs(self.deviation) <= self.limit)


#: What was asked for, by experiment and curve: its name and unit, the setting's factor and unit,
#: whether deviations are relative, and how large they may be.
_BARS: dict[tuple[str, str], tuple[str, str, float, str, bool, float | None]] = {
    ("refractory", "interval"): ("interval between spikes", "ms", 1e-6, "MOhm", True, 0.15),
    ("refractory", "first_spike"): ("first spike", "ms", 1e-6, "MOhm", True, 0.10),
    ("threshold", "fires"): ("probability of firing", "", 1.0, "V", False, 0.1),
    ("integration", "pulses"): ("pulses to the first spike", "", 1e3, "ms gap", True, None),
    ("plasticity", "sooner"): ("second latency shorter by", "ms", 1e3, "ms gap", True, 0.15)}

#: Of latencies at 0.9 V, about where half of the paper's pulses fire.
_CV_VOLTS = 0.9
_CV_RANGES = {"cv_fresh": (0.1, 0.2), "cv_jittered": (0.5, 1.0)}
_RATIO_LIMIT = 0.15


def against_paper(outcome: Outcome) -> list[Deviation]:
    """Every point of an outcome that the paper has one for, and the other bars."""
    found = []
    for name, curve in outcome.curves.items():
        if curve.paper is None:
            continue
        observable, unit, scale, x_unit, relative, limit = _BARS[outcome.experiment, name]
        for x, y, error, paper in zip(curve.x, curve.y, curve.error, curve.paper, strict=True):
            if np.isfinite(paper):
                by = paper if relative else 1.0
                found.append(Deviation(
                    observable, unit, f"{x * scale:g} {x_unit}", y, error, paper, paper,
                    (y - paper) / by, error / by, relative, limit))
    if outcome.experiment == "integration":
        found.append(_ratio(outcome.curves["pulses"]))
    for name, (low, high) in _CV_RANGES.items():
        if name in outcome.curves:
            curve = outcome.curves[name]
            at = int(np.argmin(np.abs(curve.x - _CV_VOLTS)))
            found.append(Deviation(
                "latency, coefficient of variation", "",
                f"{curve.x[at]:g} V, {'no' if name == 'cv_fresh' else 'random'} residue",
                curve.y[at], curve.error[at], low, high, math.nan, math.nan, True, None))
    return found


def _ratio(curve: Curve) -> Deviation:
    """Pulses at the longest gap over those at the shortest."""
    assert curve.paper is not None
    ratio, paper = curve.y[-1] / curve.y[0], curve.paper[-1] / curve.paper[0]
    error = ratio * np.hypot(curve.error[0] / curve.y[0], curve.error[-1] / curve.y[-1])
    setting = f"{1e3 * curve.x[-1]:g} over {1e3 * curve.x[0]:g} ms gap"
    return Deviation("pulses, ratio", "", setting, ratio, error, paper, paper, ratio / paper - 1,
                     error / paper, True, _RATIO_LIMIT)


# -------------------------------------------------------------------------------------- board --

@dataclass(frozen=True)
class Difference:
    """The first difference of a board from the golden model."""

    response: str
    what: str
    tick: int
    where: str

    def __str__(self) -> str:
        return f"{self.response}, tick {self.tick}, {self.where}: {self.what} differs"


def difference(board: Outcome, golden: Outcome) -> Difference | None:
    """The first spike or digest of all state in which they differ; None if they are equal."""
    for name, expected in golden.responses.items():
        if found := _first(name, board.responses[name], expected):
            return found
    return None


def _first(name: str, board: Response, golden: Response) -> Difference | None:
    if board.spikes.shape != golden.spikes.shape or board.seeds != golden.seeds \
            or board.digests is None or golden.digests is None \
            or board.digests.shape != golden.digests.shape:
        return Difference(name, "what was run", 0, f"{board.spikes.shape} trials, ticks, lanes")
    found: list[Difference] = []
    for at in _earliest(board.digests != golden.digests, 1):
        found.append(Difference(name, "digest of all state", at[1], f"pass {at[0]}"))
    for at in _earliest(board.spikes != golden.spikes, 1):
        found.append(Difference(name, "spike", at[1], f"trial {at[0]}, lane {at[2]}"))
    return min(found, key=lambda one: one.tick, default=None)


def _earliest(differs: NDArray[np.bool_], axis: int) -> list[Sequence[int]]:
    where = np.argwhere(differs)
    return [tuple(map(int, where[where[:, axis].argmin()]))] if len(where) else []
