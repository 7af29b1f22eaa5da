"""Device parameters in SI units, and the presets that come with the package.

A preset is a JSON file: ``parameters`` are the source's, ``ours`` are choices of the reduced model
(docs/model.md), so that the two are never confused.
"""

from dataclasses import MISSING, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ionspike.spec.strict_json import parse, shown

__all__ = ["RANGES", "Device", "DeviceError", "check_words", "presets"]


class DeviceError(ValueError):
    """A device that cannot exist, or a preset that cannot be read."""


def check_words(device: Any) -> None:
    """Name, title and source of a device are lines; else a ``DeviceError``."""
    for name, longest in (("name", 100), ("title", 1000), ("source", 1000)):
        text = getattr(device, name)
        if not isinstance(text, str) or len(text) > longest or not text.isprintable():
            raise DeviceError(f"{name} of a device must be a line of up to {longest} characters, "
                              f"not {shown(text)}")


#: Allowed range of each parameter: what is outside is a unit mistake, not a device.
RANGES = {
    "mu_per_V_s": (1e-3, 1e12), "alpha": (1e-6, 1.0), "beta_per_s": (0.0, 1e12),
    "gamma1_per_s": (1e-6, 1e12), "gamma2_per_s": (1e-6, 1e12), "r_control_ohm": (1.0, 1e18),
    "c_gate_F": (1e-21, 1e-3), "lambda_gap": (0.01, 10.0), "r_on_ohm": (1.0, 1e15),
    "r_off_ohm": (1.0, 1e21), "v_t_V": (0.0, 1.999), "v_dd_V": (1e-3, 10.0),
    "r_load_ohm": (1.0, 1e18), "area_um2": (1e-9, 1e6),
    "growth_gain": (1e-3, 1e3), "residue_gain": (0.0, 1e3), "alpha_gain": (1e-2, 1e3),
    "r_max": (1e-3, 0.99996), "sigma1": (0.0, 0.5), "residue_noise": (0.0, 0.5),
    "spike_level_V": (0.0, 1.999), "spread_growth": (0.0, 1.0), "spread_rc": (0.0, 1.0),
    "spread_gap": (0.0, 0.25), "residue_jitter": (0.0, 0.9), "gap": (-0.248, 0.248),
}


