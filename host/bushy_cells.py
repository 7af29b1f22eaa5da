"""Bushy cells: many nerve fibres of one place to the spikes that leave the encoder.

A leaky integrate-and-fire neuron per channel. Its fibres spike at random, none twice within the refractory
period, and raise a synaptic current by ``weight`` each; per second

    di = -i / tau_synapse,    dv = (i - v) / tau_membrane,

a spike where ``v`` reaches 1, then ``v = 0`` for the refractory period.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bushy", "BushyCells"]


@dataclass(frozen=True)
class Bushy:
    fibres: int = 40
    weight: float = 0.347           # 0.325 in steps of 1 / 24 ms; fitted for those of 1 / 6 ms
    tau_membrane_s: float = 1e-3
    tau_synapse_s: float = 5e-4
    refractory_s: float = 1e-3


class BushyCells:
    """``channels`` cells at rest; equal seeds draw equal spikes of the fibres."""

    def __init__(self, bushy: Bushy, channels: int, dt_s: float, seed: int):
        self._b, self._dt_s = bushy, dt_s
        self._rng = np.random.default_rng(seed)
        self._v, self._i = np.zeros((2, channels), np.float32)
        self._ready = np.zeros(channels, np.int64)
        self._rest = max(1, round(bushy.refractory_s / dt_s))
        #: Fibres that may spike, and those that did in each of the steps before.
        self._free = np.full(channels, bushy.fibres)
        self._spent = np.zeros((self._rest, channels), np.int64)
        self._step = 0

    def feed(self, rate_per_s: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(step, channel)`` of every spike for rates ``[steps, channels]``; steps count on."""
        b, dt_s = self._b, self._dt_s
        chance = -np.expm1(np.maximum(rate_per_s, 0) * np.float32(-dt_s))
        fades = np.float32(np.exp(-dt_s / b.tau_synapse_s))
        leaks = np.float32(np.exp(-dt_s / b.tau_membrane_s))
        # What a current at the beginning of a step makes of v until its end.
        joins = np.float32((leaks - fades) / (b.tau_membrane_s / b.tau_synapse_s - 1))
        rest = self._rest
        v, i, ready = self._v, self._i, self._ready
        steps, channels = [], []
        for step, each in enumerate(chance, self._step):
            spent = self._spent[step % rest]
            self._free += spent
            spent[:] = self._rng.binomial(self._free, each)
            self._free -= spent
            i = i * fades + spent * np.float32(b.weight)
            v = v * leaks + joins * i
            v[ready > step] = 0
            fired = np.flatnonzero(v >= 1)
            if len(fired):
                v[fired] = 0
                ready[fired] = step + rest
                steps.append(np.full(len(fired), step, np.int64))
                channels.append(fired)
        self._v, self._i, self._step = v, i, self._step + len(chance)
        none = [np.zeros(0, np.int64)]
        return np.concatenate(none + steps), np.concatenate(none + channels)
