"""One tick of a layer in training, forwards and backwards."""

import math

import torch
from torch import Tensor

from ionspike.spec import formats as fmt
from ionspike.train.native import Constants, Native
from ionspike.train.neuron import _F_LOSS, _F_MAX, _R_LOSS, _V_MAX, Memristors

__all__ = ["Steps", "way"]

#: Slope of a drive above 2 V, and of one that the gate's voltage cancels: without them, neurons
#: that are driven too hard or too little could not learn.
_DRIVE_SLOPE = _OPEN_SLOPE = 0.1
#: Of a spike: 1 / (1 + (10 x)^2), x the rest of the way.
_SHARPNESS = 10.0
#: What the integers take off a gate beside its decay: one, less the half that rounding down leaves.
_V_LOSS = 0.5 * 2.0**-fmt.G_FRAC
#: Volts that a gate has after a spike, about.
_HELD_V = 0.8


def way(table: Tensor) -> tuple[Tensor, float]:
    """The rest of a filament's way in the measure in which it grows evenly.

    A field that grows as the gap closes makes each step of f longer than the one before: df = G e h.
    Of ``n = integral of df / h``, scaled to 1 from end to end, equal drives make equal steps.

    Returns
    -------
    rest : 1 - n by the gap, as the feedback's table is, 0 where it is closed.
    mean : of 1 / h: a step of f is worth ``df / (h mean)`` of the way.
    """
    each = 1 / table
    mean = float(each.mean())
    return (torch.cumsum(each, 0) - each) / (len(table) * mean), mean


class Steps:
    """The equations of :class:`~ionspike.train.neuron.Memristors` with kg, G and lim of each neuron.

    Backwards, a filament's state is how far it is on its :func:`way`, n::

        dn = G e / mean(1/h)         n decays by kf         a spike: 1 / (1 + (10 (1 - n))^2)

    In f itself the feedback's slope multiplies a gradient by more than one in every tick, and the
    last step of a spike is so long that hardly a neuron is ever found near the threshold: gradients
    either explode or miss. The residue has none, a bridge cuts what came before it, and a drive that
    the gate's voltage cancels, or that is not positive, has a tenth of the slope it would have
    without the gate, as one above 2 V has.

    A ``sustained`` device fires while its gate is at the level. Backwards, what begins in a tick also
    has the gradients of the ticks after it, each ``1 - 1 / T`` times the one before, T the ticks that a
    gate takes from 0.8 V to the level (:meth:`stay`); and a gate that falls has
    ``1 / (1 + (10 (g / level - 1))^2)`` of each, over the level.

    Parameters
    ----------
    layer : the coefficients that neurons share.
    noisy : whether there is noise.
    """

    def __init__(self, layer: Memristors, noisy: bool):
        kf, kr, kb = layer.kf, layer.kr, layer.kb
        level, r_max, r_noise, sigma = layer.spike_level, layer.r_max, layer.r_noise, layer.sigma1
        entries = len(layer.h)
        mean = way(layer.h)[1]
        beyond = 1 / (float(layer.h[0]) * mean)
        sustained = layer.sustained

        def forward(d: Tensor, f: Tensor, r: Tensor, g: Tensor, off: Tensor, xi: Tensor, kg: Tensor,
                    growth: Tensor, limit: Tensor, table: Tensor, rest: Tensor) -> tuple[Tensor, ...]:
            v = d.clamp(0, _V_MAX)
            e = (v - g).clamp(min=0)
            h = table[((limit - f - r) * entries).clamp(0, entries - 1).to(torch.int32)]
            df = growth * e * h - kf * f - _F_LOSS
            f1 = f + df
            r1 = ((1 - kr) * r - _R_LOSS).clamp(min=0)
            if noisy:
                f1 = f1 + xi * (sigma * df.abs()).sqrt()
                r1 = r1 + r_noise * xi.roll(1, 1)
            f2 = f1.clamp(0, _F_MAX)
            r2 = (r1 + kb * f2).clamp(0, r_max)
            over = f2 + r2 - limit
            bridged = over >= 0
            z = torch.where(bridged & (v >= level), off, 0.0)
            left = rest[(-over * entries).clamp(0, entries - 1).to(torch.int32)]
            slope = off / (1 + (_SHARPNESS * torch.where(bridged, over * beyond, left)) ** 2)
            g1 = torch.where(bridged, torch.maximum(g, v), ((1 - kg) * g - _V_LOSS).clamp(min=0))
            off1 = torch.where(g1 < level, 1.0, 0.0)
            return (1 - off1 if sustained else z, torch.where(bridged, limit - r2, f2), r2, g1, off1, slope,
                    bridged)

        def backward(dz: Tensor, dn: Tensor, dg: Tensor, lasting: Tensor, d: Tensor, g: Tensor,
                     slope: Tensor, bridged: Tensor, kg: Tensor, growth: Tensor, stay: Tensor,
                     d_growth: Tensor, d_kg: Tensor) -> tuple[Tensor, ...]:
            raw = d.clamp(0, _V_MAX) - g
            opened = raw > 0
            lasting = dz + stay * lasting
            d_n = lasting * slope + torch.where(bridged, 0.0, dn)
            scaled = d_n / mean
            d_e = scaled * growth
            left = (1 - kg) * g - _V_LOSS
            decays = ~bridged & (left > 0)
            if sustained:
                over = _SHARPNESS * (left.clamp(min=0) / level - 1)
                dg = dg + torch.where(bridged, 0.0, dz / (level * (1 + over ** 2)))
            d_v = torch.where(opened, d_e, _OPEN_SLOPE * d_e)
            return (torch.where(d < _V_MAX, d_v, _DRIVE_SLOPE * d_v),
                    (1 - kf) * d_n,
                    (torch.where(bridged, torch.where(g > d, dg, 0.0),
                                 torch.where(decays, (1 - kg) * dg, 0.0))
                     - torch.where(opened, d_e, 0.0)),
                    lasting,
                    d_growth + scaled * raw.clamp(min=0),
                    d_kg - torch.where(decays, dg * g, 0.0))

        self.noisy, self.sustained, self.level = noisy, sustained, level
        self.forward, self.backward = forward, backward
        #: The same in C++.
        self.native = Native(Constants(
            kf, kr, kb, r_max, r_noise, sigma, level, _F_LOSS, _R_LOSS, _V_LOSS, _F_MAX, _V_MAX, mean,
            beyond, _SHARPNESS, _OPEN_SLOPE, _DRIVE_SLOPE, _HELD_V, entries, int(sustained)), noisy)

    def stay(self, kg: Tensor) -> Tensor:
        """What of a spike's gradient is the tick's before it, of each neuron."""
        if not self.sustained:
            return torch.zeros_like(kg)
        ticks = math.log(_HELD_V / self.level) / -torch.log1p(-kg.detach())
        return 1 - 1 / ticks.clamp(min=1)
