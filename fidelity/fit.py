"""From measurements of a memristor to the parameters of a device, with intervals.

The method of simulated moments. Of every group of values the mean of the logarithm and its standard
deviation are compared with those of :class:`ionspike.fidelity.bench.Bench`, weighted with their
covariance, and the sum of squares is made smallest (Gauss-Newton, damped). Weak priors stand beside
the measurements; a parameter about which the measurements say little more than its prior is kept at
the prior's centre, and said to be. docs/devices.md has it in words.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.bench import Bench, Materials, latencies, window_s
from ionspike.fidelity.measurements import Group
from ionspike.host.errors import InputError
from ionspike.spec.device import Device

__all__ = ["PRIORS", "Estimate", "Fit", "Prior", "Row", "fit"]

F64 = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prior:
    """What is taken of a parameter before anything is measured.

    Parameters
    ----------
    centre : the value; times ``gamma1 + beta`` of a first guess for rates, None for that guess.
    spread : standard deviation of the logarithm; of the logit of r_max, of the jitter itself.
    """

    centre: float | None
    spread: float


#: By parameter. The centres are those of the paper's chip (spec/presets/zhao2025_table1.json);
#: rates are relative to gamma1 + beta, for another material has other times.
PRIORS: dict[str, Prior] = {
    "mu_per_V_s": Prior(None, 3.0), "gamma1_per_s": Prior(None, 3.0),
    "beta_per_s": Prior(20 / 620, 1.5), "gamma2_per_s": Prior(5 / 620, 1.5),
    "alpha": Prior(0.01, 1.0), "lambda_gap": Prior(0.2, 0.7), "r_max": Prior(0.6, 1.0),
    "sigma1": Prior(0.03, 1.5), "residue_jitter": Prior(0.1, 0.15),
    "r_on_ohm": Prior(1e6, math.log(10)), "r_off_ohm": Prior(1e12, math.log(10))}
#: Of the coordinates of a fit: those above but r_on_ohm, for only the ratio of the two matters.
_NAMES = tuple(name for name in PRIORS if name != "r_on_ohm")
_MU, _RATE, _BETA, _GAMMA2, _ALPHA, _LAMBDA, _R_MAX, _SIGMA1, _JITTER, _RATIO = range(len(_NAMES))
_RATES, _OF_MEANS = (_RATE, _BETA, _GAMMA2), (_BETA, _GAMMA2, _ALPHA, _LAMBDA, _R_MAX)
#: A parameter is determined if the measurements make its uncertainty this part of the prior's.
_DETERMINED = 0.5
#: The bench's chance and slopes that are not straight make intervals too narrow, by about so much
#: (benchmarks/device_fit.py says how often they hold the truth with it).
_TOO_NARROW = 1.5
#: Values to learn a spread from.
_FEW = 5
#: Values so many times their scatter from the median are taken to be at that limit.
_OUTLIER = 6.0
#: Besides chance: how far the bench may be from the reference simulator, in logarithms. Of the
#: loss of a bridge it has an approximation (bench.hold_hazard_per_s).
_SYSTEMATIC = {"hold_V": 0.2}
_SYSTEMATIC_ELSE = 0.005
#: Spread below which no measurement of it is believed.
_LEAST_SPREAD = 0.003
#: The chip's ratios: its refractory time to the filament's; its control resistor to the bridge
#: (250, and never below 10) and to the nearly closed gap.
_GATE_TIMES, _CONTROL_TIMES, _CONTROL_PART = 1.55, (10.0, 250.0), 0.04


@dataclass(frozen=True)
class Estimate:
    """A parameter: its value, its interval of 95 %, and whether measurements determine it."""

    value: float
    low: float
    high: float
    determined: bool


@dataclass(frozen=True)
class Row:
    """One group of values beside what the fitted device does.

    Parameters
    ----------
    measured, fitted : geometric mean; of ``fires``, how often.
    error : standard error of ``measured``, relative; of ``fires``, absolute.
    spread, fitted_spread : standard deviation of the logarithm; NaN where there are few values.
    off : difference of the means in standard errors.
    outliers : lines of values far from the others.
    """

    group: Group
    measured: float
    fitted: float
    error: float
    spread: float
    fitted_spread: float
    off: float
    outliers: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """For machines; NaN is None."""
        facts = {name: getattr(self, name) for name in (
            "measured", "fitted", "error", "spread", "fitted_spread", "off")}
        return {"quantity": self.group.quantity, "conditions": self.group.conditions,
                "count": len(self.group.values), "outliers": list(self.outliers),
                **{name: None if math.isnan(value) else value for name, value in facts.items()}}


@dataclass(frozen=True)
class Fit:
    """What :func:`fit` found.

    Parameters
    ----------
    device : the device, with a gate that suits its times.
    estimates : by parameter.
    chi2, freedom : sum of squares, and how much was to be expected.
    widened : factor on the intervals, because the fit is worse than chance.
    """

    device: Device
    estimates: dict[str, Estimate]
    rows: tuple[Row, ...]
    chi2: float
    freedom: int
    widened: float
    bootstrap: int
    seed: int

    @property
    def undetermined(self) -> list[str]:
        """Parameters that are the prior's."""
        return [name for name, one in self.estimates.items() if not one.determined]

    def preset(self, measurements: str) -> dict[str, Any]:
        """Content of a preset file, see :meth:`Device.load`."""
        found = {name: one.value for name, one in self.estimates.items() if one.determined}
        kept = {name: one.value for name, one in self.estimates.items() if not one.determined}
        d = self.device
        return {
            "name": d.name, "title": d.title, "source": d.source,
            "comment": "parameters: fitted, with intervals under fit. ours: a gate of our choice, "
                       "and priors that the measurements do not determine.",
            "parameters": found,
            "ours": {"r_control_ohm": d.r_control_ohm, "c_gate_F": d.c_gate_F, "v_t_V": d.v_t_V,
                     **kept},
            "fit": {"measurements": measurements, "seed": self.seed, "bootstrap": self.bootstrap,
                    "chi2": self.chi2, "freedom": self.freedom, "widened": self.widened,
                    "intervals_95": {name: [one.low, one.high]
                                     for name, one in self.estimates.items()},
                    "undetermined": self.undetermined}}


