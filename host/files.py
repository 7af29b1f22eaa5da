"""Files that a user names: what keeps one from being read, as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ionspike.host.errors import InputError

__all__ = ["readable"]


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
