"""Bit-exact accuracy of a network, on the golden model; needs no torch."""

import numpy as np
from numpy.typing import NDArray

from ionspike.host.compiler import compile
from ionspike.host.demo import encode
from ionspike.host.network import Network
from ionspike.host.seeds import lfsr_state
from ionspike.sim.model import Model
from ionspike.spec.shape import DEFAULT_SHAPE

__all__ = ["accuracy", "answers"]


def answers(network: Network, images: NDArray[np.uint8], seed: int) -> NDArray[np.int64]:
    """The class each image ``[images, pixels]`` is read as.

    Image k runs from rest with the seed ``seed + k``. As for ``Result.answer``, the class whose
    outputs fired most wins, the first of several.
    """
    compiled = compile(network, DEFAULT_SHAPE)
    raster = compiled.to_board(np.stack([item.raster for item in encode(network, images)]))
    model = Model(compiled.image, [lfsr_state(seed + k) for k in range(len(images))])
    spikes = model.run(raster)[..., compiled.neuron_slots[network.outputs]]
    classes = list(dict.fromkeys(network.labels))
    member = np.array([[label == name for name in classes] for label in network.labels])
    return np.argmax(np.count_nonzero(spikes, axis=1) @ member, axis=-1)


def accuracy(network: Network, images: NDArray[np.uint8], labels: NDArray[np.uint8],
             seed: int) -> float:
    """Share of right answers."""
    return float(np.mean(answers(network, images, seed) == labels))
