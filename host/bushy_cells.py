"""Bushy cells: many nerve fibres of one place to the spikes that leave the encoder.

A leaky integrate-and-fire neuron per channel. Its fibres' spikes, Poisson in number, raise a synaptic
current by ``weight`` each; per second

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
    weight: float = 0.27            # fitted
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
        self._step = 0

    def feed(self, rate_per_s: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(step, channel)`` of every spike for rates ``[steps, channels]``; steps count on."""
        b, dt_s = self._b, self._dt_s
        drive = self._rng.poisson(np.maximum(rate_per_s, 0) * (b.fibres * dt_s)).astype(np.float32)
        drive *= np.float32(b.weight)
        fades = np.float32(np.exp(-dt_s / b.tau_synapse_s))
        leaks = np.float32(np.exp(-dt_s / b.tau_membrane_s))
        rest = max(1, round(b.refractory_s / dt_s))
        v, i, ready = self._v, self._i, self._ready
        steps, channels = [], []
        for step, added in enumerate(drive, self._step):
            i = i * fades + added
            v = v * leaks + (1 - leaks) * i
            v[ready > step] = 0
            fired = np.flatnonzero(v >= 1)
            if len(fired):
                v[fired] = 0
                ready[fired] = step + rest
                steps.append(np.full(len(fired), step, np.int64))
                channels.append(fired)
        self._v, self._i, self._step = v, i, self._step + len(drive)
        none = [np.zeros(0, np.int64)]
        return np.concatenate(none + steps), np.concatenate(none + channels)
