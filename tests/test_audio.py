"""Sound from files and arrays, and what is refused by name."""

import wave

import numpy as np
import pytest
from conftest import require_package

from ionspike.host.audio import Audio, load
from ionspike.host.errors import InputError

T = np.arange(4800)
TONE = 0.3 * np.sin(2 * np.pi * 440 * T / 48_000)


def write(path, samples, rate=48_000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        scaled = np.round(np.asarray(samples) * (2 ** (8 * width - 1) - 1))
        file.writeframes(scaled.astype(f"<i{width}" if width != 1 else "u1").tobytes())
    return path


def test_a_wav_is_read_without_any_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    audio = load(write(tmp_path / "a.wav", TONE, 16_000))
    assert audio.rate_Hz == 16_000 and audio.seconds == 0.3 and audio.clipped == 0
    assert np.abs(audio.samples - TONE).max() < 2 ** -14


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_another_rate_keeps_a_tone(rate):
    t = np.arange(rate)
    hann = np.hanning(rate)
    found = Audio(0.5 * hann * np.sin(2 * np.pi * 440 * t / rate), rate).at(48_000)
    t = np.arange(48_000)
    expected = 0.5 * np.interp(t / 48_000, np.arange(rate) / rate, hann) \
        * np.sin(2 * np.pi * 440 * t / 48_000)
    assert len(found) == 48_000 and np.abs(found - expected).max() < 1e-3


def test_flac_is_read_with_soundfile(tmp_path):
    require_package("soundfile", "audio")
    import soundfile
    soundfile.write(tmp_path / "a.flac", TONE, 48_000)
    assert np.abs(load(tmp_path / "a.flac").samples - TONE).max() < 2 ** -14
    soundfile.write(tmp_path / "b.flac", np.stack([TONE, TONE], 1), 48_000)
    with pytest.raises(InputError, match=r"b.flac: it has 2 channels, one is read; make it mono"):
        load(tmp_path / "b.flac")
    (tmp_path / "c.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:-2000])
    with pytest.raises(InputError, match="c.flac: (truncated|no sound that can be read)"):
        load(tmp_path / "c.flac")


def test_without_soundfile_flac_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    with pytest.raises(InputError, match=r"a.flac: no WAV of 16 bits.*pip install 'ionspike\[audio\]'"):
        load(tmp_path / "a.flac")


@pytest.mark.parametrize(("samples", "rate", "message"), [
    ([], 48_000, "sound is empty"),
    (np.zeros(100), 48_000, "sound is silent"),
    (np.full(100, 0.25), 48_000, "sound is silent"),
    (np.append(TONE, np.nan), 48_000, "sample 4800 is nan"),
    (np.append(np.inf, TONE), 48_000, "sample 0 is inf"),
    (np.sign(TONE), 48_000, r"clipped: 4,\d+ of 4,800 samples .* less gain"),
    (np.stack([TONE, TONE], 1), 48_000, r"shape \[4800, 2\]; make it mono"),
    (TONE, 7_999, "sampling rate 7999 Hz: 8,000 to 192,000 Hz are resampled; resample it to 48000"),
    (TONE, 1 << 31, "sampling rate 2147483648 Hz"),
    (TONE, 48_000.5, "sampling rate 48000.5 Hz"),
    (1e9 * TONE, 48_000, "scale it"),
    (np.ones(8_000 * 601), 8_000, "sound lasts 601 s; 600 s are the most")])
def test_sound_that_is_none_is_refused_by_name(samples, rate, message):
    with pytest.raises(InputError, match=message):
        Audio(np.asarray(samples), rate)


def test_a_few_clipped_samples_are_counted():
    loud = TONE.copy()
    loud[100:105] = 1
    loud[200] = 1       # a peak that touches full scale
    assert Audio(loud, 48_000).clipped == 5


def test_files_that_are_none_are_refused_in_one_line(tmp_path):
    whole = write(tmp_path / "whole.wav", TONE).read_bytes()
    for name, data, message in (
            ("short.wav", whole[:-100], "truncated"), ("head.wav", whole[:30], "no WAV|truncated|no s"),
            ("none.wav", b"", "no WAV|no sound"), ("text.wav", b"hello" * 99, "no WAV|no sound")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: .*({message})") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="2 channels, one is read; make it mono first"):
        load(write(tmp_path / "stereo.wav", np.repeat(TONE, 2), channels=2))
    with pytest.raises(InputError, match="gone.wav: no such file"):
        load(tmp_path / "gone.wav")
