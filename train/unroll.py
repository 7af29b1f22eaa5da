"""A layer over time, with a backward pass of its own."""

from typing import Any

import torch
from torch import Tensor

from ionspike.train.native import available
from ionspike.train.steps import Steps

__all__ = ["Unroll", "delayed"]

_Groups = list[tuple[int, Tensor | slice]]


class Unroll(torch.autograd.Function):
    """Spikes ``[ticks, batch, neurons]`` of a drive of that shape, from rest.

    In tick t a neuron's drive is the given one and what the layer's spikes of tick t - 1 - delay add.
    Autograd would keep some thirty tensors of every tick; this keeps five. float32 on a CPU runs in
    C++ where a compiler is found (:mod:`ionspike.train.native`), whose noise is another and whose
    sums round otherwise; all else runs as torch has it.

    Parameters
    ----------
    drive : volts.
    kg, growth : ``[neurons]``.
    limit : ``[neurons]``, 1 and the gap; has no gradient.
    table, rest : the feedback, and the rest of the way, by the gap.
    steps : one tick.
    generator : of the noise.
    weights : from the layer to itself, volts ``[neurons, neurons]``, or none.
    delays : int32 ``[neurons]``, of their spikes to the layer; without it, none.
    native : whether C++ may be used.
    """

    @staticmethod
    def forward(ctx: Any, drive: Tensor, kg: Tensor, growth: Tensor, limit: Tensor, table: Tensor,
                rest: Tensor, steps: Steps, generator: torch.Generator | None,
                weights: Tensor | None, delays: Tensor | None = None,
                native: bool = True) -> Tensor:
        ctx.steps = steps
        ctx.native = native and drive.dtype == torch.float32 and drive.device.type == "cpu" \
            and available()
        if ctx.native:
            seed = 0 if generator is None else int(torch.randint(1 << 62, (), generator=generator))
            d, spikes, *parts = steps.native.forward(drive, kg, growth, limit, table, rest, seed, weights,
                                                     delays)
            ctx.save_for_backward(d, spikes, *parts, kg, growth, weights, delays)
            return spikes
        ticks, *shape = drive.shape
        d = drive.clone()
        f, r, g = (d.new_zeros(shape) for _ in range(3))
        off, xi = d.new_ones(shape), d.new_zeros(1, 1)
        spikes = torch.empty_like(d)
        kept, groups = [], _by_delay(delays, d.shape[-1])
        for t in range(ticks):
            if t and weights is not None:
                d[t].addmm_(_arriving(spikes, t, groups), weights)
            if steps.noisy:
                xi = torch.randn(shape, generator=generator, device=d.device)
            spikes[t], f, r, after, off, slope, bridged = steps.forward(
                d[t], f, r, g, off, xi, kg, growth, limit, table, rest)
            kept.append((g, slope, bridged))
            g = after
        ctx.kept = kept
        ctx.save_for_backward(d, spikes, kg, growth, weights, delays)
        return spikes

    @staticmethod
    def backward(ctx: Any, d_spikes: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.native:
            out, d_kg, d_growth, d_weights = ctx.steps.native.backward(d_spikes, *ctx.saved_tensors)
            return out, d_kg, d_growth, None, None, None, None, None, d_weights, None, None
        d, spikes, kg, growth, weights, delays = ctx.saved_tensors
        n, g, lasting, d_growth, d_kg = (torch.zeros_like(d[0]) for _ in range(5))
        back, stay, groups = d_spikes.clone(), ctx.steps.stay(kg), _by_delay(delays, d.shape[-1])
        out = torch.empty_like(d)
        turned = None if weights is None else weights.t().contiguous()
        for t in range(len(d) - 1, -1, -1):
            out[t], n, g, lasting, d_growth, d_kg = ctx.steps.backward(
                back[t], n, g, lasting, d[t], *ctx.kept[t], kg, growth, stay, d_growth, d_kg)
            if t and turned is not None:
                product = out[t] @ turned
                for delay, at in groups:
                    if delay < t:
                        back[t - 1 - delay][:, at] += product[:, at]
        d_weights = None
        if weights is not None:
            arrived = torch.stack([_arriving(spikes, t, groups) for t in range(1, len(d))])
            d_weights = arrived.flatten(0, 1).t() @ out[1:].flatten(0, 1)
        return out, d_kg.sum(0), d_growth.sum(0), None, None, None, None, None, d_weights, None, None


def _by_delay(delays: Tensor | None, neurons: int) -> _Groups:
    """Each delay, and which neurons have it."""
    if delays is None:
        return [(0, slice(0, neurons))]
    return [(delay, torch.nonzero(delays == delay)[:, 0]) for delay in sorted(set(delays.tolist()))]


def _arriving(spikes: Tensor, tick: int, groups: _Groups) -> Tensor:
    """The spikes ``[batch, neurons]`` that arrive in a tick from 1 on."""
    found = torch.zeros_like(spikes[0])
    for delay, at in groups:
        if delay < tick:
            found[:, at] = spikes[tick - 1 - delay][:, at]
    return found


def delayed(spikes: Tensor, delays: Tensor | None) -> Tensor:
    """What of ``[ticks, batch, neurons]`` arrives in each tick."""
    found = torch.zeros_like(spikes)
    for delay, at in _by_delay(delays, spikes.shape[-1]):
        found[1 + delay:, :, at] = spikes[:max(0, len(spikes) - 1 - delay), :, at]
    return found
