"""Golden model of :mod:`ionspike.hdl.synapse`: fan-out rows and saturating accumulators."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ionspike.host.image import Image
from ionspike.host.narrow import unpack
from ionspike.spec import formats as fmt

__all__ = ["Fanout", "Row", "rows"]

_MAX = (1 << fmt.ACC_BITS - 1) - 1
_MIN = -_MAX - 1


class Row(NamedTuple):
    """A row of a source: its first word, first target group, groups, ticks, and whether it is of 4 bits."""

    base: int
    first: int
    length: int
    delay: int
    narrow: bool

    @property
    def words(self) -> int:
        return -(-self.length // 2) if self.narrow else self.length

    def weights(self, image: Image) -> NDArray[np.int8]:
        """``[length, lanes]``."""
        stored = image.weights[self.base:self.base + self.words]
        return unpack(stored, self.length) if self.narrow else stored


def rows(image: Image, source: int) -> list[Row]:
    """Of a source, in order."""
    found = []
    for entry in range(source, image.shape.sources):
        fields, word = {}, int(image.fanout[entry])
        for name, width in image.shape.descriptor_fields:
            fields[name], word = word & ((1 << width) - 1), word >> width
        if not fields["enable"]:
            break
        found.append(Row(fields["base"], fields["first"], fields["length"] + 1, fields["delay"],
                         bool(fields["narrow"])))
        if not fields["more"]:
            break
    return found


class Fanout:
    """The synapses of all trials.

    Every addition of a weight saturates at 16 bits. In trials where no order of a tick's additions
    can reach the limits, sums are taken at once; in others one row after the other, as the
    gateware does.

    Raises
    ------
    ValueError
        For a descriptor that leaves the core's groups or the image's weights.
    """

    def __init__(self, image: Image, trials: int):
        shape = image.shape
        self.slots, self.inputs, self.used = shape.delay_slots, shape.inputs, image.neurons
        self._rows: list[list[tuple[int, slice, NDArray[np.int32]]]] = []
        self._words = np.zeros(shape.sources, np.int64)
        # By delay: weights, and what they can add at most in either direction.
        dense: dict[int, NDArray[np.float32]] = {}
        for source in range(shape.sources):
            entry = []
            for row in rows(image, source):
                base, first, length, delay, _ = row
                if first + length > shape.groups or base + row.words > len(image.weights):
                    raise ValueError(f"fan-out of source {source}: words {base} to "
                                     f"{base + row.words - 1}, groups {first} to {first + length - 1} "
                                     f"leave the {len(image.weights)} words or "
                                     f"{shape.groups} groups")
                target = slice(first * shape.lanes, (first + length) * shape.lanes)
                weights = row.weights(image).ravel().astype(np.int32)
                entry.append((delay, target, weights))
                if delay not in dense:
                    dense[delay] = np.zeros((2, shape.sources, shape.neurons), np.float32)
                dense[delay][:, source, target] += weights, np.abs(weights)
                self._words[source] += length
            self._rows.append(entry)
        bound = sum((both[1].sum(axis=0) for both in dense.values()), np.zeros(shape.neurons))
        # Neurons that are not updated never empty their accumulators.
        self._bounded = bool((bound[:self.used] <= _MAX).all() and not bound[self.used:].any())
        # Without the sources and targets of no synapse. Sums in float are exact below 2**24.
        self._dense = {}
        for delay, both in sorted(dense.items()):
            if both.any():
                spans = _span(both[1].any(axis=1)), _span(both[1].any(axis=0))
                self._dense[delay] = *spans, *np.ascontiguousarray(both[:, *spans])
        self.accumulators = np.zeros((trials, self.slots, shape.neurons), np.int32)
        self.clear()

    def clear(self) -> None:
        self.accumulators[:] = 0
        self._unsaturable = self._bounded

    def adopt(self, accumulators: NDArray[np.int32]) -> None:
        """Go on from sums that other weights have made, ``[trials, slots, neurons]``."""
        self.accumulators[:] = accumulators
        # What bounds the sums of these weights says nothing of those.
        self._unsaturable = self._bounded and not accumulators.any()

    def add(self, inputs: NDArray[np.bool_], spikes: NDArray[np.bool_],
            tick: int) -> tuple[int, int]:
        """Add one tick's events; returns words added and lane additions clamped."""
        events = np.zeros((len(inputs), len(self._words)), bool)
        events[:, :self.inputs] = inputs
        events[:, self.inputs:self.inputs + spikes.shape[1]] = spikes
        counts = np.count_nonzero(events, axis=0)
        words = int(counts @ self._words)
        if not words:
            return 0, 0
        careful = np.zeros(len(events), bool)
        sums = []
        for delay, (source, target, weights, most) in self._dense.items():
            slot = self.accumulators[:, (tick + delay) % self.slots, target]
            fired = np.flatnonzero(counts[source])
            chosen = events[:, source]
            if 2 * len(fired) < len(weights):   # else choosing costs more than it saves
                chosen, weights, most = chosen[:, fired], weights[fired], most[fired]
            sums.append((slot, _product(chosen, weights)))
            if not self._unsaturable:
                careful |= (np.abs(slot) + _product(chosen, most) > _MAX).any(axis=1)
        if not careful.any():
            for slot, total in sums:
                slot += total.astype(np.int32)
            return words, 0
        for slot, total in sums:
            slot[~careful] += total[~careful].astype(np.int32)
        return words, self._add_in_order(np.flatnonzero(careful), events, tick)

    def _add_in_order(self, trials: NDArray[np.int64], events: NDArray[np.bool_],
                      tick: int) -> int:
        saturated = 0
        events = events[trials]
        for source in np.flatnonzero(events.any(axis=0)):
            chosen = trials[events[:, source]]
            for delay, target, weights in self._rows[source]:
                slot = (tick + delay) % self.slots
                total = self.accumulators[chosen, slot, target] + weights
                clipped = total.clip(_MIN, _MAX)
                self.accumulators[chosen, slot, target] = clipped
                saturated += int(np.count_nonzero(clipped != total))
        return saturated

    def take(self, tick: int) -> NDArray[np.int32]:
        """The drive of this tick, ``[trials, neurons used]``; its accumulators become zero."""
        slot = self.accumulators[:, tick % self.slots, :self.used]
        drive = slot.copy()
        slot[:] = 0
        return drive


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _product(chosen: NDArray[np.bool_], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """``chosen @ weights`` on one thread.

    These products are small: on two busy cores, BLAS threads that wait for each other took thirty
    times as long.
    """
    if len(chosen) == 1:    # limiting takes longer than this
        return weights[chosen[0]].sum(axis=0, keepdims=True)
    with _blas().limit(limits=1):
        return chosen.astype(np.float32) @ weights


def _span(used: NDArray[np.bool_]) -> slice:
    """From the first that is used to the last."""
    indices = np.flatnonzero(used)
    return slice(int(indices[0]), int(indices[-1]) + 1)
