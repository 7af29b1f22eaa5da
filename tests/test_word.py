"""The word that the demo hears of a recording: where it is, and what is left of what surrounds it."""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import require_package

from ionspike.host.audio import Audio, load
from ionspike.host.word import AFTER_S, BEFORE_S, MOST_AFTER_S, MOST_BEFORE_S, cut

RATE_HZ = 22_050


def tone(seconds, amplitude=0.3, tone_Hz=500):
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return amplitude * np.sin(2 * np.pi * tone_Hz * t)


def silence(seconds):
    return np.zeros(round(seconds * RATE_HZ))


def found(*parts, noise=1e-3, seed=1):
    """Second that the word begins and ends at, without what is kept around it."""
    x = np.concatenate(parts)
    x = x + np.random.default_rng(seed).normal(0, noise, len(x))
    audio, start_s = cut(Audio(x.astype(np.float32), RATE_HZ))
    first = round(start_s * RATE_HZ)
    assert np.array_equal(audio.samples, x.astype(np.float32)[first:first + len(audio.samples)])
    return start_s + BEFORE_S, start_s + audio.seconds - AFTER_S


def test_a_word_is_found_between_silence():
    assert found(silence(1.3), tone(0.4), silence(1.6)) == pytest.approx((1.3, 1.7), abs=0.03)


def test_a_recording_that_has_no_more_than_that_is_returned_as_it_is():
    for parts in ([tone(0.1)], [tone(0.005)], [tone(0.9)],
                  [silence(MOST_BEFORE_S), tone(0.5), silence(MOST_AFTER_S - 0.01)]):
        audio = Audio(np.concatenate(parts).astype(np.float32), RATE_HZ)
        same, start_s = cut(audio)
        assert np.array_equal(same.samples, audio.samples) and start_s == 0


def test_a_pause_of_a_fifth_of_a_second_is_within_a_word_and_of_two_words_one_is_taken():
    assert found(silence(1), tone(0.2), silence(0.2), tone(0.1), silence(1)) == pytest.approx((1.0, 1.5), abs=0.03)
    two = [tone(0.3, 0.2), silence(0.5), tone(0.4, 0.3)]
    assert found(silence(1), *two, silence(1)) == pytest.approx((1.8, 2.2), abs=0.03)
    assert found(silence(1), *two[::-1], silence(1)) == pytest.approx((1.0, 1.4), abs=0.03)


def test_a_quiet_end_of_high_tones_belongs_to_the_word_and_a_click_is_none():
    assert found(silence(1), tone(0.3), tone(0.15, 0.02, 4000), silence(1)) == pytest.approx((1.0, 1.45), abs=0.03)
    click = silence(0.005) + 0.9
    assert found(silence(0.5), click, silence(0.8), tone(0.4), silence(1)) == pytest.approx((1.3, 1.7), abs=0.04)


def test_a_word_in_noise_is_found_and_noise_alone_is_kept():
    for seed in range(5):
        begins, ends = found(silence(1.0), tone(0.5), silence(1.0), noise=0.03, seed=seed)
        assert (begins, ends) == pytest.approx((1.0, 1.5), abs=0.06)
        assert found(silence(2.0), noise=0.1, seed=seed) == (BEFORE_S, pytest.approx(2.0 - AFTER_S, abs=1e-3))


def test_an_end_is_cut_where_it_has_more_than_the_most_and_then_to_the_median():
    for before, after in ((0.05, 1.0), (1.0, 0.2), (0.05, 0.2), (0.2, 0.5)):
        x = np.concatenate([silence(before), tone(0.4), silence(after)]).astype(np.float32)
        piece, start_s = cut(Audio(x, RATE_HZ))
        kept = before - start_s, start_s + piece.seconds - before - 0.4
        assert kept == pytest.approx((BEFORE_S if before > MOST_BEFORE_S else before,
                                      AFTER_S if after > MOST_AFTER_S else after), abs=0.021)


def test_whatever_is_heard_a_piece_of_it_is_returned():
    rng = np.random.default_rng(7)
    lengths = set()
    for _ in range(200):
        rate_Hz = int(rng.choice([8_000, 11_025, 44_100, 192_000]))
        size = int(rng.integers(2, 1.5 * rate_Hz))
        x = rng.normal(0, 0.1, size) * np.exp(rng.normal(0, 4, 1 + size // 2000).repeat(2000)[:size])
        audio = Audio(np.clip(x, -0.99, 0.99).astype(np.float32), rate_Hz)
        piece, start_s = cut(audio)
        first = round(start_s * rate_Hz)
        assert len(piece.samples) and np.array_equal(
            piece.samples, audio.samples[first:first + len(piece.samples)])
        lengths.add((first > 0, first + len(piece.samples) < size))
    assert len(lengths) == 4


def test_recordings_of_the_heidelberg_digits_are_hardly_changed():
    require_package("soundfile", "audio")
    folder = Path(os.environ.get("IONSPIKE_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    path = folder / "cochlea_reference_english_00_0_3.flac"
    if not path.is_file():
        pytest.skip(f"not there: {path}")
    audio = load(path)
    assert np.array_equal(cut(audio)[0].samples, audio.samples)