def fit(groups: Sequence[Group], *, name: str = "my_material", bootstrap: int = 500, seed: int = 1,
        progress: Progress = lambda done, of: None) -> Fit:
    """Fit a device to measurements.

    Parameters
    ----------
    groups : as :func:`ionspike.fidelity.measurements.load` gives them.
    bootstrap : times that values are drawn anew for the intervals, at least 20.
    seed : of the bench's noise and of the bootstrap.

    Raises
    ------
    InputError
        Where the measurements cannot be those of such a device.
    """
    on, off = _resistance(groups, "r_on_ohm"), _resistance(groups, "r_off_ohm")
    problem = _Problem([_Target(g) for g in groups if not g.quantity.endswith("_ohm")], on, off)
    none = np.zeros(len(_NAMES), bool)

    def descend(z: F64, kept: NDArray[np.bool_], trials: int, rounds: int, begun: int,
                slacks: Sequence[float] = ()) -> _Point:
        problem.bench = Bench(trials, seed)
        return _descend(problem, z, kept, rounds, slacks, lambda k: progress(begun + k, _ALL_ROUNDS))

    # The sum of squares has more than one minimum: where it is too large, another start.
    found: list[_Point] = []
    for attempt in range(_STARTS):
        z = problem.start(np.random.default_rng([seed, 3, attempt]))
        found.append(descend(z, none, _FEW_TRIALS, _MANY_ROUNDS, 0, _SLACK))
        if found[-1].chi2 < _TOO_FAR * found[-1].count:
            break
    at = descend(min(found, key=lambda one: one.chi2).z, none, _TRIALS, _FEW_ROUNDS, _MANY_ROUNDS)
    # Without what the measurements do not determine, once more.
    kept = problem.errors(at, none) > _DETERMINED * problem.spread
    kept[_RATIO] &= not (on.measured and off.measured)
    if kept.any():
        at = descend(np.where(kept, problem.centre, at.z), kept, _TRIALS, _FEW_ROUNDS,
                     _MANY_ROUNDS + _FEW_ROUNDS)
    progress(_ALL_ROUNDS, _ALL_ROUNDS)
    return _report(problem, at, kept, name, bootstrap, seed)