@dataclass(frozen=True)
class Device:
    """One 1M1T1R neuron: diffusive memristor, transistor gate, control resistor.

    Equations and symbols: SI Note 4 of Zhao et al. 2025 (docs/model.md). Which values of a preset
    are the source's and which are ours, the preset's file says.

    Parameters
    ----------
    mu_per_V_s : field-driven growth of the filament.
    alpha : regulariser of the gap (dimensionless).
    beta_per_s : conversion of filament to residue.
    gamma1_per_s, gamma2_per_s : dissolution of filament and residue.
    r_control_ohm, c_gate_F : control resistor and gate capacitance; their product is the
        refractory time constant.
    lambda_gap, r_on_ohm, r_off_ohm : how the memristor's resistance depends on the gap.
    v_t_V : threshold of the transistor.
    v_dd_V, r_load_ohm : supply and load of the transistor's output, on the bench.
    area_um2 : footprint of one neuron.
    gap : by how much the gap is longer than 1, as it may be for single devices (ours).
    growth_gain, residue_gain, alpha_gain : factors on mu, beta and alpha that fit the paper's
        figures (ours).
    r_max : largest residue (ours).
    sigma1 : shot-noise variance per filament change (ours; the SI gives no value).
    residue_noise : standard deviation that the residue's own fluctuations have at rest, were it
        free to go below zero (ours).
    residue_jitter : residue at the beginning of a cycle, uniform from 0 to this (ours).
    spike_level_V : gate voltage from which the output counts as a spike (ours).
    sustained : whether a neuron fires in every tick in which its gate is at that voltage, as the paper's
        output O = H(V - V_T) does, instead of in the first alone.
    spread_growth, spread_rc : standard deviations of the logarithm of a device's growth and
        refractory time constant; spread_gap : of its gap (ours).
    figures : parameters of the devices that single figures of the source were measured on, by
        figure; their growth relative to this device's under ``growth`` (ours).

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
    lambda_gap: float = 0.2
    r_on_ohm: float = 1e6
    r_off_ohm: float = 1e12
    v_t_V: float = 0.2
    v_dd_V: float = 0.5
    r_load_ohm: float = 47e3
    area_um2: float = 4.0
    gap: float = 0.0
    growth_gain: float = 1.0
    residue_gain: float = 1.0
    alpha_gain: float = 1.0
    r_max: float = 0.99996
    sigma1: float = 0.0
    residue_noise: float = 0.0
    residue_jitter: float = 0.0
    spike_level_V: float = -1.0
    spread_growth: float = 0.0
    spread_rc: float = 0.0
    spread_gap: float = 0.0
    sustained: bool = False
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check_words(self)
        if self.spike_level_V == -1.0:
            object.__setattr__(self, "spike_level_V", self.v_t_V)
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) \
                    or not low <= value <= high:
                raise DeviceError(f"device {self.name!r}: {name} must be {low:g} to {high:g}, "
                                  f"not {shown(value)}")
        if not isinstance(self.sustained, bool):
            raise DeviceError(f"device {self.name!r}: sustained must be true or false, not "
                              f"{shown(self.sustained)}")
        if self.r_off_ohm <= self.r_on_ohm:
            raise DeviceError(f"device {self.name!r}: r_off_ohm must be above r_on_ohm = "
                              f"{self.r_on_ohm:g}, not {self.r_off_ohm!r}")
        if not isinstance(self.figures, dict):
            raise DeviceError(f"device {self.name!r}: figures must be parameters by figure, not "
                              f"{shown(self.figures)}")
        for figure, changes in self.figures.items():
            try:
                self.of_figure(figure, changes)
            except (DeviceError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise DeviceError(f"device {self.name!r}: figure {shown(figure)}: {error}") from error

    @property
    def mu_eff_per_V_s(self) -> float:
        """``mu`` with its gain."""
        return self.mu_per_V_s * self.growth_gain

    @property
    def beta_eff_per_s(self) -> float:
        """``beta`` with its gain."""
        return self.beta_per_s * self.residue_gain

    @property
    def alpha_eff(self) -> float:
        """``alpha`` with its gain."""
        return self.alpha * self.alpha_gain

    @property
    def rate_per_s(self) -> float:
        """``gamma1 + beta``, at which a filament without field decays."""
        return self.gamma1_per_s + self.beta_eff_per_s

    def threshold_V(self, residue: float = 0.0) -> float:
        """``(gamma1 + beta) (1 + gap + alpha - R)^2 / (4 mu)``, above the gate's voltage."""
        return self.rate_per_s * (1 + self.gap + self.alpha_eff - residue) ** 2 / (4 * self.mu_eff_per_V_s)

    def of_figure(self, figure: str, changes: dict[str, float] | None = None) -> "Device":
        """The device that a figure of the source was measured on; this one if nothing is known."""
        values: dict[str, Any] = dict(self.figures.get(figure, {}) if changes is None else changes)
        growth = values.pop("growth", 1.0)
        if unknown := sorted(set(values) - {entry.name for entry in fields(self)}):
            raise DeviceError(f"unknown parameter {shown(unknown[0])}")
        return replace(self, figures={}, growth_gain=self.growth_gain * growth, **values)

    @classmethod
    def load(cls, name: str | Path) -> "Device":
        """The preset of that name, or of that JSON file."""
        return cls._parse(cls.text(name), str(name))

    @staticmethod
    def text(name: str | Path) -> str:
        """What a preset's file, or that JSON file, holds."""
        path = Path(name)
        if path.suffix != ".json":
            if str(name) not in presets():
                raise DeviceError(f"no device preset named {str(name)!r}; there are "
                                  f"{', '.join(presets())}; or give the path of a .json file")
            return (files("ionspike.spec") / "presets" / f"{name}.json").read_text("utf-8")
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DeviceError(f"device file {path} cannot be read: {error}") from error

    @classmethod
    def _parse(cls, text: str, where: str) -> "Device":
        try:
            content = parse(text)
            values: dict[str, Any] = {key: content[key] for key in ("name", "title", "source")}
            values |= content["parameters"] | content.get("bench", {}) | content.get("ours", {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeviceError(f"device {where}: not a device preset "
                              f"({type(error).__name__}: {error})") from error
        values.pop("comment", None)
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise DeviceError(f"device {where}: unknown parameter {shown(unknown[0])}; "
                              f"known are {', '.join(sorted(RANGES))}")
        missing = [entry.name for entry in fields(cls) if entry.name not in values
                   and entry.default is MISSING and entry.default_factory is MISSING]
        if missing:
            raise DeviceError(f"device {where}: parameter {missing[0]!r} is missing")
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
