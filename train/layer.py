"""A layer of memristor neurons whose drive is normalised while it learns."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from ionspike.spec.formats import WEIGHT_BITS
from ionspike.train.neuron import quantise

__all__ = ["BIAS_INPUTS", "Layer"]

#: Inputs that fire in every tick and carry the neurons' biases: two, for a bias is often more than
#: the 127 units of one weight.
BIAS_INPUTS = 2
#: Share of a batch in the running mean and variance.
_MOMENTUM = 0.05
_LEAST_VARIANCE = 1e-5


class Layer(nn.Module):
    """Drive of neurons, in volts, from sources' spikes ``s``::

        y = s W        drive = gain (y - mean(y)) / sqrt(var(y) + 1e-5) + bias

    While it learns, mean and variance are those of the batch, over items and ticks. Once it is
    ``settled``, and whenever it is not being trained, they are the running ones, and the drive is
    what a core gets: ``s Q(gain W / sd) + Q(bias - gain mean / sd)``, in multiples of ``scale_V`` up
    to 127 of them; the bias comes by inputs that always fire. Weights of 4 bits, but for the bias's, are
    multiples of 16 such, up to 7 of them.

    Parameters
    ----------
    sources, neurons : how many.
    recurrent_V : standard deviation of the weights from the layer to itself, which are always
        rounded; None without such weights.
    gain_V, bias_V : of all neurons to begin with.
    kg, growth : of all neurons to begin with; kg is spread by half a natural logarithm both ways.
    scale_V : volts per weight unit.
    generator : of the weights.
    bits : of a weight.
    """

    def __init__(self, sources: int, neurons: int, recurrent_V: float | None, gain_V: float,
                 bias_V: float, kg: float, growth: float, scale_V: float, *,
                 generator: torch.Generator, bits: int = WEIGHT_BITS):
        super().__init__()
        self.scale_V, self.bits, self.settled = scale_V, bits, False
        self.weights = nn.Parameter(torch.randn(sources, neurons, generator=generator)
                                    / math.sqrt(sources))
        self.recurrent = None if recurrent_V is None else nn.Parameter(
            torch.randn(neurons, neurons, generator=generator) * recurrent_V)
        self.gain = nn.Parameter(torch.full((neurons,), gain_V))
        self.bias = nn.Parameter(torch.full((neurons,), bias_V))
        #: Logarithms of kg and growth.
        self.gates = nn.Parameter(math.log(kg) + torch.rand(neurons, generator=generator) - 0.5)
        self.growths = nn.Parameter(torch.full((neurons,), math.log(growth)))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(neurons))
        self.register_buffer("variance", torch.ones(neurons))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights ``[sources, neurons]`` and biases ``[BIAS_INPUTS, neurons]`` of a core, in volts."""
        factor = self.gain / (self.variance + _LEAST_VARIANCE).sqrt()
        bias = self.bias - self.mean * factor
        parts = []
        for left in range(BIAS_INPUTS, 0, -1):
            parts.append(quantise(bias / left, self.scale_V))
            bias = bias - parts[-1]
        return quantise(self.weights * factor, self.scale_V, self.bits), torch.stack(parts)

    def own(self) -> Tensor | None:
        """Weights from the layer to itself, in volts."""
        return None if self.recurrent is None else quantise(self.recurrent, self.scale_V, self.bits)

    def drive(self, spikes: Tensor) -> Tensor:
        """``[ticks, batch, neurons]`` of the sources' ``[ticks, batch, sources]``."""
        if self.settled or not self.training:
            weights, bias = self.folded()
            return spikes @ weights + bias.sum(0)
        y = (spikes @ self.weights).flatten(0, 1)
        drive = batch_norm(y, self.mean, self.variance, self.gain, self.bias, True, _MOMENTUM,
                           _LEAST_VARIANCE)
        return drive.unflatten(0, spikes.shape[:2])
