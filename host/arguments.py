"""Arguments that several verbs share."""

import argparse
from typing import Any

from ionspike.host.backends import BACKENDS
from ionspike.host.board import TIMEOUT_S, Board
from ionspike.host.console import note

__all__ = ["add_board", "add_json", "add_seed", "count", "open_board", "seconds", "verb"]


def verb(verbs: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    """A subcommand."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(verb=function)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="say it for machines, on stdout")


def add_seed(parser: argparse.ArgumentParser, text: str, default: int | None) -> None:
    parser.add_argument("--seed", type=_integer, default=default, metavar="S", help=text)


def add_board(parser: argparse.ArgumentParser, *, rate: bool = True) -> None:
    """``rate``: whether one baud rate may be asked for."""
    group = parser.add_argument_group("board", "without these, the board that is plugged in; if "
                                      "there is none, the virtual board")
    group.add_argument("--port", metavar="PORT", help="serial port of the board, or "
                       "socket://host:port where `ionspike serve` shares it")
    group.add_argument("--backend", choices=BACKENDS, help="have no other kind of board")
    group.add_argument("--timeout", type=seconds, default=TIMEOUT_S, metavar="SECONDS",
                       help="longest silence of the board (default %(default)g)")
    group.add_argument("--faults", metavar="RATE,NAME=VALUE,...", help="put faults on the line, to "
                       "see that they cost nothing but time: 1e-4, or flip=1e-4,replug=2s,seed=7; "
                       "docs/link.md")
    parser.set_defaults(baud=None)
    if rate:
        group.add_argument("--baud", type=count, metavar="RATE", help="rate of the line, from 115200 "
                           "up (default: what the board was built with); docs/link.md")


def open_board(arguments: argparse.Namespace) -> Board:
    """The board that the arguments ask for; stages of compiling a virtual one go to stderr."""
    return Board.open(arguments.port, arguments.backend, timeout_s=arguments.timeout,
                      faults=arguments.faults, baud=arguments.baud,
                      progress=lambda stage: note(f"virtual board, first use: {stage}"))


def count(text: str) -> int:
    """A positive integer, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _integer(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None


def seconds(text: str) -> float:
    """A positive number, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value