_FEW_TRIALS, _TRIALS, _FEW_ROUNDS, _MANY_ROUNDS = 64, 192, 6, 15
_ALL_ROUNDS = _MANY_ROUNDS + 2 * _FEW_ROUNDS
#: Starts at most, and the sum of squares for each moment from which another is tried.
_STARTS, _TOO_FAR = 3, 1.5
#: Of logarithms, in the first rounds: values that are precise must not lead a poor start astray.
_SLACK = (0.1, 0.03)
#: Of the search that a fit starts with: longest latencies in filaments' times, and its size.
_LONG, _POPULATION, _GENERATIONS = 300.0, 240, 12
#: A step that moves no parameter by that part of its uncertainty is the last.
_STILL = 0.2
#: Nor is one taken after a step that makes the sum of squares smaller by less.
_ROUGHNESS = 0.5


@dataclass(frozen=True)
class _Resistance:
    """Logarithm of a resistance, its standard error, and whether it was measured."""

    middle: float
    error: float
    measured: bool


def _resistance(groups: Sequence[Group], name: str) -> _Resistance:
    prior = PRIORS[name]
    logs = [np.log(g.values) for g in groups if g.quantity == name.removeprefix("r_")]
    if not logs:
        return _Resistance(math.log(prior.centre or 1), prior.spread, False)
    values = np.concatenate(logs)
    # A single value says nothing of how well it is known.
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.1
    return _Resistance(float(values.mean()), max(error, 1e-3), True)


class _Target:
    """What is compared of a group of values."""

    def __init__(self, group: Group):
        self.group, values = group, group.values
        self.window = window_s(group.conditions["width_s"], group.typical) if "latency" in group.quantity \
            else 4 * group.typical if group.quantity == "threshold_V" else np.nan
        self.is_share = group.quantity == "fires"
        self.reach = np.inf
        self.outliers: tuple[int, ...] = ()
        logs = self._logs(values)
        # Where a part never happens, or hardly anything is there, nothing can be told.
        if not self.is_share and np.isnan(values).mean() < 0.2 and len(logs) >= _FEW:
            off = np.abs(logs - np.median(logs))
            self.reach = _OUTLIER * max(1.4826 * float(np.median(off)), 0.05)
            far = off > self.reach
            if group.lines:
                lines = np.array(group.lines)
                lines = lines if len(logs) == len(lines) else lines[~np.isnan(values)]
                self.outliers = tuple(int(line) for line in lines[far])
        self.y = self._cut(logs)
        self.n = len(self.y)
        self.has_spread = self.n >= _FEW and not self.is_share and group.quantity != "hold_V"
        self.systematic = _SYSTEMATIC.get(group.quantity, _SYSTEMATIC_ELSE)
        self.measured = self.moments(self.y)

    def _logs(self, values: F64) -> F64:
        """What never happened counts as the end of its time, or not at all."""
        if self.is_share:
            return values
        if np.isnan(self.window):
            return np.log(values[~np.isnan(values)])
        return np.log(np.fmin(values, self.window))

    def _cut(self, logs: F64) -> F64:
        """Outliers, brought to where they begin: around the own median, measured or not."""
        if not len(logs) or not np.isfinite(self.reach):
            return logs
        middle = float(np.median(logs))
        return np.clip(logs, middle - self.reach, middle + self.reach)

    def moments(self, y: F64) -> F64:
        """Mean, and logarithm of the spread where that is compared, ``[..., moments]``."""
        mean = y.mean(axis=-1)
        if not self.has_spread:
            return mean[..., None]
        return np.stack([mean, 0.5 * np.log(y.var(axis=-1) + _LEAST_SPREAD ** 2)], axis=-1)

    def bench(self, values: F64) -> tuple[F64, F64]:
        """Moments of each set ``[sets, moments]`` of the bench's values, and y of the first."""
        sets = []
        for one in values:
            y = self._cut(self._logs(one))
            if len(y) < 4:      # it never is in the state that was measured: far off
                y = np.full(4, np.log(self.group.typical) - 5.0)
            sets.append(self.moments(y))
            if len(sets) == 1:
                first = y
        return np.array(sets), first

    def rough(self, values: F64) -> F64:
        """Only means, of each set."""
        if not self.is_share:
            end = self.window if np.isfinite(self.window) else self.group.typical * math.exp(-5)
            values = np.log(np.where(np.isnan(values), end, np.fmin(values, self.window)))
        return np.asarray(values.mean(axis=1))

    def covariance(self, y: F64, trials: int) -> tuple[F64, F64]:
        """Of the difference of the moments: from the values, and from the bench's chance."""
        if self.is_share:
            share = (self.y.sum() + 4 * y.mean() + 0.5) / (self.n + 5)
            one = np.array([[share * (1 - share)]])
            return one / self.n + self.systematic ** 2, one / trials
        # The spread of few values is known less well than the bench's.
        variance = (self.y.var() * self.n + y.var() * 4) / (self.n + 4) + _LEAST_SPREAD ** 2
        extra = np.zeros((2, 2))
        extra[0, 0] = self.systematic ** 2
        if not self.has_spread:
            one = np.array([[variance]])
            return one / self.n + extra[:1, :1], one / trials
        both = [((x - x.mean()) / math.sqrt(x.var() + _LEAST_SPREAD ** 2)) for x in (self.y, y)]
        share = self.n / (self.n + 64)
        skew, tail = (share * float((both[0] ** p).mean()) + (1 - share) * float((both[1] ** p).mean())
                      for p in (3, 4))
        skew = min(max(skew, -3.0), 3.0)
        tail = min(max(tail, 1.5 + skew ** 2), 15.0)
        one = np.array([[variance, math.sqrt(variance) * skew / 2],
                        [math.sqrt(variance) * skew / 2, (tail - 1) / 4]])
        extra[1, 1] = 0.03 ** 2
        return one / self.n + extra, one / trials


    def draw(self, covariances: tuple[F64, F64], times: int, rng: np.random.Generator) -> F64:
        """By how much the moments would differ another time, ``[moments, times]``."""
        of_values, of_bench = covariances
        zero = np.zeros(len(of_bench))
        drawn = rng.multivariate_normal(zero, of_bench, times)
        if self.n < _FEW or self.is_share:
            return (drawn + rng.multivariate_normal(zero, of_values, times)).T
        again = self.moments(self.y[rng.integers(0, self.n, (times, self.n))])
        drawn += again - again.mean(axis=0)
        drawn[:, 0] += rng.normal(0, self.systematic, times)
        return drawn.T

    def row(self, off: F64, covariances: tuple[F64, F64]) -> Row:
        """For people."""
        error = math.sqrt(sum(c[0, 0] for c in covariances))
        show = float if self.is_share else math.exp
        spread, fitted = (math.exp(x[1]) if self.has_spread else math.nan
                          for x in (self.measured, self.measured + off))
        return Row(self.group, show(self.measured[0]), show(self.measured[0] + off[0]), error,
                   spread, fitted, float(-off[0] / error), self.outliers)


