"""From a device in SI units to the integers that golden model and gateware compute with."""

import math
from dataclasses import dataclass

from ionspike.spec import formats as fmt
from ionspike.spec.device import Device, DeviceError

__all__ = ["Coefficients", "coefficients", "gate_loss"]


@dataclass(frozen=True)
class Coefficients:
    """The neuron's integers; formats in :mod:`ionspike.spec.formats`, equations in docs/model.md.

    ``kf, kr, kb, r_max`` are common to a core, ``kg, mu`` the nominal values of what each neuron
    has for itself, ``feedback`` and ``noise`` the two tables.
    """

    kf: int
    kr: int
    kb: int
    r_max: int
    kg: int
    mu: int
    feedback: tuple[int, ...]
    noise: tuple[int, ...]


def coefficients(device: Device, dt_s: float) -> Coefficients:
    """Discretise a device at a tick of ``dt_s`` seconds (exact for the linear terms).

    ==========  ======================================================  =================
    integer     value                                                   from
    ==========  ======================================================  =================
    kf / 2^16   1 - a_f = 1 - exp(-(gamma1 + beta) dt)                  filament loss
    kr / 2^16   1 - a_r = 1 - exp(-gamma2 dt)                           residue loss
    kb / 2^16   beta dt                                                 residue gain
    kg / 2^12   1 - a_g = 1 - exp(-dt / (Rc Cg))                        the resistor
    mu / 2^13   (1 - a_f) mu gain ((1 + a') / (1 + a))^2 / (gamma1 + beta), per volt
    feedback    h = 1 / (a' + gap), a' = max(alpha, alpha_floor)
    noise       sqrt(sigma1 |df|) over the standard deviation of xi
    ==========  ======================================================  =================

    The factor ``((1 + a') / (1 + a))^2`` keeps the threshold voltage
    ``V_th(r) = (gamma1 + beta) (1 + a - r)^2 / (4 mu)`` at r = 0 although a' replaces alpha.

    Raises
    ------
    DeviceError
        Where a coefficient vanishes or saturates at this tick, with the value and the range.
    """
    if not (isinstance(dt_s, (int, float)) and math.isfinite(dt_s) and 0 < dt_s <= 10):
        raise DeviceError(f"dt_s must be a positive number of seconds up to 10, not {dt_s!r}")
    rate = device.gamma1_per_s + device.beta_per_s
    loss = -math.expm1(-rate * dt_s)
    alpha = max(device.alpha, device.alpha_floor)
    rescale = ((1 + alpha) / (1 + device.alpha)) ** 2
    # Above alpha_floor the rescale is one, so a device that needs none is left alone.
    growth = loss * device.mu_per_V_s * device.growth_gain / rate * rescale

    def fixed(name: str, value: float, bits: int, frac: int, *, zero_ok: bool = False) -> int:
        integer = round(value * (1 << frac))
        if integer >= 1 << bits or (integer == 0 and value > 0 and not zero_ok):
            what = "saturates" if integer else "vanishes"
            raise DeviceError(
                f"device {device.name!r} at dt_s = {dt_s:g}: {name} = {value:.3g} {what}; "
                f"its format holds {2.0**-frac:.3g} to {((1 << bits) - 1) / (1 << frac):.3g}")
        return integer

    return Coefficients(
        kf=min(fixed("1 - a_f", loss, fmt.KF_BITS + 1, 16), (1 << fmt.KF_BITS) - 1),
        kr=min(fixed("1 - a_r", -math.expm1(-device.gamma2_per_s * dt_s), fmt.KR_BITS + 1, 16),
               (1 << fmt.KR_BITS) - 1),
        kb=fixed("b", device.beta_per_s * dt_s, fmt.KB_BITS, 16),
        r_max=min(fixed("r_max", device.r_max, fmt.R_HIGH_BITS + 1, fmt.F_FRAC),
                  (1 << fmt.R_HIGH_BITS) - 1),
        kg=gate_loss(device, dt_s),
        mu=fixed("G", growth, fmt.MU_BITS, fmt.MU_FRAC),
        feedback=_feedback(alpha),
        noise=_noise(device),
    )


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


def _feedback(alpha: float) -> tuple[int, ...]:
    step = 1.0 / fmt.H_ENTRIES
    top = (1 << fmt.H_BITS) - 1
    return tuple(min(top, round((1 << fmt.H_FRAC) / (alpha + (i + 0.5 * (i > 0)) * step)))
                 for i in range(fmt.H_ENTRIES))


def _noise(device: Device) -> tuple[int, ...]:
    """Entry k serves |df| of the k-th bin: 0 to 3, then four bins an octave (see sim.model)."""
    # Sum of four 4-bit nibbles: variance 4 (16^2 - 1) / 12.
    xi_std = math.sqrt(4 * (16 ** 2 - 1) / 12)
    table = []
    for k in range(fmt.NOISE_ENTRIES):
        if k < 4:
            centre = float(k)
        else:
            octave, part = divmod(k, 4)
            centre = (4 + part + 0.5) * 2.0 ** (octave - 1) - 0.5
        std = math.sqrt(device.sigma1 * centre / (1 << fmt.F_FRAC)) * (1 << fmt.F_FRAC)
        table.append(round(std / xi_std * (1 << fmt.NOISE_FRAC)))
    if table[-1] >= 1 << fmt.NOISE_BITS:
        largest = device.sigma1 * (((1 << fmt.NOISE_BITS) - 1) / table[-1]) ** 2
        raise DeviceError(f"device {device.name!r}: sigma1 = {device.sigma1:g} saturates the noise "
                          f"table; up to {largest:.2g} fits")
    return tuple(table)
