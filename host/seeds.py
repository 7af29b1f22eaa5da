"""From a seed as users type it to the state a random generator starts from."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["lfsr_state", "lfsr_states"]

_MASK = (1 << 64) - 1


def lfsr_state(seed: int, index: int = 0) -> int:
    """The non-zero 64-bit LFSR state of item ``index`` of a seed: output ``index`` of splitmix64.

    Any integer is a seed; it is taken modulo 2**64. An output of zero, at which an LFSR would
    stand still, is replaced by the constant splitmix64 steps by.

    Raises
    ------
    ValueError
        For a seed that is not an integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed must be an integer, not {seed!r}")
    z = (int(seed) + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
    return (z ^ z >> 31) or 0x9E3779B97F4A7C15


def lfsr_states(seed: int, items: int) -> NDArray[np.uint64]:
    """uint64 ``[items]``: the states of items 0, 1, ... of a seed."""
    return np.array([lfsr_state(seed, k) for k in range(items)], np.uint64)
