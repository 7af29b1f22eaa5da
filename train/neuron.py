"""The memristor neuron as a differentiable layer."""

from typing import Any

import torch
from torch import Tensor, nn

from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device

__all__ = ["Memristors", "quantise"]

_F_MAX = ((1 << fmt.F_BITS) - 1) / fmt.ONE
_V_MAX = ((1 << fmt.G_BITS) - 1) / (1 << fmt.G_FRAC)
_WEIGHT_MAX = (1 << fmt.WEIGHT_BITS - 1) - 1
#: What the one that the integers take off a loss, and the fraction they round away, come to.
_F_LOSS, _R_LOSS, _V_LOSS = 1.5 * 2.0**-fmt.F_FRAC, 1.5 * 2.0**-fmt.R_FRAC, 1.5 * 2.0**-fmt.G_FRAC


class _Ignition(torch.autograd.Function):
    """``x >= 0``; backwards ``1 / (1 + (4 x)^2)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, = ctx.saved_tensors
        return grad / (1 + (4 * x) ** 2)


class _Drive(torch.autograd.Function):
    """``clip(x, 0, 2 V)``; backwards a tenth above, or neurons driven too hard could not learn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, _V_MAX)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, = ctx.saved_tensors
        return torch.where(x < _V_MAX, grad, 0.1 * grad)


class _Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, step: float) -> Tensor:
        ctx.save_for_backward(weights.abs() <= _WEIGHT_MAX * step)
        return torch.round(weights / step).clamp(-_WEIGHT_MAX, _WEIGHT_MAX) * step

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        inside, = ctx.saved_tensors
        return grad * inside, None


def quantise(weights: Tensor, step: float) -> Tensor:
    """Volts to the nearest int8 multiple of ``step`` volts; its gradient is one within int8."""
    out: Tensor = _Quantise.apply(weights, step)
    return out


class Memristors(nn.Module):
    """A layer of neurons: the golden model's equations with f, r in gaps and v, g in volts.

    ::

        v  = clip(drive, 0, 2 V)        e = max(0, v - g)       gap = max(0, 1 - f - r)
        df = G e / (alpha' + gap) - (1 - a_f) f
        f' = clip(f + df + sqrt(sigma1 |df|) xi, 0, 2)
        r' = min(a_r r + b f', r_max)
        on' = f' >= 1 - r'              spike = on' and not on
        on':  f = 1 - r', g = max(g, v)     else:  f = f', g = a_g g

    Coefficients are the integers of :mod:`ionspike.spec.coefficients`, and the losses have the
    integers' one taken off; what is left out is their rounding.

    Backwards, ignition has the gradient ``1 / (1 + (4 (f' - 1 + r'))^2)``, the reset none, drives
    above 2 V a tenth, and that of the feedback ``1 / (alpha' + gap)`` is bounded at
    ``feedback_bound``, because its own explodes as the gap closes.

    Parameters
    ----------
    device, dt_s : decide the coefficients, as for a board.
    """

    feedback_bound = 2.0

    def __init__(self, device: Device, dt_s: float):
        super().__init__()
        c = coefficients(device, dt_s)
        self.kf, self.kr, self.kb = (k / (1 << 16) for k in (c.kf, c.kr, c.kb))
        self.kg, self.growth = c.kg / (1 << fmt.KG_BITS), c.mu / (1 << fmt.MU_FRAC)
        self.r_max = (c.r_max + 1) / fmt.ONE - 2.0**-fmt.R_FRAC
        self.alpha = max(device.alpha, device.alpha_floor)
        self.sigma1 = device.sigma1

    def _feedback(self, f: Tensor, r: Tensor) -> Tensor:
        x = f + r
        h = 1 / (self.alpha + torch.relu(1 - x.detach()))
        return h + (h * h).clamp(max=self.feedback_bound) * (x - x.detach())

    def forward(self, drive: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Run from rest.

        Parameters
        ----------
        drive : ``[ticks, batch, neurons]`` volts.
        generator : of the shot noise; without it, there is none.

        Returns
        -------
        Spikes, 0 or 1, of the same shape.
        """
        v: Tensor = _Drive.apply(drive)
        f = r = g = on = torch.zeros_like(v[0])
        spikes = []
        for now in v.unbind():
            e = torch.relu(now - g)
            df = self.growth * e * self._feedback(f, r) - self.kf * f - _F_LOSS
            moved = f + df
            if generator is not None:
                xi = torch.randn(df.shape, generator=generator)
                moved = moved + xi * (self.sigma1 * df.detach().abs()).sqrt()
            moved = moved.clamp(0, _F_MAX)
            r = (torch.relu(r - self.kr * r - _R_LOSS) + self.kb * moved).clamp(max=self.r_max)
            fired: Tensor = _Ignition.apply(moved - 1 + r)
            spikes.append(fired * (1 - on))
            on = fired.detach()
            f = torch.where(on > 0, (1 - r).detach(), moved)
            g = torch.where(on > 0, torch.maximum(g, now).detach(),
                            torch.relu(g - self.kg * g - _V_LOSS))
        return torch.stack(spikes)
