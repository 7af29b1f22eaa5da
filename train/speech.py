"""Spoken digits as spikes of a cochlea: SHD-like data."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.cochlea import CHANNELS
from ionspike.host.errors import InputError
from ionspike.host.shd import SHD, STEP_S
from ionspike.host.utterances import MOST_LICENCE
from ionspike.train.arrays import read, whole_numbers
from ionspike.train.events import Events

__all__ = ["FILES", "HELD_OUT", "load"]

#: Where the spikes may lie in the folder of the data; the first that is there is read.
FILES = ("hd_spikes_train.npz", "shd_train.h5", "shd_train.h5.gz")
#: Speakers that are not trained on.
HELD_OUT = (1, 9)
_CLASSES = 20
_TITLE = "SHD-like digits"
_LICENCE = "CC BY 4.0 (data: Cramer et al., Heidelberg Digits, doi 10.1109/TNNLS.2020.3044364)"
_NAMES = tuple(str(k) for k in range(_CLASSES))
_LAST = (1 << 16) - 1


def load(path: Path) -> Events:
    """Items of an ``.npz``, or of an ``.h5`` or ``.h5.gz`` file laid out like SHD's.

    In HDF5: ``spikes/times`` in seconds and ``spikes/units``, a list for each item, ``labels``, and
    ``extra/speaker``, which may be missing. In NumPy's arrays:

    ===================  ===================================================================
    counts               uint16 [items, channels], spikes of each channel
    delta_lo, delta_hi   uint8 [spikes], steps since the channel's spike before, or since the
                         beginning: ``delta_lo + 256 delta_hi``; sorted by item, channel, time
    offset               int64 [items + 1], where each item begins
    label, speaker       [items]
    tick_s               seconds per step
    licence              of the recordings and whose they are, one line of text; may be missing
    ===================  ===================================================================

    Files of other names than :data:`FILES` are not taken for the Heidelberg Digits: their title is their name, and
    their licence what they say of it.

    Raises
    ------
    InputError
        For a file that cannot be read, or laid out otherwise.
    """
    return _hdf5(path) if path.suffix in (".h5", ".hdf5", ".gz") else _arrays(path)


def _arrays(path: Path) -> Events:
    arrays = read(path, ("counts", "delta_lo", "delta_hi", "offset", "label", "speaker", "tick_s"))
    counts, offset, tick_s = (arrays[name] for name in ("counts", "offset", "tick_s"))
    low, high = arrays["delta_lo"], arrays["delta_hi"]
    items = len(counts) if counts.ndim == 2 else 0
    if not items or counts.dtype.kind != "u" or low.dtype != np.uint8 or high.dtype != np.uint8 \
            or low.ndim != 1 or low.shape != high.shape or offset.dtype.kind not in "iu" \
            or tick_s.shape or tick_s.dtype.kind != "f" or not 0 < tick_s < np.inf:
        raise InputError(f"{path}: not in the layout of {FILES[0]}: counts [items, channels], "
                         f"delta_lo and delta_hi uint8 [spikes], tick_s one number")
    sums = counts.sum(axis=1, dtype=np.int64)
    if offset.shape != (items + 1,) or offset[0] != 0 or offset[-1] != len(low) \
            or not np.array_equal(np.diff(offset.astype(np.int64)), sums):
        raise InputError(f"{path}: offset does not fit counts and the {len(low)} spikes")
    channel = np.concatenate([np.repeat(np.arange(counts.shape[1], dtype=np.uint16), row)
                              for row in counts])
    return _events(path, counts.shape[1], float(tick_s), _times(counts, low, high, offset), channel,
                   offset, whole_numbers(path, "label", arrays["label"], items),
                   whole_numbers(path, "speaker", arrays["speaker"], items), _licence(path, arrays.get("licence")))


def _licence(path: Path, said: NDArray[Any] | None) -> str:
    if said is None:
        return ""
    if said.shape or said.dtype.kind != "U" or len(text := str(said)) > MOST_LICENCE or not text.isprintable():
        raise InputError(f"{path}: licence must be one line of up to {MOST_LICENCE} characters")
    return text


def _hdf5(path: Path) -> Events:
    data = SHD(path, CHANNELS)
    items = len(data)
    if not items:
        raise InputError(f"{path}: holds no utterances")
    at, channel = np.empty(len(data.times), np.uint16), np.empty(len(data.times), np.uint16)
    for k, (start, stop) in enumerate(pairwise(data.offset)):
        step = np.rint(data.times[start:stop].astype(np.float64) / STEP_S)
        unit = data.units[start:stop]
        late = ~((step >= 0) & (step <= _LAST))
        off = ~((unit >= 0) & (unit < CHANNELS) & (unit % 1 == 0))
        if late.any():
            raise InputError(f"{path}: utterance {k} has a spike at {step[late][0] * STEP_S:g} s; "
                             f"0 to {_LAST * STEP_S:g} s are read")
        if off.any():
            raise InputError(f"{path}: utterance {k} has unit {unit[off][0]:g}; there are "
                             f"{CHANNELS}, 0 to {CHANNELS - 1}")
        order = np.lexsort((step, unit))
        at[start:stop], channel[start:stop] = step[order], unit[order]
    speakers = whole_numbers(path, "extra/speaker", data.speakers, items) \
        if (data.speakers >= 0).any() else None
    return _events(path, CHANNELS, STEP_S, at, channel, data.offset,
                   whole_numbers(path, "labels", data.labels, items), speakers)


def _events(path: Path, channels: int, step_s: float, at: NDArray[np.uint16],
            channel: NDArray[np.uint16], offset: NDArray[Any], labels: NDArray[np.int64],
            speakers: NDArray[np.int64] | None, licence: str = "") -> Events:
    if labels.max() >= _CLASSES:
        raise InputError(f"{path}: label {labels.max()}; there are {_CLASSES} classes, 0 to 19")
    known = path.name in FILES
    return Events(
        _TITLE if known else path.name.split(".")[0], channels, step_s, at, channel, offset.astype(np.int64), labels,
        _NAMES, speakers, licence or (_LICENCE if known else ""))


def _times(counts: NDArray[np.uint16], low: NDArray[np.uint8], high: NDArray[np.uint8],
           offset: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Sums of the differences within each channel; modulo 2^16, which the layout cannot exceed."""
    at = np.empty(len(low), np.uint16)
    for row, start, stop in zip(counts, offset, offset[1:], strict=False):
        steps = low[start:stop].astype(np.uint32) + 256 * high[start:stop].astype(np.uint32)
        total = np.concatenate([[0], np.cumsum(steps, dtype=np.uint32)])
        before = np.cumsum(row, dtype=np.int64) - row
        at[start:stop] = total[1:] - np.repeat(total[before], row)
    return at
