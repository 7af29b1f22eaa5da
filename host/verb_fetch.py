"""``ionspike fetch``: data sets from their official sources."""

import argparse
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, verb
from ionspike.host.console import Bar, emit, table
from ionspike.host.fetch import SOURCES, fetch

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "fetch", _fetch, "Download a data set from its official source and check "
                  "it against the source's MD5; what ends early is resumed; docs/audio.md.")
    parser.add_argument("dataset", choices=list(SOURCES), help="spiking Heidelberg digits, or "
                        "the free spoken digit data set")
    parser.add_argument("--output", default=".", metavar="FOLDER",
                        help="where its files go (default: here)")
    parser.add_argument("--source", metavar="URL", help="of a mirror's list of checksums; the "
                        "files are fetched from beside it")
    add_json(parser)


def _fetch(arguments: argparse.Namespace) -> int:
    with Bar("fetching", "bytes") as bar:
        found = fetch(arguments.dataset, Path(arguments.output), listing=arguments.source,
                      progress=bar)
    licence = SOURCES[arguments.dataset].licence
    facts = {"dataset": arguments.dataset, "licence": licence, "files": [
        {"path": str(file.path), "md5": file.md5, "bytes": file.bytes,
         "was_there": file.was_there, "resumed_from": file.resumed_from} for file in found]}
    lines = table([("data set", f"{arguments.dataset}: {licence}"), *(
        ("was there" if file.was_there else "fetched",
         f"{file.path}, {file.bytes / 1e6:,.1f} MB, MD5 {file.md5}") for file in found)])
    emit(facts, lines, arguments.json)
    return 0
