"""Reads an HDF5 file in a process of its own: ``python -P hdf5_child.py FILE ASKED``.

The HDF5 library is C that was not written for files that may be anybody's. What it does to this
process, its memory or its time does not reach the one that asked: :mod:`ionspike.host.hdf5`.
``ASKED`` is JSON: ``names`` and the fields of :class:`ionspike.host.hdf5.Limits`. Writes a zip to
stdout: ``index.json``, and the arrays that it names.
"""

import gzip
import io
import json
import resource
import sys
import zipfile
from typing import Any

import numpy as np

__all__ = ["main"]

_MOST_DEPTH = 12


class _Refused(Exception):
    pass


def main() -> None:
    path, asked = sys.argv[1], json.loads(sys.argv[2])
    for kind, most in ((resource.RLIMIT_AS, asked["memory"]), (resource.RLIMIT_CPU, asked["cpu_s"]),
                       (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
    try:
        content = _read(path, asked["names"],
                        {what: asked[what] for what in ("entries", "bytes", "characters")})
    except _Refused as error:
        content = _packed({"error": str(error)}, {})
    except Exception as error:      # the library's, of every kind
        said = " ".join(str(error).split())[:200] or type(error).__name__
        content = _packed({"error": f"not a readable HDF5 file, or damaged ({said})"}, {})
    sys.stdout.buffer.write(content)


def _read(path: str, names: list[str], most: dict[str, int]) -> bytes:
    import h5py
    arrays: dict[str, np.ndarray] = {}
    left = dict(most)

    def take(what: str, amount: int) -> None:
        left[what] -= amount
        if left[what] < 0:
            raise _Refused(f"more than the {most[what]:,} {what} that are read")

    def kept(array: np.ndarray) -> str:
        arrays[key := f"{len(arrays)}.npy"] = array
        return key

    def group(node: Any, within: str, depth: int) -> dict[str, Any]:
        if depth > _MOST_DEPTH:
            raise _Refused(f"groups within groups, more than {_MOST_DEPTH} deep")
        found: dict[str, Any] = {}
        for name in node:
            take("entries", 1)
            take("characters", len(name))
            if names and not any(f"{wanted}/".startswith(f"{within}{name}/") for wanted in names):
                continue
            if not isinstance(node.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"{name[:80]!r} is a link to elsewhere")
            item = node[name]
            if isinstance(item, h5py.Group):
                found[name] = {"group": group(item, f"{within}{name}/", depth + 1)}
            elif isinstance(item, h5py.Dataset):
                found[name] = dataset(name, item)
            else:
                raise _Refused(f"{name[:80]!r} is neither a group nor an array")
        for name, value in () if names else node.attrs.items():
            if isinstance(value, (str, int, float, np.integer, np.floating)):
                take("characters", len(str(value)))
                found[f"@{name}"] = {"text": str(value)}
        return found

    def dataset(name: str, item: Any) -> dict[str, Any]:
        if item.is_virtual or item.external:
            raise _Refused(f"{name[:80]!r} is kept in another file")
        if item.shape is None:
            raise _Refused(f"{name[:80]!r} is empty")
        if h5py.check_string_dtype(item.dtype) is not None:
            take("bytes", item.size * item.dtype.itemsize)
            values = np.asarray(item[()], object).ravel().tolist()
            texts = [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]
            take("characters", sum(map(len, texts)))
            return {"text": texts[0]} if item.shape == () else {
                "texts": texts, "shape": list(item.shape)}
        each = h5py.check_vlen_dtype(item.dtype)
        if names and each is not None and item.ndim == 1:
            return ragged(name, item, each)
        numbers(name, item.dtype)
        take("bytes", item.size * item.dtype.itemsize)
        return {"array": kept(np.asarray(item[()]))}

    def numbers(name: str, dtype: Any) -> None:
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise _Refused(f"{name[:80]!r} is {dtype}, not numbers")

    def ragged(name: str, item: Any, each: Any) -> dict[str, Any]:
        numbers(name, each)
        take("entries", len(item))
        rows = []
        for k in range(len(item)):  # one by one: how long they are, only they say
            try:
                rows.append(np.asarray(item[k], each))
            except Exception as error:
                raise _Refused(f"damaged: entry {k} of {name[:80]!r} cannot be read "
                               f"({' '.join(str(error).split())[:200]})") from None
            take("bytes", rows[-1].nbytes)
        offset = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        return {"ragged": kept(np.concatenate([np.zeros(0, each), *rows])), "offset": kept(offset)}

    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        with gzip.open(path) as unpacking:
            content = io.BytesIO(unpacking.read(most["bytes"] + 1))
        if content.seek(0, io.SEEK_END) > most["bytes"]:
            raise _Refused(f"more than the {most['bytes']:,} bytes that are read, unpacked")
    with h5py.File(content if packed else path, "r") as root:
        return _packed(group(root, "", 0), arrays)


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
