"""JSON from files that may be anybody's: one object, of finite numbers and whole characters."""

import json
import reprlib
from typing import Any, NoReturn

__all__ = ["parse", "shown"]

_WRITER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


def parse(text: str | bytes) -> dict[str, Any]:
    """The object that a text holds.

    Raises
    ------
    ValueError
        For all else: other values than an object, numbers that are not finite, halves of
        characters, what is nested too deeply.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
        # Numbers beyond floats and halves of characters come through the parser, but not back.
        _WRITER.encode(found).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"holds a {type(found).__name__}, not an object")
    return found


def shown(value: object) -> str:
    """A value in a message: all of it if it is short."""
    return reprlib.repr(value)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
