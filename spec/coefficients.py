"""From a device in SI units to the integers that golden model and gateware compute with."""

import math
from dataclasses import dataclass
from functools import lru_cache

from ionspike.spec import formats as fmt
from ionspike.spec.device import Device, DeviceError

__all__ = ["XI_STD", "Coefficients", "coefficients", "feedback", "gate_loss"]


@dataclass(frozen=True)
class Coefficients:
    """The neuron's integers; formats in :mod:`ionspike.spec.formats`, equations in docs/model.md.

    ``kg, mu`` are the nominal values of what each neuron has for itself, ``feedback`` and
    ``noise`` the two tables, all others common to a core.
    """

    kf: int
    kr: int
    kb: int
    r_max: int
    spike_level: int
    r_noise: int
    sustained: int
    kg: int
    mu: int
    feedback: tuple[int, ...]
    noise: tuple[int, ...]

    @property
    def registers(self) -> dict[str, int]:
        """Those that are registers of a core, by name."""
        names = ("kf", "kr", "kb", "r_max", "spike_level", "r_noise", "sustained")
        return {name: getattr(self, name) for name in names}


def coefficients(device: Device, dt_s: float) -> Coefficients:
    """Discretise a device at a tick of ``dt_s`` seconds (exact for the linear terms).

    ===========  =====================================================  =================
    integer      value                                                  from
    ===========  =====================================================  =================
    kf / 2^16    1 - a_f = 1 - exp(-(gamma1 + beta) dt)                 filament loss
    kr / 2^16    1 - a_r = 1 - exp(-gamma2 dt)                          residue loss
    kb / 2^16    beta dt                                                residue gain
    kg / 2^12    1 - a_g = 1 - exp(-dt / (Rc Cg))                       the resistor
    mu / 2^13    G = (1 - a_f) mu / (gamma1 + beta), per volt           growth
    feedback     see :func:`feedback`                                   1 / (alpha + gap)
    noise        sqrt(sigma1 |df|) over the standard deviation of xi    shot noise
    r_noise      residue_noise sqrt(2 gamma2 dt) over the same          residue at rest
    spike_level  volts                                                  the transistor
    sustained    0 or 1
    ===========  =====================================================  =================

    mu, beta and alpha stand with their gains.

    Raises
    ------
    DeviceError
        Where a coefficient vanishes or saturates at this tick, with the value and the range; for
        a tick that a filament does not outlive.
    """
    if not (isinstance(dt_s, (int, float)) and math.isfinite(dt_s) and 0 < dt_s <= 10):
        raise DeviceError(f"dt_s must be a positive number of seconds up to 10, not {dt_s!r}")
    rate = device.rate_per_s
    if rate * dt_s > _MOST_DECAY:
        raise DeviceError(
            f"device {device.name!r} at dt_s = {dt_s:g}: gamma1 + beta = {rate:g} /s leaves nothing "
            f"of a filament from tick to tick; ticks up to {_MOST_DECAY / rate:.3g} s do")
    loss = -math.expm1(-rate * dt_s)

    def fixed(name: str, value: float, bits: int, frac: int) -> int:
        integer = round(value * 2.0**frac)
        if integer >= 1 << bits or (integer == 0 and value > 0):
            what = "saturates" if integer else "vanishes"
            raise DeviceError(
                f"device {device.name!r} at dt_s = {dt_s:g}: {name} = {value:.3g} {what}; "
                f"its format holds {2.0**-frac:.3g} to {((1 << bits) - 1) * 2.0**-frac:.3g}")
        return integer

    return Coefficients(
        kf=min(fixed("1 - a_f", loss, fmt.KF_BITS + 1, 16), (1 << fmt.KF_BITS) - 1),
        kr=min(fixed("1 - a_r", -math.expm1(-device.gamma2_per_s * dt_s), fmt.KR_BITS + 1, 16),
               (1 << fmt.KR_BITS) - 1),
        kb=fixed("b", device.beta_eff_per_s * dt_s, fmt.KB_BITS, 16),
        r_max=min(fixed("r_max", device.r_max, fmt.R_HIGH_BITS + 1, fmt.F_FRAC),
                  (1 << fmt.R_HIGH_BITS) - 1),
        spike_level=max(1, fixed("spike_level_V", device.spike_level_V, fmt.G_BITS, fmt.G_FRAC)),
        r_noise=fixed(
            "noise of the residue per tick",
            device.residue_noise * math.sqrt(2 * device.gamma2_per_s * dt_s) / XI_STD,
            fmt.R_NOISE_BITS, fmt.R_FRAC - fmt.R_NOISE_SHIFT),
        sustained=int(device.sustained),
        kg=gate_loss(device, dt_s),
        mu=fixed("G", loss * device.mu_eff_per_V_s / rate, fmt.MU_BITS, fmt.MU_FRAC),
        feedback=tuple(round(h * (1 << fmt.H_FRAC)) for h in feedback(device, dt_s)),
        noise=_noise(device),
    )


