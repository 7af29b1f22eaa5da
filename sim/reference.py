"""L0: the device as stochastic differential equations in SI units, many trials side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.spec.device import Device, DeviceError

__all__ = ["Run", "largest_step_s", "simulate"]

F64 = NDArray[np.float64]

#: A step may be this part of the filament's time constant.
_PART = 0.0125


@dataclass(frozen=True)
class Run:
    """What :func:`simulate` gives.

    Parameters
    ----------
    spikes : bool ``[trials, T, lanes]``: the output rose in that tick.
    filament, residue, gate_V : mean over the trials at the end of each tick, ``[T, lanes]``.
    memristor_J, resistor_J : energy that became heat in memristor and control resistor, mean over
        the trials, ``[lanes]``.
    step_s, seed : as used.
    """

    spikes: NDArray[np.bool_]
    filament: F64
    residue: F64
    gate_V: F64
    memristor_J: F64
    resistor_J: F64
    step_s: float
    seed: int


def largest_step_s(device: Device) -> float:
    """The largest step in time that a device may be simulated with.

    An eightieth of the filament's time constant; the gate, which may be faster, is solved exactly in
    each step. tests/test_reference.py shows what halving it changes.
    """
    return _PART / device.rate_per_s


def simulate(device: Device, drive_V: ArrayLike, dt_s: float, *, trials: int = 1, seed: int = 0,
             step_s: float | None = None, r_control_ohm: ArrayLike | None = None,
             growth: ArrayLike | None = None, residue: ArrayLike = 0.0,
             synapses_V: ArrayLike | None = None, delay_ticks: int = 1,
             progress: Callable[[int, int], None] = lambda done, of: None) -> Run:
    """Integrate neurons under a drive that is constant within each tick.

    With x = F + R, the gap bridged at x = L = 1 + gap (SI Note 4 of Zhao et al. 2025; the limits of F and R
    and the residue's noise at rest are ours, docs/model.md)::

        dF = (-gamma1 F - beta F + mu E) dt + N1       E = (v - V) / (alpha + L - x) while v > V
        dR = (-gamma2 R + beta F) dt + N2              F from 0 to L - R, R from 0 to r_max
        Cg dV/dt = (v - V) / Rd - V / Rc
        Rd = Ron x + Roff (e^((L-x)/lambda) - 1) / (e^(1/lambda) - 1)
        N1: variance sigma1 |dF|       N2: variance 2 gamma2 residue_noise^2 dt
        output: V >= spike_level_V, a spike where it rises, or sustained in every tick that it ends with too

    Euler-Maruyama for F and R (the losses exact), V exact in each step for the Rd it begins with.

    Parameters
    ----------
    drive_V : ``[T, lanes]`` volts at the memristor's free end.
    dt_s : seconds per tick.
    trials : independent repetitions of every lane.
    step_s : step of the integration, which is rounded to a part of a tick; without it, the
        largest allowed.
    r_control_ohm, growth : of each lane, ``[lanes]``; without them, the device's, and 1.
    residue : R to begin with, a number or ``[trials, lanes]``.
    synapses_V : ``[lanes, lanes]``: a spike of lane i adds ``synapses_V[i, j]`` to the drive of
        lane j in each of the ``delay_ticks`` ticks that follow. Drives end at 0 and 2 V.

    Raises
    ------
    DeviceError
        For a step too large for the device, or shapes that do not fit.
    """
    drive = np.atleast_2d(np.asarray(drive_V, np.float64))
    ticks, lanes = drive.shape
    limit_s = largest_step_s(device)
    wanted_s = limit_s if step_s is None else float(step_s)
    if not 0 < wanted_s <= limit_s * (1 + 1e-9):
        raise DeviceError(f"step_s must be above 0 and up to {limit_s:.3g} s for device "
                          f"{device.name!r} (gamma1 + beta = {device.rate_per_s:g} /s), not "
                          f"{wanted_s!r}")
    substeps = max(1, int(np.ceil(dt_s / wanted_s - 1e-9)))
    lane_of: dict[str, Any] = {}
    for name, value, nominal in (("r_control_ohm", r_control_ohm, device.r_control_ohm),
                                 ("growth", growth, 1.0)):
        array = np.full(lanes, nominal) if value is None else np.asarray(value, np.float64)
        if array.shape != (lanes,) or not (np.isfinite(array) & (array > 0)).all():
            raise DeviceError(f"{name} must be {lanes} positive numbers, one a lane")
        lane_of[name] = array
    stepper = _Stepper(device, dt_s / substeps, trials, lane_of["r_control_ohm"],
                       lane_of["growth"], residue, seed)
    weights = None if synapses_V is None else np.asarray(synapses_V, np.float64)
    spikes = np.zeros((trials, ticks, lanes), bool)
    means = np.empty((3, ticks, lanes))
    for tick in range(ticks):
        v: F64 = np.broadcast_to(drive[tick], (trials, lanes))
        if weights is not None:
            recent = spikes[:, max(0, tick - delay_ticks):tick].sum(axis=1)
            v = np.clip(v + recent @ weights, 0.0, 2.0)
        spikes[:, tick] = stepper.tick(v, substeps)
        means[:, tick] = stepper.means()
        progress(tick + 1, ticks)
    return Run(spikes, means[0], means[1], means[2], stepper.memristor_J, stepper.resistor_J,
               dt_s / substeps, seed)


class _Stepper:
    """State of all trials of all lanes, and steps in time of it.

    Arrays are flat, a lane's trials side by side, and every constant is an array: with so few
    neurons at a time, what NumPy does around its loops takes longer than the loops.
    """

    def __init__(self, device: Device, step_s: float, trials: int, r_control_ohm: F64,
                 growth: F64, residue: ArrayLike, seed: int):
        self.shape = len(growth), trials
        rate = device.rate_per_s
        loss = -np.expm1(-rate * step_s)
        self.growth = np.repeat(device.mu_eff_per_V_s * growth * loss / rate, trials)
        self.loss = np.array(loss)
        self.keep = np.array(np.exp(-device.gamma2_per_s * step_s))
        self.gain = np.array(device.beta_eff_per_s * step_s)
        self.noise_r = device.residue_noise * np.sqrt(2 * device.gamma2_per_s * step_s)
        self.sigma1, self.r_max = np.array(device.sigma1), np.array(device.r_max)
        self.limit, self.alpha = np.array(1 + device.gap), np.array(device.alpha_eff)
        self.level, self.step_s = np.array(device.spike_level_V), step_s
        self.sustained = device.sustained
        self.leak = np.repeat(1 / r_control_ohm, trials)
        self.c_gate_F, self.per_farad = device.c_gate_F, np.array(-step_s / device.c_gate_F)
        # A table of 1 / Rd over the gap, for the exponential takes longer than all the rest. Its
        # first entry is of what is bridged, the others of the middle of their gaps.
        gap = (np.arange(_GRID) + 0.5) / _GRID
        gap[0] = 0.0
        self.conductance = 1 / (device.r_on_ohm * (1 - gap) + device.r_off_ohm * np.expm1(
            gap / device.lambda_gap) / np.expm1(1 / device.lambda_gap))
        self.rng = np.random.default_rng(seed)
        self.f, self.v, *self.work = np.zeros((8, trials * len(growth)))
        self.r = np.broadcast_to(np.asarray(residue, np.float64), self.shape[::-1]).T.flatten()
        self.cell = np.zeros(len(self.f), np.int32)
        self.now, self.out, self.risen = np.zeros((3, len(self.f)), bool)
        self.source_J, self.squares = np.zeros((2, len(self.f)))
        self.noise, self.used = np.zeros((0, 2, len(self.f))), 0

    def means(self) -> F64:
        """Of filament, residue and gate voltage, ``[3, lanes]``."""
        return np.array([x.reshape(self.shape).mean(axis=1) for x in (self.f, self.r, self.v)])

    @property
    def resistor_J(self) -> F64:
        """Lost in the control resistor, mean over the trials, ``[lanes]``."""
        return self._mean(self.squares * self.leak * self.step_s)

    @property
    def memristor_J(self) -> F64:
        """What is neither in the gate nor lost in the resistor, likewise."""
        stored_J = self._mean(0.5 * self.c_gate_F * self.v ** 2)
        return self._mean(self.source_J) - self.resistor_J - stored_J

    def _mean(self, values: F64) -> F64:
        return values.reshape(self.shape).mean(axis=1)

    def tick(self, drive_V: F64, steps: int) -> NDArray[np.bool_]:
        """Steps with one drive ``[trials, lanes]``; returns where the neurons fired."""
        drive = drive_V.T.flatten()
        targets, delays = np.zeros((2, len(drive)))
        before = self.v.copy()
        self.risen[:] = False
        for _ in range(steps):
            self._step(drive, targets, delays)
        # What the source gives is exact, for the gate may charge within a part of a step.
        integral = targets * self.step_s - delays * self.c_gate_F
        self.source_J += drive * (self.c_gate_F * (self.v - before) + self.leak * integral)
        fired = self.risen | self.out if self.sustained else self.risen
        return fired.reshape(self.shape).T

    def _step(self, drive: F64, targets: F64, delays: F64) -> None:
        """One step; adds to the integral of V what is to be multiplied by step and capacitance."""
        f, r, v = self.f, self.r, self.v
        a, b, g, df, total, moved = self.work
        if self.used == len(self.noise):
            self._draw()
        noise_f, noise_r = self.noise[self.used]
        self.used += 1
        _add(f, r, a)
        _sub(self.limit, a, a)                  # the gap, never below zero but for rounding
        _mul(a, _CELLS, b)
        np.copyto(self.cell, b, casting="unsafe")
        self.conductance.take(self.cell, out=g, mode="clip")
        _add(a, self.alpha, a)
        _sub(drive, v, df)
        np.maximum(df, _ZERO, out=df)
        _mul(df, self.growth, df)
        _div(df, a, df)
        _mul(f, self.loss, a)
        _sub(df, a, df)
        _add(f, df, f)
        if self.sigma1:
            np.abs(df, df)
            _mul(df, self.sigma1, df)
            np.sqrt(df, df)
            _mul(df, noise_f, df)
            _add(f, df, f)
        np.maximum(f, _ZERO, out=f)
        _mul(r, self.keep, r)
        _mul(f, self.gain, a)
        _add(r, a, r)
        if self.noise_r:
            _add(r, noise_r, r)
            np.maximum(r, _ZERO, out=r)
        np.minimum(r, self.r_max, out=r)
        _sub(self.limit, r, a)
        np.minimum(f, a, out=f)
        _add(g, self.leak, total)
        _mul(drive, g, a)
        _div(a, total, a)                       # where V would go
        _add(targets, a, targets)
        _sub(v, a, moved)
        _mul(total, self.per_farad, b)
        np.expm1(b, b)
        _mul(moved, b, moved)
        _div(moved, total, b)
        _add(delays, b, delays)
        _mul(moved, _HALF, b)
        _add(b, v, b)
        _mul(b, b, b)
        _add(self.squares, b, self.squares)
        _add(v, moved, v)
        np.greater_equal(v, self.level, self.now)
        np.greater(self.now, self.out, self.out)
        np.logical_or(self.risen, self.out, self.risen)
        self.now, self.out = self.out, self.now

    def _draw(self) -> None:
        """Noise of some steps at a time, as much as stays in the cache."""
        steps = max(1, _NOISE_VALUES // (2 * len(self.f)))
        if self.sigma1 or self.noise_r:
            self.noise = self.rng.standard_normal(
                (steps, 2, len(self.f)), dtype=np.float32).astype(np.float64)
            self.noise[:, 1] *= self.noise_r
        else:
            self.noise = np.zeros((steps, 2, len(self.f)))
        self.used = 0


_GRID = 4096
_NOISE_VALUES = 1 << 15
_CELLS, _ZERO, _HALF = (np.array(value) for value in (float(_GRID), 0.0, 0.5))
_add, _sub, _mul, _div = np.add, np.subtract, np.multiply, np.divide
