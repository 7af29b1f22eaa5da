"""A layer of memristor neurons that looks for the same features everywhere along the channels."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv1d, pad

from ionspike.train.layer import LEAST_VARIANCE, MOMENTUM, Block, biases
from ionspike.train.neuron import quantise
from ionspike.train.places import Places

__all__ = ["Local"]


class Local(nn.Module):
    """Drive of the features' neurons at every place, in volts, from inputs' spikes ``s``::

        y[p, i] = sum over l, w of  s[l, stride p + w - width // 2] W[i, l, w]
        drive = gain (y - mean(y)) / sqrt(var(y) + 1e-5) + bias

    with level l and w from 0 to width - 1 of the groups of channels; what is beyond the first and last group is
    silent. In the next tick, the layer's own spikes ``z`` reach their place and the two beside it, with ``sum over k, j of
    z[p - k, j] U[j, k, i]``, k from -1 to 1.

    Weights, gain, bias, kg and growth are a feature's, the same at each of the ``ceil(groups / stride)`` places:
    what is learnt of one voice is known of a higher one. On a core each place has neurons of its own; rows of
    weights that are equal are stored once. Neurons are sorted by place, then by feature.

    Mean and variance are those of a feature over items, ticks and places; else as in
    :class:`~ionspike.train.layer.Layer`.

    Parameters
    ----------
    places : where, and how many features.
    recurrent_V, gain_V, bias_V, kg, growth, scale_V, generator : as of a Layer.
    """

    def __init__(self, places: Places, recurrent_V: float | None, gain_V: float, bias_V: float, kg: float,
                 growth: float, scale_V: float, *, generator: torch.Generator):
        super().__init__()
        self.places, self.scale_V, self.settled = places, scale_V, False
        features = places.features
        self.weights = nn.Parameter(torch.randn(features, places.levels, places.width, generator=generator)
                                    / math.sqrt(places.levels * places.width))
        self.recurrent = None if recurrent_V is None else nn.Parameter(
            torch.randn(features, 3, features, generator=generator) * recurrent_V)
        self.gain = nn.Parameter(torch.full((features,), gain_V))
        self.bias = nn.Parameter(torch.full((features,), bias_V))
        self.gates = nn.Parameter(math.log(kg) + torch.rand(features, generator=generator) - 0.5)
        self.growths = nn.Parameter(torch.full((features,), math.log(growth)))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def of_neurons(self, values: Tensor) -> Tensor:
        """``[..., neurons]`` of the features' ``[..., features]``."""
        return values.repeat(*[1] * (values.dim() - 1), self.places.count)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights ``[features, levels, width]`` and biases ``[BIAS_INPUTS, features]`` of a core, in
        volts."""
        factor = self.gain / (self.variance + LEAST_VARIANCE).sqrt()
        return quantise(self.weights * factor[:, None, None], self.scale_V), \
            biases(self.bias - self.mean * factor, self.scale_V)

    def own(self) -> Tensor | None:
        """Weights from the layer to itself, in volts."""
        if self.recurrent is None:
            return None
        place = torch.arange(self.places.count, device=self.recurrent.device)
        step = place - place[:, None] + 1
        near = ((step >= 0) & (step <= 2))[..., None]
        weights = quantise(self.recurrent, self.scale_V)[:, step.clamp(0, 2)] * near
        return weights.transpose(0, 1).reshape(self.places.neurons, -1)

    def drive(self, spikes: Tensor) -> Tensor:
        """``[ticks, batch, neurons]`` of the inputs' ``[ticks, batch, levels x groups]``."""
        p = self.places
        seen = spikes.flatten(0, 1).unflatten(-1, (p.levels, p.groups))
        last = (p.count - 1) * p.stride + p.width - p.width // 2
        seen = pad(seen, (p.width // 2, max(0, last - p.groups)))
        if self.settled or not self.training:
            weights, bias = self.folded()
            y = conv1d(seen, weights, bias.sum(0), p.stride)
        else:
            y = batch_norm(conv1d(seen, self.weights, stride=p.stride), self.mean, self.variance, self.gain,
                           self.bias, True, MOMENTUM, LEAST_VARIANCE)
        drive = y[..., :p.count].transpose(1, 2).flatten(1)
        return drive.unflatten(0, spikes.shape[:2])

    def blocks(self) -> Iterator[Block]:
        """What a core has of it: of each place and level the weights of the groups that are seen."""
        p, weights = self.places, self.folded()[0]
        for place in range(p.count):
            left = place * p.stride - p.width // 2
            low, high = max(left, 0), min(left + p.width, p.groups)
            for level in range(p.levels):
                yield Block(weights[:, level, low - left:high - left].t(), level * p.groups + low,
                            place * p.features)
