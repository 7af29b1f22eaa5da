"""A recurrent network of memristor neurons for training."""

from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device
from ionspike.train.layer import BIAS_INPUTS, Layer
from ionspike.train.neuron import Memristors
from ionspike.train.steps import Steps, way
from ionspike.train.unroll import Unroll, delayed

__all__ = ["Recurrent"]

_KG, _MU = 2.0**-fmt.KG_BITS, 2.0**-fmt.MU_FRAC
_KG_MAX, _MU_MAX = 1 - _KG, ((1 << fmt.MU_BITS) - 1) * _MU
_THETA = 2.0 ** (fmt.THETA_SHIFT - fmt.F_FRAC)
#: A neuron's growth is within this factor of its device's: the paper's devices differ fivefold.
_GROWTH_RANGE = 5.0
#: A gate keeps its charge for a hundred ticks at most: beyond, a neuron fires once and is lost.
_KG_MIN = 0.01


def _on_grid(x: Tensor, step: float) -> Tensor:
    """The nearest multiple, with a gradient of one."""
    return x + (torch.round(x / step) * step - x).detach()


class Recurrent(nn.Module):
    """Inputs, hidden layers and outputs, or without outputs hidden layers alone; each hidden layer also
    reaches itself.

    Inputs reach the first layer in their own tick, a neuron's spike reaches others in the tick
    after its own plus its axonal delay. Each hidden layer has neurons of all delays, as many of each, the
    shortest first. kg and mu of each neuron are trained, and are multiples of what the core holds; for weights
    see :class:`~ionspike.train.layer.Layer`.

    Parameters
    ----------
    device, dt_s : of all neurons; what they give for kg is where training begins.
    inputs, hidden, outputs : sizes of the layers; one of the last two may be none.
    growth : where training begins, as a multiple of the device's.
    scale_V : volts per weight unit.
    gain_V, bias_V, recurrent_V : of the layers to begin with.
    dropout : share of a hidden layer's neurons that the next does not hear, drawn for each item.
    generator : of the weights.
    learn_gates : whether kg is trained.
    reach : whether hidden layers reach themselves.
    delay : longest axonal delay, in ticks.
    native : whether C++ may be used; see :class:`~ionspike.train.unroll.Unroll`.
    bits : of a weight, but for the biases'.
    """

    def __init__(self, device: Device, dt_s: float, inputs: int, hidden: tuple[int, ...],
                 outputs: int, *, growth: float, scale_V: float, gain_V: float, bias_V: float,
                 recurrent_V: float, dropout: float, generator: torch.Generator,
                 learn_gates: bool = True, reach: bool = True, delay: int = 0, native: bool = True,
                 bits: int = fmt.WEIGHT_BITS):
        super().__init__()
        self.device, self.dt_s, self.scale_V = device, dt_s, scale_V
        self.inputs, self.hidden, self.outputs, self.dropout = inputs, tuple(hidden), outputs, dropout
        sizes = (*hidden, outputs) if outputs else tuple(hidden)
        ends = np.cumsum(sizes).tolist()
        #: Where each layer's neurons are.
        self.ranges = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.neurons = ends[-1]
        self.read = self.ranges[-1] if outputs else slice(0, self.neurons)
        model = Memristors(device, dt_s)
        self.nominal_mu, self.learn_gates = coefficients(device, dt_s).mu, learn_gates
        self._layers = nn.ModuleList(
            Layer(before, size, recurrent_V if reach and k < len(hidden) else None, gain_V, bias_V, model.kg,
                  model.growth * growth, scale_V, generator=generator, bits=bits)
            for k, (before, size) in enumerate(pairwise((inputs, *sizes))))
        if not learn_gates:
            for layer in self.layers:
                layer.gates.data.fill_(float(np.log(model.kg)))
                layer.gates.requires_grad_(False)
        self.register_buffer("table", model.h, persistent=False)
        self.register_buffer("rest", way(model.h)[0], persistent=False)
        self.limit, self.native, self.delay = model.limit, native, delay
        for k, size in enumerate(sizes):
            self.register_buffer(f"_delays_{k}", (torch.arange(size) * (delay + 1) // size).int()
                                 if delay else None, persistent=False)
        self._steps = {noisy: Steps(model, noisy) for noisy in (False, True)}

    @property
    def layers(self) -> tuple[Layer, ...]:
        return cast(tuple[Layer, ...], tuple(self._layers))

    @property
    def delays(self) -> list[Tensor | None]:
        """Of each layer, int32 ``[neurons]``, or none."""
        return [getattr(self, f"_delays_{k}") for k in range(len(self._layers))]

    def settle(self, settled: bool) -> None:
        """Whether layers get the drive that a core gives them, in training too."""
        for layer in self.layers:
            layer.settled = settled

    def kg(self) -> Tensor:
        """``[neurons]``, on the core's grid."""
        low = _KG_MIN if self.learn_gates else _KG
        gates = torch.cat([layer.gates for layer in self.layers])
        return _on_grid(gates.exp().clamp(low, _KG_MAX), _KG)

    def growth(self) -> Tensor:
        """``[neurons]``, on the core's grid."""
        nominal = self.nominal_mu * _MU
        low, high = max(_MU, nominal / _GROWTH_RANGE), min(_MU_MAX, nominal * _GROWTH_RANGE)
        growths = torch.cat([layer.growths for layer in self.layers])
        return _on_grid(growths.exp().clamp(low, high), _MU)

    def forward(self, x: Tensor, generator: torch.Generator | None = None,
                mismatch: Mismatch | None = None, dropped: torch.Generator | None = None) -> Tensor:
        """Spikes of all neurons, ``[ticks, batch, neurons]``; see :meth:`of_layers`."""
        return torch.cat(self.of_layers(x, generator, mismatch, dropped), -1)

    def of_layers(self, x: Tensor, generator: torch.Generator | None = None,
                  mismatch: Mismatch | None = None,
                  dropped: torch.Generator | None = None) -> list[Tensor]:
        """Run from rest.

        Parameters
        ----------
        x : spikes of the inputs, ``[ticks, batch, inputs]``.
        generator : of the noise; without it, there is none.
        mismatch : how the devices differ; without it, they do not.
        dropped : of what the next layer does not hear; without it, it hears all.

        Returns
        -------
        Spikes of each layer, ``[ticks, batch, neurons]``.
        """
        kg, growth = self.kg(), self.growth()
        limit = torch.full_like(kg, self.limit)
        if mismatch is not None:
            factor, gap, rc = (torch.from_numpy(a).to(kg) for a in
                               (mismatch.growth, mismatch.gap, mismatch.rc))
            growth = _on_grid((growth * factor).clamp(0, _MU_MAX), _MU)
            limit = 1 + torch.round((self.limit - 1 + gap) / _THETA) * _THETA
            kg = _on_grid((1 - (1 - kg) ** (1 / rc)).clamp(_KG, _KG_MAX), _KG)
        steps = self._steps[generator is not None]
        spikes: list[Tensor] = []
        for layer, part, delays in zip(self.layers, self.ranges, self.delays, strict=True):
            z: Tensor = Unroll.apply(layer.drive(x), kg[part], growth[part], limit[part], self.table,
                                     self.rest, steps, generator, layer.own(), delays, self.native)
            spikes.append(z)
            x = delayed(z, delays)
            if dropped is not None and self.dropout:
                heard = torch.rand(z.shape[1:], generator=dropped, device=z.device) >= self.dropout
                x = x * (heard / (1 - self.dropout))
        return spikes

    @torch.no_grad()
    def network(self, labels: tuple[str, ...], metadata: dict[str, Any],
                votes: NDArray[np.int8] | None = None) -> Network:
        """The same for a board: weights as int8, kg as control resistors, growth as mismatch.

        Its last inputs carry the biases and fire in every tick; ``bias`` in the metadata says how
        many they are.

        Parameters
        ----------
        labels : of each output neuron, or of each column of the votes.
        votes : of all neurons, where there are no output neurons.
        """
        def int8(w: Tensor) -> Any:
            return torch.round(w / self.scale_V).to(torch.int8).cpu().numpy()

        def reaching(weights: Any, sources: int, targets: slice) -> list[Projection]:
            """From a layer, each delay's neurons by themselves."""
            delays = self.delays[sources]
            of = [0] * len(weights) if delays is None else delays.tolist()
            first = self.ranges[sources].start
            return [Projection("neurons", weights[of.index(d):of.index(d) + of.count(d)],
                               first + of.index(d), targets.start, d) for d in sorted(set(of))]

        projections: list[Projection] = []
        for k, (layer, part) in enumerate(zip(self.layers, self.ranges, strict=True)):
            weights, bias = layer.folded()
            projections += [*(reaching(int8(weights), k - 1, part) if k else
                              [Projection("inputs", int8(weights), 0, part.start)]),
                            Projection("inputs", int8(bias), self.inputs, part.start)]
            if (own := layer.own()) is not None:
                projections += reaching(int8(own), k, part)
        kg = self.kg().double().cpu().numpy()
        growth = np.round(self.growth().double().cpu().numpy() / _MU) / self.nominal_mu
        none = Mismatch.none(self.neurons)
        return Network(
            device=self.device, dt_s=self.dt_s, inputs=self.inputs + BIAS_INPUTS,
            neurons=self.neurons, projections=tuple(projections), scale_V=self.scale_V,
            r_control_ohm=-self.dt_s / (self.device.c_gate_F * np.log1p(-kg)),
            mismatch=Mismatch(growth, none.gap, none.rc),
            outputs=np.arange(self.read.start, self.read.stop), labels=labels, votes=votes,
            metadata={**metadata, "bias": BIAS_INPUTS})
