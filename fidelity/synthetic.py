"""Measurements of a memristor whose parameters are known, for trying a fit.

They come from :mod:`ionspike.sim.reference`, not from the equations that the fit has for itself.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.measurements import Group
from ionspike.sim.reference import largest_step_s, simulate
from ionspike.spec.device import Device

__all__ = ["measure", "plan"]

F64 = NDArray[np.float64]

#: The gate is held at ground by a resistor of this part of the bridge's.
_SENSE = 1e-3
#: After so many time constants nothing is left of a filament.
_GONE = 20.0
#: Ticks, in which a drive is constant and after which one looks, are of so many steps at most, and
#: a phase has so many ticks at least.
_SUBSTEPS, _TICKS = 4, 300
#: Where noise pulls at a bridge that is hardly held, below that part of the threshold, steps are
#: so many times finer.
_HELD, _FINE = 0.4, 10


def plan(device: Device) -> list[tuple[str, dict[str, float]]]:
    """Conditions that determine all that can be, for a device of that threshold and those times."""
    v, tau_s = device.threshold_V(), 1 / device.rate_per_s
    short_s, long_s = 12 * tau_s, 150 * tau_s
    floor = (1 / device.r_off_ohm) / (1 / device.r_on_ohm)

    def fraction(residue: float) -> float:
        """Of the conductance, where only that residue is left."""
        gap = 1 - residue
        return floor * float(np.expm1(1 / device.lambda_gap) / np.expm1(gap / device.lambda_gap))

    planned: list[tuple[str, dict[str, float]]] = []
    planned += [("latency_s", {"v_V": part * v, "width_s": 250 * tau_s})
                for part in (0.65, 0.75, 0.85, 1.0, 1.3, 1.8)]
    planned += [("fires", {"v_V": part * v, "width_s": 12 * tau_s}) for part in (0.85, 0.95)]
    planned += [("paired_latency_s", {"v_V": 1.4 * v, "width_s": 20 * tau_s, "gap_s": gap * tau_s})
                for gap in (20, 60, 150, 400)]
    planned += [("relaxation_s", {"v_V": 1.4 * v, "width_s": width_s, "fraction": fraction(left)})
                for width_s, left in ((short_s, 0.8), (short_s, 0.1), (long_s, 0.8),
                                      (long_s, 0.3), (long_s, 0.1))]
    planned += [("threshold_V", {"ramp_V_per_s": v / (steps * tau_s)}) for steps in (25, 150)]
    planned += [("hold_V", {"ramp_V_per_s": v / (25 * tau_s), "peak_V": 1.5 * v})]
    planned += [("on_ohm", {}), ("off_ohm", {})]
    return [(quantity, {name: float(f"{value:.3g}") for name, value in conditions.items()})
            for quantity, conditions in planned]


def measure(device: Device, planned: Iterable[tuple[str, dict[str, float]]], repeats: int,
            seed: int) -> list[Group]:
    """Every condition measured ``repeats`` times; resistances to 10 %."""
    return [Group(quantity, conditions, _one(device, quantity, conditions, repeats,
                                             1000 * seed + 10 * k))
            for k, (quantity, conditions) in enumerate(planned)]


def _one(device: Device, quantity: str, c: dict[str, float], repeats: int, seed: int) -> F64:
    if quantity in ("on_ohm", "off_ohm"):
        nominal = device.r_on_ohm if quantity == "on_ohm" else device.r_off_ohm
        return np.asarray(nominal * np.random.default_rng(seed).lognormal(0, 0.1, repeats))
    bench = _Bench(device, repeats, seed)
    if quantity in ("latency_s", "fires"):
        when = bench.pulse(c["v_V"], c["width_s"])
        return when if quantity == "latency_s" else (~np.isnan(when)).astype(np.float64)
    if quantity == "threshold_V":
        ramp = c["ramp_V_per_s"]
        return ramp * bench.until_bridged(lambda t: ramp * t, 3 * device.threshold_V() / ramp)
    if quantity == "hold_V":
        return bench.hold_V(c["ramp_V_per_s"], c["peak_V"])
    fired = ~np.isnan(bench.pulse(c["v_V"], c["width_s"]))
    if quantity == "paired_latency_s":
        bench.relax(1.0, c["gap_s"])
        return bench.pulse(c["v_V"], c["width_s"])
    gap = device.lambda_gap * np.log1p((1 / c["fraction"] - 1) * device.r_on_ohm
                                       / device.r_off_ohm * np.expm1(1 / device.lambda_gap))
    return np.where(fired, bench.relax(float(gap), 10 / device.gamma2_per_s), np.nan)


class _Bench:
    """Memristors with their own residues.

    Only what noise takes part in is simulated. A held bridge and a lone residue have solutions:
    ``dR = beta (1 - R) - gamma2 R`` and ``dR = -gamma2 R``. (For the former the simulator would
    have to take very short steps, so strong is the field of a bridge.)
    """

    def __init__(self, device: Device, repeats: int, seed: int):
        self.device, self.repeats, self.seed = device, repeats, seed
        self.step_s = largest_step_s(device)
        rng = np.random.default_rng([seed, 1])
        self.residue: F64 = rng.uniform(0, device.residue_jitter, repeats)

    def until_bridged(self, volts: Callable[[F64], F64], duration_s: float) -> F64:
        """When they bridge, NaN where not; then they are held to the end."""
        start = self.residue, self.seed
        for part in (64, 16, 4, 1):     # most are much sooner than there is time
            self.residue, self.seed = start
            tick_s = min(_SUBSTEPS * self.step_s, duration_s / part / _TICKS)
            count = max(1, round(duration_s / part / tick_s))
            time = np.asarray((np.arange(count) + 0.5) * tick_s, np.float64)
            x, residue = self._run(volts(time), tick_s)
            hit = x >= 1 - 1e-6
            if hit.any(axis=0).all():
                break
        k = np.where(hit.any(axis=0), hit.argmax(axis=0), len(hit) - 1)
        when = np.where(hit.any(axis=0), (k + 0.5) * tick_s, np.nan)
        self.residue = residue[k, np.arange(self.repeats)]
        self._hold(duration_s - when)
        return when

    def pulse(self, v_V: float, width_s: float) -> F64:
        """When they bridge under a constant voltage."""
        return self.until_bridged(lambda t: np.full(len(t), v_V), width_s)

    def relax(self, gap: float, duration_s: float) -> F64:
        """When the gap of what was bridged is that long, NaN where not; time passes."""
        d = self.device
        start = self.residue, self.seed
        # What is quick is looked at closely: noise crosses a level between two looks.
        for part, tick_s in ((20, self.step_s / 16), (5, self.step_s / 4), (1, self.step_s)):
            if part > 1 and gap >= 0.5:
                continue
            self.residue, self.seed = start
            simulated_s = min(duration_s, _GONE / d.rate_per_s) / part
            drive = np.zeros(1 + max(1, round(simulated_s / tick_s)))
            drive[0] = self._kick_V(tick_s)
            x, residue = self._run(drive, tick_s)
            wide = x[1:] < 1 - gap
            if wide.any(axis=0).all():
                break
        when = np.where(wide.any(axis=0), (wide.argmax(axis=0) + 0.5) * tick_s, np.nan)
        if gap < 1:
            later = simulated_s + np.log(residue[-1] / (1 - gap)) / d.gamma2_per_s
            when = np.where(np.isnan(when), later, when)
        self.residue = residue[-1] * np.exp(-d.gamma2_per_s * (duration_s - simulated_s))
        return np.where(when <= duration_s, when, np.nan)

    def hold_V(self, ramp: float, peak_V: float) -> F64:
        """In fine steps from where noise pulls at a bridge that is hardly held."""
        from_V = min(_HELD * self.device.threshold_V(), peak_V)
        bridged = ~np.isnan(self.until_bridged(lambda t: ramp * t, peak_V / ramp))
        self._hold(np.where(bridged, (peak_V - from_V) / ramp, np.nan))
        fine_s = self.step_s / _FINE
        tick_s = _SUBSTEPS * fine_s
        volts = np.concatenate([[self._kick_V(tick_s)], np.arange(from_V, 0, -ramp * tick_s)])
        x, _ = self._run(volts, tick_s, fine_s)
        held = x >= 1 - 1e-3
        lost = volts[len(x) - 1 - held[::-1].argmax(axis=0)]
        return np.where(bridged, np.minimum(lost, from_V), np.nan)

    def _run(self, drive_V: F64, tick_s: float, step_s: float | None = None) -> tuple[F64, F64]:
        """Filament and residue together, and residue, ``[ticks, repeats]``."""
        self.seed += 1
        run = simulate(self.device, np.repeat(drive_V[:, None], self.repeats, axis=1), tick_s,
                       seed=self.seed, step_s=step_s, residue=self.residue[None],
                       r_control_ohm=np.full(self.repeats, _SENSE * self.device.r_on_ohm))
        return run.filament + run.residue, run.residue

    def _hold(self, duration_s: F64) -> None:
        d = self.device
        both = d.beta_eff_per_s + d.gamma2_per_s
        end = d.beta_eff_per_s / both
        held = np.minimum(end + (self.residue - end) * np.exp(-both * duration_s), d.r_max)
        self.residue = np.where(np.isnan(duration_s), self.residue, held)

    def _kick_V(self, step_s: float) -> float:
        """Only a residue can be handed to the simulator: one step that puts the bridge back."""
        d = self.device
        gap = 1 - float(self.residue.mean())
        return 2.2 * gap * (d.alpha_eff + gap) / (d.mu_eff_per_V_s * step_s)
