"""What a training is asked to do."""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from ionspike.host.errors import InputError
from ionspike.host.frame import Frame
from ionspike.spec import formats as fmt
from ionspike.spec.device import Device
from ionspike.train.augmentation import Augmentation
from ionspike.train.properties import PROPERTIES, without

__all__ = ["BRAILLE", "DIGITS", "FILE", "SPEECH", "Settings"]

#: Lowest and highest value of each number.
_RANGES = {
    "outputs": (0, 64), "dt_s": (1e-6, 1e-2), "r_control_ohm": (1.0, 1e18), "scale": (1, 32767),
    "batch": (1, 65_536), "rate": (1e-6, 1.0), "warm_up": (0.0, 0.9), "growth": (0.2, 5.0),
    "gain_V": (0.0, 4.0), "bias_V": (-4.0, 4.0), "recurrent_V": (0.0, 2.0), "dropout": (0.0, 0.9),
    "settle": (0.0, 1.0), "shift": (0.0, 1000.0), "stretch": (0.0, 0.9),
    "time_stretch": (0.0, 0.9), "late": (0.0, 1000.0), "drop": (0.0, 0.9), "thin": (0.0, 0.9),
    "blend": (0.0, 1.0), "spread_growth": (0.0, 1.0),
    "spread_rc": (0.0, 1.0), "spread_gap": (0.0, 0.25), "readout": (0.0, 100.0),
    "smoothing": (0.0, 0.5), "teacher": (0, 10_000), "clip": (1e-3, 1e3), "sustained": (0, 1),
    "delay": (0, 15),
}


