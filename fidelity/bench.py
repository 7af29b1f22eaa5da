"""A lab bench for a bare memristor, quick enough to stand inside a fit.

What a memristor on its own does, with the gate of :mod:`ionspike.sim.reference` held at ground: the
same equations, in float32, many sets of parameters and many trials side by side. The trials of all
sets have the same random numbers, so that what differs between sets is what the parameters do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.measurements import Group

__all__ = ["Bench", "Materials", "hold_hazard_per_s", "latencies", "window_s"]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

#: Steps are this part of the filament's time constant at most, and this part of what is measured.
_PART, _PART_OF_VALUE = 0.06, 1 / 200
#: Steps of one phase at most; where they do not suffice, steps are longer.
_MOST_STEPS = 4000
#: After so many time constants nothing is left of a filament.
_GONE = 20.0
#: Latencies are waited for so many times the median measured.
_PATIENCE = 20.0
_POOL = 1 << 20
#: Of a sweep down.
_VOLTS = 1000


@dataclass(frozen=True)
class Materials:
    """Parameters of memristors, arrays ``[sets]``; meanings and units as in :class:`Device`."""

    mu_per_V_s: F64
    alpha: F64
    beta_per_s: F64
    gamma1_per_s: F64
    gamma2_per_s: F64
    lambda_gap: F64
    r_max: F64
    sigma1: F64
    residue_jitter: F64
    r_on_ohm: float
    r_off_ohm: float

    @property
    def rate_per_s(self) -> F64:
        """``gamma1 + beta``."""
        return self.gamma1_per_s + self.beta_per_s

    def gap_at(self, fraction: float) -> F64:
        """Gap ``[sets]`` at which the conductance is that fraction of a bridge's."""
        x = (1 / fraction - 1) * self.r_on_ohm / self.r_off_ohm
        return self.lambda_gap * np.log1p(x * np.expm1(1 / self.lambda_gap))


class Bench:
    """Trials that are repeated with the same random numbers.

    Parameters
    ----------
    trials : of each set of parameters; even, for every trial has one with the opposite noise.
    seed : of noise and initial residues.
    """

    def __init__(self, trials: int, seed: int):
        self.trials, self._seed = trials, seed
        self._pool = np.random.default_rng(seed).standard_normal(_POOL, dtype=np.float32)

    def measure(self, group: Group, materials: Materials) -> F64:
        """What each trial measures, ``[sets, trials]``; NaN where nothing happened."""
        rng = np.random.default_rng([self._seed, group.key])
        half = self.trials // 2
        residue = (rng.permutation(half) + rng.random(half)) / half
        stand = _Stand(materials, np.tile(residue, 2), self._pool, int(rng.integers(_POOL)))
        return _PROTOCOLS[group.quantity](stand, group.conditions, group.typical)


