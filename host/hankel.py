"""Hankel functions of the first kind, orders 0 and 1, of complex numbers.

Near zero the power series of the Bessel functions (Abramowitz and Stegun 9.1.10 to 9.1.13), beyond
Hankel's asymptotic one (9.2.7). Both leave an error below 1e-7 in the right half of the plane.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["hankel"]

#: Where the series change, and how many terms each needs there.
_NEAR, _TERMS, _FAR_TERMS = 9.0, 45, 11


def hankel(order: int, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """``J + i Y`` of order 0 or 1, elementwise, for a real part above zero."""
    near = np.abs(z) < _NEAR
    return np.where(near, _series(order, np.where(near, z, 1.0)), _asymptotic(order, np.where(near, _NEAR, z)))


def _series(order: int, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    term = (z / 2) ** order
    first, other = np.zeros_like(z), np.zeros_like(z)
    # Digamma functions of k + 1 and k + 1 + order.
    low = -np.euler_gamma
    high = low + order
    for k in range(_TERMS):
        first += term
        other -= (low + high) * term
        term = term * -(z / 2) ** 2 / ((k + 1) * (k + 1 + order))
        low, high = low + 1 / (k + 1), high + 1 / (k + 1 + order)
    second = (2 * np.log(z / 2) * first + other - (2 / z if order else 0)) / np.pi
    return first + 1j * second


def _asymptotic(order: int, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    term, total = np.ones_like(z), np.ones_like(z)
    for k in range(1, _FAR_TERMS + 1):
        term = term * 1j * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * z)
        total += term
    found: NDArray[np.complex128] = np.sqrt(2 / (np.pi * z)) * np.exp(1j * (z - (2 * order + 1) * np.pi / 4)) * total
    return found
