"""Reads ``.npz`` files to learn from."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import npy
from ionspike.host.errors import InputError
from ionspike.host.files import readable
from ionspike.train.events import Events

__all__ = ["load", "read", "whole_numbers"]

#: Unpacked; what is larger would not leave memory to train in.
_MOST_BYTES = 1 << 31
_MOST_STEPS = 1 << 16


def read(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Arrays of a file.

    Parameters
    ----------
    names : of those it must have.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or lacks one of them.
    """
    with readable(path):
        content = path.read_bytes()
    try:
        arrays = {name.removesuffix(".npy"): npy.read(data)
                  for name, data in npy.unzip(content, _MOST_BYTES).items()}
    except ValueError as error:
        raise InputError(f"{path}: not an .npz file, or damaged ({error})") from error
    if missing := [name for name in names if name not in arrays]:
        raise InputError(f"{path}: has no array {missing[0]!r}; it has "
                         f"{', '.join(sorted(arrays)) or 'none'}")
    return arrays


def load(path: Path) -> Events:
    """Rasters with labels.

    ==========  ==========================  =====================================================
    spikes      [items, steps, channels]    0 or 1
    labels      [items]                     whole numbers from 0 on
    groups      [items], may be missing     what must not be in training and validation both
    step_s      a number, may be missing    seconds per step; without it, 1e-3
    ==========  ==========================  =====================================================
    """
    arrays = read(path, ("spikes", "labels"))
    spikes, labels = arrays["spikes"], arrays["labels"]
    if spikes.ndim != 3 or 0 in spikes.shape or spikes.dtype.kind not in "biuf" \
            or not ((spikes == 0) | (spikes == 1)).all():
        raise InputError(f"{path}: spikes must be 0 or 1, [items, steps, channels], not "
                         f"{spikes.dtype} {list(spikes.shape)}")
    if max(spikes.shape[1:]) > _MOST_STEPS:
        raise InputError(f"{path}: {spikes.shape[1]} steps of {spikes.shape[2]} channels; "
                         f"{_MOST_STEPS} are the most of either")
    step_s = arrays.get("step_s", np.array(1e-3))
    if step_s.shape or step_s.dtype.kind not in "iuf" or not 0 < step_s < np.inf:
        raise InputError(f"{path}: step_s must be one positive number of seconds")
    whole = whole_numbers(path, "labels", labels, len(spikes))
    groups = arrays.get("groups")
    if whole.max() < 1 or whole.max() >= len(whole):
        raise InputError(f"{path}: labels go up to {whole.max()}; from 2 classes to as many as "
                         f"items can be learnt")
    return Events.of_raster(
        path.stem, spikes != 0, float(step_s), whole,
        tuple(str(k) for k in range(int(whole.max()) + 1)),
        None if groups is None else whole_numbers(path, "groups", groups, len(spikes)))


def whole_numbers(path: Path, name: str, values: NDArray[Any], items: int) -> NDArray[np.int64]:
    """As int64 ``[items]``."""
    if values.shape != (items,) or values.dtype.kind not in "iu" \
            or (values < 0).any() or (values >= 1 << 31).any():
        raise InputError(f"{path}: {name} must be {items} whole numbers from 0 on, not "
                         f"{values.dtype} {list(values.shape)}")
    return values.astype(np.int64)
