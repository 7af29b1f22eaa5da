"""``ionspike verify``: is a board equal to the golden model?"""

import argparse
import time
from typing import Any

from ionspike.host.arguments import add_board, add_json, add_seed, count, open_board, verb
from ionspike.host.cases import Case
from ionspike.host.cli_text import origin
from ionspike.host.compiler import compile
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.errors import InputError, LossError
from ionspike.host.network import Network
from ionspike.host.steps import load_input
from ionspike.host.verify import verify

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "verify", _verify, "Compare every spike, state and random word of a board "
                  "with the golden model; exit code 1 at the first difference.")
    parser.add_argument("network", nargs="?", metavar="NET.ion",
                        help="a network; without it, random ones")
    parser.add_argument("--input", metavar="FILE", help="spikes for the network, as for run")
    parser.add_argument("--ticks", type=count, default=2048, metavar="N",
                        help="ticks in all (default %(default)s)")
    add_seed(parser, "of networks, stimuli and noise (default %(default)s)", 1)
    add_board(parser)
    add_json(parser)


def _verify(arguments: argparse.Namespace) -> int:
    if (arguments.network is None) != (arguments.input is None):
        raise InputError("a network and --input go together; without both, they are random")
    begun = time.perf_counter()
    with open_board(arguments) as board, Bar("verifying", "ticks") as bar:
        cases = None
        if arguments.network is not None:
            network = Network.load(arguments.network)
            spikes = load_input(arguments.input, network)
            cases = [Case(compile(network, board.shape), spikes, arguments.seed)]
        done = verify(board, ticks=arguments.ticks, seed=arguments.seed, cases=cases,
                      progress=bar)
        where = f"{board.name}: {origin(board.is_hardware, board.backend)}"
        facts = {"board": board.name, "backend": board.backend, "seed": arguments.seed,
                 "is_hardware": board.is_hardware, "build": board.build,
                 "versions": board.versions}
    wall_s = time.perf_counter() - begun
    lines = table([
        ("compared", where), ("with", "the golden model"),
        ("cases", done.cases), ("ticks", f"{done.ticks:,}"),
        ("neuron ticks", f"{done.neuron_ticks:,}"), ("spikes", f"{done.spikes:,}"),
        ("additions clamped", f"{done.saturated:,}"), ("seed", arguments.seed),
        ("seconds", f"{wall_s:.3g}"),
        ("result", "equal: every spike, state word, LFSR word and counter" if done.equal
         else f"differs: {done.divergence}")])
    emit({**facts, **done.to_json(), "wall_s": round(wall_s, 3)}, lines, arguments.json)
    if done.divergence is not None:
        note(f"first divergence: {done.divergence}")
        return 1
    if done.losses:
        raise LossError("data were lost or late: "
                        + ", ".join(f"{name} {n}" for name, n in done.losses.items()))
    return 0
