"""Inner hair cells: velocity of the membrane to the rate of spikes in their nerve fibres.

Meddis (J. Acoust. Soc. Am. 79, 702, 1986), with the parameters printed there: permeability
``k = g (s + A) / (s + A + B)``, zero where ``s < -A``; free transmitter ``q``, in the cleft ``c``, to
be reprocessed ``w``, per second

    dq = y (1 - q) + x w - k q,    dc = k q - l c - r c,    dw = r c - x w,

and fibres that spike ``h c`` times a second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["HairCells", "Transmitter"]


@dataclass(frozen=True)
class Transmitter:
    """Rates per second; A and B in units of the velocity that comes in."""

    A: float = 5.0
    B: float = 300.0
    g: float = 2000.0
    y: float = 5.05
    l: float = 2500.0       # noqa: E741  as it is printed
    r: float = 6580.0
    x: float = 66.31
    h: float = 50_000.0

    def permeability(self, velocity: NDArray[np.float32]) -> NDArray[np.float32]:
        open_part = np.maximum(velocity + np.float32(self.A), 0)
        return np.float32(self.g) * open_part / (open_part + np.float32(self.B))


class HairCells:
    """Pools of ``channels`` hair cells, at rest to begin with."""

    def __init__(self, transmitter: Transmitter, channels: int, dt_s: float):
        t = self._t = transmitter
        k = t.g * t.A / (t.A + t.B)
        c = t.y * k / (t.l * k + t.y * (t.l + t.r))
        self._c = np.full(channels, c, np.float32)
        self._q = np.full(channels, c * (t.l + t.r) / k, np.float32)
        self._w = np.full(channels, c * t.r / t.x, np.float32)
        self._dt_s = dt_s

    def feed(self, permeability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Spikes per second and fibre ``[steps, channels]`` for permeabilities of that shape.

        The cleft, which is faster than a step, and release are exact within it; the rest is Euler's.
        """
        t, dt_s = self._t, self._dt_s
        q, c, w = self._q, self._c, self._w
        stays = np.float32(np.exp(-(t.l + t.r) * dt_s))
        joins = np.float32((1 - stays) / ((t.l + t.r) * dt_s))
        made, back, taken = (np.float32(rate * dt_s) for rate in (t.y, t.x, t.r))
        released = 1 - np.exp(permeability * np.float32(-dt_s))
        found = np.empty_like(permeability)
        for n, part in enumerate(released):
            found[n] = c
            release, again = q * part, back * w
            q = q + made * (1 - q) + again - release
            w = w + taken * c - again
            c = c * stays + joins * release
        self._q, self._c, self._w = q, c, w
        return found * np.float32(t.h)
