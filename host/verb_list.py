"""``ionspike list``: which boards are there."""

import argparse
from typing import Any

from ionspike.host.arguments import add_json, verb
from ionspike.host.console import emit
from ionspike.host.errors import BoardError, NoBoardError
from ionspike.host.ports import candidates

__all__ = ["add"]

_TIMEOUT_S = 1.0


def add(verbs: Any) -> None:
    add_json(verb(verbs, "list", _list, "List boards and what else can run a network."))


def _list(arguments: argparse.Namespace) -> int:
    boards = [_ask(candidate) for candidate in candidates()]
    lines = [f"{entry['port']}  {entry['name']}  USB {entry['usb']}  {entry['answer']}"
             for entry in boards] or ["no board found on any serial port"]
    lines += ["virtual  the gateware, compiled, behind a pseudo-terminal  (--backend virtual)",
              "golden   the golden model, no gateware                     (--backend golden)"]
    emit({"boards": boards, "backends": ["serial", "virtual", "golden"]}, lines, arguments.json)
    return 0


def _ask(candidate: Any) -> dict[str, Any]:
    from ionspike.host.board import Board
    entry = {"port": candidate.port, "name": candidate.name, "usb": candidate.usb}
    try:
        with Board.open(candidate.port, timeout_s=_TIMEOUT_S) as board:
            return {**entry, "answers": True, "answer": f"{board.name}, build {board.build}"}
    except (NoBoardError, BoardError) as error:
        return {**entry, "answers": False, "answer": str(error)}
