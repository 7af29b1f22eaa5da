"""A lab bench for a bare memristor, quick enough to stand inside a fit.

What a memristor on its own does, with the gate of :mod:`ionspike.sim.reference` held at ground: the
same equations, in float32, many experiments, sets of parameters and trials side by side. The trials
of all sets have the same random numbers, so that what differs between sets is what parameters do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.measurements import Group
from ionspike.spec.device import Device

__all__ = ["Bench", "Materials", "hold_hazard_per_s", "latencies", "window_s"]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

#: Steps are this part of the filament's time constant at most, and this part of what is measured.
_PART, _PART_OF_VALUE = 0.08, 1 / 150
#: The same of what is only a first look.
_ROUGH_PART, _ROUGH_PART_OF_VALUE = 0.5, 1 / 40
#: Steps of one phase at most; where they do not suffice, steps are longer.
_MOST_STEPS, _ROUGH_MOST_STEPS = 4000, 400
#: After so many time constants nothing is left of a filament.
_GONE = 20.0
#: Latencies are waited for so many times the median measured.
_PATIENCE = 20.0
#: Normal numbers, used again and again.
_POOL = 1 << 20
#: Of a sweep down, and nodes of an integral.
_VOLTS, _NODES = 200, 24


@dataclass(frozen=True)
class Materials:
    """Parameters of memristors, arrays ``[sets]``; meanings and units as in :class:`Device`.

    ``off_over_on`` is ``r_off_ohm / r_on_ohm``.
    """

    mu_per_V_s: F64
    alpha: F64
    beta_per_s: F64
    gamma1_per_s: F64
    gamma2_per_s: F64
    lambda_gap: F64
    r_max: F64
    sigma1: F64
    residue_jitter: F64
    off_over_on: F64

    @classmethod
    def of(cls, device: Device) -> "Materials":
        """One set: the memristor of a device."""
        return cls(*(np.array([value], np.float64) for value in (
            device.mu_eff_per_V_s, device.alpha_eff, device.beta_eff_per_s, device.gamma1_per_s,
            device.gamma2_per_s, device.lambda_gap, device.r_max, device.sigma1,
            device.residue_jitter, device.r_off_ohm / device.r_on_ohm)))

    @property
    def rate_per_s(self) -> F64:
        """``gamma1 + beta``."""
        return self.gamma1_per_s + self.beta_per_s

    def gap_at(self, fraction: F64) -> F64:
        """Gap at which the conductance is that fraction of a bridge's, ``[fractions, sets]``."""
        x = (1 / np.atleast_1d(fraction)[:, None] - 1) / self.off_over_on
        return self.lambda_gap * np.log1p(x * np.expm1(1 / self.lambda_gap))


def window_s(width_s: float, typical_s: float) -> float:
    """How long a latency is waited for: hardly longer than it may be."""
    return min(width_s, _PATIENCE * typical_s)


class Bench:
    """Trials that are repeated with the same random numbers.

    Parameters
    ----------
    trials : of each set of parameters; even, for every trial has one with the opposite noise.
    seed : of noise and initial residues.
    rough : take long steps, for a first look at very different parameters.
    """

    def __init__(self, trials: int, seed: int, rough: bool = False):
        self.trials, self._seed, self._rough = trials, seed, rough
        self._pool = np.random.default_rng(seed).standard_normal(_POOL, dtype=np.float32)

    def measure(self, groups: Sequence[Group], materials: Materials) -> list[F64]:
        """What each trial measures, of each group ``[sets, trials]``; NaN where nothing happened."""
        found: dict[int, F64] = {}
        for protocol in dict.fromkeys(_PROTOCOLS[g.quantity] for g in groups):
            own = [k for k, g in enumerate(groups) if _PROTOCOLS[g.quantity] is protocol]
            values = protocol(self._stand([groups[k] for k in own], materials))
            found |= {k: values[n] for n, k in enumerate(own)}
        return [found[k] for k in range(len(groups))]

    def _stand(self, groups: Sequence[Group], materials: Materials) -> "_Stand":
        half, residues = self.trials // 2, []
        for group in groups:
            rng = np.random.default_rng([self._seed, group.key])
            residues.append(np.tile((rng.permutation(half) + rng.random(half)) / half, 2))
        return _Stand(materials, groups, np.array(residues), self._pool,
                      np.random.default_rng([self._seed, *(g.key for g in groups)]), self._rough)


