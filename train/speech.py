"""Spoken digits as spikes of a cochlea, in the layout of ``hd_spikes_train.npz``: SHD-like data."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.train.arrays import read, whole_numbers
from ionspike.train.events import Events

__all__ = ["FILE", "HELD_OUT", "load"]

FILE = "hd_spikes_train.npz"
#: Speakers that are not trained on.
HELD_OUT = (1, 9)
_CLASSES = 20
_NAMES = tuple(str(k) for k in range(_CLASSES))


def load(path: Path) -> Events:
    """Items in this layout.

    ===================  ===================================================================
    counts               uint16 [items, channels], spikes of each channel
    delta_lo, delta_hi   uint8 [spikes], steps since the channel's spike before, or since the
                         beginning: ``delta_lo + 256 delta_hi``; sorted by item, channel, time
    offset               int64 [items + 1], where each item begins
    label, speaker       [items]
    tick_s               seconds per step
    ===================  ===================================================================
    """
    arrays = read(path, ("counts", "delta_lo", "delta_hi", "offset", "label", "speaker", "tick_s"))
    counts, offset, tick_s = (arrays[name] for name in ("counts", "offset", "tick_s"))
    low, high = arrays["delta_lo"], arrays["delta_hi"]
    items = len(counts) if counts.ndim == 2 else 0
    if not items or counts.dtype.kind != "u" or low.dtype != np.uint8 or high.dtype != np.uint8 \
            or low.ndim != 1 or low.shape != high.shape or offset.dtype.kind not in "iu" \
            or tick_s.shape or tick_s.dtype.kind != "f" or not 0 < tick_s < np.inf:
        raise InputError(f"{path}: not in the layout of {FILE}: counts [items, channels], "
                         f"delta_lo and delta_hi uint8 [spikes], tick_s one number")
    sums = counts.sum(axis=1, dtype=np.int64)
    if offset.shape != (items + 1,) or offset[0] != 0 or offset[-1] != len(low) \
            or not np.array_equal(np.diff(offset.astype(np.int64)), sums):
        raise InputError(f"{path}: offset does not fit counts and the {len(low)} spikes")
    labels = whole_numbers(path, "label", arrays["label"], items)
    if labels.max() >= _CLASSES:
        raise InputError(f"{path}: label {labels.max()}; there are {_CLASSES} classes, 0 to 19")
    return Events(
        "SHD-like digits", counts.shape[1], float(tick_s), _times(counts, low, high, offset),
        np.concatenate([np.repeat(np.arange(counts.shape[1], dtype=np.uint16), row)
                        for row in counts]),
        offset.astype(np.int64), labels, _NAMES,
        whole_numbers(path, "speaker", arrays["speaker"], items),
        "CC BY 4.0 (data: Cramer et al., Heidelberg Digits, doi 10.1109/TNNLS.2020.3044364)")


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
