"""Events of many channels to the raster that a network's inputs get: in training, and on a board."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.network import Network
from ionspike.spec.strict_json import shown

__all__ = ["Frame", "with_bias"]


@dataclass(frozen=True)
class Frame:
    """How events become the inputs of a network.

    Parameters
    ----------
    ticks : length of an item; what comes later is left out.
    bin_s : seconds of the data that a tick shows.
    group : neighbouring channels that share inputs.
    first : channels below this have none.
    levels : a group has an input for each, which fires in ticks with at least so many events. Those of
        the first level come first, then those of the next.
    views : channels by which an item is moved up. Each is a run of its own, from rest, and the scores of all
        are added: a word that is spoken higher or lower sounds more alike then.
    paces : how many times as fast it is heard in each view; without any, as it is.

    Raises
    ------
    InputError
        For values of another kind, or out of range.
    """

    ticks: int
    bin_s: float
    group: int
    first: int = 0
    levels: tuple[int, ...] = (1,)
    views: tuple[int, ...] = (0,)
    paces: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("levels", "views", "paces"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, low, high, kinds in (("ticks", 1, 10_000, int), ("bin_s", 1e-6, 10.0, (int, float)),
                                       ("group", 1, 10_000, int), ("first", 0, 10_000, int)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                raise InputError(f"{name} must be {low:g} to {high:g}, not {shown(value)}")
        if not isinstance(self.levels, tuple) or not 1 <= len(self.levels) <= 16 or not all(
                type(level) is int and low < level <= 10_000
                for low, level in zip((0, *self.levels), self.levels, strict=False)):
            raise InputError(f"levels must be up to 16 ascending numbers of events, not "
                             f"{shown(self.levels)}")
        if not isinstance(self.views, tuple) or not 1 <= len(self.views) <= 16 \
                or not all(type(view) is int and abs(view) <= 10_000 for view in self.views):
            raise InputError(f"views must be up to 16 numbers of channels, not {shown(self.views)}")
        if not isinstance(self.paces, tuple) or len(self.paces) not in (0, len(self.views)) \
                or not all(type(pace) in (int, float) and 0.1 <= pace <= 10 for pace in self.paces):
            raise InputError(f"paces must be none or one of each view, {len(self.views)}, from 0.1 to 10, not "
                             f"{shown(self.paces)}")
        if len(set(self.heard)) < len(self.views):
            raise InputError(f"views must differ in their channels or paces, not {shown(self.views)}"
                             + (f" at {shown(self.paces)}" if self.paces else ""))

    @property
    def heard(self) -> tuple[tuple[int, float], ...]:
        """Channels and pace of each view."""
        return tuple(zip(self.views, self.paces or (1.0,) * len(self.views), strict=True))

    @classmethod
    def of(cls, network: Network) -> "Frame":
        """The frame of a network's training, from its metadata.

        Raises
        ------
        InputError
            For metadata without one, and for one that does not fit.
        """
        said = network.metadata.get("frame")
        names = [field.name for field in fields(cls)]
        if not isinstance(said, dict) or not all(name in said for name in names[:3]):
            raise InputError("the network's metadata do not say how events become its inputs: 'frame' "
                             "of ticks, bin_s and group, as `ionspike train` writes it")
        try:
            return cls(**{name: said[name] for name in names if name in said})
        except InputError as error:
            raise InputError(f"the network's metadata: frame: {error}") from None

    def groups(self, channels: int) -> int:
        """How many groups these channels fill; those that fill none are left out."""
        return max(0, channels - self.first) // self.group

    def inputs(self, channels: int) -> int:
        """How many inputs these channels have."""
        return self.groups(channels) * len(self.levels)

    def rasters(self, tick: NDArray[np.floating[Any]], channel: NDArray[Any], channels: int, *,
                item: NDArray[np.int64] | int = 0, items: int = 1) -> NDArray[np.bool_]:
        """``[views, items, ticks, inputs]`` of events.

        Parameters
        ----------
        tick, channel : when and where, in ticks and channels, whole or not; those outside are left
            out.
        item : of each event.
        """
        return np.stack([self.filled(item, self.ticks_of(tick / pace), self.groups_of(channel + view, channels),
                                     channels, items) for view, pace in self.heard])

    def ticks_of(self, tick: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        """Whole ticks; ``ticks`` for those outside."""
        return _within(_whole(tick), self.ticks)

    def groups_of(self, channel: NDArray[Any], channels: int) -> NDArray[np.int32]:
        """Groups of channels, whole or not; their number for those that fill none."""
        return _within(np.floor((channel - self.first) / self.group), self.groups(channels))

    def filled(self, item: NDArray[Any] | int, at: NDArray[np.int32], group: NDArray[np.int32],
               channels: int, items: int) -> NDArray[np.bool_]:
        """``[items, ticks, inputs]`` of what :meth:`ticks_of` and :meth:`groups_of` give."""
        if self.levels != (1,):
            return self.shown(self.counted(item, at, group, channels, items))
        place, shape = self._places(item, at, group, channels, items)
        raster = np.zeros(shape, bool)
        raster.reshape(-1)[place] = True
        return raster[:, :-1, :-1]

    def counted(self, item: NDArray[Any] | int, at: NDArray[np.int32], group: NDArray[np.int32],
                channels: int, items: int) -> NDArray[np.int64]:
        """``[items, ticks, groups]``, how many events there are, of what :meth:`filled` takes."""
        place, shape = self._places(item, at, group, channels, items)
        return np.bincount(place, minlength=math.prod(shape)).reshape(shape)[:, :-1, :-1]

    def shown(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``[items, ticks, inputs]`` of counts of events."""
        return np.concatenate([counts >= level for level in self.levels], axis=-1)

    def _places(self, item: NDArray[Any] | int, at: NDArray[np.int32], group: NDArray[np.int32],
                channels: int, items: int) -> tuple[NDArray[np.int64], tuple[int, int, int]]:
        """Where each event is in an array of this shape, whose last tick and group are for those outside."""
        shape = items, self.ticks + 1, self.groups(channels) + 1
        return (np.asarray(item, np.int64) * shape[1] + at) * shape[2] + group, shape

    def left_out(self, tick: NDArray[np.floating[Any]], channel: NDArray[Any],
                 channels: int) -> dict[str, int]:
        """Events ``after`` the last tick, and within it on channels that have no ``input``."""
        late = _whole(tick) >= self.ticks
        beyond = self.groups_of(channel, channels) == self.groups(channels)
        return {"after": int(np.count_nonzero(late)), "input": int(np.count_nonzero(beyond & ~late))}


def with_bias(network: Network, raster: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rasters ``[..., ticks, inputs]`` with the inputs that only a bias is for: the network's last
    ones, as many as ``bias`` in its metadata says, which fire in every tick.

    Raises
    ------
    InputError
        For a ``bias`` that is no number of inputs, or rasters that do not fit the others.
    """
    count = network.metadata.get("bias", 0)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < network.inputs:
        raise InputError(f"the network's metadata: bias must be 0 to {network.inputs - 1} of its "
                         f"inputs, not {shown(count)}")
    if raster.shape[-1] != network.inputs - count:
        raise InputError(f"events fill {raster.shape[-1]} inputs, the network has {network.inputs}"
                         + (f", {count} of them for a bias" if count else ""))
    return np.concatenate([raster, np.ones((*raster.shape[:-1], count), bool)], axis=-1)


def _whole(tick: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    # A millionth of a tick, so that a step that begins with a tick is not the tick before.
    return np.floor(tick + 1e-6).astype(np.int64)


def _within(index: NDArray[Any], count: int) -> NDArray[np.int32]:
    return np.where((index >= 0) & (index < count), index, count).astype(np.int32)