class _Problem:
    """Coordinates z, in which priors and small steps are natural, and the sum of squares.

    z are the logarithms of the threshold voltage at rest, of gamma1 + beta, beta, gamma2, alpha,
    lambda, sigma1 and Roff / Ron, the logit of r_max, and the jitter.
    """

    def __init__(self, targets: list[_Target], on: _Resistance, off: _Resistance):
        self.targets, self.on, self.off = targets, on, off
        self.spread = np.array([PRIORS[name].spread for name in _NAMES])
        self.spread[_RATIO] = math.hypot(on.error, off.error)
        self.centre = self._prior(1.0, 1.0)

    def start(self, rng: np.random.Generator) -> F64:
        """Where the means alone are about right; also gives the priors of the rates their centres.

        A grid that is judged by the latencies gives a population, which evolves (differential
        evolution), judged by all that was measured. For the sum of squares has more than one
        minimum.
        """
        self.bench = Bench(2, 1, rough=True)
        latency = [t for t in self.targets if t.group.quantity == "latency_s"
                   and not np.isnan(t.group.values).all()]
        volts = np.array([t.group.conditions["v_V"] for t in latency])
        measured = np.array([np.log(t.group.typical) for t in latency])
        grid = np.array([self._prior(v, 1.0) + _unit(_BETA) * math.log(beta)
                         for v in np.geomspace(0.3 * volts.min(), 10 * volts.max(), 60)
                         for beta in (0.1, 0.3, 1.0, 3.0, 10.0)])
        grid[:, _GAMMA2] = grid[:, _BETA] - math.log(4)
        grid[:, _JITTER], grid[:, _SIGMA1] = 0.0, -40.0
        # In units of the filament's time, whatever that is.
        late = np.log(latencies(self._materials(grid), volts, _LONG).T) - measured
        fires = ~np.isnan(late).any(axis=1)
        if not fires.any():
            raise InputError("no device of this kind has such latencies: they rise by too much "
                             "where there is less voltage")
        grid, late = grid[fires], late[fires]
        rank = np.argsort(late.var(axis=1))
        rate = np.exp(late[rank[0]].mean())
        self.centre = self._prior(float(np.exp(grid[rank[0], _MU])), float(rate))
        chosen = rank[rng.integers(0, max(1, len(rank) // 2), _POPULATION)]
        people = grid[chosen] + late[chosen].mean(axis=1)[:, None] * sum(map(_unit, _RATES))
        loose = [_GAMMA2, _LAMBDA, _R_MAX, _BETA]
        people[:, loose] += rng.normal(0, [1.5, 0.7, 1.0, 0.5], (_POPULATION, 4))
        costs = self._rough(people)
        for _ in range(_GENERATIONS):
            good = people[np.argsort(costs)[rng.integers(0, _POPULATION // 8, _POPULATION)]]
            one, other = people[rng.integers(0, _POPULATION, (2, _POPULATION))]
            child = people + rng.uniform(0.4, 0.9, (_POPULATION, 1)) * (good - people + one - other)
            child = np.where(rng.random(child.shape) < 0.9, child, people)
            child = np.clip(child, *self.limits())
            child[:, _SIGMA1] = -40.0
            its = self._rough(child)
            people = np.where((its < costs)[:, None], child, people)
            costs = np.minimum(its, costs)
        z = people[int(np.argmin(costs))]
        self.centre = self._prior(float(np.exp(z[_MU])), float(np.exp(z[_RATE])))
        z[_JITTER], z[_SIGMA1] = self.centre[_JITTER], self.centre[_SIGMA1]
        return z

    def _rough(self, z: F64) -> F64:
        """How far means are, judged so that single ones may be far off; and the priors."""
        cost = ((z - self.centre)[:, list(_OF_MEANS)] / self.spread[list(_OF_MEANS)]) ** 2
        total = 0.1 * cost.sum(axis=1)
        measured = self.bench.measure([t.group for t in self.targets], self._materials(z))
        for t, values in zip(self.targets, measured, strict=True):
            total += np.log1p(((t.rough(values) - t.measured[0]) / 0.1) ** 2)
        return total

    def _prior(self, threshold_V: float, rate: float) -> F64:
        scale = {"mu_per_V_s": threshold_V, "gamma1_per_s": rate,
                 "beta_per_s": rate * (PRIORS["beta_per_s"].centre or 1),
                 "gamma2_per_s": rate * (PRIORS["gamma2_per_s"].centre or 1)}
        z = np.log([scale.get(name, PRIORS[name].centre) or 1.0 for name in _NAMES])
        z[_RATIO] = self.off.middle - self.on.middle
        z[_R_MAX] = _logit(PRIORS["r_max"].centre)
        z[_JITTER] = PRIORS["residue_jitter"].centre
        return np.asarray(z, np.float64)

    def materials(self, z: F64) -> Materials:
        """Of coordinates ``[sets, 10]``, cut to where devices can be."""
        return self._materials(np.clip(z, *self.limits()))

    def _materials(self, z: F64) -> Materials:
        rate, alpha = np.exp(z[:, _RATE]), np.exp(z[:, _ALPHA])
        beta = np.minimum(np.exp(z[:, _BETA]), 0.9 * rate)
        return Materials(
            mu_per_V_s=rate * (1 + alpha) ** 2 / (4 * np.exp(z[:, _MU])), alpha=alpha,
            beta_per_s=beta, gamma1_per_s=rate - beta, gamma2_per_s=np.exp(z[:, _GAMMA2]),
            lambda_gap=np.exp(z[:, _LAMBDA]), r_max=1 / (1 + np.exp(-z[:, _R_MAX])),
            sigma1=np.exp(z[:, _SIGMA1]), residue_jitter=z[:, _JITTER],
            off_over_on=np.exp(z[:, _RATIO]))

    def limits(self) -> tuple[F64, F64]:
        low, high = self.centre - 6 * self.spread, self.centre + 6 * self.spread
        for index, least, most in ((_ALPHA, 1e-4, 0.5), (_LAMBDA, 0.02, 5.0), (_SIGMA1, 1e-6, 0.5)):
            low[index], high[index] = math.log(least), math.log(most)
        low[_R_MAX], high[_R_MAX] = _logit(0.02), _logit(0.995)
        low[_JITTER], high[_JITTER] = 0.0, 0.85
        return low, high

    def values(self, z: F64, on_error: F64) -> dict[str, F64]:
        """Parameters of a device, by name."""
        materials = self.materials(z)
        on = np.exp(self.on.middle + on_error)
        return {name: on if name == "r_on_ohm" else on * materials.off_over_on
                if name == "r_off_ohm" else getattr(materials, name) for name in PRIORS}

    def look(self, z: F64, kept: NDArray[np.bool_], width: F64 | None = None) -> "_Point":
        """What the bench says at some coordinates; derivatives over a part of ``width``."""
        part = 0.5 * (np.full(len(z), 0.1) if width is None else width)
        size = np.clip(part, 0.01, 0.1)
        size[_JITTER] = np.clip(part[_JITTER], 0.005, 0.03)
        size = np.where(z + size > self.limits()[1], -size, size)
        sets = np.concatenate([z[None], z + np.diag(size)])
        measured = self.bench.measure([t.group for t in self.targets], self.materials(sets))
        both = [t.bench(values) for t, values in zip(self.targets, measured, strict=True)]
        slopes = [((m[1:] - m[0]) / size[:, None]).T for m, _ in both]
        for one in slopes:
            one[:, kept] = 0.0
        covariances = [t.covariance(y, self.bench.trials)
                       for t, (_, y) in zip(self.targets, both, strict=True)]
        return _Point(z, [m[0] - t.measured for t, (m, _) in zip(self.targets, both, strict=True)],
                      slopes, covariances)

    def normal(self, at: "_Point", kept: NDArray[np.bool_],
               slack: float = 0.0) -> tuple[F64, F64]:
        """Matrix and right side of the normal equations, with the priors."""
        whiten = at.whiten(slack)
        r = at.residuals(whiten)
        slopes = np.concatenate([w @ s for w, s in zip(whiten, at.slopes, strict=True)])
        square, lean = slopes.T @ slopes, slopes.T @ r
        prior = np.where(kept, 1e-4, self.spread) ** -2.0
        return square + np.diag(prior), lean + prior * (at.z - self.centre)

    def errors(self, at: "_Point", kept: NDArray[np.bool_]) -> F64:
        """Standard errors of the coordinates."""
        return np.sqrt(np.diag(np.linalg.inv(self.normal(at, kept)[0])))

    def cost(self, at: "_Point", whiten: list[F64], kept: NDArray[np.bool_]) -> float:
        """The sum of squares, with given weights."""
        prior = ((at.z - self.centre) / np.where(kept, 1e-4, self.spread)) ** 2
        return float((at.residuals(whiten) ** 2).sum() + prior.sum())


@dataclass(frozen=True)
class _Point:
    """Of every target at some coordinates: how far the bench's moments are from those measured,
    their derivatives, and covariances (of the values, of the bench)."""

    z: F64
    off: list[F64]
    slopes: list[F64]
    covariances: list[tuple[F64, F64]]

    def whiten(self, slack: float = 0.0) -> list[F64]:
        """Matrices that make the differences independent, of variance one."""
        return [np.linalg.inv(np.linalg.cholesky(sum(c) + slack ** 2 * np.eye(len(c[0]))))
                for c in self.covariances]

    @property
    def count(self) -> int:
        """Of moments."""
        return sum(len(off) for off in self.off)

    @property
    def chi2(self) -> float:
        """Sum of squares, without the priors'."""
        return float((self.residuals(self.whiten()) ** 2).sum())

    def residuals(self, whiten: list[F64]) -> F64:
        return np.concatenate([w @ off for w, off in zip(whiten, self.off, strict=True)])


def _descend(problem: _Problem, z: F64, kept: NDArray[np.bool_], rounds: int,
             slacks: Sequence[float], progress: Callable[[int], None]) -> _Point:
    """Damped Gauss-Newton (Levenberg, Marquardt) to where the sum of squares is smallest."""
    at, damping = problem.look(z, kept), 0.01
    for k in range(rounds):
        progress(k)
        slack = slacks[k] if k < len(slacks) else 0.0
        square, lean = problem.normal(at, kept, slack)
        width = np.sqrt(np.diag(np.linalg.inv(square)))
        move = -np.linalg.solve(square + damping * np.diag(np.diag(square)), lean)
        z = np.clip(at.z + np.clip(move, -1.0, 1.0), *problem.limits())
        moved = float(np.max(np.abs(z - at.z) / width))
        tried, whiten = problem.look(z, kept, width), at.whiten(slack)
        gain = problem.cost(at, whiten, kept) - problem.cost(tried, whiten, kept)
        if gain > 0:
            at, damping = tried, damping / 5
        else:
            damping *= 10
        # The bench's chance makes the sum rough; what is less than that is not worth a step.
        if k >= len(slacks) and (moved < _STILL or gain < _ROUGHNESS and moved < 1):
            break
    return at


def _unit(index: int) -> F64:
    return np.eye(len(_NAMES))[index]


def _logit(p: float | None) -> float:
    assert p is not None
    return math.log(p / (1 - p))


def _report(problem: _Problem, at: _Point, kept: NDArray[np.bool_], name: str, bootstrap: int,
            seed: int) -> Fit:
    chi2 = at.chi2
    # The ratio of the resistances has a measurement of its own.
    freedom = at.count - int((~np.delete(kept, _RATIO)).sum())
    widened = math.sqrt(max(1.0, chi2 / freedom)) if freedom > 0 else 1.0
    wide = _TOO_NARROW * widened
    # What is kept is not known: the intervals of all others are as wide as that makes them.
    at = problem.look(at.z, np.zeros_like(kept), problem.errors(at, kept))
    square, _ = problem.normal(at, np.zeros_like(kept))
    rng = np.random.default_rng([seed, 2])
    lean = rng.standard_normal((len(at.z), bootstrap)) / problem.spread[:, None]
    for t, w, slope, c in zip(problem.targets, at.whiten(), at.slopes, at.covariances, strict=True):
        lean += (w @ slope).T @ (w @ t.draw(c, bootstrap, rng))
    cloud = problem.values(at.z + wide * np.linalg.solve(square, lean).T,
                           problem.on.error * rng.standard_normal(bootstrap))
    best = problem.values(at.z[None], np.zeros(1))
    estimates = {}
    for parameter, values in best.items():
        low, high = np.percentile(cloud[parameter], [2.5, 97.5])
        determined = problem.on.measured if parameter == "r_on_ohm" \
            else not kept[_NAMES.index(parameter)]
        estimates[parameter] = Estimate(float(values[0]), float(low), float(high), determined)
    rows = [t.row(off, c) for t, off, c in zip(problem.targets, at.off, at.covariances, strict=True)]
    return Fit(_device(name, estimates), estimates, tuple(rows), chi2, freedom, widened, bootstrap,
               seed)


def _device(name: str, estimates: dict[str, Estimate]) -> Device:
    """With a gate like that of the paper's chip, for these times and this bridge (ours)."""
    values: dict[str, Any] = {parameter: one.value for parameter, one in estimates.items()}
    rate = values["gamma1_per_s"] + values["beta_per_s"]
    threshold_V = rate * (1 + values["alpha"]) ** 2 / (4 * values["mu_per_V_s"])
    # Far above the bridge, and below what the memristor is when its gap is nearly closed.
    on = values["r_on_ohm"]
    open_ohm = values["r_off_ohm"] / math.expm1(1 / values["lambda_gap"])
    r_control_ohm = min(max(_CONTROL_PART * open_ohm, _CONTROL_TIMES[0] * on), _CONTROL_TIMES[1] * on)
    return Device(
        name=name, title="fitted to measurements", source="ionspike device fit",
        r_control_ohm=_round(r_control_ohm), c_gate_F=_round(_GATE_TIMES / rate / r_control_ohm),
        v_t_V=_round(min(0.2, 0.2 * threshold_V)), **values)


def _round(value: float) -> float:
    return float(f"{value:.3g}")
