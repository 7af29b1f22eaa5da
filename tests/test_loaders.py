"""Data sets as their authors lay them out, and files that only claim to be."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from conftest import require_package
from test_audio import TONE, write

from ionspike.host import hdf5, shd
from ionspike.host.errors import InputError
from ionspike.host.fsdd import recordings
from ionspike.host.shd import SHD

LIMITS = shd._LIMITS
TIMES = ([0.0, 0.0105, 0.25], [], [0.5, 0.5])
UNITS = ([3, 699, 0], [], [7, 7])


@pytest.fixture
def h5(tmp_path):
    require_package("h5py", "audio")
    import h5py
    path = tmp_path / "shd.h5"
    with h5py.File(path, "w") as file:
        for name, kind, values in (("times", "f2", TIMES), ("units", "u2", UNITS)):
            array = file.create_dataset(f"spikes/{name}", (3,), h5py.vlen_dtype(np.dtype(kind)))
            for n, one in enumerate(values):
                array[n] = np.array(one, kind)
        file["labels"], file["extra/speaker"] = np.array([4, 0, 19]), np.array([1, 5, 11])
    return path


def test_shd_is_read_packed_or_not(h5):
    packed = h5.with_suffix(".h5.gz")
    packed.write_bytes(gzip.compress(h5.read_bytes()))
    for path in (h5, packed):
        data = SHD(path)
        assert len(data) == 3 and data.labels.tolist() == [4, 0, 19]
        assert data.speakers.tolist() == [1, 5, 11]
        spikes = data.spikes(0, dt_s=1e-3)
        assert spikes.width == 700
        assert list(zip(*spikes.events(), strict=True)) == [(0, 3), (10, 699), (250, 0)]
        assert data.spikes(1, dt_s=1e-3, ticks=10).count == 0
        assert (data.spikes(2, dt_s=1e-3).count, data.spikes(2, dt_s=1e-3).merged) == (1, 1)


def test_shd_that_is_none_is_refused_by_name(h5, tmp_path):
    import h5py
    with pytest.raises(InputError, match="utterance 3 is out of range: there are 3, 0 to 2"):
        SHD(h5).spikes(3, dt_s=1e-3)
    with pytest.raises(InputError, match="utterance 0: event index 699 is out of range: there are 70"):
        SHD(h5, channels=70).spikes(0, dt_s=1e-3)
    short = tmp_path / "short.h5"
    short.write_bytes(h5.read_bytes()[:1000])
    with pytest.raises(InputError, match="short.h5: not a readable HDF5 file, or damaged .*truncated"):
        SHD(short)
    with pytest.raises(InputError, match="none.h5: no such file"):
        SHD(tmp_path / "none.h5")
    with h5py.File(h5, "a") as file:
        del file["labels"]
        file["labels"] = [1.5, 2, 3]
    with pytest.raises(InputError, match="labels has 3 entries of float64, 3 integers"):
        SHD(h5)
    with h5py.File(h5, "a") as file:
        del file["labels"]
        file["labels"] = h5py.ExternalLink("/etc/passwd", "labels")
    with pytest.raises(InputError, match="shd.h5: 'labels' is a link to elsewhere"):
        SHD(h5)
    with h5py.File(h5, "a") as file:
        del file["labels"]
    with pytest.raises(InputError, match="has no array labels; spikes/times, spikes/units and"):
        SHD(h5)
    with h5py.File(h5, "a") as file:
        file["labels"] = [4, 0, 19]
        file["spikes/units"][2] = [7]
    with pytest.raises(InputError, match="utterance 2 has 2 times but 1 units"):
        SHD(h5)
    with h5py.File(h5, "a") as file:
        del file["spikes/units"]
        file["spikes/units"] = np.zeros((3, 2), "u2")
    with pytest.raises(InputError, match=r"spikes/units has shape \[3, 2\], one list per utterance"):
        SHD(h5)


def test_what_else_is_in_the_file_is_left_alone(h5):
    import h5py
    with h5py.File(h5, "a") as file:
        file["extra/keys"] = np.array(["zero", "one"], "S")
        file["extra/large"] = file.create_dataset("large", (1 << 40,), "f8", chunks=(1 << 16,))
        file.attrs["TITLE"] = h5py.Empty("S1")
    assert SHD(h5).spikes(0, dt_s=1e-3).count == 3



def test_what_a_file_may_take_is_bounded(h5, monkeypatch):
    def refused(message, **limits):
        monkeypatch.setattr(shd, "_LIMITS", replace(LIMITS, **limits))
        with pytest.raises(InputError, match=message) as raised:
            SHD(h5)
        assert str(raised.value).startswith(f"{h5}: ") and "\n" not in str(raised.value)

    refused("bytes; up to 1,000 are read", bytes=1000)
    h5.write_bytes(gzip.compress(h5.read_bytes()))
    refused("more than the 4,000 bytes that are read, unpacked", bytes=4000)
    refused("more than the 11 entries", entries=11)
    refused(r"not a readable HDF5 file, or damaged|ended with code", memory=1 << 28)
    refused("had not read it after 0.001 s", wall_s=1e-3)      # no Python starts so fast
    refused("ended with code -(24|9)", cpu_s=0)
    monkeypatch.setattr(hdf5, "_COMMAND", ["-c", "import os; os.abort()"])
    refused("damaged: the HDF5 library ended with code -6")


def test_nothing_is_imported_from_where_the_file_lies(h5, monkeypatch):
    monkeypatch.chdir(h5.parent)
    (h5.parent / "h5py.py").write_text("raise SystemExit(7)")
    assert len(SHD("shd.h5")) == 3


def test_fsdd_is_a_folder_of_named_recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("7_jackson_32", "0_theo_4", "0_theo_5"):
        write(folder / f"{name}.wav", TONE, 8_000)
    (folder / "readme.txt").write_text("x")
    found = recordings(tmp_path)
    assert [(one.digit, one.speaker, one.number, one.is_test) for one in found] == [
        (0, "theo", 4, True), (0, "theo", 5, False), (7, "jackson", 32, False)]
    assert found[0].load().rate_Hz == 8_000
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no files named DIGIT_SPEAKER_NUMBER.wav"):
        recordings(empty)
