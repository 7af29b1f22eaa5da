"""``ionspike flash``: load a bitstream into a board, and ask the board whether it runs."""

import argparse
import time
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, seconds, verb
from ionspike.host.board import Board
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError, NoBoardError
from ionspike.host.verb_build import default_folder

__all__ = ["add"]

#: From the end of loading until the board is configured and its port is back.
START_S = 5.0


def add(verbs: Any) -> None:
    parser = verb(verbs, "flash", _flash, "Load a board with its bitstream, and ask it whether it "
                  "runs.")
    parser.add_argument("board", metavar="BOARD")
    parser.add_argument("--build", metavar="DIR", type=Path,
                        help="what `ionspike build` wrote (default build/BOARD)")
    parser.add_argument("--port", metavar="PORT", help="the board's serial port, if there are many")
    parser.add_argument("--timeout", type=seconds, default=START_S, metavar="SECONDS",
                        help="how long to wait for the board's answer (default %(default)g)")
    add_json(parser)


def _flash(arguments: argparse.Namespace) -> int:
    from ionspike.boards import flash
    from ionspike.boards.errors import BuildError, ToolError
    from ionspike.boards.table import find
    try:
        facts = find(arguments.board)
        folder = arguments.build or default_folder(facts.name)
        said = flash.built(facts, folder)
        words = flash.load(facts, folder / said["bitstream"])
    except ToolError as error:
        raise NoBoardError(str(error)) from error
    except BuildError as error:
        raise InputError(str(error)) from error
    note(f"loaded with {Path(words[0]).name}; asking the board")
    where, build = _ask(arguments.port, said["build"], arguments.timeout)
    emit({"board": facts.name, "build": build, "command": words, "where": where},
         table([("board", facts.title), ("loaded with", " ".join(words)),
                ("answers on", where), ("build", build)]), arguments.json)
    return 0


def _ask(port: str | None, build: str, timeout_s: float) -> tuple[str, str]:
    """The port and build of the board that answers."""
    begun = time.monotonic()
    while True:
        try:
            with Board.open(port, "serial", timeout_s=min(1.0, timeout_s)) as board:
                if board.build != build:
                    raise InputError(f"{board.where}: answers as build {board.build}, {build} was "
                                     f"loaded; reset the board, or give its own --port")
                return board.where, board.build
        except NoBoardError as error:
            if time.monotonic() - begun > timeout_s:
                raise NoBoardError(f"loaded, but no answer: {error}") from error
            time.sleep(0.2)
