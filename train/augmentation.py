"""Items as another speaker, another hand or another sensor might have made them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Augmentation"]

Numbers = NDArray[np.float64]
Indices = NDArray[np.int32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """By how much items are changed in training, each by an amount of its own, uniform up to this.

    Parameters
    ----------
    shift : channels up or down.
    stretch : of the channels about their middle, relative.
    time_stretch : of time, relative.
    late : ticks earlier or later.
    drop : share of the inputs that stay silent in an item.
    thin : share of the events that are left out.
    blend : share of the items that are mixed with another of their class in the batch: 30 to 70 %
        of the events of each, the other's moved in time so that the means agree. After Nowotny,
        Turner and Knight, Neuromorph. Comput. Eng. 5, 014001 (2025).
    """

    shift: float = 0.0
    stretch: float = 0.0
    time_stretch: float = 0.0
    late: float = 0.0
    drop: float = 0.0
    thin: float = 0.0
    blend: float = 0.0

    def events(self, item: Indices, at: Indices, channel: Indices, labels: Labels,
               rng: np.random.Generator) -> tuple[Indices, Indices, Indices]:
        """Which item, when and where of those events that are left or come from others.

        Parameters
        ----------
        item : the number, from 0, of each event's item, ascending.
        at, channel : of each event; a time may become negative.
        labels : of each item.
        """
        if self.blend:
            item, at, channel = self._blended(item, at, channel, labels, rng)
        if self.thin:
            least = rng.uniform(0, self.thin, len(labels)).astype(np.float32)
            kept = np.flatnonzero(rng.random(len(item), np.float32) >= least[item])
            item, at, channel = item[kept], at[kept], channel[kept]
        return item, at, channel

    def moved(self, items: int, tick: Numbers, channel: Numbers,
              rng: np.random.Generator) -> tuple[Numbers, Numbers]:
        """``[items, ticks]`` and ``[items, channels]``, where these are in each item."""
        def each(most: float) -> Numbers:
            return rng.uniform(-most, most, (items, 1))

        middle = (len(channel) - 1) / 2
        channel = (channel - middle) * (1 + each(self.stretch)) + middle
        channel = np.rint(channel + each(self.shift))
        return tick * (1 + each(self.time_stretch)) + each(self.late), channel

    def silent(self, items: int, inputs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """``[items, 1, inputs]``, which inputs stay silent."""
        return np.asarray(rng.random((items, 1, inputs)) < self.drop)

    def _blended(self, item: Indices, at: Indices, channel: Indices, labels: Labels,
                 rng: np.random.Generator) -> tuple[Indices, Indices, Indices]:
        items = len(labels)
        other = np.empty(items, np.int64)
        order = rng.permutation(items)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            other[members] = np.roll(members, 1)
        mixed = (rng.random(items) < self.blend) & (other != np.arange(items))
        share = np.where(mixed, rng.uniform(0.3, 0.7, items), 1.0).astype(np.float32)
        lengths = np.bincount(item, minlength=items)
        mean = np.bincount(item, at, items) / np.maximum(1, lengths)
        later = np.rint(mean - mean[other]).astype(np.int32)
        # The other's events, each item's in one piece.
        size = np.where(mixed, lengths[other], 0)
        first = np.cumsum(lengths) - lengths
        host = np.repeat(np.arange(items, dtype=np.int32), size)
        event = np.arange(len(host)) + np.repeat(first[other] - (np.cumsum(size) - size), size)
        own = np.flatnonzero(rng.random(len(item), np.float32) < share[item])
        theirs = np.flatnonzero(rng.random(len(host), np.float32) >= share[host])
        host, event = host[theirs], event[theirs]
        return (np.concatenate([item[own], host]), np.concatenate([at[own], at[event] + later[host]]),
                np.concatenate([channel[own], channel[event]]))
