"""The golden LFSR against its recurrence, written again one bit at a time."""

import random

import numpy as np

from ionspike.sim.lfsr import LFSR, leap

SEED = 20251027
TOP = (1 << 64) - 1


def plain(state, words):
    """Words and last state: 16 new bits each, the newest lowest; zero steps to one."""
    bits = [state >> 63 - k & 1 for k in range(64)]     # oldest first
    out = []
    for _ in range(words):
        if not any(bits):
            bits = [0] * 63 + [1]
        else:
            for _ in range(16):
                bits = bits[1:] + [bits[0] ^ bits[1] ^ bits[3] ^ bits[4]]
        out.append(int("".join(map(str, bits[-16:])), 2))
    return out, int("".join(map(str, bits)), 2)


def starts():
    rng = random.Random(SEED)
    return [0, 1, TOP, 1 << 63, 0xFFFF, *(rng.getrandbits(64) for _ in range(5))]


def test_words_and_state_equal_the_recurrence():
    states = starts()
    expected = [plain(s, 3000) for s in states]
    lfsr = LFSR(np.array(states, np.uint64))
    assert lfsr.take(3000).tolist() == [words for words, _ in expected]
    assert lfsr.state.tolist() == [state for _, state in expected]


def test_any_way_of_taking_gives_the_same_words():
    rng = random.Random(SEED)
    for largest in (3, 60, 700, 5000):
        lfsr, other = (LFSR(np.array(starts(), np.uint64)) for _ in range(2))
        counts = [rng.randint(1, largest) for _ in range(60)]
        got = np.concatenate([lfsr.take(n).copy() for n in counts], axis=1)
        assert (got == other.take(sum(counts))).all()
        assert (lfsr.state == other.state).all()


def test_state_is_where_the_words_are_and_can_be_put_back():
    lfsr = LFSR(np.array(starts(), np.uint64))
    for n in (1, 7, 4096, 12_345):
        lfsr.take(n)
        saved = lfsr.state.copy()
        ahead = lfsr.take(100).copy()
        lfsr.state = saved
        assert (lfsr.take(100) == ahead).all()


def test_leap_is_the_plain_definition():
    for state in starts():
        words, after = plain(state, 1)
        assert leap(state) == after and leap(state) & 0xFFFF == words[0]
