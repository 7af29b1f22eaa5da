"""Items as another speaker, another hand or another sensor might have made them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Augmentation"]

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


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

    def events(self, item: Indices, tick: Numbers, channel: Numbers, labels: Indices, channels: int,
               rng: np.random.Generator) -> tuple[Indices, Numbers, Numbers]:
        """Which item, when and where of the changed events.

        Parameters
        ----------
        item : the number, from 0, of each event's item, ascending.
        tick, channel : of each event.
        labels : of each item.
        channels : how many there are.
        """
        items = len(labels)

        def each(most: float) -> Numbers:
            return rng.uniform(-most, most, items)[item]

        if self.blend:
            item, tick, channel = self._blended(item, tick, channel, labels, rng)
        if self.thin:
            kept = rng.random(len(item)) >= rng.uniform(0, self.thin, items)[item]
            item, tick, channel = item[kept], tick[kept], channel[kept]
        middle = (channels - 1) / 2
        channel = (channel - middle) * (1 + each(self.stretch)) + middle
        channel = np.rint(channel + each(self.shift))
        tick = tick * (1 + each(self.time_stretch))
        if self.late:
            tick = tick + each(self.late)
            kept = tick >= 0
            item, tick, channel = item[kept], tick[kept], channel[kept]
        return item, tick, channel

    def silent(self, items: int, inputs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """``[items, 1, inputs]``, which inputs stay silent."""
        return np.asarray(rng.random((items, 1, inputs)) < self.drop)

    def _blended(self, item: Indices, tick: Numbers, channel: Numbers, labels: Indices,
                 rng: np.random.Generator) -> tuple[Indices, Numbers, Numbers]:
        items = len(labels)
        other = np.empty(items, np.int64)
        order = rng.permutation(items)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            other[members] = np.roll(members, 1)
        mixed = (rng.random(items) < self.blend) & (other != np.arange(items))
        share = np.where(mixed, rng.uniform(0.3, 0.7, items), 1.0)
        lengths = np.bincount(item, minlength=items)
        mean = np.bincount(item, tick, items) / np.maximum(1, lengths)
        # The other's events, each item's in one piece.
        size = lengths[other]
        first = np.cumsum(lengths) - lengths
        host = np.repeat(np.arange(items), size)
        event = np.arange(len(host)) + np.repeat(first[other] - (np.cumsum(size) - size), size)
        own = rng.random(len(item)) < share[item]
        theirs = rng.random(len(host)) < (1 - share)[host]
        moved = tick[event] + (mean - mean[other])[host]
        return (np.concatenate([item[own], host[theirs]]), np.concatenate([tick[own], moved[theirs]]),
                np.concatenate([channel[own], channel[event][theirs]]))
