"""What follows from a device's parameters."""

import json
import math
from pathlib import Path
from typing import Any

from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import RANGES, Device, DeviceError
from ionspike.spec.ticks import suggested_tick_s, tick_range_s

__all__ = ["LATENCIES_V", "derived", "origins", "remarks"]

#: Voltages that latencies are given for.
LATENCIES_V = (0.5, 1.0, 1.5, 2.0)
#: The highest drive that a core can give (docs/model.md).
_MOST_V = 2.0


def origins(name: str | Path) -> dict[str, str]:
    """Of each parameter that a preset's file gives: ``source``, ``bench`` or ``ours``."""
    content = json.loads(Device.text(name))
    found: dict[str, Any] = {}
    for part, origin in (("parameters", "source"), ("bench", "bench"), ("ours", "ours")):
        found |= {key: origin for key in content.get(part, {}) if key in RANGES}
    return found


def derived(device: Device) -> dict[str, Any]:
    """Time constants, thresholds, ticks, and latencies of the memristor alone.

    Latencies are without noise and from rest, by voltage; None for what takes more than a thousand
    time constants of the filament.
    """
    import numpy as np

    from ionspike.fidelity.bench import Materials, latencies
    tau_s = 1 / device.rate_per_s
    when = latencies(Materials.of(device), np.array(LATENCIES_V), 1000 * tau_s)[:, 0]
    facts: dict[str, Any] = {
        "tau_filament_s": tau_s, "tau_residue_s": 1 / device.gamma2_per_s,
        "tau_gate_s": device.r_control_ohm * device.c_gate_F,
        "charging_s": device.r_on_ohm * device.c_gate_F,
        "threshold_V": device.threshold_V(), "threshold_at_r_max_V": device.threshold_V(device.r_max),
        "rheobase_V": _rheobase_V(device),
        "latency_s": {f"{v:g}": None if math.isnan(t) else float(t)
                      for v, t in zip(LATENCIES_V, when, strict=True)}}
    try:
        facts["suggested_tick_s"] = suggested_tick_s(device)
        facts["ticks_s"] = list(tick_range_s(device))
    except DeviceError:
        facts["suggested_tick_s"], facts["ticks_s"] = None, None
    return facts


def _rheobase_V(device: Device) -> float:
    """The least constant voltage that ever bridges the gap, without noise.

    At rest R = (beta / gamma2) F, so that F (L + alpha - (1 + beta / gamma2) F) = mu v / rate has
    no solution above V_th(0) / (1 + beta / gamma2); unless r_max ends R before that.
    """
    ratio = device.beta_eff_per_s / device.gamma2_per_s
    reach = 1 + device.gap + device.alpha_eff
    if ratio * reach / (2 * (1 + ratio)) <= device.r_max:
        return device.threshold_V() / (1 + ratio)
    return device.threshold_V(device.r_max)


def remarks(device: Device, facts: dict[str, Any]) -> list[str]:
    """What is odd about a device, most often a unit."""
    found = []
    if facts["threshold_at_r_max_V"] > _MOST_V:
        found.append(f"even with the largest residue its threshold, "
                     f"{facts['threshold_at_r_max_V']:.3g} V, is above the {_MOST_V:g} V of a "
                     f"drive: it never fires. Is mu_per_V_s in the same unit of time as "
                     f"gamma1_per_s?")
    elif facts["threshold_V"] > _MOST_V:
        found.append(f"its threshold at rest, {facts['threshold_V']:.3g} V, is above the "
                     f"{_MOST_V:g} V of a drive: it fires only once it has residue")
    if facts["threshold_V"] < 1e-3:
        found.append(f"its threshold, {facts['threshold_V']:.3g} V, is less than a step of a "
                     f"drive: it fires at anything. Is mu_per_V_s in the same unit of time as "
                     f"gamma1_per_s?")
    ratio = facts["tau_gate_s"] / facts["tau_filament_s"]
    if not 1e-2 < ratio < 1e3:
        found.append(f"Rc Cg is {ratio:.3g} times the filament's time constant; refractory "
                     f"devices have about 1 to 100. Are r_control_ohm and c_gate_F in ohm and "
                     f"farad?")
    if facts["charging_s"] > facts["tau_filament_s"]:
        found.append(f"Ron Cg = {facts['charging_s']:.3g} s: the bridge is gone before the gate is "
                     f"charged, which the emulated neuron takes to be at once")
    if facts["ticks_s"] is None:
        found.append("there is no tick for which all coefficients exist: its rates are too far "
                     "apart")
    return found


def coefficient_lines(device: Device, dt_s: float) -> dict[str, int]:
    """The integers of a tick, without the tables."""
    c = coefficients(device, dt_s)
    return {**c.registers, "kg": c.kg, "mu": c.mu}