class _Stand:
    """State ``[sets, trials]`` of the memristors, and their time."""

    def __init__(self, materials: Materials, residue: F64, pool: F32, offset: int):
        self.m = materials
        self.rate = float(materials.rate_per_s.max())
        self._pool, self._at = pool, offset
        self.r: F32 = (materials.residue_jitter[:, None] * residue).astype(np.float32)
        self.f: F32 = np.zeros_like(self.r)
        self._x, self._df, self._noise, self.residue_then = (np.zeros_like(self.r)
                                                             for _ in range(4))
        self._noisy = bool((materials.sigma1 > 1e-12).any())

    def step_s(self, value_s: float, duration_s: float) -> float:
        """Length of the steps where something takes about ``value_s``."""
        return max(min(_PART / self.rate, value_s * _PART_OF_VALUE), duration_s / _MOST_STEPS)

    def pulse(self, volts: Callable[[float], float], duration_s: float, step_s: float) -> F64:
        """When the gap was bridged, ``[sets, trials]``, NaN where it was not; time passes.

        What is bridged is held: F = 1 - R, and R has an exponential course.
        """
        when = self.phase(volts, duration_s, step_s)
        held_s = duration_s - when
        both = (self.m.beta_per_s + self.m.gamma2_per_s)[:, None]
        end = self.m.beta_per_s[:, None] / both
        held = np.minimum(end + (self.residue_then - end) * np.exp(-both * np.where(held_s > 0, held_s, 0)),
                          self.m.r_max[:, None])
        bridged = ~np.isnan(when)
        self.r[bridged] = held[bridged]
        self.f[bridged] = 1 - self.r[bridged]
        return when

    def phase(self, volts: Callable[[float], float], duration_s: float, step_s: float,
              watch: bool = True) -> F64:
        """When the gap was bridged, ``[sets, trials]``, NaN where it was not.

        With ``watch`` it ends where all have bridged, and ``residue_then`` is what they had.
        """
        m, f, r, x, df = self.m, self.f, self.r, self._x, self._df
        steps = max(1, round(duration_s / step_s))
        step_s = duration_s / steps
        loss = -np.expm1(-m.rate_per_s * step_s)
        growth, alpha, sigma = (_column(value) for value in (
            m.mu_per_V_s * loss / m.rate_per_s, m.alpha,
            m.sigma1 * -np.expm1(-2 * m.rate_per_s * step_s) / (2 * m.rate_per_s * step_s)))
        loss, keep, gain, r_max = (_column(value) for value in (
            loss, np.exp(-m.gamma2_per_s * step_s), m.beta_per_s * step_s, m.r_max))
        alpha1, half = alpha + 1, np.float32(0.5)
        gap = np.empty_like(f)
        when = np.full(f.shape, np.nan)
        waiting = np.full(f.shape, watch)
        for k in range(steps):
            # The drift at the middle of the step, where half of that at its beginning leads.
            field = growth * np.float32(volts((k + 0.5) * step_s))
            np.subtract(alpha1, r, out=gap)
            np.subtract(gap, f, out=df)
            np.divide(field, df, out=df)
            np.multiply(f, loss, out=x)
            np.subtract(df, x, out=df)
            np.multiply(df, half, out=df)
            np.add(df, f, out=df)
            np.subtract(gap, df, out=df)
            np.maximum(df, alpha, out=df)
            np.divide(field, df, out=df)
            np.subtract(df, x, out=df)
            np.add(f, df, out=x)
            if self._noisy:
                np.abs(df, out=df)
                np.multiply(df, sigma, out=df)
                np.sqrt(df, out=df)
                np.multiply(df, self._normal(), out=df)
                np.add(x, df, out=x)
            np.maximum(x, 0, out=x)
            np.subtract(1, r, out=df)
            np.minimum(df, x, out=df)               # what of it there is room for
            np.multiply(df, gain, out=df)
            np.multiply(r, keep, out=r)
            np.add(r, df, out=r)
            np.minimum(r, r_max, out=r)
            np.subtract(1, r, out=df)               # room
            if watch:
                new = x >= df
                new &= waiting
                if new.any():
                    part = (df[new] - f[new]) / np.maximum(x[new] - f[new], 1e-12)
                    when[new] = (k + np.clip(part, 0, 1)) * step_s
                    self.residue_then[new] = r[new]
                    waiting &= ~new
                    if not waiting.any():
                        break
            np.minimum(x, df, out=f)
        return when

    def fall(self, gap: F64, value_s: float) -> F64:
        """Seconds without a voltage until the gap is that long, ``[sets, trials]``."""
        m = self.m
        level = 1 - gap[:, None]
        when = np.full(self.f.shape, np.nan)
        passed_s, step_s = 0.0, min(_PART / self.rate, value_s / 20)
        while passed_s < _GONE / self.rate and np.isnan(when).any():
            f, r = self.f, self.r
            before = f + r
            loss = _column(-np.expm1(-m.rate_per_s * step_s))
            df = -loss * f
            if self._noisy:
                df += np.sqrt(_column(m.sigma1) * np.abs(df)) * self._normal()
            f += df
            np.maximum(f, 0, out=f)
            r *= _column(np.exp(-m.gamma2_per_s * step_s))
            r += _column(m.beta_per_s * step_s) * f
            np.minimum(r, _column(m.r_max), out=r)
            np.minimum(f, 1 - r, out=f)
            now = f + r
            new = np.isnan(when) & (now < level)
            part = (before - level) / np.maximum(before - now, 1e-12)
            when[new] = passed_s + np.clip(part[new], 0, 1) * step_s
            passed_s += step_s
            step_s = min(step_s * 1.05, 2 * _PART / self.rate)
        # What is left is residue, which decays by itself.
        left = np.isnan(when) & (level > 0)
        later = passed_s + np.log(np.maximum(self.r, 1e-30) / np.maximum(level, 1e-30)) \
            / m.gamma2_per_s[:, None]
        return np.where(left, np.maximum(later, passed_s), when)

    def rest(self, duration_s: float) -> None:
        """No voltage."""
        first_s = min(duration_s, _GONE / self.rate)
        self.phase(lambda _: 0.0, first_s, min(2 * _PART / self.rate, first_s / 10), watch=False)
        if duration_s > first_s:
            self.f[:] = 0
            self.r *= _column(np.exp(-self.m.gamma2_per_s * (duration_s - first_s)))

    def _normal(self) -> F32:
        half = self._noise.shape[1] // 2
        if self._at + half > len(self._pool):
            self._at = 0
        drawn = self._pool[self._at:self._at + half]
        self._at += half
        noise = self._noise[0]
        noise[:half] = drawn
        np.negative(drawn, out=noise[half:])
        return noise


def _column(values: F64) -> F32:
    return np.asarray(values, np.float32)[:, None]


Conditions = Mapping[str, float]


def window_s(c: Conditions, typical: float) -> float:
    """How long a latency is waited for: hardly longer than it may be."""
    return min(c["width_s"], _PATIENCE * typical)


def _latency(stand: _Stand, c: Conditions, typical: float) -> F64:
    duration_s = window_s(c, typical)
    return stand.phase(lambda _: c["v_V"], duration_s, stand.step_s(typical, duration_s))


