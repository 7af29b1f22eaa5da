"""The basilar membrane: sound to the velocity of places along the cochlea, linear, in blocks.

Shallow water under a membrane of mass ``m``, stiffness ``S = S0 exp(-alpha x) - a`` and damping
``R = delta sqrt(S0 m) exp(-alpha x / 2)`` per area. Of a tone ``exp(-i w t)``

    xi = S - m w^2 - i w R,    g = w sqrt(rho / (h xi)),    G = 2 g(0) / alpha + int_0^x g dx',

the pressure is ``p = sqrt(G / g) H0(G)``, and the velocity at ``x`` per velocity of the stapes

    v = 2 w / xi p(x) / p(0) z,    z = i sqrt(2 S0 / h) conj(H0(b) / H1(b)),
                                   b = 2 w / alpha sqrt(2 / (h S0)),

H the Hankel functions of the first kind. Sieroka, Dosch and Rupp (J. Acoust. Soc. Am. 120, 297, 2006); Cramer
et al. (doi 10.1109/TNNLS.2020.3044364) begin their encoder with this membrane and these parameters.

They multiply spectra of ``exp(+i w t)`` by it, so in their spikes waves run backwards: toward the apex they are
up to 40 ms early instead of late. Networks that learnt from such spikes have to get such spikes, so it is
done here too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ionspike.host.hankel import hankel

__all__ = ["HOP", "RATE_HZ", "STRIDE", "Filter", "Membrane"]

#: Of the sound that goes in. Other rates are resampled first.
RATE_HZ = 48_000
#: Samples that go in for each that comes out of the hair cells.
STRIDE = 4
#: Samples of a block, and of the longest response that is kept: 171 ms.
HOP = 8192
_FFT = 2 * HOP
#: Samples that a block's velocities are late: responses begin before the sound and end after it.
DELAY = HOP // 2
#: A place hears nothing where its response is below this part of its largest.
_FLOOR = 1e-3
#: Steps of the integral of g between two channels, and along the whole membrane, at least.
_STEPS, _ALL_STEPS = 4, 800
#: Frequencies at which responses are computed; those between are interpolated.
_TONES = 600


@dataclass(frozen=True)
class Membrane:
    """Parameters in centimetres, grams and seconds, as they are published."""

    stiffness: float = 1e9      # S0, g / (s^2 cm^2)
    slack: float = 3500.0       # a, likewise
    slope: float = 3.0          # alpha, 1 / cm
    mass: float = 0.05          # m, g / cm^2
    damping: float = 0.15       # delta
    height: float = 0.1         # h, cm
    length: float = 3.5         # cm
    density: float = 1.0        # rho, g / cm^3

    def places_cm(self, channels: int) -> NDArray[np.float64]:
        """Where the channels sit, evenly from base (high tones) to apex (low tones); one alone in the middle."""
        return np.linspace(0, self.length, channels) if channels > 1 else np.array([self.length / 2])

    def impedance(self, w: NDArray[np.float64], x_cm: float) -> NDArray[np.complex128]:
        """xi at a place."""
        fall = np.exp(-self.slope * x_cm)
        resistance = self.damping * np.sqrt(self.stiffness * self.mass * fall)
        return np.asarray(self.stiffness * fall - self.slack - self.mass * w**2 - 1j * w * resistance)

    def responses(self, channels: int, frequency_Hz: NDArray[np.float64]
                  ) -> NDArray[np.complex128]:
        """Velocity per velocity of the stapes, ``[channels, frequencies]``, all above zero Hz."""
        w = 2 * np.pi * frequency_Hz
        places = self.places_cm(channels)
        steps = max(_STEPS, -(-_ALL_STEPS // channels))
        found = np.empty((channels, len(w)), np.complex128)
        g = self._wave_number(w, 0.0)
        path = 2 * g / self.slope
        b = (2 / self.slope * np.sqrt(2 / (self.height * self.stiffness))) * w + 0j
        z = 1j * np.sqrt(2 * self.stiffness / self.height) * np.conj(hankel(0, b) / hankel(1, b))
        at_base = np.sqrt(path / g) * hankel(0, path)
        here = 0.0
        for n, x in enumerate(places):
            for there in np.linspace(here, x, steps + 1)[1:] if x > here else ():
                before, g = g, self._wave_number(w, there)
                path = path + (before + g) * (there - here) / 2
                here = there
            pressure = np.sqrt(path / g) * hankel(0, path) / at_base
            found[n] = 2 * w / self.impedance(w, x) * pressure * z
        return found

    def _wave_number(self, w: NDArray[np.float64], x_cm: float) -> NDArray[np.complex128]:
        """g at a place."""
        return np.asarray(w * np.sqrt(self.density / (self.height * self.impedance(w, x_cm))))


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
    at_tones = membrane.responses(channels, tones)
    found, per = [], max(1, channels // 20)
    fade = np.hanning(HOP + 2)[1:-1] ** 0.25
    for first in range(0, channels, per):
        response = np.array([np.concatenate([[0], _between(frequency, tones, each)])
                             for each in at_tones[first:first + per]])
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
             response: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Interpolated, size and phase by themselves."""
    turned = np.exp(1j * np.interp(frequency, tones, np.unwrap(np.angle(response))))
    return np.asarray(np.interp(frequency, tones, np.abs(response)) * turned)
