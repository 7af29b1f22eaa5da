"""Parameters of the compact model of :mod:`ionspike.sim.compact`, and the sets that come with it.

Model and sets: "A Faithful and Compact Diffusive Memristor Model", T. Wang et al. 2024, as its
authors' code has them: github.com/yanglab2021/DiffusiveMemristor, commit a15ea9c.
"""

from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.sim import checks
from ionspike.spec.device import DeviceError, check_words
from ionspike.spec.strict_json import parse, shown

__all__ = ["CompactDevice", "presets"]

F64 = NDArray[np.float64]

#: Allowed range of each parameter: what is outside is a unit mistake, not a device.
_RANGES = {
    "gamma1_per_s": (1e-6, 1e12), "gamma2_per_s": (0.0, 1e12), "gamma3_per_s": (0.0, 1e12),
    "mu_per_V_s": (1e-3, 1e12), "theta_per_V_s": (0.0, 1e12), "beta_per_s": (0.0, 1e12),
    "alpha": (1e-6, 1.0), "r_on_ohm": (1.0, 1e18), "r_off_ohm": (1.0, 1e18),
    "lambda_gap": (0.01, 100.0), "sigma1": (0.0, 1e3), "sigma2": (0.0, 1e3), "sigma3": (0.0, 1e3),
}
_SETUP = {"dt_s", "series_ohm", "capacitance_F", "compliance_A", "initial_residue"}


@dataclass(frozen=True)
class CompactDevice:
    """One diffusive memristor: filament, residue, and the area of the closed channel.

    Parameters
    ----------
    gamma1_per_s, gamma2_per_s, gamma3_per_s : loss of filament, residue and area.
    mu_per_V_s, theta_per_V_s : field-driven growth of filament and area.
    beta_per_s : conversion of filament to residue.
    alpha : regulariser of the gap (dimensionless).
    r_on_ohm, r_off_ohm : resistance at area 1 of the closed and of the empty channel.
    lambda_gap : decay of the tunnelling current with the gap (dimensionless).
    sigma1, sigma2, sigma3 : noise of the three losses (dimensionless), see :func:`run`.
    symmetric : whether negative voltages grow the channel as positive ones do, or not at all.
    setup : the circuit that the source has this device in: keyword arguments of :func:`run`.

    Raises
    ------
    DeviceError
        For a value that is not finite or outside its range.
    """

    name: str
    gamma1_per_s: float
    gamma2_per_s: float
    gamma3_per_s: float
    mu_per_V_s: float
    theta_per_V_s: float
    beta_per_s: float
    alpha: float
    r_on_ohm: float
    r_off_ohm: float
    lambda_gap: float
    sigma1: float
    sigma2: float
    sigma3: float
    symmetric: bool
    setup: dict[str, Any] = field(default_factory=dict, compare=False)
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check_words(self)
        for name, (low, high) in _RANGES.items():
            checks.number(self.label, name, getattr(self, name), low, high)
        if not isinstance(self.symmetric, bool):
            raise DeviceError(f"{self.label}: symmetric must be true or false, "
                              f"not {self.symmetric!r}")
        if not self.r_on_ohm < self.r_off_ohm:
            raise DeviceError(f"{self.label}: r_on_ohm must be below r_off_ohm = "
                              f"{self.r_off_ohm:g}, not {self.r_on_ohm!r}")

    @property
    def label(self) -> str:
        """What error messages call it."""
        return f"device {self.name!r}"

    @classmethod
    def load(cls, name: str | Path) -> "CompactDevice":
        """The preset of that name (see :func:`presets`), or of that JSON file."""
        path = Path(name)
        if path.suffix != ".json" and str(name) not in presets():
            raise DeviceError(f"no compact device named {str(name)!r}; there are "
                              f"{', '.join(presets())}; or give the path of a .json file")
        try:
            text = path.read_text("utf-8") if path.suffix == ".json" else (
                files("ionspike.spec") / "compact" / f"{name}.json").read_text("utf-8")
            content = parse(text)
            setup = {k: v for k, v in content.get("setup", {}).items() if k != "comment"}
            values = {key: content[key] for key in ("name", "title", "source")}
            values |= content["parameters"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeviceError(f"device {name}: not a compact device "
                              f"({type(error).__name__}: {error})") from error
        known = {f.name for f in fields(cls)} - {"setup"}
        for given, allowed in ((values, known), (setup, _SETUP)):
            if unknown := sorted(set(given) - allowed):
                raise DeviceError(f"device {name}: unknown parameter {shown(unknown[0])}; "
                                  f"known are {', '.join(sorted(allowed))}")
        if missing := sorted({*_RANGES, "symmetric"} - set(values)):
            raise DeviceError(f"device {name}: parameter {missing[0]!r} is missing")
        return cls(**values, setup=setup)

    def resistance_ohm(self, filament: F64, residue: F64, area: F64) -> F64:
        """Elementwise, with ``tot = min(filament + residue, 1)``::

            R = r_on tot / area^2 + r_off (exp((1 - tot) / lambda) - 1) / (exp(1 / lambda) - 1)
        """
        tot = np.minimum(filament + residue, 1.0)
        return (self.r_on_ohm * tot / area ** 2 + self.r_off_ohm
                * np.expm1((1 - tot) / self.lambda_gap) / np.expm1(1 / self.lambda_gap))


def presets() -> list[str]:
    """Names of the parameter sets that come with the package."""
    folder = files("ionspike.spec") / "compact"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()
                  if entry.name.endswith(".json"))
