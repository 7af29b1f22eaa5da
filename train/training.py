"""A network that is being trained, and what it learns by."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ionspike.host.errors import InputError
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network
from ionspike.spec import formats as fmt
from ionspike.train.events import Events
from ionspike.train.neuron import quantise
from ionspike.train.recurrent import Recurrent
from ionspike.train.settings import Settings
from ionspike.train.teacher import Teacher, apart

__all__ = ["Training", "accuracy", "teacher_accuracy"]

#: Of an output spike in the loss, to begin with.
_WORTH = 0.5


class Training(nn.Module):
    """A network, the readout that is trained along, the teacher if there is one, and how they learn.

    Everything random in an epoch comes from the seed and the epoch's number, so a training that
    goes on from a checkpoint is the training that was never interrupted.
    """

    def __init__(self, settings: Settings, events: Events, seed: int, native: bool = True):
        super().__init__()
        seed %= 1 << 64
        generator = torch.Generator().manual_seed(seed)
        classes = len(events.classes)
        self.settings, self.events, self.seed, self.classes = settings, events, seed, classes
        if not (inputs := events.inputs(settings.frame)):
            raise InputError(f"group = {settings.group} channels of {events.channels} leaves no input")
        self.network = Recurrent(
            settings.memristor, settings.dt_s, inputs, settings.layers, classes * settings.outputs,
            growth=settings.growth, scale_V=settings.scale_V, gain_V=settings.gain_V,
            bias_V=settings.bias_V, recurrent_V=settings.recurrent_V, dropout=settings.dropout,
            generator=generator, learn_gates=settings.missing != "refractory",
            reach=settings.missing != "cascade", delay=settings.delay, native=native, bits=settings.bits)
        hidden = sum(settings.layers)
        self.readout = nn.Parameter(torch.randn(hidden, classes, generator=generator)
                                    / math.sqrt(max(1, hidden)))
        self.bias = nn.Parameter(torch.zeros(classes))
        #: Logarithm of what an output spike is worth in the loss.
        self.worth = nn.Parameter(torch.tensor(math.log(_WORTH)))
        self.teacher = Teacher(settings.frame.groups(events.channels), classes, seed) \
            if settings.teacher else None

    @property
    def device(self) -> torch.device:
        return self.bias.device

    @property
    def labels(self) -> tuple[str, ...]:
        """Of each output neuron, or where the hidden ones vote of each class."""
        return tuple(name for name in self.events.classes for _ in range(self.settings.outputs or 1))

    def votes(self) -> tuple[Tensor, float] | None:
        """``[neurons, classes]``, multiples of a step that fit int8, and the step; None where there are
        outputs."""
        if self.settings.outputs:
            return None
        step = max(float(self.readout.detach().abs().max()), 1e-6) / fmt.WEIGHT_MAX
        return quantise(self.readout, step), step

    def spikes(self, chosen: NDArray[np.int64], rng: np.random.Generator | None,
               generator: torch.Generator | None) -> list[Tensor]:
        """Spikes of each layer, ``[ticks, items, neurons]``; with ``rng``, of changed items and devices, and with
        drop-out."""
        s = self.settings
        return self._spikes(self.events.encode(chosen, s.frame, s.augmentation, rng), rng, generator)

    def _spikes(self, raster: NDArray[np.bool_], rng: np.random.Generator | None,
                generator: torch.Generator | None) -> list[Tensor]:
        s = self.settings
        x = torch.from_numpy(raster.transpose(1, 0, 2).astype(np.float32)).to(self.device)
        mismatch = dropped = None
        if rng is not None and s.dropout:
            dropped = torch.Generator(self.device).manual_seed(int(rng.integers(1 << 62)))
        if rng is not None and (s.spread_growth or s.spread_rc or s.spread_gap):
            mismatch = Mismatch.draw(self.network.neurons, seed=int(rng.integers(1 << 31)),
                                     growth=s.spread_growth, rc=s.spread_rc, gap=s.spread_gap)
        return self.network.of_layers(x, generator, mismatch, dropped)

    def scores(self, spikes: list[Tensor]) -> Tensor:
        """Output spikes of the classes, or what the hidden neurons' spikes vote, ``[items, classes]``."""
        if (votes := self.votes()) is not None:
            return torch.cat([z.sum(0) for z in spikes], -1) @ votes[0]
        return spikes[-1].sum(0).unflatten(-1, (self.classes, self.settings.outputs)).sum(-1)

    def loss(self, chosen: NDArray[np.int64], rng: np.random.Generator,
             generator: torch.Generator | None) -> Tensor:
        """Of changed items: from their labels, or from what the teacher makes of the same events."""
        s = self.settings
        if self.teacher is None:
            spikes, taught = self.spikes(chosen, rng, generator), None
        else:
            raster, counts = self.events.counted(chosen, s.frame, s.augmentation, rng)
            spikes = self._spikes(raster, rng, generator)
            with torch.no_grad():
                taught = self.teacher.eval()(self.teacher_input(counts))
        worth = self.worth.exp() / math.sqrt(s.outputs) if s.outputs else 2 / math.sqrt(s.ticks)
        loss = self._cost(self.scores(spikes) * worth, chosen, taught)
        if s.readout and s.outputs and s.layers:
            seen = torch.cat([z.sum(0) for z in spikes[:-1]], -1) * (2 / math.sqrt(s.ticks))
            loss = loss + s.readout * self._cost(seen @ self.readout + self.bias, chosen, taught)
        return loss

    def teacher_loss(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        assert self.teacher is not None
        _, counts = self.events.counted(chosen, self.settings.frame, self.settings.augmentation, rng)
        return self._cost(self.teacher(self.teacher_input(counts), int(rng.integers(1 << 62))), chosen, None)

    def teacher_input(self, counts: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(counts.astype(np.float32)).to(self.device)

    def _cost(self, scores: Tensor, chosen: NDArray[np.int64], taught: Tensor | None) -> Tensor:
        if taught is not None:
            return apart(scores, taught)
        labels = torch.from_numpy(self.events.labels[chosen]).to(self.device)
        return cross_entropy(scores, labels, label_smoothing=self.settings.smoothing)

    @torch.no_grad()
    def made(self, metadata: dict[str, Any]) -> Network:
        """The network for a board."""
        if (votes := self.votes()) is None:
            return self.network.network(self.labels, metadata)
        whole = torch.round(votes[0] / votes[1]).to(torch.int8).cpu().numpy()
        return self.network.network(self.labels, metadata, whole)

    def generator(self, *words: int) -> torch.Generator | None:
        """Of the noise, from the seed and these numbers; none where the device has none."""
        device = self.network.device
        if not device.sigma1 and not device.residue_noise:
            return None
        drawn = np.random.default_rng([self.seed, *words]).integers(1 << 62)
        return torch.Generator(self.device).manual_seed(int(drawn))


@torch.no_grad()
def accuracy(training: Training, chosen: NDArray[np.int64], seed: int = 0) -> float:
    """Share of right answers of the float model, items and devices as they are, weights as a core
    has them; by the scores of all views."""
    training.eval()
    size, right = training.settings.batch, 0
    for start in range(0, len(chosen), size):
        items = chosen[start:start + size]
        # Batches of one size: another would be compiled anew.
        padded = np.resize(items, size)
        scores = sum(training.scores(training._spikes(raster, None, training.generator(seed, start, view)))
                     for view, raster in enumerate(training.events.views(padded, training.settings.frame)))
        assert isinstance(scores, Tensor)
        found = scores.argmax(-1)[:len(items)].cpu().numpy()
        right += int((found == training.events.labels[items]).sum())
    return right / len(chosen)


@torch.no_grad()
def teacher_accuracy(training: Training, chosen: NDArray[np.int64]) -> float:
    """Share of right answers of the teacher, items as they are."""
    assert training.teacher is not None
    teacher, size, right = training.teacher.eval(), training.settings.batch, 0
    for start in range(0, len(chosen), size):
        items = chosen[start:start + size]
        _, counts = training.events.counted(items, training.settings.frame)
        found = teacher(training.teacher_input(counts)).argmax(-1).cpu().numpy()
        right += int((found == training.events.labels[items]).sum())
    return right / len(chosen)
