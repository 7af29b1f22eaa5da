"""Follows the gates of neurons by what drove them and when they fired, and adds up energies."""

import numpy as np
from numpy.typing import NDArray

from ionspike.host.devices import Devices
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device

__all__ = ["Meter"]

F64 = NDArray[np.float64]

#: Entries of the table of the memristor's conductance, for gaps from 0 to 2.
_GAPS = 8192


class Meter:
    """Energies that neurons take from their drives.

    Filament, residue and gate follow the neuron's equations (docs/model.md) without the noise, of
    which the host knows nothing but the spikes it made. So what was seen decides:

    * at a spike the gap is bridged, and the gate was below the spike level before;
    * where the equations make a spike that was not seen, the filament goes back to half the gap
      that the residue leaves, where growth and decay are balanced at the threshold;
    * a gate keeps its charge when its drive falls, for a bridge opens within microseconds then.

    Each tick, with V the drive and Vg the gate before::

        bridged, V >= Vg    charging += Cg V (V - Vg)       on += V^2 / Rc dt, half of it at first
        not bridged         off += V (V - Vg) / Rd(x) dt    x in the middle of the tick
        Vg above V_T        bench += Vdd^2 / Rload dt       Vg falling as e^(-t / (Rc Cg))
        stuck on            as bridged, and V < Vg: charging -= Cg V (Vg - V)

    Parameters
    ----------
    device, dt_s, devices : what the neurons are.
    state : what they begin from, uint16 ``[neurons, 3]``, see ``wire.STATE``; without it, at rest.

    Members
    -------
    charging_J, on_J, off_J, bench_J : so far, ``[neurons]``.
    gate_V : now, ``[neurons]``.
    """

    def __init__(self, device: Device, dt_s: float, devices: Devices,
                 state: NDArray[np.uint16] | None = None):
        c = coefficients(device, dt_s)
        self._loss, self._leak, self._gain = c.kf / 2 ** 16, c.kr / 2 ** 16, c.kb / 2 ** 16
        self._mu = c.mu / 2 ** fmt.MU_FRAC * devices.growth
        self._feedback = np.array(c.feedback) / 2 ** fmt.H_FRAC
        self._r_max, self._alpha = c.r_max / fmt.ONE, device.alpha_eff
        self._level = c.spike_level / 2 ** fmt.G_FRAC
        self._stuck = devices.stuck_on
        self._limit = np.where(devices.stuck_on, 0.0, 1 + devices.gap)
        rc_s = devices.r_control_ohm * device.c_gate_F
        self._keep, self._rc_ticks = np.exp(-dt_s / rc_s), rc_s / dt_s
        self._farad, self._siemens, self._dt_s = device.c_gate_F, 1 / devices.r_control_ohm, dt_s
        gap = (np.arange(_GAPS) + 0.5) * 2 / _GAPS
        self._through = 1 / (device.r_on_ohm * np.maximum(1 - gap, 0) + device.r_off_ohm * np.expm1(
            gap / device.lambda_gap) / np.expm1(1 / device.lambda_gap))
        self._v_t = max(device.v_t_V, 2.0 ** -fmt.G_FRAC)
        self._bench_J = device.v_dd_V ** 2 / device.r_load_ohm * dt_s
        self._f, self._r, self.gate_V = np.zeros((3, len(devices)))
        if state is not None:
            words = state.astype(np.int64)
            self._f, self._r = words[:, 0] / fmt.ONE, (words[:, 1] & 0x7FFF) / fmt.ONE
            self.gate_V = (words[:, 2] & (1 << fmt.G_BITS) - 1) / 2 ** fmt.G_FRAC
        self._bridged = self._f + self._r >= self._limit
        self.charging_J, self.on_J, self.off_J, self.bench_J = np.zeros((4, len(devices)))

    def tick(self, v: F64, fired: NDArray[np.bool_]) -> None:
        """One tick's drives in volts and spikes, ``[neurons]`` each."""
        fired = fired & (v >= self._level)      # else it was there before the run
        g = np.where(fired, np.minimum(self.gate_V, self._level), self.gate_V)
        across = np.maximum(v - g, 0)
        gap = np.maximum(self._limit - self._f - self._r, 0)
        h = self._feedback.take((gap * fmt.H_ENTRIES).astype(np.int64), mode="clip")
        f = self._f * (1 - self._loss) + self._mu * across * h
        r = np.minimum(self._r * (1 - self._leak) + self._gain * f, self._r_max)
        left = np.maximum(self._limit - r, 0)
        bridged = (f >= left) | fired
        unseen = bridged & ~fired & ~self._stuck & (g < self._level) & (v >= self._level)
        bridged &= ~unseen
        f = np.where(unseen, np.minimum((left + self._alpha) / 2, left),
                     np.where(bridged, left, f))
        shorted = np.where(v < g, self._stuck, bridged)
        after = np.where(shorted, v, np.where(bridged, g, g * self._keep))
        self.charging_J += np.where(shorted, self._farad * v * (v - g), 0)
        held_s = np.where(self._bridged, 1.0, 0.5) * self._dt_s
        self.on_J += np.where(bridged & (v >= g), v * v * self._siemens * held_s, 0)
        middle = (gap + np.maximum(left - f, 0)) / 2
        off_S = self._through.take((middle * (_GAPS / 2)).astype(np.int64), mode="clip")
        self.off_J += np.where(bridged, 0, v * across * off_S) * self._dt_s
        # How long the gate is above V_T, in time constants of its fall.
        above = np.log(np.maximum(np.where(bridged, after, g), self._v_t) / self._v_t)
        self.bench_J += np.where(bridged, above > 0, np.minimum(above * self._rc_ticks, 1)) \
            * self._bench_J
        self._f, self._r, self.gate_V, self._bridged = f, r, after, bridged
