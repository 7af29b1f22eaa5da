"""HDF5 files as trees of groups and arrays, read in a process of its own."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import npy
from ionspike.host.errors import InputError
from ionspike.host.files import readable
from ionspike.spec.strict_json import parse, shown

__all__ = ["Limits", "Ragged", "Tree", "read", "tree_of"]

#: Groups are dicts, texts str, arrays arrays or Ragged; arrays of texts are nested lists.
Tree = dict[str, Any]

#: Of a Python that reads the file; nothing is imported from where it or the file stands.
_COMMAND = ["-P", str(Path(__file__).with_name("hdf5_child.py"))]


@dataclass(frozen=True)
class Limits:
    """What a file may make of the process that reads it.

    Parameters
    ----------
    bytes : of all arrays together, and of the file, unpacked if it is a gzip.
    memory : bytes of the process.
    cpu_s, wall_s : seconds that it works and that it is waited for.
    entries : groups, arrays and rows of ragged arrays.
    characters : of all names and texts.
    """

    bytes: int
    memory: int
    cpu_s: int
    wall_s: float
    entries: int = 20_000
    characters: int = 1 << 22


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row k is ``values[offset[k]:offset[k + 1]]``."""

    values: NDArray[Any]
    offset: NDArray[np.int64]

    def __post_init__(self) -> None:
        offset = self.offset
        if self.values.ndim != 1 or offset.dtype != np.int64 or offset.ndim != 1 or not len(offset) \
                or offset[0] or offset[-1] != len(self.values) or (np.diff(offset) < 0).any():
            raise ValueError("rows that do not fit their values")

    def __len__(self) -> int:
        return len(self.offset) - 1


def read(path: str | Path, limits: Limits, *, extra: str, names: tuple[str, ...] = ()) -> Tree:
    """What is in an HDF5 file, which may be packed by gzip.

    Parameters
    ----------
    extra : of this package that brings h5py, for a message.
    names : of the arrays to read, such as ``spikes/times``; rows of theirs may differ in length.
        Without it, everything is read, and attributes of groups stand under ``@name``.

    Raises
    ------
    InputError
        For a file that cannot be read or is damaged, that links to others, or that is beyond the
        limits.
    """
    path = Path(path)
    with readable(path):
        if (size := path.stat().st_size) > limits.bytes:
            raise InputError(f"{path}: {size:,} bytes; up to {limits.bytes:,} are read")
        with path.open("rb"):
            pass
    if find_spec("h5py") is None:
        raise InputError(f"{path}: reading it needs h5py; pip install -e '.[{extra}]' brings it")
    asked = json.dumps({"names": names, **asdict(limits)})
    try:
        done = subprocess.run([sys.executable, *_COMMAND, str(path.absolute()), asked],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=limits.wall_s, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: the HDF5 library had not read it after {limits.wall_s:g} s") \
            from None
    if done.returncode:
        raise InputError(f"{path}: damaged: the HDF5 library ended with code {done.returncode}")
    return tree_of(done.stdout, str(path), 2 * limits.bytes)


def tree_of(content: bytes, where: str, most: int) -> Tree:
    """The tree in what :mod:`ionspike.host.hdf5_child` says of a file.

    Parameters
    ----------
    where : the file is, for messages.
    most : bytes of it, unpacked.
    """
    try:
        files = npy.unzip(content, most)
        index = parse(files.pop("index.json"))
        arrays = {name: npy.read(data) for name, data in files.items()}
        for array in arrays.values():
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{array.dtype}, not numbers")
        if isinstance(said := index.get("error"), str):
            raise InputError(f"{where}: {said}")
        return _tree(index, arrays)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{where}: damaged: {type(error).__name__}: {error}") from error


def _tree(index: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Tree:
    def value(entry: dict[str, Any]) -> Any:
        if "group" in entry:
            return {name: value(each) for name, each in entry["group"].items()}
        if "text" in entry:
            return entry["text"]
        if "texts" in entry:
            if math.prod(entry["shape"]) != len(entry["texts"]):
                raise ValueError(f"{len(entry['texts'])} texts of shape {shown(entry['shape'])}")
            return _nested(entry["texts"], entry["shape"])
        if "ragged" in entry:
            return Ragged(arrays[entry["ragged"]], arrays[entry["offset"]])
        return arrays[entry["array"]]

    return {name: value(entry) for name, entry in index.items()}


def _nested(texts: list[str], shape: list[int]) -> list[Any]:
    if len(shape) < 2:
        return texts
    length = len(texts) // shape[0] if shape[0] else 0
    return [_nested(texts[at * length:(at + 1) * length], shape[1:]) for at in range(shape[0])]
