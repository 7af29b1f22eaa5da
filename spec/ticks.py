"""Which ticks a device can be emulated at."""

import math

from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device, DeviceError

__all__ = ["suggested_tick_s", "tick_range_s"]

#: A filament that decays by a third a tick is followed well, and no tick is spent in vain.
_DECAY = 1 / 3
_STEPS = (1.0, 2.0, 5.0)


def _possible(device: Device, dt_s: float) -> bool:
    try:
        coefficients(device, dt_s)
    except DeviceError:
        return False
    return True


def suggested_tick_s(device: Device) -> float:
    """A tick of 1, 2 or 5 times a power of ten that suits the device.

    The longest in which a filament decays by no more than a third; where a slow process would
    vanish in that, the next longer one for which coefficients exist.

    Raises
    ------
    DeviceError
        Where there is none.
    """
    longest_s = _DECAY / device.rate_per_s
    exponent = math.floor(math.log10(longest_s))
    ladder = [float(f"{step:g}e{power}") for power in range(exponent - 3, exponent + 4)
              for step in _STEPS]
    near = max(k for k, dt_s in enumerate(ladder) if dt_s <= longest_s * (1 + 1e-9))
    for dt_s in ladder[near:] + ladder[:near][::-1]:
        if _possible(device, dt_s):
            return dt_s
    raise DeviceError(f"device {device.name!r}: there is no tick for which all coefficients exist; "
                      f"its rates are too far apart (gamma1 + beta = {device.rate_per_s:g} /s, "
                      f"gamma2 = {device.gamma2_per_s:g} /s)")


def tick_range_s(device: Device) -> tuple[float, float]:
    """Shortest and longest tick for which all coefficients exist, to a percent.

    Raises
    ------
    DeviceError
        Where there is none.
    """
    start_s = suggested_tick_s(device)
    ends = []
    for factor in (0.5, 2.0):
        inside_s = start_s
        while _possible(device, inside_s * factor):
            inside_s *= factor
        outside_s = inside_s * factor
        while not 0.99 < inside_s / outside_s < 1.01:
            middle_s = math.sqrt(inside_s * outside_s)
            inside_s, outside_s = (middle_s, outside_s) if _possible(device, middle_s) \
                else (inside_s, middle_s)
        ends.append(inside_s)
    return ends[0], ends[1]