class _Stand:
    """Memristors ``[groups, sets, trials]``, and what is done to them."""

    def __init__(self, materials: Materials, groups: Sequence[Group], residues: F64, pool: F32,
                 rng: np.random.Generator, rough: bool):
        self.m, self.rough = materials, rough
        self.typical = np.array([group.typical for group in groups])
        self.conditions = {name: np.array([group.conditions[name] for group in groups])
                           for name in groups[0].conditions}
        self.fastest = float(materials.rate_per_s.max())
        self._pool, self._rng = pool, rng
        self._at = int(rng.integers(len(pool)))
        self.r: F32 = (materials.residue_jitter[:, None] * residues[:, None]).astype(np.float32)
        self.f: F32 = np.zeros_like(self.r)
        self.residue_then: F32 = np.zeros_like(self.r)
        self._noise = np.zeros((len(groups), 1, residues.shape[1]), np.float32)
        self._noisy = bool((materials.sigma1 > 1e-12).any())

    def steps(self, value_s: F64, duration_s: F64) -> int:
        """How many steps serve all groups where something takes about ``value_s``."""
        part, of_value, most = (
            (_ROUGH_PART * 1e9, _ROUGH_PART_OF_VALUE, _ROUGH_MOST_STEPS) if self.rough
            else (_PART, _PART_OF_VALUE, _MOST_STEPS))
        step_s = np.minimum(part / self.fastest, value_s * of_value)
        return int(np.clip(np.ceil(duration_s / step_s).max(), 10, most))

    def pulse(self, v_V: F64, ramp_V_per_s: F64, duration_s: F64, steps: int) -> F64:
        """When the gap was bridged, NaN where it was not; time passes.

        What is bridged is held: F = 1 - R, and R has an exponential course.
        """
        when = self.wait(v_V, ramp_V_per_s, duration_s, steps)
        bridged = ~np.isnan(when)
        held_s = np.where(bridged, duration_s[:, None, None] - when, 0.0)
        both = (self.m.beta_per_s + self.m.gamma2_per_s)[:, None]
        end = self.m.beta_per_s[:, None] / both
        held = end + (self.residue_then - end) * np.exp(-both * held_s)
        self.r = np.where(bridged, np.minimum(held, self.m.r_max[:, None]), self.r).astype(
            np.float32)
        self.f = np.where(bridged, 1 - self.r, self.f)
        return when

    def wait(self, v_V: F64, ramp_V_per_s: F64, duration_s: F64, steps: int,
             watch: bool = True) -> F64:
        """When the gap was bridged, NaN where it was not, under ``v + ramp t``.

        With ``watch`` it ends where all have bridged; ``residue_then`` is what they had then.
        """
        m, f, r = self.m, self.f, self.r
        step_s = (duration_s / steps)[:, None]                          # [groups, 1]
        rate_step = m.rate_per_s * step_s                               # [groups, sets]
        loss = -np.expm1(-rate_step)
        growth, loss, keep, gain, sigma, alpha, r_max = (
            np.ascontiguousarray(np.broadcast_to(value, loss.shape)[..., None], np.float32)
            for value in (m.mu_per_V_s * loss / m.rate_per_s, loss, np.exp(-m.gamma2_per_s * step_s),
                          m.beta_per_s * step_s, m.sigma1 * -np.expm1(-2 * rate_step)
                          / (2 * rate_step), m.alpha, m.r_max))
        first, more = growth * _column(v_V), growth * _column(ramp_V_per_s * step_s[:, 0])
        reach, half, ramps = alpha + 1, np.float32(0.5), bool(ramp_V_per_s.any())
        x, df, gap = (np.empty_like(f) for _ in range(3))
        when, waiting, field = np.full(f.shape, np.nan), np.full(f.shape, watch), first
        for k in range(steps):
            if ramps:
                field = first + np.float32(k + 0.5) * more
            # The drift at the middle of the step, where half of that at its beginning leads.
            np.subtract(reach, r, out=gap)
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
                    within = (df[new] - f[new]) / np.maximum(x[new] - f[new], 1e-12)
                    when[new] = k + np.clip(within, 0, 1)
                    self.residue_then[new] = r[new]
                    waiting ^= new
                    if not waiting.any():
                        break
            np.minimum(x, df, out=f)
        when *= step_s[..., None]
        return when

    def rest(self, duration_s: F64) -> None:
        """No voltage."""
        fast_s = np.minimum(duration_s, _GONE / float(self.m.rate_per_s.min()))
        steps = np.ceil(fast_s.max() * self.fastest / (2 * _PART))
        none = np.zeros_like(fast_s)
        self.wait(none, none, fast_s, int(np.clip(steps, 20, 80 if self.rough else 400)),
                  watch=False)
        slow_s = (duration_s - fast_s)[:, None, None]
        self.f *= slow_s <= 0
        self.r *= np.exp(-self.m.gamma2_per_s[:, None] * slow_s).astype(np.float32)

    def fall(self, gap: F64) -> F64:
        """Seconds without a voltage until the gap is that long, ``[groups, sets, trials]``.

        Steps are short at first, and every set has its own.
        """
        m, f, r = self.m, self.f, self.r
        level = 1 - gap[..., None]
        rate, gamma2, beta, sigma1, r_max = (value[:, None] for value in (
            m.rate_per_s, m.gamma2_per_s, m.beta_per_s, m.sigma1, m.r_max))
        part, stretch, first = (_ROUGH_PART, 1.3, 20) if self.rough else (_PART, 1.05, 100)
        longest_s = part / rate
        step_s = np.minimum(longest_s, self.typical[:, None, None] / first)
        passed_s, when = np.zeros_like(step_s), np.full(f.shape, np.nan)
        while np.isnan(when).any() and (passed_s * rate < _GONE).any():
            before = f + r
            df = f * np.expm1(-rate * step_s)
            if self._noisy:
                df += np.sqrt(sigma1 * np.abs(df)) * self._normal()
            f = np.maximum(f + df, 0)
            r = np.minimum(r * np.exp(-gamma2 * step_s) + beta * step_s * f, r_max)
            f = np.minimum(f, 1 - r)
            now = f + r
            new = np.isnan(when) & (now < level)
            within = np.clip((before - level) / np.maximum(before - now, 1e-12), 0, 1)
            when = np.where(new, passed_s + within * step_s, when)
            passed_s = passed_s + step_s
            step_s = np.minimum(step_s * stretch, longest_s)
        # What is left is residue, which decays by itself.
        left = np.isnan(when) & (level > 0)
        later = passed_s + np.log(np.maximum(r, 1e-30) / np.maximum(level, 1e-30)) / gamma2
        return np.where(left, np.maximum(later, passed_s), when)

    def _normal(self) -> F32:
        groups, _, trials = self._noise.shape
        half = trials // 2
        if self._at + groups * half > len(self._pool):
            # Elsewhere than the last time, or a trial would have its own noise again.
            self._at = int(self._rng.integers(groups * half))
        drawn = self._pool[self._at:self._at + groups * half].reshape(groups, half)
        self._at += groups * half
        self._noise[:, 0, :half] = drawn
        np.negative(drawn, out=self._noise[:, 0, half:])
        return self._noise


