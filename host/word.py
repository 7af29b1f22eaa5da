"""Where a word is in a recording."""

import numpy as np

from ionspike.host.audio import Audio

__all__ = ["AFTER_S", "BEFORE_S", "cut"]

#: The most that is kept of what comes before and after the word: as much as the Heidelberg Digits have.
BEFORE_S, AFTER_S = 0.1, 0.35
#: A word's level is that much above the quietest tenth, and within this of the loudest moment.
_ABOVE_DB, _LEAST_DB, _MOST_DB = 9.0, 15.0, 40.0
#: Silence within a word is shorter, as that before a t.
_GAP_S = 0.25
_RATE_HZ, _FRAME = 16_000, 160
_FRAME_S = _FRAME / _RATE_HZ


def cut(audio: Audio) -> tuple[Audio, float]:
    """The loudest word of a recording with what surrounds it, and the second that it begins at.

    Levels of 10 ms, smoothed over three: the word is where they are above::

        max(peak - 40 dB, min(quietest tenth + 9 dB, peak - 15 dB))

    with pauses of up to 0.25 s. Of several words the one with the largest sum of amplitudes is taken. Up to
    :data:`BEFORE_S` before it and :data:`AFTER_S` after it are kept, so a recording that has no more is returned as it is.
    """
    x = audio.at(_RATE_HZ).astype(np.float64)
    frames = len(x) // _FRAME
    if frames * _FRAME_S <= BEFORE_S + AFTER_S:
        return audio, 0.0
    power = np.convolve((x[:frames * _FRAME].reshape(frames, _FRAME) ** 2).mean(1), np.full(3, 1 / 3), "same")
    level = 10 * np.log10(power + 1e-12)
    peak = level.max()
    least = max(peak - _MOST_DB, min(np.percentile(level, 10) + _ABOVE_DB, peak - _LEAST_DB))
    loud = np.flatnonzero(level >= least)
    words = np.split(loud, np.flatnonzero(np.diff(loud) > _GAP_S / _FRAME_S) + 1)
    word = max(words, key=lambda frames: float(np.sqrt(power[frames]).sum()))
    first = max(0, round((word[0] * _FRAME_S - BEFORE_S) * audio.rate_Hz))
    last = round(((word[-1] + 1) * _FRAME_S + AFTER_S) * audio.rate_Hz)
    return Audio(audio.samples[first:last], audio.rate_Hz), first / audio.rate_Hz
