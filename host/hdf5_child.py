"""Reads an HDF5 file in a process of its own: ``python -m ionspike.host.nir_child FILE``.

The HDF5 library is C that was not written for files that may be anybody's. What it does to this
process, its memory or its time does not reach the one that asked: :mod:`ionspike.host.nir_file`.
Writes a zip to stdout: ``index.json``, and the arrays that it names.
"""

import io
import json
import resource
import sys
import zipfile
from typing import Any

import numpy as np

__all__ = ["main"]

#: What a file may make of this process.
MOST_MEMORY, MOST_CPU_S = 1 << 31, 30
#: Of all arrays together, as they are unpacked; the largest core holds far less.
MOST_BYTES = 1 << 28
_MOST_ENTRIES, _MOST_DEPTH, _MOST_CHARACTERS = 20_000, 12, 1 << 22


class _Refused(Exception):
    pass


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        content = _read(sys.argv[1])
    except _Refused as error:
        content = _packed({"error": str(error)}, {})
    except Exception as error:      # the library's, of every kind
        said = " ".join(str(error).split())[:200] or type(error).__name__
        content = _packed({"error": f"not a readable HDF5 file, or damaged ({said})"}, {})
    sys.stdout.buffer.write(content)


def _read(path: str) -> bytes:
    import h5py
    arrays: dict[str, np.ndarray] = {}
    budget = {"entries": _MOST_ENTRIES, "bytes": MOST_BYTES, "characters": _MOST_CHARACTERS}

    def take(what: str, amount: int) -> None:
        budget[what] -= amount
        if budget[what] < 0:
            raise _Refused(f"more than the {dict(entries=_MOST_ENTRIES, bytes=MOST_BYTES, characters=_MOST_CHARACTERS)[what]:,} "
                           f"{what} that a network may have")

    def group(node: Any, depth: int) -> dict[str, Any]:
        if depth > _MOST_DEPTH:
            raise _Refused(f"groups within groups, more than {_MOST_DEPTH} deep")
        found: dict[str, Any] = {}
        for name in node:
            take("entries", 1)
            take("characters", len(name))
            if not isinstance(node.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"{name[:80]!r} is a link to elsewhere")
            item = node[name]
            if isinstance(item, h5py.Group):
                found[name] = {"group": group(item, depth + 1)}
            elif isinstance(item, h5py.Dataset):
                found[name] = dataset(name, item)
            else:
                raise _Refused(f"{name[:80]!r} is neither a group nor an array")
        for name, value in node.attrs.items():
            if isinstance(value, (str, int, float, np.integer, np.floating)):
                take("characters", len(str(value)))
                found[f"@{name}"] = {"text": str(value)}
        return found

    def dataset(name: str, item: Any) -> dict[str, Any]:
        if item.is_virtual or item.external:
            raise _Refused(f"{name[:80]!r} is kept in another file")
        if item.shape is None:
            raise _Refused(f"{name[:80]!r} is empty")
        kind = h5py.check_string_dtype(item.dtype)
        if kind is not None:
            take("bytes", item.size * item.dtype.itemsize)
            values = np.asarray(item[()], object).ravel().tolist()
            texts = [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]
            take("characters", sum(map(len, texts)))
            return {"text": texts[0]} if item.shape == () else {
                "texts": texts, "shape": list(item.shape)}
        if item.dtype.kind not in "biuf" or item.dtype.itemsize > 8:
            raise _Refused(f"{name[:80]!r} is {item.dtype}, not numbers")
        take("bytes", item.size * item.dtype.itemsize)
        key = f"{len(arrays)}.npy"
        arrays[key] = np.asarray(item[()])
        return {"array": key}

    with h5py.File(path, "r") as file:
        return _packed(group(file, 0), arrays)


def _packed(index: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("index.json", json.dumps(index))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(name, buffer.getvalue())
    return content.getvalue()


if __name__ == "__main__":
    main()
