"""The handwritten digits of scikit-learn, and their one split."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "Digits", "SPLIT_SEED", "load", "split"]

CLASSES = 10
SPLIT_SEED = 2025
#: Images of every 100 of a class; the others train.
_TEST, _VALIDATION = 20, 13


@dataclass(frozen=True)
class Digits:
    """Images and what they show.

    Parameters
    ----------
    images : uint8 ``[images, 64]``, intensities 0 to 16, row by row.
    labels : uint8 ``[images]``.
    parts : indices of the parts ``train``, ``validation`` and ``test``.
    digest : of images, labels and parts, so that a network can name what it was trained on.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    parts: dict[str, NDArray[np.int64]]
    digest: str

    def part(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Images and labels of a part."""
        return self.images[self.parts[name]], self.labels[self.parts[name]]


def split(labels: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    """The parts: stratified, disjoint, the same on every machine.

    Images are ordered by a hash of their number rather than by a generator, whose stream might
    change with its library.
    """
    def key(index: int) -> bytes:
        return hashlib.sha256(f"{SPLIT_SEED} {index}".encode()).digest()

    parts: dict[str, list[int]] = {"test": [], "validation": [], "train": []}
    for label in np.unique(labels):
        members = sorted((int(i) for i in np.flatnonzero(labels == label)), key=key)
        test = round(len(members) * _TEST / 100)
        validation = test + round(len(members) * _VALIDATION / 100)
        parts["test"] += members[:test]
        parts["validation"] += members[test:validation]
        parts["train"] += members[validation:]
    return {name: np.array(sorted(indices), np.int64) for name, indices in parts.items()}


def load() -> Digits:
    """All digits; ImportError without scikit-learn."""
    from sklearn.datasets import load_digits  # it takes a second, and not every command needs it

    raw, target = load_digits(return_X_y=True)
    images, labels = raw.astype(np.uint8), target.astype(np.uint8)
    parts = split(labels)
    sha = hashlib.sha256(images.tobytes() + labels.tobytes())
    for name in sorted(parts):
        sha.update(name.encode() + parts[name].astype("<i8").tobytes())
    return Digits(images, labels, parts, sha.hexdigest())
