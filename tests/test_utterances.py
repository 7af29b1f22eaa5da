"""Folders of recordings as data sets to train on."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from test_audio import write

from ionspike.host.cli import main
from ionspike.host.errors import InputError
from ionspike.host.heidelberg import recordings

NAMES = ("lang-german_speaker-02_trial-1_digit-7", "lang-english_speaker-11_trial-30_digit-7",
         "lang-english_speaker-02_trial-4_digit-0")


RATE_HZ = 16_000


def vowel(pitch_Hz):
    t = np.arange(round(0.15 * RATE_HZ)) / RATE_HZ
    return 0.1 * sum(np.sin(2 * np.pi * k * pitch_Hz * t) for k in (1, 2, 5, 6))


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "recordings"
    (found / "deeper").mkdir(parents=True)
    for k, name in enumerate(NAMES):
        write(found / ("deeper" if k else ".") / f"{name}.wav", vowel(100 + 40 * k), RATE_HZ)
    (found / "readme.txt").write_text("x")
    (found / "lang-french_speaker-02_trial-1_digit-7.wav").write_text("x")
    return found


def test_recordings_are_named(folder, tmp_path):
    assert [(one.label, one.language, one.speaker, one.trial, one.digit) for one in recordings(folder)] == [
        (0, "english", 2, 4, 0), (7, "english", 11, 30, 7), (17, "german", 2, 1, 7)]
    assert recordings(folder)[0].load().rate_Hz == RATE_HZ
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no recordings named as the Heidelberg Digits are: lang-english"):
        recordings(tmp_path / "empty")
    with pytest.raises(InputError, match="is no folder"):
        recordings(tmp_path / "none")


def encoded(folder, output, *arguments):
    assert main(["encode", str(folder), "--output", str(output), "--json", *arguments]) == 0
    return dict(np.load(output))


def test_a_folder_becomes_a_data_set_that_training_reads(folder, tmp_path, capsys):
    found = encoded(folder, tmp_path / "all.npz", "--seed", "3", "--licence", "CC0 (Jané)")
    said = json.loads(capsys.readouterr().out)
    assert (said["recordings"], said["speakers"]) == (3, [2, 11])
    assert said["spikes"] == found["counts"].sum() > 100
    pytest.importorskip("torch", reason="not installed: torch (pip install torch)")
    from ionspike.host.cochlea import encode
    from ionspike.train import speech
    events = speech.load(tmp_path / "all.npz")
    assert (events.name, events.licence, said["licence"]) == ("all", "CC0 (Jané)", "CC0 (Jané)")
    assert events.labels.tolist() == [0, 7, 17] and events.groups.tolist() == [2, 11, 2]
    # The noise is of seed and name.
    from zlib import crc32
    merged = 0
    for k, one in enumerate(recordings(folder)):
        rng = np.random.default_rng([3, crc32(one.path.name.encode())])
        spikes = encode(one.load(), seed=int(rng.integers(1 << 31)), dt_s=5e-4)
        raster, merged = spikes.raster, merged + spikes.merged
        at, channel = (each[events.offset[k]:events.offset[k + 1]] for each in (events.at, events.channel))
        again = np.zeros_like(raster)
        again[at, channel] = True
        assert np.array_equal(again, raster) and len(at) == raster.sum()
    assert (said["merged"], said["clipped"]) == (merged, 0)


def test_free_spoken_digits_have_numbers_for_names(tmp_path, capsys):
    for name in ("7_theo_0", "0_jackson_12", "7_jackson_3"):
        write(tmp_path / f"{name}.wav", vowel(120), RATE_HZ)
    found = encoded(tmp_path, tmp_path / "x.npz")
    said = json.loads(capsys.readouterr().out)
    assert (said["speakers"], said["names"]) == ([100, 101], {"jackson": 100, "theo": 101})
    assert (found["label"].tolist(), found["speaker"].tolist()) == ([0, 7, 7], [100, 100, 101])
    assert main(["encode", str(tmp_path), "--output", str(tmp_path / "x.npz")]) == 0
    assert "3 recordings of speakers 100 (jackson), 101 (theo)" in capsys.readouterr().out
    # Where both kinds are, those that have numbers are taken.
    write(tmp_path / f"{NAMES[0]}.wav", vowel(120), RATE_HZ)
    assert encoded(tmp_path, tmp_path / "x.npz")["speaker"].tolist() == [2]


def test_clipped_samples_are_counted_and_a_process_that_ends_is_said(folder, tmp_path, capsys, monkeypatch):
    cut = vowel(140)
    cut[500:503] = 1.0
    write(folder / "deeper" / f"{NAMES[1]}.wav", cut, RATE_HZ)
    encoded(folder, tmp_path / "x.npz")
    assert json.loads(capsys.readouterr().out)["clipped"] == recordings(folder)[1].load().clipped > 0
    monkeypatch.setattr("ionspike.host.utterances.partial", lambda *_, **__: end)
    assert main(["encode", str(folder), "--output", str(tmp_path / "y.npz")]) == 2
    error = capsys.readouterr().err
    assert "a process that encodes recordings was ended from outside" in error and error.count("\n") == 1
    assert not (tmp_path / "y.npz").exists()


def end(recording):
    os._exit(1)


def test_a_recording_is_the_same_whatever_else_is_in_the_folder(folder, tmp_path):
    three, again, other = (encoded(folder, tmp_path / "x.npz", *seed) for seed in ((), (), ("--seed", "2")))
    assert all(np.array_equal(three[name], again[name]) for name in three)
    assert not np.array_equal(three["counts"], other["counts"])
    (folder / "deeper" / f"{NAMES[1]}.wav").unlink()
    two = encoded(folder, tmp_path / "two.npz")
    assert np.array_equal(two["counts"], three["counts"][[0, 2]]) and two["speaker"].tolist() == [2, 2]
    first, last = three["offset"][1], three["offset"][2]
    for name in ("delta_lo", "delta_hi"):
        assert np.array_equal(two[name], np.concatenate([three[name][:first], three[name][last:]]))


def test_what_cannot_be_used_ends_in_one_line(folder, tmp_path, capsys):
    output = tmp_path / "x.npz"
    (tmp_path / "empty").mkdir()
    for arguments, message in (
            ([folder, "--channels", "70"], "--channels is for one recording; of a folder, spikes are those"),
            ([folder, "--tick", "1e-3"], "--tick is for one recording"),
            ([folder, "--picture", str(tmp_path / "x.png")], "--picture is for one recording"),
            ([folder, "--licence", "CC\n0"], "--licence is one line of up to 1000 characters, such as 'CC BY 4.0 (A. Speaker)', "
             "not 'CC\\n0'"),
            ([folder, "--licence", "x" * 1001], "--licence is one line of up to 1000 characters"),
            ([folder / f"{NAMES[0]}.wav", "--licence", "CC0"], "--licence is for a folder of recordings"),
            ([folder, "--seed", "-1"], "seed must be an integer from 0 up, not -1"),
            ([tmp_path / "empty"], "holds no recordings named as the Heidelberg Digits are, "
             "lang-english_speaker-01_trial-5_digit-3.flac, or as the Free Spoken ones, 3_jackson_5.wav")):
        assert main(["encode", *map(str, arguments), "--output", str(output)]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    # One recording that is none, found by a process of its own.
    Path(folder / "deeper" / f"{NAMES[1]}.wav").write_bytes(b"RIFF")
    assert main(["encode", str(folder), "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert f"{NAMES[1]}.wav" in error and "Traceback" not in error and not output.exists()