def _fires(stand: _Stand, c: Conditions, typical: float) -> F64:
    return (~np.isnan(_latency(stand, c, c["width_s"]))).astype(np.float64)


def _paired(stand: _Stand, c: Conditions, typical: float) -> F64:
    width_s = c["width_s"]
    stand.pulse(lambda _: c["v_V"], width_s, stand.step_s(width_s, width_s))
    stand.rest(c["gap_s"])
    return _latency(stand, c, typical)


def _relaxation(stand: _Stand, c: Conditions, typical: float) -> F64:
    width_s = c["width_s"]
    on_s = stand.pulse(lambda _: c["v_V"], width_s, stand.step_s(width_s, width_s))
    return np.where(~np.isnan(on_s), stand.fall(stand.m.gap_at(c["fraction"]), typical), np.nan)


def _threshold(stand: _Stand, c: Conditions, typical: float) -> F64:
    ramp, duration_s = c["ramp_V_per_s"], 4 * typical / c["ramp_V_per_s"]
    return ramp * stand.phase(lambda t: ramp * t, duration_s,
                              stand.step_s(typical / ramp, duration_s))


def _hold(stand: _Stand, c: Conditions, typical: float) -> F64:
    """The sweep down is not simulated: see :func:`hold_hazard_per_s`."""
    ramp, peak_V, m = c["ramp_V_per_s"], c["peak_V"], stand.m
    up_s = peak_V / ramp
    stand.pulse(lambda t: ramp * t, up_s, stand.step_s(up_s, up_s))
    volts = peak_V * np.arange(1, _VOLTS + 1)[::-1] / _VOLTS
    # While bridged F = 1 - R: R has an exponential course of its own.
    both = (m.beta_per_s + m.gamma2_per_s)[:, None]
    end = m.beta_per_s[:, None] / both
    course = end + (stand.r.mean(axis=1, dtype=np.float64)[:, None] - end) * np.exp(
        -both * (peak_V - volts) / ramp)
    residue = np.minimum(course, m.r_max[:, None])
    hazard = hold_hazard_per_s(m, volts, residue)
    total = np.cumsum(hazard * (peak_V / _VOLTS / ramp), axis=1)
    chances = -np.log1p(-(np.arange(stand.f.shape[1]) + 0.5) / stand.f.shape[1])
    return np.array([np.interp(chances, one, volts) for one in total])


def hold_hazard_per_s(m: Materials, volts: F64, residue: F64) -> F64:
    """How likely a bridge is to break, per second, ``[sets, voltages]``.

    A bridge with a gap z from it is drawn back at ``b = mu v / (alpha + z) - rate (1 - R - z)`` and
    shaken with variance ``sigma1 b`` per second; it is lost where b is zero, at z_u. From z = 0,
    where it is reflected, that takes on average::

        integral from 0 to z_u of (exp(2 (z_u - z) / sigma1) - 1) / b dz
    """
    mu, alpha, rate, sigma1 = (value[:, None] for value in (
        m.mu_per_V_s, m.alpha, m.rate_per_s, m.sigma1))
    u = mu * volts / rate
    spread = (1 - residue - alpha) ** 2 - 4 * (u - alpha * (1 - residue))
    never = spread <= 0
    gap = ((1 - residue - alpha) - np.sqrt(np.maximum(spread, 0))) / 2
    gone = u <= alpha * (1 - residue)
    gap = np.where(never | gone, 0.01, gap)
    nodes, weights = np.polynomial.legendre.leggauss(48)
    t, weights = (nodes + 1) / 2, weights / 2
    z = gap[..., None] * t * t                      # denser where the integrand is
    pull = rate[..., None] * (u[..., None] / (alpha[..., None] + z) - (1 - residue[..., None] - z))
    height = np.minimum(2 * (gap[..., None] - z) / np.maximum(sigma1, 1e-9)[..., None], 80.0)
    mean_s = (weights * np.expm1(height) / np.maximum(pull, 1e-9 * rate[..., None])
              * 2 * t).sum(axis=-1) * gap
    hazard = np.where(never, 0.0, 1 / np.maximum(mean_s, 1e-30))
    return np.where(gone, 1e6 * rate, np.minimum(hazard, 1e6 * rate))


_PROTOCOLS: dict[str, Callable[[_Stand, Conditions, float], F64]] = {
    "latency_s": _latency, "paired_latency_s": _paired, "relaxation_s": _relaxation,
    "threshold_V": _threshold, "hold_V": _hold, "fires": _fires}


def latencies(materials: Materials, volts: F64, limit_s: float) -> F64:
    """Without noise and residue: ``[sets, voltages]``, NaN where nothing happened."""
    rate = float(materials.rate_per_s.max())
    found = []
    for v in volts:
        stand = _Stand(materials, np.zeros(1), np.zeros(1, np.float32), 0)
        step_s = 0.2 / rate
        found.append(stand.phase(lambda _, v=v: v, limit_s, step_s)[:, 0])  # type: ignore[misc]
    return np.stack(found, axis=1)
