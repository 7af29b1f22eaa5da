"""``ionspike replay``: does a board do once more what was recorded?"""

import argparse
import time
from typing import Any

from ionspike.host.arguments import add_json, seconds, verb
from ionspike.host.board import TIMEOUT_S, Board
from ionspike.host.cli_text import origin
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.errors import LossError
from ionspike.host.recording import Recording
from ionspike.host.replay import replay

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "replay", _replay, "Run a recording again and compare every spike, digest, "
                  "probe, final state and counter; exit code 1 at the first difference.")
    parser.add_argument("recording", metavar="FILE.ionrec")
    parser.add_argument("--against", default="golden", metavar="BOARD",
                        help="golden, virtual, board for the one that is plugged in, or its serial "
                             "port (default %(default)s)")
    parser.add_argument("--timeout", type=seconds, default=TIMEOUT_S, metavar="SECONDS",
                        help="longest silence of the board (default %(default)g)")
    add_json(parser)


def _replay(arguments: argparse.Namespace) -> int:
    recording = Recording(arguments.recording)
    header = recording.header

    def opened(against: str) -> Board:
        def stage(text: str) -> None:
            note(f"virtual board, first use: {text}")

        if against in ("golden", "virtual"):
            return Board.open(backend=against, shape=recording.shape, timeout_s=arguments.timeout,
                              progress=stage)
        return Board.open(None if against == "board" else against, "serial",
                          timeout_s=arguments.timeout)

    begun = time.perf_counter()
    with opened(arguments.against) as board, Bar("replaying", "ticks") as bar:
        done = replay(recording, board, opener=opened, progress=bar)
        where = f"{board.name}: {origin(board.is_hardware, board.backend)}"
        facts = {"board": board.name, "backend": board.backend, "is_hardware": board.is_hardware,
                 "build": board.build}
    wall_s = time.perf_counter() - begun
    result = "equal: all that was recorded" if done.equal else f"differs: {done.divergence}"
    if done.equal and not done.complete:
        result = "equal up to the last complete tick" if done.ticks else "no tick is complete"
    if done.equal and done.uncompared:
        result = f"equal so far: {done.uncompared}"
    source = origin(header["is_hardware"], header["backend"])
    lines = table([
        ("recorded on", f"{header['board']}: {source}, build {header['build']}, "
                        f"{header['begun']}"),
        ("replayed on", where), ("runs", f"{done.runs:,}"), ("ticks", f"{done.ticks:,}"),
        ("spikes", f"{done.spikes:,}"), ("words read", f"{done.words:,}"),
        ("seconds", f"{wall_s:.3g}"), ("result", result)])
    emit({**facts, **done.to_json(), "recording": header, "wall_s": round(wall_s, 3)}, lines,
         arguments.json)
    if not done.complete:
        note(f"the recording was cut short: {done.ticks:,} complete ticks were compared")
    if done.divergence is not None:
        note(f"first divergence: {done.divergence}")
        return 1
    if done.uncompared is not None:
        raise LossError(done.uncompared)
    return 0
