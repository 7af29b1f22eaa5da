"""Folder of things that take long to build, shared by all processes of a user."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["digest", "folder", "locked"]


def folder(kind: str) -> Path:
    """Cache folder of one kind: ``$IONSPIKE_CACHE``, else ``ionspike`` in the user's cache."""
    if chosen := os.environ.get("IONSPIKE_CACHE"):
        root = Path(chosen)
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ionspike")
    path = (root / kind).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(*parts: str) -> str:
    """Key of a build: everything that decides its result."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``; another process that wants it waits."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
