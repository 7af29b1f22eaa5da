"""What the command line says, and where: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["Bar", "emit", "note", "table"]


def note(message: str) -> None:
    """One line on stderr."""
    print(f"ionspike: {message}", file=sys.stderr, flush=True)


def emit(value: dict[str, Any], lines: Iterable[str], as_json: bool) -> None:
    """A result: for machines, or for people."""
    if as_json:
        print(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))
    else:
        print("\n".join(lines))


def table(rows: Iterable[tuple[str, Any]]) -> list[str]:
    """Names and values in two columns."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {value}" for name, value in rows]


class Bar:
    """A bar on stderr; nothing where stderr is no terminal."""

    def __init__(self, what: str, unit: str):
        self._what, self._unit = what, unit
        self._shown = -1
        self._live = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // total if total else 100
        if self._live and percent != self._shown:
            self._shown = percent
            filled = "#" * (percent // 4)
            print(f"\r{self._what} [{filled:<25}] {done:,} of {total:,} {self._unit} ", end="",
                  file=sys.stderr, flush=True)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._shown >= 0:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
