"""Events of many channels to the raster that a network's inputs get: in training, and on a board."""

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
    group : neighbouring channels that share an input, which fires where any of them does.

    Raises
    ------
    InputError
        For values of another kind, or out of range.
    """

    ticks: int
    bin_s: float
    group: int

    def __post_init__(self) -> None:
        for name, low, high, kinds in (("ticks", 1, 10_000, int), ("bin_s", 1e-6, 10.0, (int, float)),
                                       ("group", 1, 10_000, int)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                raise InputError(f"{name} must be {low:g} to {high:g}, not {shown(value)}")

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
        if not isinstance(said, dict) or not all(name in said for name in names):
            raise InputError("the network's metadata do not say how events become its inputs: 'frame' "
                             "of ticks, bin_s and group, as `ionspike train` writes it")
        try:
            return cls(*(said[name] for name in names))
        except InputError as error:
            raise InputError(f"the network's metadata: frame: {error}") from None

    def inputs(self, channels: int) -> int:
        """How many inputs these channels fill; those that fill none are left out."""
        return channels // self.group

    def rasters(self, tick: NDArray[np.floating[Any]], channel: NDArray[Any], channels: int, *,
                item: NDArray[np.int64] | int = 0, items: int = 1) -> NDArray[np.bool_]:
        """``[items, ticks, inputs]`` of events.

        Parameters
        ----------
        tick, channel : when and where, in ticks and channels, whole or not; those outside are left
            out.
        item : of each event.
        """
        return self.filled(item, self.ticks_of(tick), self.inputs_of(channel, channels), channels, items)

    def ticks_of(self, tick: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        """Whole ticks; ``ticks`` for those outside."""
        return _within(_whole(tick), self.ticks)

    def inputs_of(self, channel: NDArray[Any], channels: int) -> NDArray[np.int32]:
        """Inputs of channels, whole or not; their number for those that fill none."""
        return _within(np.floor(channel / self.group), self.inputs(channels))

    def filled(self, item: NDArray[Any] | int, at: NDArray[np.int32], place: NDArray[np.int32],
               channels: int, items: int) -> NDArray[np.bool_]:
        """``[items, ticks, inputs]`` of what :meth:`ticks_of` and :meth:`inputs_of` give."""
        raster = np.zeros((items, self.ticks + 1, self.inputs(channels) + 1), bool)
        raster.reshape(-1)[(np.asarray(item) * raster.shape[1] + at) * raster.shape[2] + place] = True
        return raster[:, :-1, :-1]

    def left_out(self, tick: NDArray[np.floating[Any]], channel: NDArray[Any],
                 channels: int) -> dict[str, int]:
        """Events ``after`` the last tick, and within it on channels that have no ``input``."""
        late = _whole(tick) >= self.ticks
        beyond = channel // self.group >= self.inputs(channels)
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
