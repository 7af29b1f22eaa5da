"""``ionspike loopback``: what the line to a board can carry."""

import argparse
from typing import Any

from ionspike.host.arguments import add_board, add_json, add_seed, count, open_board, seconds, verb
from ionspike.host.cli_text import origin
from ionspike.host.console import Bar, emit, table
from ionspike.host.errors import InputError, LossError
from ionspike.host.loopback import Rate, loopback

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "loopback", _loopback, "Qualify the line to a board: echoes of all sizes "
                  "and patterns, compared and timed; exit code 4 if one was lost or altered.")
    parser.add_argument("line", nargs="?", metavar="PORT", help="the same as --port")
    parser.add_argument("--seconds", type=seconds, default=3.0, metavar="S",
                        help="for each baud rate, about (default %(default)g)")
    parser.add_argument("--baud", dest="bauds", type=_bauds, metavar="RATE,RATE,...",
                        help="rates to try besides the one the board was built with (default: all "
                             "usual ones from 115200 up that its clock can make)")
    add_seed(parser, "of the random pattern (default %(default)s)", 1)
    add_board(parser, rate=False)
    add_json(parser)


def _bauds(text: str) -> list[int]:
    return [count(part.strip()) for part in text.split(",")]


def _loopback(arguments: argparse.Namespace) -> int:
    if arguments.line is not None:
        if arguments.port not in (None, arguments.line):
            raise InputError(f"two ports: {arguments.line} and --port {arguments.port}; give one")
        arguments.port = arguments.line
    with open_board(arguments) as board, Bar("echoing", "cases") as bar:
        done = loopback(board, seconds=arguments.seconds, bauds=arguments.bauds,
                        seed=arguments.seed, progress=bar)
        facts = {"board": board.name, "backend": board.backend, "where": board.where,
                 "is_hardware": board.is_hardware, "build": board.build,
                 "faults": arguments.faults, "seed": arguments.seed}
        what = f"{board.name}: {origin(board.is_hardware, board.backend)}"
    lines = table([("line to", what), ("faults", arguments.faults or "none put in")])
    for rate in done.rates:
        lines += ["", *table(_rows(rate))]
    lines += ["", *table([("highest safe rate", "none: something had to be sent again"
                           if done.safe_baud is None else f"{done.safe_baud:,} baud")])]
    emit({**facts, **done.to_json()}, lines, arguments.json)
    if not done.whole:
        raise LossError("; ".join(f"{rate.baud} baud: {rate.lost} of {rate.sent} echoes lost, "
                                  f"{rate.altered} altered" for rate in done.rates if rate.tried))
    return 0


def _rows(rate: Rate) -> list[tuple[str, Any]]:
    if rate.why:
        return [("rate", f"{rate.baud:,} baud: {'given up' if rate.tried else 'not tried'}, {rate.why}")]
    share = "" if rate.share is None else f", {rate.share:.1%} of the line"
    return [
        ("rate", f"{rate.baud:,} baud" + ("" if rate.safe else ", not safe")),
        ("echoes", f"{rate.sent:,} of {rate.bytes_sent:,} bytes: {rate.lost} lost, "
                   f"{rate.altered} altered"),
        ("throughput", f"{rate.bytes_per_s:,.0f} bytes/s each way at once{share}"
                       + (", in simulated time" if rate.clock == "simulated" else "")),
        ("slowest case", "{}: {:,.0f} bytes/s".format(*min(rate.cases.items(),
                                                           key=lambda case: case[1]))),
        ("round trip", f"{rate.round_trip_s * 1e3:.3g} ms median, "
                       f"{rate.round_trip_p99_s * 1e3:.3g} ms 99th percentile"),
        ("host", ", ".join(f"{k} {v:,}" for k, v in rate.host.items() if v)),
        ("board", ", ".join(f"{k} {v:,}" for k, v in rate.board.items() if v) or "no errors")]
