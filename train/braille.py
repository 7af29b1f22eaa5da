"""Braille letters read by a finger of twelve taxels, in the layout of ``braille_touch.npz``."""

from pathlib import Path

import numpy as np

from ionspike.host.errors import InputError
from ionspike.train.arrays import read, whole_numbers
from ionspike.train.events import Events

__all__ = ["FILES", "load"]

FILES = ("braille_touch.npz",)
#: A taxel that nothing touches reads 255. It has an input for each level, which fires in every step
#: that the reading is below it.
_LEVELS = np.arange(32, 256, 64)
#: The data say nothing of their clock; this is the emulated time of a step.
_STEP_S = 1e-3


def load(path: Path) -> Events:
    """``taxel`` uint8 [items, steps, taxels], ``length`` [items] steps of them, ``label`` [items],
    ``letters`` [classes]."""
    arrays = read(path, ("taxel", "length", "label", "letters"))
    taxel, letters = arrays["taxel"], arrays["letters"]
    if taxel.ndim != 3 or taxel.dtype != np.uint8 or 0 in taxel.shape or letters.ndim != 1 \
            or letters.dtype.kind != "U":
        raise InputError(f"{path}: not in the layout of {FILES[0]}: taxel must be uint8 [items, steps, "
                         f"taxels], letters words")
    length = whole_numbers(path, "length", arrays["length"], len(taxel))
    labels = whole_numbers(path, "label", arrays["label"], len(taxel))
    if labels.max() >= len(letters):
        raise InputError(f"{path}: label {labels.max()} of {len(letters)} letters")
    steps = taxel.shape[1]
    raster = (taxel[..., None] < _LEVELS).reshape(len(taxel), steps, -1)
    raster &= (np.arange(steps) < length[:, None])[..., None]
    return Events.of_raster("Braille letters", raster, _STEP_S, labels,
                            tuple(letters.tolist()), None,
                            "CC BY 4.0 (data: doi 10.5281/zenodo.7050094)")
