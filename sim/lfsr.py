"""Golden model of :mod:`ionspike.hdl.lfsr`, vectorised over trials and over time."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.spec.formats import LFSR_LEAP, LFSR_TAPS, LFSR_WIDTH

__all__ = ["LFSR", "leap"]

_STATE_WORDS = LFSR_WIDTH // LFSR_LEAP
#: Words of history per octave: a recurrence with these taps also holds for whole words, and for
#: words 2**m apart, because squaring is linear over GF(2) and LFSR_LEAP is a power of two.
_OCTAVE = 16
_HISTORY = LFSR_WIDTH * _OCTAVE
_BUFFER = 8192      # words of a trial that are made and kept at a time


def leap(state: int) -> int:
    """The state LFSR_LEAP bits on; the plain definition, one bit at a time.

    ``b[t] = b[t-64] ^ b[t-63] ^ b[t-61] ^ b[t-60]``; bit k of the state is ``b[t-1-k]``. The word
    that a neuron uses is the low LFSR_LEAP bits of the state after its leap. A state of zero,
    which only a load can make, steps to one.
    """
    if state == 0:
        return 1
    for _ in range(LFSR_LEAP):
        bit = 0
        for tap in LFSR_TAPS:
            bit ^= state >> (tap - 1)
        state = (state << 1 | bit & 1) & ((1 << LFSR_WIDTH) - 1)
    return state


class LFSR:
    """Generators of all trials, one word per neuron update.

    Parameters
    ----------
    states : uint64 ``[trials]``.
    """

    def __init__(self, states: ArrayLike):
        self.state = np.atleast_1d(np.asarray(states, np.uint64))

    @property
    def state(self) -> NDArray[np.uint64]:
        """uint64 ``[trials]``: the state after the last word taken."""
        last = self._words[:, self._used - _STATE_WORDS:self._used].astype(np.uint64)
        return (last << np.array([48, 32, 16, 0], np.uint64)).sum(axis=1, dtype=np.uint64)

    @state.setter
    def state(self, states: NDArray[np.uint64]) -> None:
        shifts = np.array([48, 32, 16, 0], np.uint64)
        words = (states[:, None] >> shifts & np.uint64(0xFFFF)).astype(np.uint16)
        stuck = np.flatnonzero(states == 0)
        # Bootstrap: from four words, three more at a time by the definition on bits, until the
        # recurrence on whole words has its 64 words of history; then in doubling strides.
        while words.shape[1] < 64 + _STATE_WORDS:
            new = np.zeros((len(words), 3), np.uint64)
            packed = (words[:, -4:].astype(np.uint64) << shifts).sum(axis=1, dtype=np.uint64)
            bits = np.zeros(len(words), np.uint64)
            for tap in LFSR_TAPS:
                bits ^= packed << np.uint64(LFSR_WIDTH - tap)
            for k in range(3):
                new[:, k] = bits >> np.uint64(48 - 16 * k) & np.uint64(0xFFFF)
            if len(stuck) and words.shape[1] == _STATE_WORDS:
                new[stuck, 0] = 1
                new = new[:, :1]
            words = np.concatenate([words, new.astype(np.uint16)], axis=1)
        stride = 1
        while stride < _OCTAVE:
            words = self._extend(words, stride)
            if words.shape[1] - _STATE_WORDS >= LFSR_WIDTH * 2 * stride:
                stride *= 2
        self._words, self._used, self._made = words, _STATE_WORDS, words.shape[1]

    @staticmethod
    def _extend(words: NDArray[np.uint16], stride: int) -> NDArray[np.uint16]:
        shortest = min(LFSR_TAPS) * stride
        taps = [words[:, words.shape[1] - tap * stride:][:, :shortest] for tap in LFSR_TAPS]
        new = taps[0] ^ taps[1] ^ taps[2] ^ taps[3]
        return np.concatenate([words, new], axis=1)

    def take(self, count: int) -> NDArray[np.uint16]:
        """The next words, uint16 ``[trials, count]``; valid until the next call."""
        if self._used + count > self._made:
            self._refill(count)
        words = self._words[:, self._used:self._used + count]
        self._used += count
        return words

    def _refill(self, count: int) -> None:
        shortest = min(LFSR_TAPS) * _OCTAVE
        keep = min(self._used - _STATE_WORDS, self._made - _HISTORY)
        kept = self._words[:, keep:self._made]
        # Several takes' worth, so that what is kept is not copied for each.
        size = max(_BUFFER, kept.shape[1] + count + shortest)
        if self._words.shape[1] < size:
            self._words = np.empty((len(kept), size), np.uint16)
            self._words[:, :kept.shape[1]] = kept
        else:
            self._words[:, :kept.shape[1]] = kept.copy()
        self._used -= keep
        self._made -= keep
        while self._made + shortest <= self._words.shape[1]:
            new = self._words[:, self._made:self._made + shortest]
            first, *others = (self._words[:, self._made - tap * _OCTAVE:][:, :shortest]
                              for tap in LFSR_TAPS)
            np.bitwise_xor(first, others[0], new)
            for tap in others[1:]:
                np.bitwise_xor(new, tap, new)
            self._made += shortest
