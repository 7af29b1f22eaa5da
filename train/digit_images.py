"""Handwritten digits as spikes; the test part is not among them."""

import numpy as np

from ionspike.host import digits
from ionspike.host.encoders import rate
from ionspike.host.errors import InputError
from ionspike.train.events import Events

__all__ = ["ENCODER", "load"]

#: As a network's metadata name it, so that `ionspike demo` encodes alike.
ENCODER = {"name": "rate", "ticks": 32, "options": {"peak": 1.0}}
_STEP_S = 5e-4


def load() -> Events:
    """Those of scikit-learn; group 0 is the training part, group 1 the validation part."""
    try:
        data = digits.load()
    except ImportError as error:
        raise InputError(f"digits need scikit-learn: pip install scikit-learn ({error})") from error
    images, labels, groups = [], [], []
    for group, part in enumerate(("train", "validation")):
        found, shown = data.part(part)
        images.append(found)
        labels.append(shown)
        groups.append(np.full(len(shown), group))
    raster = rate(np.concatenate(images), ENCODER["ticks"], **ENCODER["options"])  # type: ignore[arg-type]
    return Events.of_raster(
        "handwritten digits", raster, _STEP_S, np.concatenate(labels).astype(np.int64),
        tuple(str(k) for k in range(digits.CLASSES)), np.concatenate(groups).astype(np.int64),
        "CC BY 4.0 (data: E. Alpaydin, C. Kaynak, UCI Machine Learning Repository)")
