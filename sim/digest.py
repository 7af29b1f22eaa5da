"""Golden model of the digest: 32 bits that depend on every state word a tick wrote."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ionspike.spec.wire import DIGEST_POLYNOMIAL

__all__ = ["digest"]

#: Neurons taken at once: their tables are 1 MiB, for one look-up each byte of their words.
_BLOCK = 256


@cache
def _tables() -> NDArray[np.uint32]:
    """Multiplication by ``x ** (_BLOCK - k)``, for each byte of a word, ``[_BLOCK + 1, 4, 256]``."""
    value = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    tables = np.empty((_BLOCK + 1, 4, 256), np.uint32)
    for table in tables[::-1]:
        table[:] = value
        value = value << np.uint32(1) ^ (value >> np.uint32(31)) * np.uint32(DIGEST_POLYNOMIAL)
    return tables


def _sum(tables: NDArray[np.uint32], w: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Sum of the words ``[trials, n]``, each multiplied by its table ``[n, 4, 256]``."""
    octets = np.ascontiguousarray(w, "<u4").view(np.uint8)
    chosen = np.arange(octets.shape[1]) * 256 + octets
    return np.bitwise_xor.reduce(tables.ravel().take(chosen), axis=1)


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
    tables = _tables()
    done = np.zeros(len(w), np.uint32)
    for start in range(0, w.shape[1], _BLOCK):
        part = w[:, start:start + _BLOCK]
        last = _BLOCK + 1 - part.shape[1]
        before = _sum(tables[last - 1:last], done[:, None]) if start else done
        done = before ^ _sum(tables[last:], part)
    return done
