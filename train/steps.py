"""One tick of the network in training, forwards and backwards, compiled where that is possible."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ionspike.spec import formats as fmt
from ionspike.train.neuron import _F_LOSS, _F_MAX, _R_LOSS, _V_MAX, Memristors

__all__ = ["Steps", "can_compile"]

#: Slope of a drive above 2 V, and of one that the gate's voltage cancels: without them, neurons
#: that are driven too hard or too little could not learn.
_DRIVE_SLOPE = _OPEN_SLOPE = 0.1
_SURROGATE = 4.0
#: What the integers take off a gate beside its decay: one, less the half that rounding down leaves.
_V_LOSS = 0.5 * 2.0**-fmt.G_FRAC


def can_compile() -> bool:
    """Whether there is a C++ compiler, which torch.compile needs."""
    named = os.environ.get("CXX", "").split()
    return any(shutil.which(name) for name in (*named[:1], "g++", "clang++"))


class _Compiled:
    """A function through torch.compile; as it is where that fails."""

    def __init__(self, function: Callable[..., Any], wanted: bool):
        self._plain = function
        self._fast = torch.compile(function, dynamic=False) if wanted else None

    def __call__(self, *arguments: Any) -> Any:
        if self._fast is not None:
            try:
                return self._fast(*arguments)
            except Exception:   # whatever a compiler has to say, the plain function is the same
                self._fast = None
        return self._plain(*arguments)

    @property
    def is_compiled(self) -> bool:
        return self._fast is not None


class Steps:
    """The equations of :class:`~ionspike.train.neuron.Memristors` with kg, G and lim of each neuron.

    Gradients are those of that class, and one more: a drive that the gate's voltage cancels, or
    that is not positive, has a tenth of the slope it would have without the gate.

    Parameters
    ----------
    layer : the coefficients that neurons share.
    noisy : whether there is noise.
    compiled : whether to compile; without it, where a C++ compiler is there. Compiled and plain
        differ by rounding.
    """

    def __init__(self, layer: Memristors, noisy: bool, compiled: bool | None = None):
        kf, kr, kb = layer.kf, layer.kr, layer.kb
        level, r_max, r_noise, sigma = layer.spike_level, layer.r_max, layer.r_noise, layer.sigma1
        entries, bound = len(layer.h), layer.feedback_bound

        def forward(d: Tensor, f: Tensor, r: Tensor, g: Tensor, off: Tensor, xi: Tensor, kg: Tensor,
                    growth: Tensor, limit: Tensor, table: Tensor) -> tuple[Tensor, ...]:
            v = d.clamp(0, _V_MAX)
            e = (v - g).clamp(min=0)
            h = table[((limit - f - r) * entries).clamp(0, entries - 1).to(torch.int32)]
            df = growth * e * h - kf * f - _F_LOSS
            f1 = f + df
            r0 = (1 - kr) * r - _R_LOSS
            r1 = r0.clamp(min=0)
            if noisy:
                f1 = f1 + xi * (sigma * df.abs()).sqrt()
                r1 = r1 + r_noise * xi.roll(1, 1)
            f2 = f1.clamp(0, _F_MAX)
            r2 = r1 + kb * f2
            r3 = r2.clamp(0, r_max)
            over = f2 + r3 - limit
            bridged = over >= 0
            z = torch.where(bridged & (v >= level), off, 0.0)
            slope = off / (1 + (_SURROGATE * over) ** 2)
            g1 = torch.where(bridged, torch.maximum(g, v), ((1 - kg) * g - _V_LOSS).clamp(min=0))
            # Which clamps let a gradient through, in one number: a tensor less to keep a tick.
            flags = (((f1 > 0) & (f1 < _F_MAX)).to(d.dtype) + 2 * ((r2 > 0) & (r2 < r_max)).to(d.dtype)
                     + 4 * (r0 > 0).to(d.dtype) + 8 * bridged.to(d.dtype))
            f3 = torch.where(bridged, limit - r3, f2)
            return z, f3, r3, g1, torch.where(g1 < level, 1.0, 0.0), h, slope, flags

        def backward(dz: Tensor, df: Tensor, dr: Tensor, dg: Tensor, d: Tensor, g: Tensor, h: Tensor,
                     slope: Tensor, flags: Tensor, kg: Tensor, growth: Tensor, d_growth: Tensor,
                     d_kg: Tensor) -> tuple[Tensor, ...]:
            bridged = flags > 7.5
            rest = torch.where(bridged, flags - 8, flags)
            r_lives = rest > 3.5
            rest = torch.where(r_lives, rest - 4, rest)
            r_free = rest > 1.5
            f_free = torch.where(r_free, rest - 2, rest) > 0.5
            raw = d.clamp(0, _V_MAX) - g
            opened = raw > 0
            e = raw.clamp(min=0)
            d_over = dz * slope
            d_f2 = torch.where(bridged, d_over, df + d_over)
            d_r2 = torch.where(r_free, dr + d_over, 0.0)
            d_f1 = torch.where(f_free, d_f2 + kb * d_r2, 0.0)
            d_growth = d_growth + d_f1 * e * h
            scaled = d_f1 * growth
            d_e, d_gap = scaled * h, scaled * e * (h * h).clamp(max=bound)
            decays = ~bridged & ((1 - kg) * g > _V_LOSS)
            d_kg = d_kg - torch.where(decays, dg * g, 0.0)
            d_g = (torch.where(bridged, torch.where(g > d, dg, 0.0),
                               torch.where(decays, (1 - kg) * dg, 0.0))
                   - torch.where(opened, d_e, 0.0))
            d_v = torch.where(opened, d_e, _OPEN_SLOPE * d_e)
            return (torch.where(d < _V_MAX, d_v, _DRIVE_SLOPE * d_v),
                    (1 - kf) * d_f1 + d_gap,
                    torch.where(r_lives, (1 - kr) * d_r2, 0.0) + d_gap, d_g, d_growth, d_kg)

        wanted = can_compile() if compiled is None else compiled
        self.noisy = noisy
        self.forward, self.backward = _Compiled(forward, wanted), _Compiled(backward, wanted)

    @property
    def is_compiled(self) -> bool:
        return self.forward.is_compiled and self.backward.is_compiled
