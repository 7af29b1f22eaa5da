"""Spiking Heidelberg Digits: the HDF5 files of Cramer et al., and others laid out like them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import hdf5
from ionspike.host.errors import InputError
from ionspike.host.spikes import Spikes

__all__ = ["SHD", "STEP_S"]

#: What 16 bits hold of times up to a second, in which SHD has them.
STEP_S = 5e-4

_TIMES, _UNITS, _LABELS, _SPEAKERS = _NAMES = ("spikes/times", "spikes/units", "labels",
                                               "extra/speaker")
#: Several times the largest file of SHD and what reading that takes, on a busy machine too.
_LIMITS = hdf5.Limits(bytes=1 << 31, memory=1 << 33, cpu_s=120, wall_s=600, entries=1 << 20)


class SHD:
    """Utterances of an ``.h5`` or ``.h5.gz`` file: ``spikes/times`` in seconds, ``spikes/units``,
    ``labels``, and ``extra/speaker`` if it is there.

    Parameters
    ----------
    path : the file; needs h5py, which the extra ``audio`` brings.
    channels : of the spikes; units count from 0.

    Members
    -------
    times, units : of all spikes; those of utterance k are ``offset[k]`` up to ``offset[k + 1]``.
    offset : int64 ``[utterances + 1]``.
    labels, speakers : integers ``[utterances]``; speakers are -1 where the file does not say.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or is laid out otherwise.
    """

    def __init__(self, path: str | Path, channels: int = 700):
        self._path, self._channels = Path(path), channels
        self._tree = hdf5.read(path, _LIMITS, extra="audio", names=_NAMES)
        times, units = self._rows(_TIMES), self._rows(_UNITS)
        if len(units) != len(times):
            raise InputError(f"{path}: {len(times)} utterances in {_TIMES} but {len(units)} in "
                             f"{_UNITS}")
        if (uneven := np.flatnonzero(times.offset != units.offset)).size:
            k = int(uneven[0]) - 1
            raise InputError(f"{path}: utterance {k} has {np.diff(times.offset)[k]} times but "
                             f"{np.diff(units.offset)[k]} units")
        self.times, self.units, self.offset = times.values, units.values, times.offset
        self.labels = self._whole(_LABELS)
        self.speakers = np.full(len(self), -1) if self._at(_SPEAKERS) is None \
            else self._whole(_SPEAKERS)
        del self._tree

    def __len__(self) -> int:
        return len(self.offset) - 1

    def spikes(self, utterance: int, *, dt_s: float, ticks: int | None = None) -> Spikes:
        """Spikes of one utterance; ``merged`` counts those that share a tick and a channel."""
        if not 0 <= utterance < len(self):
            raise InputError(f"{self._path}: utterance {utterance} is out of range: there are "
                             f"{len(self)}, 0 to {len(self) - 1}")
        part = slice(self.offset[utterance], self.offset[utterance + 1])
        try:
            return Spikes.from_events(self.units[part], t_s=self.times[part],
                                      width=self._channels, dt_s=dt_s, ticks=ticks)
        except ValueError as error:
            raise InputError(f"{self._path}: utterance {utterance}: {error}") from error

    def _at(self, name: str) -> Any:
        found: Any = self._tree
        for part in name.split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _array(self, name: str) -> Any:
        found = self._at(name)
        if not isinstance(found, (np.ndarray, hdf5.Ragged)):
            raise InputError(f"{self._path}: has no array {name}; {_TIMES}, {_UNITS} and "
                             f"{_LABELS} are read")
        return found

    def _rows(self, name: str) -> hdf5.Ragged:
        found = self._array(name)
        if not isinstance(found, hdf5.Ragged):
            raise InputError(f"{self._path}: {name} has shape {list(found.shape)}, one list per "
                             f"utterance was expected")
        return found

    def _whole(self, name: str) -> NDArray[np.int64]:
        found = self._array(name)
        if isinstance(found, hdf5.Ragged):
            raise InputError(f"{self._path}: {name} holds lists, {len(self)} integers were expected")
        if found.dtype.kind not in "iu" or found.shape != (len(self),):
            raise InputError(f"{self._path}: {name} has {found.size} entries of {found.dtype}, "
                             f"{len(self)} integers were expected")
        return found.astype(np.int64)