def _column(values: F64) -> F32:
    return values.astype(np.float32)[:, None, None]


def _latency(stand: _Stand) -> F64:
    c, typical_s = stand.conditions, stand.typical
    duration_s = np.minimum(c["width_s"], _PATIENCE * typical_s)
    return stand.wait(c["v_V"], 0 * duration_s, duration_s, stand.steps(typical_s, duration_s))


def _fires(stand: _Stand) -> F64:
    return (~np.isnan(_latency(stand))).astype(np.float64)


def _pulse(stand: _Stand) -> F64:
    width_s = stand.conditions["width_s"]
    return stand.pulse(stand.conditions["v_V"], 0 * width_s, width_s,
                       stand.steps(width_s, width_s))


def _paired(stand: _Stand) -> F64:
    _pulse(stand)
    stand.rest(stand.conditions["gap_s"])
    return _latency(stand)


def _relaxation(stand: _Stand) -> F64:
    bridged = ~np.isnan(_pulse(stand))
    return np.where(bridged, stand.fall(stand.m.gap_at(stand.conditions["fraction"])), np.nan)


def _threshold(stand: _Stand) -> F64:
    ramp = stand.conditions["ramp_V_per_s"]
    value_s = stand.typical / ramp
    when = stand.wait(0 * ramp, ramp, 4 * value_s, stand.steps(value_s, 4 * value_s))
    return ramp[:, None, None] * when


