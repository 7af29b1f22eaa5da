"""Files that cannot be opened: the same line from every reader. Files that are written whole or not at all."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ionspike.fidelity import measurements
from ionspike.host import audio, ionfile
from ionspike.host.errors import InputError
from ionspike.host.files import replacing
from ionspike.host.recording import Recording
from ionspike.host.shd import SHD
from ionspike.host.spikes import Spikes
from ionspike.train import arrays

READERS = {
    "sound": audio.load, "network": ionfile.load, "recording": Recording, "digits": SHD,
    "measurements": measurements.load, "arrays": lambda path: arrays.read(path, ()),
    "spikes": lambda path: Spikes.load(path.rename(path.with_suffix(".npy")) if path.exists()
                                       else path.with_suffix(".npy"), dt_s=1e-3)}


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_there_or_no_file_is_one_line(tmp_path, name):
    with pytest.raises(InputError, match=r"/none(\.npy)?: no such file$"):
        READERS[name](tmp_path / "none")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"/folder(\.npy)?: cannot be read \(Is a directory\)$"):
        READERS[name](tmp_path / "folder")


@pytest.mark.parametrize("before", [None, b"what was there"])
def test_what_fails_while_it_is_written_leaves_what_was_there(tmp_path, before):
    path = tmp_path / "result.npz"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(OSError, match="disk"), replacing(path) as file:
        file.write(b"the first half")
        raise OSError("the disk is full")
    assert [each.name for each in tmp_path.iterdir()] == ([] if before is None else [path.name])
    assert before is None or path.read_bytes() == before


def test_a_disk_that_is_full_keeps_the_result_that_was_there(tmp_path):
    """A limit of the system's on the size of files ends it in the middle, as a full disk does."""
    old = Spikes(np.zeros((4, 8), bool), 1e-3)
    path = tmp_path / "spikes.npy"
    old.save(path)
    code = ("import resource, signal, sys, numpy as np; from ionspike.host.spikes import Spikes\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "Spikes(np.ones((1000, 100), bool), 1e-3).save(sys.argv[1])")
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert ended.returncode and "File too large" in ended.stderr
    assert np.array_equal(Spikes.load(path, dt_s=1e-3).raster, old.raster) and list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_mode_that_open_gives_or_the_one_it_had(tmp_path):
    plain, kept = tmp_path / "plain", tmp_path / "kept"
    (tmp_path / "opened").touch()
    kept.touch()
    kept.chmod(0o640)
    for path in (plain, kept):
        with replacing(path) as file:
            file.write(b"new")
    assert plain.stat().st_mode == (tmp_path / "opened").stat().st_mode
    assert kept.stat().st_mode & 0o777 == 0o640 and kept.read_bytes() == b"new"


def test_a_link_leads_to_the_file_that_is_replaced_and_a_pipe_is_written_to(tmp_path):
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replacing(pipe) as file:
        file.write(b"through")
    assert os.read(reader, 100) == b"through" and pipe.is_fifo()
    os.close(reader)


@pytest.mark.parametrize("where", ["nowhere/name.npz", "folder"])
def test_where_nothing_can_be_written_the_path_is_named(tmp_path, where):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=f"'{tmp_path / where}'$"), replacing(tmp_path / where) as file:
        file.write(b"")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
