"""``ionspike build``: a bitstream for a board, from tools that pip installs."""

import argparse
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, count, verb
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError, NoBoardError, TimingError
from ionspike.spec.shape import CoreShape

__all__ = ["add", "default_folder"]

_SIZES = {field.name: field.name.replace("_", "-") for field in fields(CoreShape)}


def add(verbs: Any) -> None:
    parser = verb(verbs, "build", _build, "Make a board's bitstream; docs/boards.md lists boards.")
    parser.add_argument("board", metavar="BOARD")
    parser.add_argument("--output", metavar="DIR", type=Path,
                        help="where to (default build/BOARD); an earlier build is replaced")
    for name, option in _SIZES.items():
        parser.add_argument(f"--{option}", dest=name, type=count, metavar="N",
                            help=f"{name.replace('_', ' ')}, if not the board's default")
    parser.add_argument("--seeds", type=count, default=4, metavar="N",
                        help="try placement seeds 1 to N until one is fast enough (default 4)")
    parser.add_argument("--allow-slow", action="store_true",
                        help="keep a bitstream that misses its timing")
    add_json(parser)


def default_folder(board: str) -> Path:
    return Path("build") / board


def _build(arguments: argparse.Namespace) -> int:
    from ionspike.boards import errors
    from ionspike.boards.table import find
    try:
        facts = find(arguments.board)
        sizes = {name: value for name in _SIZES if (value := getattr(arguments, name)) is not None}
        shape = replace(facts.shape, **sizes)
    except (errors.BuildError, ValueError) as error:
        raise InputError(str(error)) from error
    folder = arguments.output or default_folder(facts.name)
    try:
        said = _run(facts, shape, folder, arguments)
    except errors.ToolError as error:
        raise NoBoardError(str(error)) from error
    except errors.TimingError as error:
        raise TimingError(str(error)) from error
    except errors.BuildError as error:
        raise InputError(str(error)) from error
    emit({**said, "output": os.fspath(folder)}, _lines(facts, said, folder), arguments.json)
    return 0


def _run(facts: Any, shape: CoreShape, folder: Path, arguments: argparse.Namespace) -> Any:
    from ionspike.boards.errors import ToolError
    try:
        from ionspike.boards.build import build
    except ModuleNotFoundError as error:
        raise ToolError(f"{error.name} is missing: pip install 'ionspike[boards]'") from error
    return build(facts, shape, folder, seeds=arguments.seeds, allow_slow=arguments.allow_slow,
                 say=note)


def _lines(facts: Any, said: dict[str, Any], folder: Path) -> list[str]:
    shape = said["shape"]
    rows = [("board", facts.title), ("build", said["build"]),
            ("shape", f"{shape['neurons']} neurons, {shape['inputs']} inputs, "
                      f"{shape['words'] * shape['lanes']:,} synapses, {shape['lanes']} lanes, "
                      f"{shape['delay_slots']} delay slots")]
    if said["bitstream"] is None:
        return table([*rows, ("next", said["note"]), ("written", f"{folder}/build.tcl")])
    for name, (count_, room) in said["used"].items():
        rows.append((name, f"{count_:,} of {room:,}"))
    for name, hz in said["fmax_Hz"].items():
        rows.append(("clock", f"{name}: {hz / 1e6:.2f} MHz by nextpnr, "
                              f"{facts.clock_Hz / 1e6:g} MHz wanted"))
    rows += [("checked", f"{said['checked_Hz'] / 1e6:.2f} MHz, all delays counted: "
              + ("met" if said["is_met"] else "MISSED")),
             ("longest", said["path"]),
             ("seeds", ", ".join(f"{one['seed']}: {one['checked_Hz'] / 1e6:.2f} MHz"
                                 for one in said["tried"])),
             ("sha256", said["sha256"]), ("written", f"{folder}/{said['bitstream']}")]
    return table(rows)
