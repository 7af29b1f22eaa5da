"""Device parameters in SI units, and the presets that come with the package.

A preset is a JSON file: ``parameters`` are the source's, ``ours`` are choices of the reduced model
(docs/model.md), so that the two are never confused.
"""

import json
import math
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["Device", "DeviceError", "presets"]


class DeviceError(ValueError):
    """A device that cannot exist, or a preset that cannot be read."""


#: Allowed range of each parameter: what is outside is a unit mistake, not a device.
_RANGES = {
    "mu_per_V_s": (1e-3, 1e12), "alpha": (1e-6, 1.0), "beta_per_s": (0.0, 1e12),
    "gamma1_per_s": (1e-6, 1e12), "gamma2_per_s": (1e-6, 1e12), "r_control_ohm": (1.0, 1e18),
    "c_gate_F": (1e-21, 1e-3), "growth_gain": (1e-3, 1e3), "alpha_floor": (0.0625, 1.0),
    "r_max": (1e-3, 0.99996), "sigma1": (0.0, 0.5),
}


@dataclass(frozen=True)
class Device:
    """One 1M1T1R neuron: diffusive memristor, transistor gate, control resistor.

    Equations and symbols: SI Note 4 of Zhao et al. 2025 (docs/model.md).

    Parameters
    ----------
    mu_per_V_s : field-driven growth of the filament.
    alpha : regulariser of the gap (dimensionless).
    beta_per_s : conversion of filament to residue.
    gamma1_per_s, gamma2_per_s : dissolution of filament and residue.
    r_control_ohm, c_gate_F : control resistor and gate capacitance; their product is the
        refractory time constant.
    growth_gain : factor on mu of the reduced model (ours).
    alpha_floor : smallest gap regulariser of the reduced model, bounds the feedback at 16 (ours).
    r_max : largest residue (ours).
    sigma1 : shot-noise variance per filament change (ours; the SI gives no value).

    Raises
    ------
    DeviceError
        For a value that is not finite or outside its physical range.
    """

    name: str
    mu_per_V_s: float
    alpha: float
    beta_per_s: float
    gamma1_per_s: float
    gamma2_per_s: float
    r_control_ohm: float
    c_gate_F: float
    growth_gain: float = 1.0
    alpha_floor: float = 0.0625
    r_max: float = 0.99996
    sigma1: float = 0.0
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) \
                    or not math.isfinite(value) or not low <= value <= high:
                raise DeviceError(f"device {self.name!r}: {name} must be {low:g} to {high:g}, "
                                  f"not {value!r}")

    @classmethod
    def load(cls, name: str | Path) -> "Device":
        """The preset of that name, or of that JSON file."""
        path = Path(name)
        if path.suffix != ".json":
            if str(name) not in presets():
                raise DeviceError(f"no device preset named {str(name)!r}; there are "
                                  f"{', '.join(presets())}; or give the path of a .json file")
            text = (files("ionspike.spec") / "presets" / f"{name}.json").read_text("utf-8")
        else:
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DeviceError(f"device file {path} cannot be read: {error}") from error
        return cls._parse(text, str(name))

    @classmethod
    def _parse(cls, text: str, where: str) -> "Device":
        try:
            content = json.loads(text)
            values: dict[str, Any] = {key: content[key] for key in ("name", "title", "source")}
            values |= content["parameters"] | content.get("ours", {})
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise DeviceError(f"device {where}: not a device preset "
                              f"({type(error).__name__}: {error})") from error
        values.pop("comment", None)
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise DeviceError(f"device {where}: unknown parameter {unknown[0]!r}; "
                              f"known are {', '.join(sorted(_RANGES))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise DeviceError(f"device {where}: {error}") from error

    def with_(self, **changes: Any) -> "Device":
        """The same device with some parameters changed."""
        return replace(self, **changes)


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    folder = files("ionspike.spec") / "presets"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()
                  if entry.name.endswith(".json"))
