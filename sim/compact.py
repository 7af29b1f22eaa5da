"""Compact model of a diffusive memristor with lateral area, in floating point, for comparison.

Equations: "A Faithful and Compact Diffusive Memristor Model", T. Wang et al. 2024, as its authors'
code has them: github.com/yanglab2021/DiffusiveMemristor, commit a15ea9c, MemristorModel.py for the
device and LIFNeuronModel.py for the circuit with a capacitor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.sim import checks
from ionspike.sim.compact_device import CompactDevice, presets
from ionspike.spec.device import DeviceError

__all__ = ["CompactDevice", "CompactRun", "latency_s", "presets", "relaxation_s", "run"]

F64 = NDArray[np.float64]

#: Filament and residue together from which the channel counts as closed (the source's).
_CLOSED = 0.999999
#: Largest part of the fastest time constant that a step may be (ours).
_STEP = 0.25


@dataclass(frozen=True)
class CompactRun:
    """What :func:`run` recorded: arrays ``[T, trials]``; row k is of the time ``k dt_s``."""

    dt_s: float
    filament: F64
    residue: F64
    area: F64
    resistance_ohm: F64
    device_V: F64
    current_A: F64


def run(device: CompactDevice, source_V: ArrayLike, dt_s: float, trials: int, seed: int,
        series_ohm: float = 0.0, initial_residue: float | tuple[float, float] = 0.0,
        capacitance_F: float = 0.0, compliance_A: float | None = None) -> CompactRun:
    """Drive the device, all trials at once, one step of ``dt_s`` per sample of the source::

        d filament = -g1 filament - beta filament + mu g(v) / (alpha + 1 - tot)
        d residue  = -g2 residue + beta filament
        d area     = theta g(v) exp(-(area - 1)) - g3 exp(area - 1)     while closed; area >= 1
        C dv/dt    = (source - v) / series - v / R,   or  v = source R / (R + series) without C

    with ``g(v) = |v|``, or ``max(v, 0)`` if asymmetric. Filament and residue together stay within
    1, and are frozen while the area is above 1. Noise, in each step anew::

        g1 ~ N(gamma1, gamma1 sigma1 filament),  g2 ~ N(gamma2, gamma2 sigma2 residue),
        g3 ~ N(gamma3, gamma3 sigma3)

    and a step's loss is cut to 0 to all there is. As these variances are not divided by the step,
    noise has the strength of the source only with the ``dt_s`` of the device's ``setup``.

    Parameters
    ----------
    source_V : volts ``[T]``.
    dt_s : seconds per sample, at most a quarter of the fastest time constant.
    series_ohm, capacitance_F : resistor in series with the device, capacitor parallel to it.
    initial_residue : of all trials, or a pair that each trial's is drawn between, uniformly.
    compliance_A : largest current of either sign; not together with a capacitor.

    Raises
    ------
    DeviceError
        For a value out of range, or a ``dt_s`` too large for the fastest rate.
    """
    where = device.label
    source = checks.array(where, "source_V", source_V, -1e3, 1e3, "a list of volts", 1)
    trials = checks.whole(where, "trials", trials, 1, 10**6)
    checks.whole(where, "samples times trials", len(source) * trials, 1, 5 * 10**7)
    seed = checks.whole(where, "seed", seed, 0, 2**64 - 1)
    series_ohm = checks.number(where, "series_ohm", series_ohm, 0.0, 1e18)
    capacitance_F = checks.number(where, "capacitance_F", capacitance_F, 0.0, 1.0)
    if capacitance_F and not series_ohm:
        raise DeviceError(f"{where}: series_ohm must be above 0 with a capacitor, not 0")
    if capacitance_F and compliance_A is not None:
        raise DeviceError(f"{where}: compliance_A must be None with a capacitor, "
                          f"not {compliance_A!r}")
    if compliance_A is not None:
        compliance_A = checks.number(where, "compliance_A", compliance_A, 1e-15, 1e3)
    between = checks.array(where, "initial_residue", initial_residue, 0.0, 1.0,
                           "a number or a pair", 0, 1, size=2)
    _check_step(device, dt_s, float(np.abs(source).max()))

    rng = np.random.default_rng(seed)
    residue = rng.uniform(between.min(), between.max(), trials)
    filament, area, v = np.zeros(trials), np.ones(trials), np.zeros(trials)
    record = np.empty((6, len(source), trials))
    for row, drive in enumerate(source):
        r = device.resistance_ohm(filament, residue, area)
        if not capacitance_F:
            v = drive * r / (r + series_ohm)
        if compliance_A is not None:
            v = v.clip(-compliance_A * r, compliance_A * r)
        record[:, row] = filament, residue, area, r, v, v / r
        filament, residue, area = _step(device, filament, residue, area, v, dt_s,
                                        rng.standard_normal((3, trials)))
        if capacitance_F:   # exact for the R of this step, so that a short RC needs no short step
            end = drive * r / (r + series_ohm)
            v = end + (v - end) * np.exp(-dt_s * (1 / r + 1 / series_ohm) / capacitance_F)
    return CompactRun(dt_s, *record)


def latency_s(record: CompactRun, threshold_A: ArrayLike) -> F64:
    """Seconds ``[trials]`` from row 0 to the first current of ``threshold_A``; NaN without one.

    ``threshold_A`` is a number or ``[trials]``; a current of either sign counts.
    """
    return _first(np.abs(record.current_A) >= _threshold(record, threshold_A), record.dt_s)


def relaxation_s(record: CompactRun, start_s: float, threshold_A: ArrayLike) -> F64:
    """Seconds ``[trials]`` from ``start_s`` to the first current below ``threshold_A``.

    NaN for trials that are below it at ``start_s`` or never after. From there on the source must
    drive a reading current.
    """
    last_s = (len(record.current_A) - 1) * record.dt_s
    start_s = checks.number("relaxation_s", "start_s", start_s, 0.0, last_s)
    below = np.abs(record.current_A[round(start_s / record.dt_s):]) < _threshold(record, threshold_A)
    return np.where(below[0], np.nan, _first(below, record.dt_s))


def _threshold(record: CompactRun, threshold_A: ArrayLike) -> F64:
    return checks.array("currents", "threshold_A", threshold_A, 1e-21, 1e3,
                        "a number or [trials]", 0, 1, size=record.current_A.shape[1])


def _first(hit: NDArray[np.bool_], dt_s: float) -> F64:
    return np.where(hit.any(axis=0), hit.argmax(axis=0) * dt_s, np.nan)


def _check_step(device: CompactDevice, dt_s: float, largest_V: float) -> None:
    checks.number(device.label, "dt_s", dt_s, 1e-15, 10.0)
    name, fastest = max(
        (("gamma1_per_s + beta_per_s", device.gamma1_per_s + device.beta_per_s),
         ("theta_per_V_s times the largest source_V", device.theta_per_V_s * largest_V),
         ("gamma3_per_s times sigma3", device.gamma3_per_s * device.sigma3)),
        key=lambda rate: rate[1])
    if dt_s > _STEP / fastest:
        raise DeviceError(f"{device.label}: dt_s must be up to {_STEP / fastest:g} for {name} of "
                          f"{fastest:g} per s, not {dt_s!r}")


def _step(device: CompactDevice, filament: F64, residue: F64, area: F64, v: F64, dt_s: float,
          noise: F64) -> tuple[F64, F64, F64]:
    """The state one step later; ``noise`` is normal, ``[3, trials]``."""
    g = np.abs(v) if device.symmetric else v.clip(0)
    tot = np.minimum(filament + residue, 1.0)
    loss1 = device.gamma1_per_s * (1 + device.sigma1 * filament * noise[0]) * filament * dt_s
    loss2 = device.gamma2_per_s * (1 + device.sigma2 * residue * noise[1]) * residue * dt_s
    loss3 = device.gamma3_per_s * (1 + device.sigma3 * noise[2]) * np.exp(area - 1) * dt_s
    wider = area + device.theta_per_V_s * g * np.exp(1 - area) * dt_s - loss3
    # One after the other, as in the source, so that nothing is lost twice.
    f = filament - loss1.clip(0, filament)
    r = residue - loss2.clip(0, residue)
    f = f + np.minimum(device.mu_per_V_s * g * dt_s / (device.alpha + 1 - tot), 1 - f - r)
    turned = device.beta_per_s * f * dt_s
    thin = area <= 1
    return (np.where(thin, f - turned, filament), np.where(thin, r + turned, residue),
            np.where(tot > _CLOSED, np.maximum(wider, 1.0), area))