@dataclass(frozen=True)
class Settings:
    """Sizes, device, data and optimiser.

    Parameters
    ----------
    hidden : neurons of each hidden layer.
    outputs : output neurons of each class; with 0 there are none, and the hidden neurons' spikes vote.
    ticks, bin_s, group, first, levels, views, paces : of the :class:`~ionspike.train.events.Frame`.
    device, dt_s, r_control_ohm : where the neurons begin.
    sustained : 1 for neurons that fire in every tick in which they conduct, 0 for those that fire once.
    delay : longest axonal delay of hidden neurons, in ticks; a core's accumulators are one more.
    missing : the property they lack, one of :data:`~ionspike.train.properties.PROPERTIES`.
    scale : volts per weight unit, in 2**-19 V.
    bits : of a weight, 8 or 4; those of 4 count 16 units each.
    batch : items.
    rate : largest learning rate; it rises for the share ``warm_up`` of all steps, then falls to 0
        along half a cosine.
    growth : where the neurons begin, as a multiple of the device's.
    gain_V, bias_V, recurrent_V : standard deviation and mean of the drive before training, and
        standard deviation of the weights within a layer.
    dropout : share of a hidden layer's neurons that the next does not hear, drawn for each item.
    settle : share of the epochs, the last ones, in which weights are rounded and the drive's mean and
        variance no longer follow the batches.
    shift, stretch, time_stretch, late, drop, thin, blend : of the
        :class:`~ionspike.train.augmentation.Augmentation`.
    spread_growth, spread_rc, spread_gap : of the mismatch that each batch is trained under.
    readout : weight of the loss of a linear readout of the hidden neurons, which is trained along
        and thrown away; where they vote, that is all there is.
    smoothing : of labels.
    teacher : epochs of a :class:`~ionspike.train.teacher.Teacher`, which is trained first on the labels and
        thrown away at the end; the network learns its scores. With 0, there is none.
    clip : largest norm of a gradient.
    """

    hidden: tuple[int, ...] = (128,)
    outputs: int = 3
    ticks: int = 100
    bin_s: float = 1e-2
    group: int = 1
    first: int = 0
    levels: tuple[int, ...] = (1,)
    views: tuple[int, ...] = (0,)
    paces: tuple[float, ...] = ()
    device: str = "zhao2025_ms"
    dt_s: float = 2e-4
    r_control_ohm: float = 12e6
    sustained: int = 0
    delay: int = 0
    missing: str = ""
    scale: int = 8192
    bits: int = 8
    batch: int = 64
    rate: float = 1e-2
    warm_up: float = 0.1
    growth: float = 4.5
    gain_V: float = 0.5
    bias_V: float = 0.3
    recurrent_V: float = 0.05
    dropout: float = 0.2
    settle: float = 0.2
    shift: float = 0.0
    stretch: float = 0.0
    time_stretch: float = 0.0
    late: float = 0.0
    drop: float = 0.0
    thin: float = 0.0
    blend: float = 0.0
    spread_growth: float = 0.0
    spread_rc: float = 0.0
    spread_gap: float = 0.0
    readout: float = 1.0
    smoothing: float = 0.05
    teacher: int = 0
    clip: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "levels", tuple(self.levels))
        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "paces", tuple(self.paces))
        if not all(isinstance(n, int) and 1 <= n <= 2040 for n in self.hidden) or len(self.hidden) > 8:
            raise InputError(f"hidden must be up to 8 sizes from 1 to 2040, not {self.hidden}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} must be {low:g} to {high:g}, not {value!r}")
        if self.bits not in (fmt.WEIGHT_BITS, fmt.NARROW_BITS):
            raise InputError(f"bits must be {fmt.WEIGHT_BITS} or {fmt.NARROW_BITS}, not {self.bits}")
        if not self.hidden and not self.outputs:
            raise InputError("without outputs the hidden layers vote, and there is none: hidden=96 or so")
        _ = self.frame  # which refuses what it cannot be
        if self.missing and self.missing not in PROPERTIES:
            without(self.memristor, self.missing)

    @property
    def scale_V(self) -> float:
        return self.scale * 2.0**-19

    @property
    def frame(self) -> Frame:
        return Frame(**self._of(Frame))

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(**self._of(Augmentation))

    def _of(self, part: type) -> dict[str, Any]:
        """The settings that are fields of this class too, by the same names."""
        return {field.name: getattr(self, field.name) for field in fields(part)}

    @property
    def memristor(self) -> Device:
        """The device without the property that is missing."""
        device = Device.load(self.device).with_(
            r_control_ohm=self.r_control_ohm, sustained=bool(self.sustained), figures={})
        return without(device, self.missing) if self.missing in PROPERTIES else device

    @property
    def layers(self) -> tuple[int, ...]:
        """Hidden layers; where neurons do not reach one another none, or the first if it votes."""
        return self.hidden if self.missing != "cascade" else () if self.outputs else self.hidden[:1]

    def to_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def changed(self, words: list[str]) -> "Settings":
        """With what words such as ``hidden=256,256`` say."""
        changes: dict[str, Any] = {}
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for word in words:
            name, equals, text = word.partition("=")
            if not equals or name not in known:
                raise InputError(f"settings are NAME=VALUE, not {word!r}; names are "
                                 f"{', '.join(known)}")
            kind = type(known[name])
            try:
                number = float if name == "paces" else int
                changes[name] = tuple(number(n) for n in text.split(",") if text) if kind is tuple \
                    else kind(text)
            except ValueError:
                raise InputError(f"{name} is {json.dumps(known[name])} or the like, not {text!r}") \
                    from None
        return replace(self, **changes)


# A weight's step is 16 units of 5.2 mV, a twelfth of a volt.
SPEECH = Settings(hidden=(256, 256), outputs=0, group=5, first=200, levels=(1, 3), views=(0, -15, 15, -15, 15),
                  paces=(1.0, 0.85, 0.85, 1.15, 1.15), dt_s=3e-4, scale=2731, bits=4, r_control_ohm=1e8, sustained=1,
                  delay=3, dropout=0.0, shift=45.0, stretch=0.08, time_stretch=0.25, late=4.0, drop=0.1, thin=0.5,
                  blend=0.5, teacher=20)
BRAILLE = Settings(hidden=(96,), outputs=0, ticks=77, bin_s=1e-3, time_stretch=0.1)
DIGITS = Settings(hidden=(96,), ticks=32, bin_s=5e-4, outputs=6, drop=0.05)
FILE = Settings(outputs=0, bin_s=1e-3)
