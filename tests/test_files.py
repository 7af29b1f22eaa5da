"""Files that cannot be opened: the same line from every reader."""

import pytest

from ionspike.fidelity import measurements
from ionspike.host import audio, ionfile
from ionspike.host.errors import InputError
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
