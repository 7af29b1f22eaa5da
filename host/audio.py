"""Sound from files: one channel, finite, not silent, not clipped to pieces."""

import io
import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.files import readable

__all__ = ["Audio", "load"]

#: Telephone speech to studio recordings; outside them a rate is more likely a mistake.
_RATES_HZ = (8_000, 192_000)
_LONGEST_S = 600.0
_MOST_BYTES = 1 << 29
#: Full scale less this is clipped if the next sample is so too.
_FULL = 0.999
#: More clipped samples than these are no recording of what was said.
_MOST_CLIPPED = 0.01
_SILENT = 1e-5


@dataclass(frozen=True)
class Audio:
    """One channel of sound.

    Parameters
    ----------
    samples : -1 to 1.
    rate_Hz : samples a second.

    Raises
    ------
    InputError
        For several channels, none or too many samples, NaN, silence, clipping of more than one
        sample in a hundred, or a rate outside 8,000 to 192,000 Hz.
    """

    samples: NDArray[np.float32]
    rate_Hz: int

    def __post_init__(self) -> None:
        x = np.asarray(self.samples)
        if x.dtype.kind not in "fiu" or x.ndim != 1:
            raise InputError(f"sound must be one number per sample, not {x.dtype} of shape "
                             f"{list(x.shape)}; make it mono first")
        low, high = _RATES_HZ
        if isinstance(self.rate_Hz, bool) or not isinstance(self.rate_Hz, (int, np.integer)) \
                or not low <= self.rate_Hz <= high:
            raise InputError(f"sampling rate {self.rate_Hz} Hz: {low:,} to {high:,} Hz are "
                             f"resampled; resample it to 48000 Hz first")
        if not len(x):
            raise InputError("sound is empty: it has no samples")
        if len(x) > _LONGEST_S * self.rate_Hz:
            raise InputError(f"sound lasts {len(x) / self.rate_Hz:.0f} s; {_LONGEST_S:g} s are the "
                             f"most, cut it into parts")
        bad = ~np.isfinite(x)
        if bad.any():
            at = int(np.argmax(bad))
            raise InputError(f"sample {at} is {x[at]}; all must be finite numbers, replace it by 0")
        x = x.astype(np.float32)
        if not (peak := float(np.abs(x).max())) < 1e6:
            raise InputError(f"sound reaches {peak:g}; samples are from -1 to 1, scale it")
        object.__setattr__(self, "samples", x)
        object.__setattr__(self, "rate_Hz", int(self.rate_Hz))
        if float(np.std(x, dtype=np.float64)) < _SILENT:
            raise InputError(f"sound is silent: it differs from its mean by less than {_SILENT:g} "
                             f"of full scale")
        if self.clipped > _MOST_CLIPPED * len(x):
            raise InputError(f"sound is clipped: {self.clipped:,} of {len(x):,} samples stand at "
                             f"full scale; record it again with less gain")

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_Hz

    @property
    def clipped(self) -> int:
        """Samples at full scale whose neighbour is so too."""
        full = np.abs(self.samples) >= _FULL
        pairs = full[1:] & full[:-1] & (self.samples[1:] * self.samples[:-1] > 0)
        return int(np.count_nonzero(np.append(pairs, False) | np.append(False, pairs)))

    def at(self, rate_Hz: int) -> NDArray[np.float32]:
        """Samples at another rate, their mean taken off.

        Fourier's way: what both rates can hold stays as it is, nothing else appears.
        """
        x = self.samples - np.mean(self.samples, dtype=np.float64)
        if rate_Hz == self.rate_Hz:
            return x.astype(np.float32)
        common = math.gcd(rate_Hz, self.rate_Hz)
        count = -(-len(x) * rate_Hz // self.rate_Hz)
        # Whole periods of both rates, and room for the ends, which would ring into each other.
        unit = self.rate_Hz // common
        size = -(-(len(x) + self.rate_Hz // 50) // unit) * unit
        spectrum = np.fft.rfft(x, size)
        longer = size // unit * (rate_Hz // common)
        return (np.fft.irfft(spectrum[:longer // 2 + 1], longer)[:count]
                * (longer / size)).astype(np.float32)


def load(path: str | Path) -> Audio:
    """From a file: WAV of 16 bits, and with ``soundfile`` also FLAC, Ogg and other WAV.

    Raises
    ------
    InputError
        For a file that cannot be read, is truncated, or whose sound :class:`Audio` refuses.
    """
    path = Path(path)
    with readable(path):
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: more than {_MOST_BYTES >> 20} MB; cut it into parts")
        data = path.read_bytes()
    try:
        return _wav(data) if _is_wav16(data) else _other(data)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _is_wav16(data: bytes) -> bool:
    """Whether the standard library's reader may have it."""
    at = data.find(b"fmt ", 12, 4096)
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE" and data[at + 8:at + 10] == b"\1\0" \
        and data[at + 22:at + 24] == b"\x10\0"


def _wav(data: bytes) -> Audio:
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, rate_Hz, promised = (file.getnchannels(), file.getframerate(),
                                           file.getnframes())
            frames = file.readframes(promised)
    except (wave.Error, EOFError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(f"not a readable WAV file, or truncated ({error or 'it ends early'})") \
            from error
    if channels != 1:
        raise InputError(f"it has {channels} channels, one is read; make it mono first, as with "
                         f"`sox IN.wav OUT.wav remix -`")
    if len(frames) != 2 * promised:
        raise InputError(f"truncated: {promised:,} samples are promised, {len(frames) // 2:,} are "
                         f"there")
    return Audio(np.frombuffer(frames, "<i2").astype(np.float32) / np.float32(1 << 15), rate_Hz)


def _other(data: bytes) -> Audio:
    # What else libsndfile reads, it guesses, and says so on stderr.
    if data[:4] not in (b"fLaC", b"OggS", b"RIFF"):
        raise InputError("no sound that can be read: WAV of 16 bits is, and with soundfile FLAC, "
                         "Ogg and other WAV")
    try:
        import soundfile
    except ImportError:
        raise InputError("no WAV of 16 bits, which is all that is read without soundfile; "
                         "pip install 'ionspike[audio]'") from None
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.channels != 1:
                raise InputError(f"it has {file.channels} channels, one is read; make it mono "
                                 f"first, as with `sox IN.wav OUT.wav remix -`")
            rate_Hz = file.samplerate
            promised = file.frames
            if promised > _LONGEST_S * rate_Hz:
                raise InputError(f"sound lasts {promised / max(rate_Hz, 1):.0f} s, it says; "
                                 f"{_LONGEST_S:g} s are the most, cut it into parts")
            samples = file.read(dtype="float32")
    except InputError:
        raise
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"no sound that can be read, or damaged ({' '.join(str(error).split())[:200]})"
                         ) from error
    if len(samples) != promised:
        raise InputError(f"truncated: {promised:,} samples are promised, {len(samples):,} are there")
    return Audio(samples, rate_Hz)
