"""Golden model of the core: every spike, state word and LFSR word, in NumPy integers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ionspike.host.image import Image
from ionspike.sim.digest import digest
from ionspike.sim.lfsr import LFSR
from ionspike.sim.neuron import Neuron, State
from ionspike.sim.synapse import Fanout

__all__ = ["Model"]


class Model:
    """A core loaded with an image; independent trials side by side.

    A tick t: external events in ascending order, then the spikes of tick t - 1 in ascending order,
    add their weights to the accumulators of slot ``(t + delay) mod delay_slots``; then every
    neuron is updated from slot ``t mod delay_slots``, which is left at zero.

    Parameters
    ----------
    image : what the core is loaded with.
    seeds : one 64-bit LFSR state per trial.
    """

    def __init__(self, image: Image, seeds: Sequence[int] | NDArray[np.uint64]):
        self.image = image
        self.trials = len(seeds)
        self._generator = LFSR(np.array(seeds, np.uint64))
        self._neuron = Neuron(image.registers, image.coefficients, image.feedback, image.noise)
        self.fanout = Fanout(image, self.trials)
        self.counters = {"saturated": 0, "words": 0}
        self.clear()

    def clear(self, state: bool = True, counters: bool = False) -> None:
        """What the command CLEAR does; then the image's initial state is loaded."""
        if state:
            words = np.broadcast_to(self.image.state, (self.trials, *self.image.state.shape))
            self._state = State.from_words(words)
            self._spikes = np.zeros((self.trials, self.image.neurons), bool)
            self.fanout.clear()
            self.tick = 0
        if counters:
            self.counters = dict.fromkeys(self.counters, 0)

    @property
    def lfsr(self) -> NDArray[np.uint64]:
        """uint64 ``[trials]``."""
        return self._generator.state

    @lfsr.setter
    def lfsr(self, states: NDArray[np.uint64]) -> None:
        self._generator.state = np.asarray(states, np.uint64)

    @property
    def state(self) -> NDArray[np.uint16]:
        """uint16 ``[trials, neurons, 3]``, see ``wire.STATE``."""
        return self._state.words()

    @state.setter
    def state(self, words: NDArray[np.uint16]) -> None:
        self._state = State.from_words(words)

    @property
    def accumulators(self) -> NDArray[np.int16]:
        """int16 ``[trials, slots, all neurons of the core]``."""
        return self.fanout.accumulators.astype(np.int16)

    @property
    def digest(self) -> NDArray[np.uint32]:
        """uint32 ``[trials]``: digest of the state as it is."""
        return digest(self.state)

    def step(self, inputs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Run one tick: bool ``[trials, inputs]`` in, bool ``[trials, neurons]`` out."""
        words, saturated = self.fanout.add(inputs, self._spikes, self.tick)
        self.counters["words"] += words
        self.counters["saturated"] += saturated
        acc = self.fanout.take(self.tick)
        self._spikes = self._neuron.step(self._state, acc, self._generator.take(acc.shape[1]))
        self.tick += 1
        return self._spikes

    def run(self, raster: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Run bool ``[trials, T, inputs]``; returns spikes ``[trials, T, neurons]``."""
        return np.stack([self.step(raster[:, t]) for t in range(raster.shape[1])], axis=1)
