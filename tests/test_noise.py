"""Noise as the neurons get it: words of the golden LFSR, one a neuron, places in ascending order."""

import numpy as np
import pytest

from ionspike.host.seeds import lfsr_state, lfsr_states
from ionspike.sim.lfsr import LFSR
from ionspike.sim.neuron import Neuron, State
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import XI_STD, coefficients
from ionspike.spec.device import Device

COUNT, NEURONS = 1 << 21, 512
ALL = np.arange(1 << 16)
#: Neighbours and the same places some ticks later, in words; the taps are bits, and by squaring
#: also relate words as far apart as they say, and twice as far.
LAGS = sorted({*range(1, 20), *(NEURONS * t + d for t in range(1, 40) for d in (0, 1)),
               *(tap * k for tap in fmt.LFSR_TAPS for k in (1, 2, 4)), (1 << 16) - 1})
#: Some 440 numbers of unit variance stay below it but once in 4,000 seeds.
MOST = 5.0


def nibbles(words):
    return [(words >> shift & 15).astype(np.int64) for shift in (0, 4, 8, 12)]


def both(words):
    """xi and xi_r of words."""
    n0, n1, n2, n3 = nibbles(words)
    return {"xi": n0 + n1 + n2 + n3 - fmt.XI_MEAN, "xi_r": n0 - n1 + n2 - n3}


def exact():
    """Distribution of xi, and of xi_r, for -30 to 30: of four nibbles, each uniform."""
    one = np.full(16, 1 / 16)
    two = np.convolve(one, one)
    return np.convolve(two, two)


def chi_square(values):
    """Against the exact distribution, as a number of zero mean and unit variance.

    Far below zero is a defect too: short periods are more regular than chance.
    """
    expected = exact() * len(values)
    counts = np.bincount(values + 30, minlength=61)
    assert expected.min() > 20
    k = len(counts) - 1
    chi = ((counts - expected) ** 2 / expected).sum()
    return ((chi / k) ** (1 / 3) - 1 + 2 / (9 * k)) / np.sqrt(2 / (9 * k))   # Wilson and Hilferty


def deviations(words):
    """Every statistic by name, each of zero mean and unit variance for perfect noise."""
    noise = both(words)
    found = {f"chi-square of {name}": chi_square(x) for name, x in noise.items()}
    unit = {name: (x / XI_STD).astype(np.float32) for name, x in noise.items()}
    for first, second in (("xi", "xi"), ("xi_r", "xi_r"), ("xi", "xi_r"), ("xi_r", "xi")):
        x, y = unit[first], unit[second]
        for lag in LAGS if first == second else (0, *LAGS):
            n = len(x) - lag
            found[f"{first} and {second} {lag} later"] = float(x[:n] @ y[lag:]) / np.sqrt(n)
    return found


def golden(seed=1, count=COUNT):
    return LFSR([lfsr_state(seed)]).take(count)[0].copy()


def test_variance_is_what_the_coefficients_take_it_for():
    for x in both(ALL).values():
        assert x.mean() == 0 and x.std() == pytest.approx(XI_STD)
        assert np.array_equal(np.bincount(x + 30) / len(ALL), exact())
    xi, xi_r = both(ALL).values()
    assert xi @ xi_r == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_is_white_and_has_its_distribution(seed):
    found = deviations(golden(seed))
    assert len(found) > 400
    assert {name: z for name, z in found.items() if abs(z) > MOST} == {}
    # As wide as it should be, not only not too wide.
    assert 0.9 < np.std(list(found.values())) < 1.1


