"""Where a word is in a recording."""

import numpy as np

from ionspike.host.audio import Audio

__all__ = ["AFTER_S", "BEFORE_S", "MOST_AFTER_S", "MOST_BEFORE_S", "cut"]

#: What is left of more than that before and after the word: the median of the Heidelberg Digits, and the most
#: that they have, of 233 recordings.
BEFORE_S, AFTER_S = 0.03, 0.125
MOST_BEFORE_S, MOST_AFTER_S = 0.1, 0.35
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

    with pauses of up to 0.25 s. Of several words the one with the largest sum of amplitudes is taken. Where there is more
    than :data:`MOST_BEFORE_S` before it or :data:`MOST_AFTER_S` after it, :data:`BEFORE_S` or :data:`AFTER_S` of that are
    left, for a network that learnt from spikes of such recordings expects a word where it is in these. An end that has less stays as it is.
    """
    x = audio.at(_RATE_HZ).astype(np.float64)
    frames = len(x) // _FRAME
    if not frames:
        return audio, 0.0
    power = np.convolve((x[:frames * _FRAME].reshape(frames, _FRAME) ** 2).mean(1), np.full(3, 1 / 3), "same")
    level = 10 * np.log10(power + 1e-12)
    peak = level.max()
    least = max(peak - _MOST_DB, min(np.percentile(level, 10) + _ABOVE_DB, peak - _LEAST_DB))
    loud = np.flatnonzero(level >= least)
    words = np.split(loud, np.flatnonzero(np.diff(loud) > _GAP_S / _FRAME_S) + 1)
    word = max(words, key=lambda frames: float(np.sqrt(power[frames]).sum()))
    begins_s, ends_s = word[0] * _FRAME_S, (word[-1] + 1) * _FRAME_S
    first, last = 0, len(audio.samples)
    if begins_s > MOST_BEFORE_S:
        first = round((begins_s - BEFORE_S) * audio.rate_Hz)
    if audio.seconds - ends_s > MOST_AFTER_S:
        last = round((ends_s + AFTER_S) * audio.rate_Hz)
    return Audio(audio.samples[first:last], audio.rate_Hz), first / audio.rate_Hz
