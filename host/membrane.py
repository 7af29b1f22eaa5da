"""The basilar membrane: sound to the velocity of places along the cochlea, linear, in blocks.

A box of fluid of height ``h`` under a membrane of mass ``m``, stiffness ``S = S0 exp(-alpha x)`` and
damping ``R = R0 exp(-alpha x / 2)`` per area. A wave ``exp(i w t - i int k dx)`` obeys

    k tanh(k h) = 2 rho w^2 / (S + i w R - w^2 m),

and conservation of its energy gives the velocity at ``x`` per velocity of the stapes

    v = B(x) / B(0) exp(-i int_0^x k dx'),   B = k sinh(k h) / sqrt(k h + sinh(k h) cosh(k h))

with ``B(0)`` without its factor ``k`` (the stapes pushes along the box).

Filters take the size of ``v`` and leave out its phase, the delay of the travelling wave, which is 10
to 30 ms toward the apex: spikes of the encoder this one is compared with show none (docs/audio.md).

The equations are de Boer's (Physics Reports 62, 87, 1980) in the WKB approximation of Steele and
Taber (J. Acoust. Soc. Am. 65, 1001, 1979); Cramer et al. (doi 10.1109/TNNLS.2020.3044364) begin their
encoder with the same membrane.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["HOP", "RATE_HZ", "STRIDE", "Filter", "Membrane"]

#: Of the sound that goes in. Other rates are resampled first.
RATE_HZ = 48_000
#: Samples that go in for each that comes out of the hair cells.
STRIDE = 4
#: Samples of a block, and of the longest response that is kept: 171 ms.
HOP = 8192
_FFT = 2 * HOP
#: Samples that a block's velocities are late: responses are even around it.
DELAY = HOP // 2
#: A wave that has lost this many nepers is gone.
_GONE = 12.0
#: A place hears nothing where its response is below this part of its largest.
_FLOOR = 1e-3
#: Steps of the integral of k between two channels.
_STEPS = 4
#: Frequencies at which the wave is computed; those between are interpolated.
_TONES = 600


@dataclass(frozen=True)
class Membrane:
    """Parameters in centimetres, grams and seconds, as they are published."""

    stiffness: float = 1e9      # S0, g / (s^2 cm^2)
    slope: float = 3.0          # alpha, 1 / cm
    mass: float = 0.05          # m, g / cm^2
    damping: float = 200.0      # R0, g / (s cm^2); fitted
    height: float = 0.1         # h, cm
    length: float = 3.5         # cm
    density: float = 1.0        # rho, g / cm^3

    def places_cm(self, channels: int) -> NDArray[np.float64]:
        """Where the channels sit, evenly from base (high tones) to apex (low tones)."""
        return (np.arange(channels) + 0.5) * self.length / channels

    def responses(self, channels: int, frequency_Hz: NDArray[np.float64]
                  ) -> NDArray[np.complex128]:
        """Velocity per velocity of the stapes, ``[channels, frequencies]``, all above zero Hz."""
        w = 2 * np.pi * frequency_Hz
        step = self.length / channels / _STEPS
        found = np.zeros((channels, len(w)), np.complex128)
        k = before = self._wave_number(w, 0.0, None)
        log_b0 = _log_b(k * self.height)
        phase = np.zeros(len(w), np.complex128)
        alive = np.ones(len(w), bool)
        for n in range(channels * _STEPS):
            # Trapezes; a channel sits in the middle of its steps.
            k = self._wave_number(w, (n + 1) * step, k)
            phase += (before + k) * step / 2
            # Past resonance the root that dies out within a step or two may be lost.
            alive &= (k.real >= 0) & (k.imag <= 1e-9) & (phase.imag > -_GONE)
            before = k = np.where(alive, k, 1.0)
            if n % _STEPS == _STEPS // 2 - 1:
                log_v = np.log(k) + _log_b(k * self.height) - log_b0 - 1j * phase
                found[n // _STEPS] = np.where(alive, np.exp(np.where(alive, log_v, 0)), 0)
        return found

    def _wave_number(self, w: NDArray[np.float64], x_cm: float,
                     near: NDArray[np.complex128] | None) -> NDArray[np.complex128]:
        """k at a place, by Newton's method from the one nearby."""
        fall = np.exp(-self.slope * x_cm)
        push = 2 * self.density * w ** 2 / (
            self.stiffness * fall + 1j * w * self.damping * np.sqrt(fall)
            - w ** 2 * self.mass)
        # The first root is that of a long wave, or of a short one.
        k = np.where(np.abs(push) * self.height < 1, np.sqrt(push / self.height), push) \
            if near is None else near
        for _ in range(30 if near is None else 3):
            t = np.tanh(k * self.height)
            k = k - (k * t - push) / (t + k * self.height * (1 - t * t))
        return k


