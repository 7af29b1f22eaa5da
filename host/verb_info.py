"""``ionspike info``: what a board is, or what a network needs."""

import argparse
from dataclasses import asdict
from typing import Any

import numpy as np

from ionspike.host.arguments import add_board, add_json, open_board, verb
from ionspike.host.compiler import compile
from ionspike.host.console import emit, table
from ionspike.host.network import Network
from ionspike.spec.shape import DEFAULT_SHAPE

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "info", _info, "Say what a board is, or what a network needs of one.")
    parser.add_argument("network", nargs="?", metavar="NET.ion",
                        help="a network, for the default board unless one is named")
    add_board(parser)
    add_json(parser)


def _info(arguments: argparse.Namespace) -> int:
    if arguments.network is None:
        return _board(arguments)
    network = Network.load(arguments.network)
    shape = DEFAULT_SHAPE
    if arguments.port or arguments.backend:
        with open_board(arguments) as board:
            shape = board.shape
    compiled = compile(network, shape)
    facts = {
        "device": network.device.name, "dt_s": network.dt_s, "inputs": network.inputs,
        "neurons": network.neurons, "synapses": network.synapses,
        "projections": len(network.projections), "scale_V": network.scale_V,
        "outputs": len(network.outputs), "classes": len(network.classes),
        "votes": 0 if network.votes is None else int(np.count_nonzero(network.votes)),
        "faults": "none" if network.faults is None else str(network.faults),
        "image_digest": compiled.image.digest()}
    lines = [*table(facts.items()), *compiled.report.lines(),
             *table((f"metadata {name}", value) for name, value in network.metadata.items())]
    faults = None if network.faults is None else network.faults.summary()
    emit({**facts, "faults": faults, "metadata": network.metadata,
          "report": compiled.report.to_json(), "shape": asdict(shape)}, lines, arguments.json)
    return 0


def _board(arguments: argparse.Namespace) -> int:
    with open_board(arguments) as board:
        registers = board.registers()
        facts = {
            "board": board.name, "is_hardware": board.is_hardware, "backend": board.backend,
            "where": board.where, "build": board.build, "protocol": board.versions["protocol"],
            "contract": board.versions["contract"], "clock_hz": board.hello.clock_hz,
            "built_baud": board.hello.baud, "baud": board.baud, **asdict(board.shape)}
    emit({**facts, "registers": registers},
         [*table(facts.items()), "registers", *("  " + line for line in table(registers.items()))],
         arguments.json)
    return 0