def leap_one():
    """The same recurrence, but words that share 15 of 16 bits with the one before."""
    bits = np.unpackbits(golden(count=COUNT // 16 + 1).astype(">u2").view(np.uint8))
    return sum(bits[15 - k:][:COUNT - 16].astype(np.uint16) << k for k in range(16))


def short():
    """16 bits of state, leaping 16: x^16 + x^15 + x^13 + x^4 + 1."""
    state, period = 1, []
    for _ in range((1 << 16) - 1):
        for _ in range(16):
            bit = state >> 15 ^ state >> 14 ^ state >> 12 ^ state >> 3
            state = (state << 1 | bit & 1) & 0xFFFF
        period.append(state)
    assert len(set(period)) == len(period)
    return np.tile(np.array(period, np.uint16), COUNT // len(period))


@pytest.mark.parametrize(("generator", "seen"), [
    (leap_one, {"xi and xi 1 later", "xi_r and xi_r 1 later", "xi and xi 15 later"}),
    (short, {"chi-square of xi_r", "xi and xi 65535 later"}),
    (lambda: golden() & 0xFFFE, {"chi-square of xi", "chi-square of xi_r"}),
    (lambda: golden()[::-1] | golden() & 0x0100, {"chi-square of xi"}),
    (lambda: np.repeat(golden(count=COUNT // 2), 2), {"xi and xi 1 later"}),
], ids=["leap of 1", "16 bits of state", "a bit stuck at 0", "a bit more often 1", "words twice"])
def test_bad_noise_is_found(generator, seen):
    found = deviations(generator())
    assert seen <= {name for name, z in found.items() if abs(z) > MOST}


# ------------------------------------------------------------------------- a known dependence --

def later(word, next_word, octave=1):
    """The word 4 octave after ``word``, of which ``next_word`` is the one right after it."""
    x = word.astype(np.int64) << 16 | next_word
    for tap in fmt.LFSR_TAPS[1:]:
        x ^= (word.astype(np.int64) << 16 | next_word) << (64 - tap) * octave
    return (x >> 16 & 0xFFFF).astype(np.uint16)


def joint(octave=1):
    """Exact joint distribution of xi and the xi 4 octave words later, ``[61, 61]``."""
    table, unknown = np.zeros((61, 61)), 4 * octave
    for high in range(1 << unknown):
        after = later(ALL, high << 16 - unknown, octave)
        np.add.at(table, (both(ALL)["xi"] + 30, both(after)["xi"] + 30), 1)
    return table / table.sum()


def information_of(p):
    """Mutual information, bits."""
    independent = np.outer(p.sum(axis=1), p.sum(axis=0))
    return (p[p > 0] * np.log2(p[p > 0] / independent[p > 0])).sum()


def test_words_four_apart_depend_on_each_other_and_their_noise_hardly_does():
    """The taps, at 60 to 64 bits, reach back into the word four before and four bits of the next.

    So the upper three nibbles of a word are a function of the word four before: noise of a neuron
    and that of the fourth after it in the same tick are not independent. Neurons see sums of
    nibbles, in which nearly all of that is lost. This is how much is left.
    """
    words = golden()
    assert np.array_equal(later(words[:-4], words[1:-3]), words[4:])
    assert not ((later(words[:-4], np.zeros_like(words[4:])) ^ words[4:]) & 0xFFF0).any()
    p, value = joint(), np.arange(-30, 31)
    before, after = p.sum(axis=1), p.sum(axis=0)
    assert np.allclose(before, exact()) and np.allclose(after, exact())
    independent = np.outer(before, after)
    # No linear correlation, neither of the noise nor of its size.
    assert abs(value @ p @ value) < 1e-12
    size = np.abs(value) - np.abs(value) @ exact()
    assert abs(size @ p @ size) / (size ** 2 @ exact()) < 2e-4
    # In all 0.0025 of 5.2 bits, and no functions of the two that correlate by more than 0.11.
    assert 0.002 < information_of(p) < 0.003
    largest = np.linalg.svd(p / np.sqrt(independent), compute_uv=False)
    assert largest[0] == pytest.approx(1) and 0.1 < largest[1] < 0.12
    # For one that is seen: the fourth power correlates with the noise four words later.
    power = value ** 4 - value ** 4 @ exact()
    expected = power @ p @ value / XI_STD / np.sqrt(power ** 2 @ exact())
    xi = both(words)["xi"]
    seen = np.corrcoef(xi[:-4] ** 4, xi[4:])[0, 1]
    assert expected == pytest.approx(-0.0152, abs=1e-4)
    assert seen == pytest.approx(expected, abs=4 / np.sqrt(COUNT))
    # The recurrence squared relates words eight apart; beyond, no two words alone.
    assert np.array_equal(later(words[:-8], words[1:-7], 2), words[8:])
    assert 0.0005 < information_of(joint(2)) < 0.0015


def test_neurons_four_apart_do_not_show_it():
    """First spikes under one drive: correlation over distance, 256,000 pairs each."""
    device, trials, neurons, ticks = Device.load("zhao2025_ms"), 2000, 128, 60
    c = coefficients(device, 2e-4)
    neuron = Neuron({"scale": 1 << fmt.SCALE_SHIFT, **c.registers},
                    np.full(neurons, c.kg | c.mu << fmt.KG_BITS, np.uint32),
                    np.array(c.feedback, np.uint16), np.array(c.noise, np.uint16))
    state = State(*(np.zeros((trials, neurons), np.int32) for _ in range(3)),
                  on=np.zeros((trials, neurons), bool))
    lfsr = LFSR(lfsr_states(7, trials))
    drive = np.full((trials, neurons), round(1.1 * device.threshold_V() * (1 << fmt.G_FRAC)),
                    np.int32)
    first = np.full((trials, neurons), ticks)
    for tick in range(ticks):
        fired = neuron.step(state, drive, lfsr.take(neurons))
        first[fired & (first == ticks)] = tick
    assert 0.1 < (first < ticks).mean() and first.std() > 1
    x = (first - first.mean()) / first.std()
    found = [(x[:, :-d] * x[:, d:]).mean() * np.sqrt(x[:, d:].size) for d in range(1, 13)]
    assert max(map(abs, found)) < MOST
