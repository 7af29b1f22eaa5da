"""Spiking Heidelberg Digits: the HDF5 files of Cramer et al., and others laid out like them."""

import gzip
import io
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.spikes import Spikes

__all__ = ["SHD"]

_MOST_BYTES = 1 << 32
#: For all of a file; the largest of SHD takes a few.
_PROBE_S = 120.0


class SHD:
    """Utterances of an ``.h5`` or ``.h5.gz`` file: ``spikes/times`` in seconds, ``spikes/units``,
    ``labels``, and ``extra/speaker`` if it is there.

    Parameters
    ----------
    path : the file; needs h5py, ``pip install 'ionspike[audio]'``.
    channels : of the spikes; units count from 0.

    Members
    -------
    labels, speakers : integers ``[utterances]``; speakers are -1 where the file does not say.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or is laid out otherwise.
    """

    def __init__(self, path: str | Path, channels: int = 700, *, _probed: bool = False):
        try:
            import h5py
        except ImportError:
            raise InputError("reading HDF5 needs h5py: pip install 'ionspike[audio]'") from None
        self._path, self._channels = Path(path), channels
        if not _probed and self._path.is_file():
            _probe(self._path)
        try:
            content: Any = self._path
            with self._path.open("rb") as file:
                if file.read(2) == b"\x1f\x8b":
                    content = io.BytesIO(_unpacked(self._path))
            self._file = h5py.File(content, "r")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (OSError, EOFError, zlib.error, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: not a readable HDF5 file, or truncated ({_line(error)})") \
                from error
        self._times, self._units = self._array("spikes/times"), self._array("spikes/units")
        self.labels = self._whole("labels", len(self._times))
        self.speakers = self._whole("extra/speaker", len(self._times)) if self._has("extra/speaker") \
            else np.full(len(self._times), -1)
        if len(self._units) != len(self._times):
            raise InputError(f"{path}: {len(self._times)} utterances in spikes/times but "
                             f"{len(self._units)} in spikes/units")

    def __len__(self) -> int:
        return len(self._times)

    def spikes(self, utterance: int, *, dt_s: float, ticks: int | None = None) -> Spikes:
        """Spikes of one utterance; ``merged`` counts those that share a tick and a channel."""
        if not 0 <= utterance < len(self):
            raise InputError(f"{self._path}: utterance {utterance} is out of range: there are "
                             f"{len(self)}, 0 to {len(self) - 1}")
        try:
            times, units = self._times[utterance], self._units[utterance]
        except Exception as error:  # h5py raises what HDF5's plug-ins and heaps bring
            raise InputError(f"{self._path}: utterance {utterance} cannot be read "
                             f"({_line(error)})") from error
        try:
            return Spikes.from_events(np.asarray(units), t_s=np.asarray(times),
                                      width=self._channels, dt_s=dt_s, ticks=ticks)
        except ValueError as error:
            raise InputError(f"{self._path}: utterance {utterance}: {error}") from error

    def _has(self, name: str) -> bool:
        """Within this file: links to others are not followed."""
        import h5py
        at: Any = self._file
        try:
            for part in name.split("/"):
                if not isinstance(at, h5py.Group) \
                        or at.get(part, getclass=True, getlink=True) is not h5py.HardLink:
                    return False
                at = at[part]
            return isinstance(at, h5py.Dataset) and not at.external
        except Exception:   # as above; what cannot be opened is not there
            return False

    def _array(self, name: str) -> Any:
        if not self._has(name):
            raise InputError(f"{self._path}: has no array {name}; spikes/times, spikes/units and "
                             f"labels are read")
        found = self._file[name]
        if found.ndim != 1:
            raise InputError(f"{self._path}: {name} has shape {found.shape}, one entry per "
                             f"utterance was expected")
        return found

    def _whole(self, name: str, count: int) -> NDArray[np.int64]:
        found = self._array(name)
        if len(found) != count or found.dtype.kind not in "iu":
            raise InputError(f"{self._path}: {name} has {len(found)} entries of {found.dtype}, "
                             f"{count} integers were expected")
        try:
            return np.asarray(found[:]).astype(np.int64)
        except Exception as error:  # as above
            raise InputError(f"{self._path}: {name} cannot be read ({_line(error)})") from error


def _probe(path: Path) -> None:
    """Reads all of a file in a process that may hang or die of it, as HDF5's library can."""
    code = ("import sys; from ionspike.host.shd import SHD; "
            "data = SHD(sys.argv[1], _probed=True); "
            "[(data._times[n], data._units[n]) for n in range(len(data))]")
    try:
        done = subprocess.run([sys.executable, "-P", "-c", code, str(path)], timeout=_PROBE_S,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: damaged: HDF5 did not end reading it in {_PROBE_S:g} s") \
            from None
    if done.returncode < 0:
        raise InputError(f"{path}: damaged: HDF5 crashed reading it")


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES >> 30} GB unpacked")
    return data


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
