"""Rows of weights of four bits, which take half the memory."""

import numpy as np
from numpy.typing import NDArray

from ionspike.spec import formats as fmt

__all__ = ["UNIT", "pack", "unpack"]

#: What a weight of four bits counts in those of eight: it is the upper half of one.
UNIT = 1 << fmt.WEIGHT_BITS - fmt.NARROW_BITS


def pack(weights: NDArray[np.int8]) -> NDArray[np.int8] | None:
    """Words ``[ceil(groups / 2), lanes]`` of weights ``[groups, lanes]``, or None if something would be lost.

    The lower half of each byte is a weight of a first group, the upper half of the one after it.
    """
    if (weights % UNIT).any():
        return None
    pairs = np.zeros((-(-len(weights) // 2), 2, weights.shape[1]), np.uint8)
    pairs.reshape(-1, weights.shape[1])[:len(weights)] = weights.view(np.uint8)
    packed: NDArray[np.int8] = (pairs[:, 0] // UNIT | pairs[:, 1]).view(np.int8)
    return packed


def unpack(words: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """Weights ``[groups, lanes]`` of words ``[ceil(groups / 2), lanes]``."""
    both = words.view(np.uint8)
    halves = np.stack([both % UNIT * UNIT, both - both % UNIT], axis=1).astype(np.uint8)
    return halves.reshape(-1, words.shape[1])[:groups].view(np.int8)
