"""NumPy's files from bytes that may be anybody's: nothing is allocated that the bytes do not hold."""

import io
import tokenize
import warnings
import zipfile
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["read", "unzip"]

#: Characters of a header; ours have some 80.
_HEADER = 4096
#: What NumPy's own reader of headers lets through.
_SURPRISES = (ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError,
              MemoryError, EOFError, tokenize.TokenError)


def read(data: bytes) -> NDArray[Any]:
    """The array of an ``.npy`` file.

    Raises
    ------
    ValueError
        For what is no such file, holds Python objects, or less than its header says.
    """
    header = 10 if data[6:7] == b"\x01" else 12     # its length has two bytes, from version 2 four
    begin = header + int.from_bytes(data[8:header], "little")
    try:
        shape, by_columns, dtype = _header(data[:begin])
    except _SURPRISES as error:
        raise ValueError(f"no array: {_first_line(error)}") from None
    if dtype.hasobject:
        raise ValueError("holds Python objects, which are never read")
    if any(not 0 <= size < 1 << 48 for size in shape) or not dtype.itemsize:
        raise ValueError(f"no array: shape {shape} of {dtype}")
    count = 1
    for size in shape:
        count *= size
    there = len(data) - begin
    if count * dtype.itemsize > there:
        raise ValueError(f"{count} numbers of {dtype.itemsize} bytes are promised, {there} bytes "
                         f"are there")
    try:
        flat = np.frombuffer(data, dtype, count, begin)
        return flat.reshape(shape, order="F" if by_columns else "C").copy()
    except (ValueError, TypeError) as error:
        raise ValueError(f"no array: {_first_line(error)}") from None


@lru_cache(256)     # files of one network or graph have few headers, of which Python is compiled
def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    file = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # headers of Python 2
        reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[
            npy.read_magic(file)]
        return reader(file, max_header_size=_HEADER)


def unzip(data: bytes, most: int) -> dict[str, bytes]:
    """Every file of a zip by name.

    Parameters
    ----------
    most : bytes that all may have together.

    Raises
    ------
    ValueError
        For what is no zip, truncated, damaged, packed in ways that NumPy never does, or larger.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if (claimed := sum(entry.file_size for entry in entries)) > most:
                raise ValueError(f"{claimed} bytes unpacked; {most} are the most")
            for entry in entries:
                # Others pack so tightly that a few bytes fill a memory.
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{entry.filename!r} is neither stored nor deflated")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError,
            NotImplementedError, OverflowError, KeyError, IndexError) as error:
        raise ValueError(_first_line(error)) from None


def _first_line(error: Exception) -> str:
    # Messages of zip files quote whole headers.
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
