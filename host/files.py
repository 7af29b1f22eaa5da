"""Files that a user names: what keeps one from being read, as one line; written whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ionspike.host.errors import InputError

__all__ = ["readable", "replacing"]


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """What opens and reads a file goes inside.

    Raises
    ------
    InputError
        For a file that is not there or that the system does not let be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is whole; until then, and for good if writing it fails, what had
    that name stays. What is no file, such as a pipe, is written to.

    Raises
    ------
    OSError
        Naming the path, where nothing can be written there.
    """
    target = Path(os.path.realpath(path))   # of a link, the file it leads to is replaced
    mode = target.stat().st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as stream:
            yield stream
        return
    try:
        beside: Any = tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name[:100]}-", delete=False)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        with beside:
            yield beside
        os.chmod(beside.name, _created() if mode is None else stat.S_IMODE(mode))
        os.replace(beside.name, target)
    except BaseException:
        os.unlink(beside.name)
        raise


def _created() -> int:
    """The mode of a file that open() makes."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
