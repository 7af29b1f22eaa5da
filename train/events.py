"""Labelled spike trains to learn from, and the batches made of them."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.frame import Frame
from ionspike.train.augmentation import Augmentation

__all__ = ["Events"]

#: A view: moved by no channel, at its own pace.
_PLAIN = (0, 1.0)


@dataclass(frozen=True)
class Events:
    """Labelled items, each a list of events.

    Parameters
    ----------
    name : of the data, for people.
    channels : how many there are.
    step_s : seconds per step of ``at``.
    at, channel : uint16 ``[events]``, when and where; those of item k are ``offset[k]`` up to
        ``offset[k + 1]``.
    offset : int64 ``[items + 1]``.
    labels : int64 ``[items]``, indices of ``classes``.
    classes : names.
    groups : int64 ``[items]``, what must not be in training and validation both, such as speakers.
    licence : of the data, with its source.
    """

    name: str
    channels: int
    step_s: float
    at: NDArray[np.uint16]
    channel: NDArray[np.uint16]
    offset: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: NDArray[np.int64] | None = None
    licence: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_raster(cls, name: str, raster: NDArray[np.bool_], step_s: float,
                  labels: NDArray[np.int64], classes: tuple[str, ...],
                  groups: NDArray[np.int64] | None = None, licence: str = "") -> "Events":
        """From bool ``[items, steps, channels]``."""
        item, at, channel = np.nonzero(raster)
        offset = np.concatenate([[0], np.cumsum(np.bincount(item, minlength=len(raster)))])
        return cls(name, raster.shape[2], step_s, at.astype(np.uint16), channel.astype(np.uint16),
                   offset.astype(np.int64), labels, classes, groups, licence)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is learnt from."""
        sha = hashlib.sha256(f"{self.channels} {self.step_s!r} {self.classes!r}".encode())
        for array in (self.at, self.channel, self.offset, self.labels, self.groups):
            if array is not None:
                sha.update(array.tobytes())
        return sha.hexdigest()

    def split(self, held_out: tuple[int, ...] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices for training and for validation.

        Parameters
        ----------
        held_out : groups for validation. Without any, a fifth of each class, chosen by a hash of
            the item's number, which is the same on every machine. None, for learning from all: nothing.
        """
        if held_out is None:
            return np.arange(len(self)), np.arange(0)
        if held_out:
            if self.groups is None:
                raise InputError(f"{self.name} has no groups, so none can be held out")
            if missing := sorted(set(held_out) - set(self.groups.tolist())):
                raise InputError(f"{self.name} has no group {missing[0]}; there are "
                                 f"{', '.join(map(str, np.unique(self.groups)))}")
            chosen = np.isin(self.groups, held_out)
        else:
            chosen = np.zeros(len(self), bool)
            for label in range(len(self.classes)):
                members = sorted(np.flatnonzero(self.labels == label).tolist(),
                                 key=lambda k: hashlib.sha256(f"{k}".encode()).digest())
                chosen[members[:round(len(members) / 5)]] = True
        training, validation = np.flatnonzero(~chosen), np.flatnonzero(chosen)
        if not len(training) or not len(validation):
            raise InputError(f"{self.name}: {len(training)} items to train on and "
                             f"{len(validation)} held out; both are needed")
        return training, validation

    def joined(self, other: "Events", held_out: tuple[int, ...] | None) -> tuple["Events", NDArray[np.int64]]:
        """All items of both, and the indices of those of the other that may be learnt from beside: whose group
        is not held out; with None, all.

        Raises
        ------
        InputError
            For others that cannot be among these, or that do not say of which group they are.
        """
        if (other.channels, other.step_s, other.classes) != (self.channels, self.step_s, self.classes):
            raise InputError(f"{len(other)} utterances of {other.channels} channels and {len(other.classes)} classes in steps "
                             f"of {other.step_s:g} s cannot be learnt beside {self.channels} channels and "
                             f"{len(self.classes)} classes in steps of {self.step_s:g} s")
        groups = None if self.groups is None or other.groups is None else np.concatenate([self.groups, other.groups])
        more = np.arange(len(self), len(self) + len(other))
        if held_out is not None:
            if groups is None or not held_out:
                raise InputError("what is learnt from beside could be of speakers that are not to be: both files "
                                 "have to name the speakers, and some of them have to be held out")
            more = more[~np.isin(groups[more], held_out)]
        if not len(more):
            raise InputError(f"all {len(other)} utterances beside are of groups that are held out")
        # Of a file that says nothing of it, its name.
        licences = dict.fromkeys(each.licence or f"{each.name}: not told" for each in (self, other))
        return replace(
            self, licence="; ".join(licences), at=np.concatenate([self.at, other.at]), channel=np.concatenate([self.channel, other.channel]),
            offset=np.concatenate([self.offset, other.offset[1:] + self.offset[-1]]),
            labels=np.concatenate([self.labels, other.labels]),
            groups=groups), more

    def inputs(self, frame: Frame) -> int:
        return frame.inputs(self.channels)

    def encode(self, chosen: NDArray[np.int64], frame: Frame, changed: Augmentation | None = None,
               rng: np.random.Generator | None = None, view: tuple[int, float] = _PLAIN) -> NDArray[np.bool_]:
        """Items as rasters ``[items, ticks, inputs]``.

        Parameters
        ----------
        changed, rng : by how much items are changed, and the generator that draws it.
        view : channels by which unchanged items are moved up, and how many times as fast they are heard.
        """
        item, at, group = self._placed(chosen, frame, changed, rng, view)
        raster = frame.filled(item, at, group, self.channels, len(chosen))
        return _heard(raster, changed, rng)

    def views(self, chosen: NDArray[np.int64], frame: Frame) -> NDArray[np.bool_]:
        """Items as they are, ``[views, items, ticks, inputs]``."""
        return np.stack([self.encode(chosen, frame, view=view) for view in frame.heard])

    def counted(self, chosen: NDArray[np.int64], frame: Frame, changed: Augmentation | None = None,
                rng: np.random.Generator | None = None) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """The same, and the events in each tick and group, ``[items, ticks, groups]``, of silent inputs
        too."""
        item, at, group = self._placed(chosen, frame, changed, rng)
        counts = frame.counted(item, at, group, self.channels, len(chosen))
        return _heard(frame.shown(counts), changed, rng), counts

    def _placed(self, chosen: NDArray[np.int64], frame: Frame, changed: Augmentation | None,
                rng: np.random.Generator | None, view: tuple[int, float] = _PLAIN) -> tuple[NDArray[np.int32], ...]:
        """Item, tick and group of each event."""
        items = len(chosen)
        lengths = self.offset[chosen + 1] - self.offset[chosen]
        item = np.repeat(np.arange(items, dtype=np.int32), lengths)
        first = np.cumsum(lengths) - lengths
        event = np.arange(len(item)) - np.repeat(first - self.offset[chosen], lengths)
        at, channel = self.at[event].astype(np.int32), self.channel[event].astype(np.int32)
        tick = np.arange(float(at.max(initial=0) + 1)) * (self.step_s / frame.bin_s)
        if changed is None or rng is None:
            groups = frame.groups_of(np.arange(self.channels) + view[0], self.channels)
            return item, frame.ticks_of(tick / view[1])[at], groups[channel]
        item, at, channel = changed.events(item, at, channel, self.labels[chosen], rng)
        kept = (at >= 0) & (at < len(tick))
        item, at, channel = item[kept], at[kept], channel[kept]
        ticks, channels = changed.moved(items, tick, np.arange(float(self.channels)), rng)
        return (item, frame.ticks_of(ticks)[item, at],
                frame.groups_of(channels, self.channels)[item, channel])

    def late(self, chosen: NDArray[np.int64], frame: Frame) -> int:
        """Events of these items that come after the last tick and are left out."""
        last = round(frame.ticks * frame.bin_s / self.step_s)
        return sum(int(np.count_nonzero(self.at[self.offset[k]:self.offset[k + 1]] >= last))
                   for k in chosen)


def _heard(raster: NDArray[np.bool_], changed: Augmentation | None,
           rng: np.random.Generator | None) -> NDArray[np.bool_]:
    if changed is None or rng is None or not changed.drop:
        return raster
    return raster & ~changed.silent(len(raster), raster.shape[2], rng)
