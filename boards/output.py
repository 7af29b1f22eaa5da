"""A folder that holds a finished build or none."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ionspike.boards.errors import OutputError

__all__ = ["MANIFEST", "replacing"]

#: What tells a folder of ours, which may be replaced, from any other.
MANIFEST = "build.json"


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A fresh folder that takes the place of ``output`` if the block ends well; else it vanishes.

    Raises
    ------
    OutputError
        If ``output`` cannot be written, is no earlier build, or another build is at it.
    """
    output = Path(os.path.abspath(output))
    partial = output.with_name(f".{output.name}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not (output / MANIFEST).exists() and (
                not output.is_dir() or any(output.iterdir())):
            raise OutputError(f"{output} is not an earlier build, so it is not replaced; give "
                              f"another --output")
        lock = os.open(output.with_name(f".{output.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror}); give another "
                          f"--output") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another build is writing {output}; wait for it, or give another "
                              f"--output") from None
        # What a build left that was killed.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            _swap(partial, output)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(lock)


def _swap(partial: Path, output: Path) -> None:
    """Two renames, for a folder cannot be renamed over one that holds files."""
    old = output.with_name(f".{output.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        os.replace(output, old)
    os.replace(partial, output)
    shutil.rmtree(old, ignore_errors=True)
