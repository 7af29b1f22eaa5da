"""Trains the network of ``ionspike demo`` on handwritten digits: ``python -m ionspike.train.digits``.

Training sees the training part, every choice is made on the validation part, and ``--test FILE``
afterwards says how the finished network does on the test part.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ionspike.host import digits
from ionspike.host.digits import CLASSES, Digits
from ionspike.host.encoders import rate
from ionspike.host.errors import InputError
from ionspike.host.network import Network, Projection
from ionspike.spec.device import Device
from ionspike.train.evaluate import accuracy
from ionspike.train.neuron import Memristors, quantise

__all__ = ["Settings", "load_model", "main", "train"]

#: Seeds of the bit-exact figures (image k takes the k-th from there on); the first one's is the
#: figure of tests and demo.
LFSR_SEEDS = tuple(range(0, 10_000, 1000))
_DRAWS = 4      # of the float model's noise, for a validation figure


@dataclass(frozen=True)
class Settings:
    """What was chosen on the validation part.

    Parameters
    ----------
    hidden : neurons between inputs and outputs.
    outputs : output neurons of each class.
    ticks, peak : of the encoder.
    r_control_ohm : control resistor of all neurons; the device is otherwise the preset's.
    scale : volts per weight unit, in 2**-19 V.
    rate : largest learning rate of a one-cycle schedule.
    shift : images are moved by up to so many pixels either way while training.
    spread_V, mean_V : of the weights before training.
    """

    hidden: int = 128
    outputs: int = 6
    ticks: int = 32
    peak: float = 1.0
    device: str = "zhao2025_ms"
    r_control_ohm: float = 30e6
    dt_s: float = 5e-4
    scale: int = 4096
    batch: int = 96
    rate: float = 0.012
    shift: float = 0.3
    spread_V: float = 0.2
    mean_V: float = 0.03

    @property
    def scale_V(self) -> float:
        return self.scale * 2.0**-19

    @property
    def memristor(self) -> Device:
        return Device.load(self.device).with_(r_control_ohm=self.r_control_ohm)


class Model(torch.nn.Module):
    """Inputs, hidden neurons, outputs; weights in volts."""

    def __init__(self, settings: Settings, inputs: int, generator: torch.Generator):
        super().__init__()
        self.settings = settings
        self.layer = Memristors(settings.memristor, settings.dt_s)
        sizes = (inputs, settings.hidden, CLASSES * settings.outputs)
        self.weights = torch.nn.ParameterList(
            torch.randn(shape, generator=generator) * settings.spread_V + settings.mean_V
            for shape in zip(sizes, sizes[1:], strict=False))

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Spikes ``[ticks, batch, inputs]`` to spike counts of the classes, ``[batch, classes]``."""
        for k, weights in enumerate(self.weights):
            if k:   # a neuron's spike arrives in the tick after its own
                x = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
            x = self.layer(x @ quantise(weights, self.settings.scale_V), generator)
        return x.sum(0).unflatten(-1, (CLASSES, self.settings.outputs)).sum(-1)

    def network(self, metadata: dict[str, Any]) -> Network:
        """The same for a board: weights as int8."""
        s = self.settings
        first, second = (torch.round(quantise(w, s.scale_V) / s.scale_V).to(torch.int8).numpy()
                         for w in self.weights)
        neurons = s.hidden + second.shape[1]
        return Network(
            device=s.memristor, dt_s=s.dt_s, inputs=len(first), neurons=neurons,
            projections=(Projection("inputs", first),
                         Projection("neurons", second, target_start=s.hidden)),
            scale_V=s.scale_V, outputs=np.arange(s.hidden, neurons),
            labels=tuple(str(k // s.outputs) for k in range(second.shape[1])),
            metadata={"encoder": {"name": "rate", "ticks": s.ticks, "options": {"peak": s.peak}},
                      **metadata})


def load_model(network: Network) -> Model:
    """The float model of a trained network: its weights, the layer's equations."""
    encoder, first, second = network.metadata["encoder"], *network.projections
    model = Model(Settings(
        hidden=first.weights.shape[1], outputs=second.weights.shape[1] // CLASSES,
        ticks=encoder["ticks"], peak=encoder["options"]["peak"], dt_s=network.dt_s, scale=network.scale,
    ), network.inputs, torch.Generator())
    model.layer = Memristors(network.device, network.dt_s)
    for weights, p in zip(model.weights, network.projections, strict=True):
        weights.data = torch.from_numpy(p.weights.astype(np.float32)) * network.scale_V
    return model


def _encoded(images: NDArray[np.uint8], settings: Settings) -> Tensor:
    raster = rate(images, settings.ticks, peak=settings.peak)
    return torch.from_numpy(raster.transpose(1, 0, 2).astype(np.float32))


def _moved(images: NDArray[np.uint8], most: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images moved by up to ``most`` pixels in either direction."""
    x = images.reshape(-1, 8, 8).astype(np.float64)
    for axis in (1, 2):
        by = rng.uniform(-most, most, (len(x), 1, 1))
        x += np.where(by > 0, by * (np.roll(x, 1, axis) - x), -by * (np.roll(x, -1, axis) - x))
    return np.rint(x).astype(np.uint8).reshape(-1, 64)


@torch.no_grad()
def float_accuracy(model: Model, images: NDArray[np.uint8], labels: NDArray[np.uint8],
                   generator: torch.Generator) -> tuple[float, float]:
    """Share of right answers and cross-entropy, over several draws of the noise."""
    x = _encoded(images, model.settings).repeat(1, _DRAWS, 1)
    y = torch.from_numpy(labels.astype(np.int64)).repeat(_DRAWS)
    counts = model(x, generator)
    return float((counts.argmax(-1) == y).float().mean()), float(_loss(model, counts, y))


def _loss(model: Model, counts: Tensor, labels: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(counts / math.sqrt(model.settings.outputs), labels)


def train(data: Digits, settings: Settings, seed: int, epochs: int,
          progress: Callable[[int, str], None] = lambda epoch, text: None) -> tuple[Model, int]:
    """Train; returns the epoch with the smallest validation loss, and its number."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    images, labels = data.part("train")
    model = Model(settings, images.shape[1], generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate)
    batches = -(-len(images) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate,
                                                   total_steps=batches * epochs)
    y = torch.from_numpy(labels.astype(np.int64))
    best = math.inf, 0, model.state_dict()
    for epoch in range(1, epochs + 1):
        x = _encoded(_moved(images, settings.shift, rng), settings)
        for chosen in torch.randperm(len(y), generator=generator).split(settings.batch):
            loss = _loss(model, model(x[:, chosen], generator), y[chosen])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        # Noise of its own, the same for every epoch: epochs differ by their weights alone.
        right, loss_now = float_accuracy(model, *data.part("validation"),
                                         torch.Generator().manual_seed(seed))
        if loss_now <= best[0]:
            best = loss_now, epoch, {k: v.clone() for k, v in model.state_dict().items()}
        progress(epoch, f"validation {right:.1%}, loss {loss_now:.3f}, best of epoch {best[1]}")
    model.load_state_dict(best[2])
    return model, best[1]


def _figures(network: Network, data: Digits, part: str) -> dict[str, Any]:
    images, labels = data.part(part)
    exact = [accuracy(network, images, labels, seed) for seed in LFSR_SEEDS]
    floating, _ = float_accuracy(load_model(network), images, labels,
                                 torch.Generator().manual_seed(0))
    return {"images": len(images), "float": round(floating, 6), "lfsr_seeds": list(LFSR_SEEDS),
            "bit_exact": [round(a, 6) for a in exact]}


def _say(part: str, figures: dict[str, Any]) -> str:
    exact = np.array(figures["bit_exact"])
    return (f"{part:10} {figures['images']:5} images   float {figures['float']:.2%}   bit-exact "
            f"{exact[0]:.2%} (seed {figures['lfsr_seeds'][0]}), mean {exact.mean():.2%}, "
            f"{exact.min():.2%} to {exact.max():.2%} over {len(exact)} seeds")


def _test(path: Path, data: Digits) -> None:
    network = Network.load(path)
    if network.metadata.get("data") != data.digest:
        raise InputError(f"{path}: was trained on other data or another split")
    figures = _figures(network, data, "test")
    network.metadata["accuracy"]["test"] = figures
    network.save(path)
    print(_say("test", figures))


def _train(path: Path, data: Digits, seed: int, epochs: int) -> None:
    began = time.monotonic()

    def progress(epoch: int, text: str) -> None:
        done = 30 * epoch // epochs
        print(f"\r[{'#' * done}{' ' * (30 - done)}] epoch {epoch} of {epochs}, "
              f"{time.monotonic() - began:.0f} s: {text} ", end="", file=sys.stderr, flush=True)

    settings = Settings()
    model, chosen = train(data, settings, seed, epochs, progress)
    print(file=sys.stderr)
    network = model.network({
        "title": "UCI handwritten digits, 8 x 8", "data": data.digest, "seed": seed,
        "command": f"python -m ionspike.train.digits --seed {seed} --epochs {epochs}",
        "epochs": epochs, "chosen_epoch": chosen, "settings": settings.__dict__,
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        "licence": "CC BY 4.0 (data: E. Alpaydin, C. Kaynak, UCI Machine Learning Repository)"})
    network.metadata["accuracy"] = {part: _figures(network, data, part)
                                    for part in ("train", "validation")}
    network.save(path)
    for part, figures in network.metadata["accuracy"].items():
        print(_say(part, figures))
    print(f"{path}: {network.inputs} inputs, {network.neurons} neurons, "
          f"{network.synapses:,} synapses, {settings.ticks} ticks, {path.stat().st_size:,} bytes")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ionspike.train.digits",
                                     description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and noise")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("-o", "--output", type=Path, default=Path("digits.ion"))
    parser.add_argument("--test", type=Path, metavar="FILE",
                        help="evaluate this trained network on the test part, and note it there")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)    # the layers are too small for more, and sums keep their order
    try:
        if options.test is not None:
            _test(options.test, digits.load())
        else:
            _train(options.output, digits.load(), options.seed, options.epochs)
    except (InputError, OSError) as error:
        print(f"train.digits: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