#: Of xi, the sum of four 4-bit nibbles: variance 4 (16^2 - 1) / 12.
XI_STD = math.sqrt(4 * (16 ** 2 - 1) / 12)
#: Filaments decay by e^-7 a tick at most: what is left is a thousandth.
_MOST_DECAY = 7.0
#: The feedback is exact at the first residue, for a drive that is just the threshold at the second.
#: Of those tried, these bring golden model and reference nearest to each other.
_REFERENCE_RESIDUE, _THRESHOLD_RESIDUE = 0.15, 0.1
_SUBSTEPS = 64


def gate_loss(device: Device, dt_s: float) -> int:
    """``kg`` of a device: the only coefficient in which the control resistor appears."""
    loss = -math.expm1(-dt_s / (device.r_control_ohm * device.c_gate_F))
    integer = min(round(loss * (1 << fmt.KG_BITS)), (1 << fmt.KG_BITS) - 1)
    if integer == 0:
        longest_s = dt_s * (1 << fmt.KG_BITS)
        raise DeviceError(
            f"device {device.name!r} at dt_s = {dt_s:g}: 1 - a_g = {loss:.3g} vanishes; Rc Cg is "
            f"{device.r_control_ohm * device.c_gate_F:.3g} s, this tick serves up to {longest_s:g} s")
    return integer


def feedback(device: Device, dt_s: float) -> tuple[float, ...]:
    """Feedback ``h`` of the gap for a whole tick, ``[H_ENTRIES]``, entry i for gaps from i / 256.

    The field grows with a filament within a tick, so ``1 / (alpha + gap)`` at its beginning is too
    little where gaps are short. ``h`` is such that one step is the solution of the differential
    equation ``dF/dt = -(gamma1 + beta) F + mu e / (alpha + gap)`` after dt::

        h = (F(dt) - a_f F(0)) / (G e)

    for e, the threshold voltage at a residue of 0.1, and F(0) = 0.85 - gap. Where a filament bridges
    the gap within the tick, F ends there. For short ticks h is ``1 / (alpha + gap)``.
    """
    return _feedback(device.rate_per_s, device.alpha_eff, dt_s)


@lru_cache(256)     # the slowest of all coefficients, and devices mostly differ in others
def _feedback(rate: float, alpha: float, dt_s: float) -> tuple[float, ...]:
    decay, loss = math.exp(-rate * dt_s), -math.expm1(-rate * dt_s)
    drive = rate * (1 + alpha - _THRESHOLD_RESIDUE) ** 2 / 4     # mu e
    step = dt_s / _SUBSTEPS
    top = ((1 << fmt.H_BITS) - 1) / (1 << fmt.H_FRAC)
    table = []
    for i in range(fmt.H_ENTRIES):
        gap = (i + 0.5) / fmt.H_ENTRIES
        start = f = max(0.0, 1 - _REFERENCE_RESIDUE - gap)
        end = start + gap

        def slope(f: float, end: float = end) -> float:
            return drive / (alpha + max(0.0, end - f)) - rate * f

        for _ in range(_SUBSTEPS):
            f = min(end, f + step * slope(f + step / 2 * slope(f)))
        h = (f - decay * start) * rate / (loss * drive)
        if f == end:
            h = max(h, 1 / (alpha + gap))
        table.append(min(top, h))
    return tuple(table)


def _noise(device: Device) -> tuple[int, ...]:
    """Entry k serves |df| of the k-th bin: 0 to 3, then four bins an octave (see sim.model)."""
    table = []
    for k in range(fmt.NOISE_ENTRIES):
        if k < 4:
            centre = float(k)
        else:
            octave, part = divmod(k, 4)
            centre = (4 + part + 0.5) * 2.0 ** (octave - 1) - 0.5
        std = math.sqrt(device.sigma1 * centre / (1 << fmt.F_FRAC)) * (1 << fmt.F_FRAC)
        table.append(round(std / XI_STD * (1 << fmt.NOISE_FRAC)))
    if table[-1] >= 1 << fmt.NOISE_BITS:
        largest = device.sigma1 * (((1 << fmt.NOISE_BITS) - 1) / table[-1]) ** 2
        raise DeviceError(f"device {device.name!r}: sigma1 = {device.sigma1:g} saturates the noise "
                          f"table; up to {largest:.2g} fits")
    return tuple(table)