def _hold(stand: _Stand) -> F64:
    """The sweep down is not simulated: see :func:`hold_hazard_per_s`."""
    m, ramps, peaks_V = stand.m, stand.conditions["ramp_V_per_s"], stand.conditions["peak_V"]
    up_s = peaks_V / ramps
    stand.pulse(0 * ramps, ramps, up_s, stand.steps(up_s, up_s))
    trials = stand.f.shape[-1]
    chances = -np.log1p(-(np.arange(trials) + 0.5) / trials)
    both = (m.beta_per_s + m.gamma2_per_s)[:, None]
    end, found = m.beta_per_s[:, None] / both, []
    for ramp, peak_V, residue in zip(ramps, peaks_V, stand.r.mean(axis=-1, dtype=np.float64),
                                     strict=True):
        volts = peak_V * np.arange(1, _VOLTS + 1)[::-1] / _VOLTS
        course = end + (residue[:, None] - end) * np.exp(-both * (peak_V - volts) / ramp)
        hazard = hold_hazard_per_s(m, volts, np.minimum(course, m.r_max[:, None]))
        total = np.cumsum(hazard * (peak_V / _VOLTS / ramp), axis=1)
        found.append([np.interp(chances, one, volts) for one in total])
    return np.array(found)


def hold_hazard_per_s(m: Materials, volts: F64, residue: F64) -> F64:
    """How likely a bridge is to be lost, per second, ``[sets, voltages]``.

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
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    t, weights = (nodes + 1) / 2, weights / 2
    z = gap[..., None] * t * t                      # denser where the integrand is
    pull = rate[..., None] * (u[..., None] / (alpha[..., None] + z) - (1 - residue[..., None] - z))
    height = np.minimum(2 * (gap[..., None] - z) / np.maximum(sigma1, 1e-9)[..., None], 80.0)
    mean_s = (weights * np.expm1(height) / np.maximum(pull, 1e-9 * rate[..., None])
              * 2 * t).sum(axis=-1) * gap
    hazard = np.where(never, 0.0, 1 / np.maximum(mean_s, 1e-30))
    return np.where(gone, 1e6 * rate, np.minimum(hazard, 1e6 * rate))


def latencies(materials: Materials, volts: F64, limit_s: float) -> F64:
    """Without noise and residue: ``[voltages, sets]``, NaN where nothing happened."""
    groups = [Group("latency_s", {"v_V": float(v), "width_s": limit_s}, np.array([limit_s]))
              for v in volts]
    rate = float(materials.rate_per_s.max())
    quiet = replace(materials, sigma1=0 * materials.sigma1)
    stand = _Stand(quiet, groups, np.zeros((len(volts), 2)), np.zeros(1, np.float32),
                   np.random.default_rng(0), rough=True)
    duration_s = np.full(len(volts), limit_s)
    return stand.wait(volts, 0 * volts, duration_s, round(5 * limit_s * rate))[..., 0]


_PROTOCOLS: dict[str, Callable[[_Stand], F64]] = {
    "latency_s": _latency, "fires": _fires, "paired_latency_s": _paired,
    "relaxation_s": _relaxation, "threshold_V": _threshold, "hold_V": _hold}
