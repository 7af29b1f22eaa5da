"""A recurrent network over time, with a backward pass of its own."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ionspike.train.steps import Steps

__all__ = ["Block", "Unroll"]


@dataclass(frozen=True)
class Block:
    """Synapses from neurons ``source`` to neurons ``target``, as slices."""

    source: slice
    target: slice


class Unroll(torch.autograd.Function):
    """Spikes ``[ticks, batch, neurons]`` of a drive of that shape, from rest.

    In tick t a neuron's drive is the given one and what the spikes of tick t - 1 add through the
    blocks. Autograd would keep some thirty tensors of every tick; this keeps six.

    Parameters
    ----------
    drive : volts.
    kg, growth : ``[neurons]``.
    limit : ``[neurons]``, 1 and the gap; has no gradient.
    table : the feedback.
    steps : one tick.
    blocks, weights : volts ``[sources, targets]`` for each block.
    generator : of the noise.
    """

    @staticmethod
    def forward(ctx: Any, drive: Tensor, kg: Tensor, growth: Tensor, limit: Tensor, table: Tensor,
                steps: Steps, blocks: tuple[Block, ...], generator: torch.Generator | None,
                *weights: Tensor) -> Tensor:
        ticks, *shape = drive.shape
        d = drive.clone()
        f, r, g = (d.new_zeros(shape) for _ in range(3))
        off, xi = d.new_ones(shape), d.new_zeros(1, 1)
        spikes = torch.empty_like(d)
        kept = []
        for t in range(ticks):
            if t:
                for block, w in zip(blocks, weights, strict=True):
                    d[t, :, block.target].addmm_(spikes[t - 1, :, block.source], w)
            if steps.noisy:
                xi = torch.randn(shape, generator=generator, device=d.device)
            spikes[t], f, r, after, off, h, slope, flags = steps.forward(
                d[t], f, r, g, off, xi, kg, growth, limit, table)
            kept.append((g, h, slope, flags))
            g = after
        ctx.kept, ctx.steps, ctx.blocks = kept, steps, blocks
        ctx.save_for_backward(d, spikes, kg, growth, *weights)
        return spikes

    @staticmethod
    def backward(ctx: Any, d_spikes: Tensor) -> tuple[Any, ...]:
        d, spikes, kg, growth, *weights = ctx.saved_tensors
        f, r, g, d_growth, d_kg = (torch.zeros_like(d[0]) for _ in range(5))
        back = torch.zeros_like(d[0])
        out = torch.empty_like(d)
        turned = [w.t().contiguous() for w in weights]
        for t in range(len(d) - 1, -1, -1):
            out[t], f, r, g, d_growth, d_kg = ctx.steps.backward(
                back + d_spikes[t], f, r, g, d[t], *ctx.kept[t], kg, growth, d_growth, d_kg)
            back = torch.zeros_like(back)
            for block, w in zip(ctx.blocks, turned, strict=True):
                back[:, block.source].addmm_(out[t][:, block.target], w)
        d_weights = [spikes[:-1, :, block.source].flatten(0, 1).t()
                     @ out[1:, :, block.target].flatten(0, 1) for block in ctx.blocks]
        return out, d_kg.sum(0), d_growth.sum(0), None, None, None, None, None, *d_weights
