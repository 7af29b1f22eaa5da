"""Trains a recurrent network on events."""

import math
from collections.abc import Callable
from pathlib import Path
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
from ionspike.train import checkpoint
from ionspike.train.events import Events
from ionspike.train.neuron import quantise
from ionspike.train.recurrent import Recurrent
from ionspike.train.settings import Settings

__all__ = ["Training", "accuracy", "train"]

Progress = Callable[[int, int], None]

#: Of an output spike in the loss, to begin with.
_WORTH = 0.5


class Training(nn.Module):
    """A network, the readout that is trained along, and how they learn.

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
            reach=settings.missing != "cascade", native=native)
        hidden = sum(settings.layers)
        self.readout = nn.Parameter(torch.randn(hidden, classes, generator=generator)
                                    / math.sqrt(max(1, hidden)))
        self.bias = nn.Parameter(torch.zeros(classes))
        #: Logarithm of what an output spike is worth in the loss.
        self.worth = nn.Parameter(torch.tensor(math.log(_WORTH)))

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
        raster = self.events.encode(chosen, s.frame, s.augmentation, rng)
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

    def loss(self, spikes: list[Tensor], labels: Tensor) -> Tensor:
        s = self.settings
        worth = self.worth.exp() / math.sqrt(s.outputs) if s.outputs else 2 / math.sqrt(s.ticks)
        loss = cross_entropy(self.scores(spikes) * worth, labels, label_smoothing=s.smoothing)
        if s.readout and s.outputs and s.layers:
            seen = torch.cat([z.sum(0) for z in spikes[:-1]], -1) * (2 / math.sqrt(s.ticks))
            loss = loss + s.readout * cross_entropy(seen @ self.readout + self.bias, labels,
                                                    label_smoothing=s.smoothing)
        return loss

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


def train(training: Training, chosen: NDArray[np.int64], epochs: int, *,
          progress: Progress = lambda done, total: None,
          said: Callable[[int, float], None] = lambda epoch, loss: None,
          keep: Path | None = None, resume: bool = False) -> list[float]:
    """Train on the chosen items; returns the mean loss of every epoch.

    Parameters
    ----------
    epochs : of the whole training; the learning rate depends on it.
    progress : called with batches done and batches in all.
    said : called with an epoch's number and loss.
    keep : where a checkpoint goes after every epoch.
    resume : whether to go on from it.

    Raises
    ------
    InputError
        For fewer items than a batch, or a checkpoint of another training.
    """
    s = training.settings
    batches = len(chosen) // s.batch
    if not batches:
        raise InputError(f"{len(chosen)} items to train on are less than a batch of {s.batch}; "
                         f"--set batch={len(chosen)} would do")
    # A kind of training: what goes on from a checkpoint has to be the same.
    kind = f"{sorted(s.to_json().items())} {training.seed} {epochs} {training.events.digest}"
    optimiser = torch.optim.Adam([p for p in training.parameters() if p.requires_grad], lr=s.rate)
    losses: list[float] = []
    if resume and keep is not None:
        losses = _resume(training, optimiser, keep, kind)
    labels = torch.from_numpy(training.events.labels)
    for epoch in range(len(losses), epochs):
        training.train()
        training.network.settle(epoch >= round(epochs * (1 - s.settle)))
        rng = np.random.default_rng([training.seed, epoch])
        order = rng.permutation(chosen)
        total = 0.0
        for batch in range(batches):
            step = epoch * batches + batch
            for group in optimiser.param_groups:
                group["lr"] = s.rate * _slope(step / (batches * epochs), s.warm_up)
            items = order[batch * s.batch:(batch + 1) * s.batch]
            spikes = training.spikes(items, rng, training.generator(epoch, batch))
            loss = training.loss(spikes, labels[items].to(training.device))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(training.parameters(), s.clip)
            optimiser.step()
            total += float(loss.detach())
            progress(step + 1, batches * epochs)
        losses.append(total / batches)
        if not math.isfinite(losses[-1]):
            raise InputError(f"the loss of epoch {epoch + 1} is not finite; a smaller rate than "
                             f"{s.rate:g} may help")
        said(epoch + 1, losses[-1])
        if keep is not None:
            checkpoint.save(keep, {"kind": kind, "losses": losses, "training": training.state_dict(),
                                   "optimiser": optimiser.state_dict()})
    return losses


def _resume(training: Training, optimiser: torch.optim.Optimizer, path: Path,
            kind: str) -> list[float]:
    content = checkpoint.load(path, str(training.device))
    if content.get("kind") != kind:
        raise InputError(f"{path}: is of other settings, seed, epochs or data")
    try:
        training.load_state_dict(content["training"])
        optimiser.load_state_dict(content["optimiser"])
        return [float(loss) for loss in content["losses"]]
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({str(error).splitlines()[0][:120]})") from None


def _slope(done: float, warm_up: float) -> float:
    """Share of the largest learning rate."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


@torch.no_grad()
def accuracy(training: Training, chosen: NDArray[np.int64], seed: int = 0) -> float:
    """Share of right answers of the float model, items and devices as they are, weights as a core
    has them."""
    training.eval()
    size, right = training.settings.batch, 0
    for start in range(0, len(chosen), size):
        items = chosen[start:start + size]
        # Batches of one size: another would be compiled anew.
        padded = np.resize(items, size)
        scores = training.scores(training.spikes(padded, None, training.generator(seed, start)))
        found = scores.argmax(-1)[:len(items)].cpu().numpy()
        right += int((found == training.events.labels[items]).sum())
    return right / len(chosen)
