"""NIR's files: HDF5, as a tree of groups and arrays."""

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ionspike.host import npy
from ionspike.host.errors import InputError
from ionspike.spec.strict_json import parse, shown

__all__ = ["Tree", "read_hdf5", "read_nir", "root_of", "tree_of"]

#: Groups are dicts, texts str, arrays arrays; arrays of texts are nested lists.
Tree = dict[str, Any]

_TIMEOUT_S = 60.0
#: Of a Python that reads the file, whose name comes next; nothing is imported from where it stands.
_COMMAND = ["-P", "-m", "ionspike.host.nir_child"]
_MOST_BYTES = 1 << 28


def read_nir(path: str | Path) -> Tree:
    """The root node of a NIR file, as :meth:`nir.NIRGraph.to_dict` gives it.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or holds no NIR graph.
    """
    return root_of(read_hdf5(path), str(path))


def root_of(tree: Tree, where: str) -> Tree:
    """The root node in the tree of a NIR file."""
    if not isinstance(node := tree.get("node"), dict):
        raise InputError(f"{where}: holds no NIR graph: there is no group 'node' in it")
    return node


def read_hdf5(path: str | Path) -> Tree:
    """Everything in an HDF5 file; attributes of groups stand under ``@name``.

    Raises
    ------
    InputError
        For a file that cannot be read or is damaged, that links to others, or that unpacks to more
        than any network is.
    """
    path = Path(path)
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise InputError(f"{path}: {size:,} bytes; networks are up to {_MOST_BYTES:,}")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if find_spec("h5py") is None:
        raise InputError(f"{path}: reading it needs h5py; pip install -e '.[nir]' brings it")
    try:
        done = subprocess.run([sys.executable, *_COMMAND, str(path.absolute())],
                              capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: the HDF5 library had not read it after {_TIMEOUT_S:g} s") \
            from None
    if done.returncode:
        raise InputError(f"{path}: damaged: the HDF5 library ended with code {done.returncode}")
    return tree_of(done.stdout, str(path))


def tree_of(content: bytes, where: str) -> Tree:
    """The tree in what :mod:`ionspike.host.nir_child` says of a file.

    Parameters
    ----------
    where : the file is, for messages.
    """
    try:
        files = npy.unzip(content, 2 * _MOST_BYTES)
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
        return arrays[entry["array"]]

    return {name: value(entry) for name, entry in index.items()}


def _nested(texts: list[str], shape: list[int]) -> list[Any]:
    if len(shape) < 2:
        return texts
    length = len(texts) // shape[0] if shape[0] else 0
    return [_nested(texts[at * length:(at + 1) * length], shape[1:]) for at in range(shape[0])]
