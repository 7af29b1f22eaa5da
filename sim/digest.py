"""Golden model of the digest: 32 bits that depend on every state word a tick wrote."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ionspike.spec.wire import DIGEST_POLYNOMIAL

__all__ = ["digest"]


@cache
def _power(exponent: int) -> NDArray[np.uint32]:
    """Byte tables ``[4, 256]`` of multiplication by ``x ** (2 ** exponent)``."""
    if exponent == 0:
        value = np.arange(256, dtype=np.uint64)[None, :] << np.arange(4, dtype=np.uint64)[:, None] * 8
        value = value << np.uint64(1)
        return (value ^ np.where(value >> np.uint64(32), 1 << 32 | DIGEST_POLYNOMIAL, 0).astype(np.uint64)
                ).astype(np.uint32)
    half = _power(exponent - 1)
    return _multiply(half, half)


def _multiply(tables: NDArray[np.uint32], x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (tables[0][x & 0xFF] ^ tables[1][x >> 8 & 0xFF]
            ^ tables[2][x >> 16 & 0xFF] ^ tables[3][x >> 24])


def digest(words: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """``D <- x D + w`` over GF(2)[x] modulo the polynomial, over the neurons in order.

    ``w = (s1 << 16 | s0) ^ s2 << 8`` of a neuron's three state words.

    Parameters
    ----------
    words : uint16 ``[trials, neurons, 3]``.

    Returns
    -------
    uint32 ``[trials]``.
    """
    s = words.astype(np.uint32)
    w = (s[..., 1] << np.uint32(16) | s[..., 0]) ^ s[..., 2] << np.uint32(8)
    length = 1 << max(0, w.shape[-1] - 1).bit_length()
    w = np.pad(w, ((0, 0), (length - w.shape[-1], 0)))  # leading zeros leave D at zero
    exponent = 0
    while w.shape[-1] > 1:
        w = _multiply(_power(exponent), w[:, 0::2]) ^ w[:, 1::2]
        exponent += 1
    return w[:, 0]