def _log_b(kh: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """log of B / k. Without the growth of sinh and cosh, which would overflow and cancels."""
    fall = np.exp(-2 * kh)
    return np.log((1 - fall) / np.sqrt(4 * kh * fall + (1 - fall) * (1 + fall)))


class Filter:
    """Velocities of all places, block after block of :data:`HOP` samples at :data:`RATE_HZ`.

    Overlap and save. Places that hear only low tones come at a lower rate, down to one sample per
    :data:`STRIDE`; the spectrum that is cut off is below a thousandth of what is kept.
    """

    def __init__(self, membrane: Membrane, channels: int):
        self._groups = _groups(membrane, channels)
        self._past = np.zeros(HOP, np.float32)

    def feed(self, block: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Channels and their velocities ``[channels, HOP // thinned]`` in turn."""
        spectrum = np.fft.rfft(np.concatenate([self._past, block])).astype(np.complex64)
        self._past = block.astype(np.float32)
        for channels, thinned, kernel in self._groups:
            bins = kernel.shape[1]
            size = _FFT // thinned
            padded = np.zeros((len(kernel), size // 2 + 1), np.complex64)
            np.multiply(kernel, spectrum[:bins], out=padded[:, :bins])
            yield channels, np.fft.irfft(padded, size, axis=1)[:, size // 2:].astype(
                np.float32, copy=False)


@lru_cache(maxsize=2)
def _groups(membrane: Membrane, channels: int) -> tuple[
        tuple[slice, int, NDArray[np.complex64]], ...]:
    """Kernels of neighbouring channels with the bins they hear; their thinning is in them."""
    frequency = np.fft.rfftfreq(_FFT, 1 / RATE_HZ)[1:]
    tones = np.geomspace(frequency[0], frequency[-1], _TONES)
    at_tones = np.abs(membrane.responses(channels, tones)).astype(np.float64)
    found, per = [], max(1, channels // 20)
    fade = np.hanning(HOP + 2)[1:-1] ** 0.25
    for first in range(0, channels, per):
        response = np.array([np.concatenate([[0], _between(frequency, tones, size)])
                             for size in at_tones[first:first + per]])
        impulse = np.roll(np.fft.irfft(response, axis=1), DELAY, axis=1)[:, :HOP]
        kernel = np.fft.rfft(impulse * fade, _FFT, axis=1)
        size = np.abs(kernel).max(axis=0) / np.abs(kernel).max()
        bins = int(np.flatnonzero(size > _FLOOR)[-1]) + 1
        thinned = 1
        while thinned < STRIDE and bins <= _FFT // (4 * thinned):
            thinned *= 2
        found.append((slice(first, first + len(kernel)), thinned,
                      np.ascontiguousarray(kernel[:, :bins] / thinned, np.complex64)))
    return tuple(found)


def _between(frequency: NDArray[np.floating], tones: NDArray[np.float64],
             size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolated over log frequency; zero from where the wave is gone."""
    gone = np.flatnonzero(size == 0)
    end = int(gone[0]) if len(gone) else len(tones)
    return np.where(frequency <= tones[end - 1],
                    np.interp(frequency, tones[:end], size[:end]), 0)
