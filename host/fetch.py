"""Data sets from their official sources, whole or not at all."""

import hashlib
import http.client
import json
import os
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ionspike.host.errors import InputError

__all__ = ["SOURCES", "Fetched", "Source", "fetch"]

_TIMEOUT_S = 30.0
#: Of a list of checksums, and of a file.
_MOST_LISTED, _MOST_BYTES = 1 << 20, 1 << 33
_PIECE = 1 << 18


@dataclass(frozen=True)
class Source:
    """Where a data set is, and what lists its checksums: a file of md5sum, or a Zenodo record."""

    listing: str
    files: tuple[str, ...]
    licence: str


SOURCES = {
    "shd": Source("https://zenkelab.org/datasets/md5sums.txt",
                  ("shd_train.h5.gz", "shd_test.h5.gz"),
                  "CC BY 4.0, Cramer et al., doi 10.1109/TNNLS.2020.3044364"),
    "fsdd": Source("https://zenodo.org/api/records/1342401", (),
                   "CC BY-SA 4.0, Jakobovski et al., doi 10.5281/zenodo.1342401")}


@dataclass(frozen=True)
class Fetched:
    path: Path
    md5: str
    bytes: int
    was_there: bool
    resumed_from: int


def fetch(name: str, folder: str | Path, *, listing: str | None = None,
          progress: Callable[[int, int], None] = lambda done, total: None) -> list[Fetched]:
    """Bring a data set's files into a folder and check them.

    A file that is there and right stays. One that comes is ``FILE.part`` until its MD5 is that of
    the source; a transfer that ends early is resumed by the next call.

    Parameters
    ----------
    listing : URL of another list of checksums; the files are fetched from beside it.

    Raises
    ------
    InputError
        For an unknown name, a folder that is none, a source that cannot be reached or says
        something else than files with checksums, and a file that is not what was listed.
    """
    if name not in SOURCES:
        raise InputError(f"no data set {name!r}; there are {', '.join(SOURCES)}")
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    source = SOURCES[name]
    listing = listing or source.listing
    if not listing.startswith(("https://", "http://")):
        raise InputError(f"{listing}: a source begins with https:// or http://")
    listed = _listed(_small(listing), listing)
    if missing := [file for file in source.files if file not in listed]:
        raise InputError(f"{listing}: does not list {missing[0]}")
    wanted = source.files or tuple(listed)
    return [_file(folder / file, *listed[file], progress) for file in wanted]


def _listed(data: bytes, listing: str) -> dict[str, tuple[str, str]]:
    """URL and MD5 by name of file."""
    text = data.decode("utf-8", "replace")
    found: dict[str, tuple[str, str]] = {}
    try:
        if text.lstrip().startswith("{"):
            for entry in json.loads(text)["files"]:
                kind, _, md5 = entry["checksum"].partition(":")
                url = urllib.parse.urljoin(listing, entry["links"]["self"])
                if kind == "md5":
                    found[entry["key"].rpartition("/")[2]] = url, md5
        else:
            for line in text.splitlines():
                md5, _, file = line.strip().partition(" ")
                if file.strip():
                    file = file.strip().lstrip("*")
                    found[file] = urllib.parse.urljoin(listing, urllib.parse.quote(file)), md5
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = {}
    host = urllib.parse.urlsplit(listing)[:2]
    found = {file: (url, md5) for file, (url, md5) in found.items()
             if len(md5) == 32 and set(md5) <= set("0123456789abcdef")
             and urllib.parse.urlsplit(url)[:2] == host
             and file == os.path.basename(file) and file not in ("", ".", "..")
             and file.isprintable()}
    if not found:
        raise InputError(f"{listing}: lists no files with MD5 checksums")
    return found


def _open(url: str, start: int = 0) -> Any:
    headers = {"User-Agent": "ionspike", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return urllib.request.urlopen(  # its scheme is https or http, see fetch and _listed
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(f"{url}: cannot be fetched ({' '.join(str(error).split())[:200]})") \
            from error


def _small(url: str) -> bytes:
    with _open(url) as answer:
        try:
            data: bytes = answer.read(_MOST_LISTED + 1)
        except (OSError, http.client.HTTPException) as error:
            raise InputError(f"{url}: ended early ({error})") from error
    if len(data) > _MOST_LISTED:
        raise InputError(f"{url}: more than {_MOST_LISTED} bytes, no list of checksums")
    return data


def _file(path: Path, url: str, md5: str, progress: Callable[[int, int], None]) -> Fetched:
    if path.is_file() and _md5(path).hexdigest() == md5:
        return Fetched(path, md5, path.stat().st_size, True, 0)
    part = path.with_name(path.name + ".part")
    start = part.stat().st_size if part.is_file() else 0
    digest = _md5(part) if start else hashlib.md5(usedforsecurity=False)
    if start and digest.hexdigest() == md5:     # only its name was missing
        os.replace(part, path)
        return Fetched(path, md5, start, False, start)
    try:
        answer = _open(url, start)
    except InputError as error:
        # 416: the part is longer than the file, or another file's.
        if not start or getattr(error.__cause__, "code", None) != 416:
            raise
        answer = _open(url)
    with answer:
        resumed = start if answer.status == 206 and (answer.headers.get("Content-Range") or "") \
            .startswith(f"bytes {start}-") else 0
        if answer.status == 206 and not resumed:
            raise InputError(f"{url}: answered with a part that was not asked for")
        if not resumed:
            digest = hashlib.md5(usedforsecurity=False)
        size = answer.headers.get("Content-Length") or ""
        total = resumed + int(size) if size.isdecimal() and len(size) < 16 else 0
        done = resumed
        with part.open("ab" if resumed else "wb") as file:
            while True:
                try:
                    piece = answer.read(_PIECE)
                except (OSError, http.client.HTTPException) as error:
                    raise InputError(f"{url}: ended early at {done:,} bytes ({error}); run it "
                                     f"again to go on from there") from error
                if not piece:
                    break
                done += len(piece)
                if done > _MOST_BYTES:
                    raise InputError(f"{url}: more than {_MOST_BYTES >> 30} GB")
                file.write(piece)
                digest.update(piece)
                progress(done, max(total, done))
    if done < total:
        raise InputError(f"{url}: ended early at {done:,} of {total:,} bytes; run it again to go "
                         f"on from there")
    if digest.hexdigest() != md5:
        part.unlink()
        raise InputError(f"{url}: MD5 is {digest.hexdigest()}, {md5} was listed; nothing was kept, "
                         f"run it again")
    os.replace(part, path)
    return Fetched(path, md5, done, False, resumed)


def _md5(path: Path) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
