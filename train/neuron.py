"""The memristor neuron as a differentiable layer."""

from typing import Any

import torch
from torch import Tensor, nn

from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import XI_STD, coefficients
from ionspike.spec.device import Device

__all__ = ["Memristors", "quantise"]

_F_MAX = ((1 << fmt.F_BITS) - 1) / fmt.ONE
_V_MAX = ((1 << fmt.G_BITS) - 1) / (1 << fmt.G_FRAC)
_THETA_FRAC = fmt.F_FRAC - fmt.THETA_SHIFT
#: What the one that the integers take off a loss, and the fraction they round away, come to.
_F_LOSS, _R_LOSS, _V_LOSS = 1.5 * 2.0**-fmt.F_FRAC, 1.5 * 2.0**-fmt.R_FRAC, 1.5 * 2.0**-fmt.G_FRAC


class _Spike(torch.autograd.Function):
    """``x >= 0`` of neurons that are ``off`` and whose drive ``reaches`` the level of a spike;
    backwards ``1 / (1 + (4 x)^2)`` of those that are off."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, off: Tensor, reaches: Tensor) -> Tensor:
        ctx.save_for_backward(x, off)
        return ((x >= 0) & off & reaches).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        x, off = ctx.saved_tensors
        return grad * off / (1 + (4 * x) ** 2), None, None


class _Feedback(torch.autograd.Function):
    """``table[256 (limit - x)]``, x = f + r; backwards its square, which is the slope of a field
    that goes as 1 / gap, bounded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float, table: Tensor, bound: float) -> Tensor:
        entry = ((limit - x) * len(table)).clamp_(0, len(table) - 1).int()
        h = table.index_select(0, entry.view(-1)).view_as(x)
        ctx.save_for_backward(h)
        ctx.bound = bound
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        h, = ctx.saved_tensors
        return grad * (h * h).clamp_(max=ctx.bound), None, None, None


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
    def forward(ctx: Any, weights: Tensor, step: float, most: int) -> Tensor:
        ctx.save_for_backward(weights.abs() <= most * step)
        return torch.round(weights / step).clamp(-most, most) * step

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        inside, = ctx.saved_tensors
        return grad * inside, None, None


def quantise(weights: Tensor, step: float, bits: int = fmt.WEIGHT_BITS) -> Tensor:
    """Volts to the nearest int8 multiple of ``step`` volts, or with fewer bits to the nearest of those that
    are the upper bits of an int8; its gradient is one within what they reach."""
    out: Tensor = _Quantise.apply(weights, step * (1 << fmt.WEIGHT_BITS - bits), (1 << bits - 1) - 1)
    return out


class Memristors(nn.Module):
    """A layer of neurons: the golden model's equations with f, r in gaps and v, g in volts.

    ::

        v  = clip(drive, 0, 2 V)        e = max(0, v - g)       gap = max(0, lim - f - r)
        df = G e h[gap] - (1 - a_f) f
        f' = clip(f + df + sqrt(sigma1 |df|) xi, 0, 2)
        r' = clip(a_r r + b f' + r_noise xi_r, 0, r_max)
        bridged = f' >= lim - r'        lim = 1 + the device's gap
        bridged:  f = lim - r', g' = max(g, v)  else:  f = f', g' = a_g g
        on' = g' >= spike_level         spike = on' and not on

    Coefficients and the table h are the integers of :mod:`ionspike.spec.coefficients`, and the
    losses have the integers' one taken off; what is left out is their rounding.

    Backwards, a spike has the gradient ``1 / (1 + (4 (f' + r' - lim))^2)`` of bridging, whether its
    drive reaches the level or not, for such drives too have to learn that they are too small; gate
    and reset have none, drives above 2 V a tenth, and that of the feedback, h^2, is bounded at
    ``feedback_bound``, because its own explodes as the gap closes.

    Parameters
    ----------
    device, dt_s : decide the coefficients, as for a board. Sustained spikes are those of
        :class:`~ionspike.train.steps.Steps`; run from here, a spike is heard once.
    """

    feedback_bound = 2.0

    def __init__(self, device: Device, dt_s: float):
        super().__init__()
        c = coefficients(device, dt_s)
        self.kf, self.kr, self.kb = (k / (1 << 16) for k in (c.kf, c.kr, c.kb))
        self.kg, self.growth = c.kg / (1 << fmt.KG_BITS), c.mu / (1 << fmt.MU_FRAC)
        self.r_max = (c.r_max + 1) / fmt.ONE - 2.0**-fmt.R_FRAC
        self.limit = 1 + round(device.gap * 2.0**_THETA_FRAC) / 2.0**_THETA_FRAC
        self.spike_level, self.sustained = c.spike_level / (1 << fmt.G_FRAC), device.sustained
        self.sigma1 = device.sigma1
        self.r_noise = c.r_noise * XI_STD * 2.0**(fmt.R_NOISE_SHIFT - fmt.R_FRAC)
        self.h = torch.tensor(c.feedback) / (1 << fmt.H_FRAC)

    def forward(self, drive: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Run from rest.

        Parameters
        ----------
        drive : ``[ticks, batch, neurons]`` volts.
        generator : of the noise; without it, there is none.

        Returns
        -------
        Spikes, 0 or 1, of the same shape.
        """
        v: Tensor = _Drive.apply(drive)
        # A gate below the spike's level comes to it by a bridge and a drive that reaches it.
        reach = v.detach() >= self.spike_level
        f = r = g = torch.zeros_like(v[0])
        off = torch.ones_like(reach[0])
        spikes = []
        for now, volts, reaches in zip(v.unbind(), v.detach(), reach, strict=True):
            e = torch.relu(now - g)
            h: Tensor = _Feedback.apply(f + r, self.limit, self.h, self.feedback_bound)
            df = self.growth * e * h - self.kf * f - _F_LOSS
            f = f + df
            r = torch.relu((1 - self.kr) * r - _R_LOSS)
            if generator is not None:
                # One draw for both: that of the residue is another neuron's.
                xi = torch.randn(df.shape, generator=generator)
                f = f + xi * (self.sigma1 * df.detach().abs()).sqrt_()
                r = r + self.r_noise * xi.roll(1)
            f = f.clamp(0, _F_MAX)
            r = (r + self.kb * f).clamp(0, self.r_max)
            over = f + r - self.limit
            spikes.append(_Spike.apply(over, off, reaches))
            bridged = over.detach() >= 0
            f = torch.where(bridged, self.limit - r.detach(), f)
            g = torch.where(bridged, torch.maximum(g, volts),
                            ((1 - self.kg) * g - _V_LOSS).clamp_(min=0))
            off = g < self.spike_level
        return torch.stack(spikes)
