"""A recurrent network of memristor neurons for training."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device
from ionspike.train.neuron import Memristors, quantise
from ionspike.train.steps import Steps
from ionspike.train.unroll import Block, Unroll

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
    """Inputs, hidden layers and outputs; each hidden layer also reaches itself.

    Inputs reach the first layer in their own tick, a neuron's spike reaches others in the tick
    after its own, as on a core without axonal delays. Weights are multiples of one ``scale_V`` up
    to 127 of them; kg and mu of each neuron are trained, and are multiples of what the core holds.

    Parameters
    ----------
    device, dt_s : of all neurons; what they give for kg and mu is where training begins.
    inputs, hidden, outputs : sizes of the layers; no hidden layer is allowed.
    scale_V : volts per weight unit.
    spread_V, mean_V, recurrent_V : of the weights to begin with: normal from layer to layer, and
        normal without a mean within a layer.
    generator : of those.
    learn_gates : whether kg is trained.
    compiled : see :class:`~ionspike.train.steps.Steps`.
    """

    def __init__(self, device: Device, dt_s: float, inputs: int, hidden: tuple[int, ...],
                 outputs: int, *, scale_V: float, spread_V: float, mean_V: float,
                 recurrent_V: float, generator: torch.Generator, learn_gates: bool = True,
                 compiled: bool | None = None):
        super().__init__()
        self.device, self.dt_s, self.scale_V = device, dt_s, scale_V
        self.inputs, self.hidden, self.outputs = inputs, tuple(hidden), outputs
        sizes = (*hidden, outputs)
        ends = np.cumsum(sizes).tolist()
        ranges = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.neurons, self.first = ends[-1], ranges[0]
        self.read = ranges[-1]
        blocks, spreads = [], []
        for own, following in pairwise(ranges):
            blocks += [Block(own, own), Block(own, following)]
            spreads += [(recurrent_V, 0.0), (spread_V, mean_V)]
        self.blocks = tuple(blocks)

        def drawn(rows: int, columns: int, spread: float, mean: float) -> Tensor:
            return torch.randn(rows, columns, generator=generator) * spread + mean

        self.weights = nn.ParameterList(
            [drawn(inputs, sizes[0], spread_V, mean_V)]
            + [drawn(b.source.stop - b.source.start, b.target.stop - b.target.start, *spread)
               for b, spread in zip(blocks, spreads, strict=True)])
        layer = Memristors(device, dt_s)
        self.nominal_mu = coefficients(device, dt_s).mu
        #: Logarithms of what is trained.
        self.gates = nn.Parameter(torch.full((self.neurons,), float(np.log(layer.kg))),
                                  requires_grad=learn_gates)
        self.growths = nn.Parameter(torch.full((self.neurons,), float(np.log(layer.growth))))
        self.register_buffer("table", layer.h, persistent=False)
        self.limit = layer.limit
        self._steps = {noisy: Steps(layer, noisy, compiled) for noisy in (False, True)}

    @property
    def is_compiled(self) -> bool:
        return any(steps.is_compiled for steps in self._steps.values())

    def kg(self) -> Tensor:
        """``[neurons]``, on the core's grid."""
        low = _KG_MIN if self.gates.requires_grad else _KG
        return _on_grid(self.gates.exp().clamp(low, _KG_MAX), _KG)

    def growth(self) -> Tensor:
        """``[neurons]``, on the core's grid."""
        nominal = self.nominal_mu * _MU
        low, high = max(_MU, nominal / _GROWTH_RANGE), min(_MU_MAX, nominal * _GROWTH_RANGE)
        return _on_grid(self.growths.exp().clamp(low, high), _MU)

    def forward(self, x: Tensor, generator: torch.Generator | None = None,
                mismatch: Mismatch | None = None) -> Tensor:
        """Run from rest.

        Parameters
        ----------
        x : spikes of the inputs, ``[ticks, batch, inputs]``.
        generator : of the noise; without it, there is none.
        mismatch : how the devices differ; without it, they do not.

        Returns
        -------
        Spikes of all neurons, ``[ticks, batch, neurons]``.
        """
        kg, growth = self.kg(), self.growth()
        limit = torch.full_like(kg, self.limit)
        if mismatch is not None:
            factor, gap, rc = (torch.from_numpy(a).to(kg) for a in
                               (mismatch.growth, mismatch.gap, mismatch.rc))
            growth = _on_grid((growth * factor).clamp(0, _MU_MAX), _MU)
            limit = 1 + torch.round((self.limit - 1 + gap) / _THETA) * _THETA
            kg = _on_grid((1 - (1 - kg) ** (1 / rc)).clamp(_KG, _KG_MAX), _KG)
        first, *others = (quantise(w, self.scale_V) for w in self.weights)
        drive = nn.functional.pad(x @ first, (0, self.neurons - self.first.stop))
        spikes: Tensor = Unroll.apply(
            drive, kg, growth, limit, self.table, self._steps[generator is not None],
            self.blocks, generator, *others)
        return spikes

    @torch.no_grad()
    def network(self, labels: tuple[str, ...], metadata: dict[str, Any]) -> Network:
        """The same for a board: weights as int8, kg as control resistors, growth as mismatch.

        Parameters
        ----------
        labels : of each output neuron.
        """
        def int8(w: Tensor) -> Any:
            return torch.round(w / self.scale_V).clamp(-127, 127).to(torch.int8).cpu().numpy()

        first, *others = self.weights
        projections = [Projection("inputs", int8(first))]
        projections += [Projection("neurons", int8(w), b.source.start, b.target.start)
                        for b, w in zip(self.blocks, others, strict=True)]
        kg = self.kg().double().cpu().numpy()
        growth = np.round(self.growth().double().cpu().numpy() / _MU) / self.nominal_mu
        none = Mismatch.none(self.neurons)
        return Network(
            device=self.device, dt_s=self.dt_s, inputs=self.inputs, neurons=self.neurons,
            projections=tuple(projections), scale_V=self.scale_V,
            r_control_ohm=-self.dt_s / (self.device.c_gate_F * np.log1p(-kg)),
            mismatch=Mismatch(growth, none.gap, none.rc),
            outputs=np.arange(self.read.start, self.read.stop), labels=labels, metadata=metadata)
