"""``ionspike import``: a NIR file as a network for a board."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.arguments import add_json, add_seed, seconds, verb
from ionspike.host.compiler import compile
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError
from ionspike.host.lif_float import simulate
from ionspike.host.lif_network import Mapped, map_lif, sums_of
from ionspike.host.nir_graph import Graph
from ionspike.host.spikes import Spikes

__all__ = ["add"]

#: The sample, where none is given.
_STEPS, _RATE = 500, 0.1
_BOARD = "icebreaker"


def add(verbs: Any) -> None:
    parser = verb(verbs, "import", _import, "Make a network of a NIR file, and say beforehand what "
                  "a board will make of it: docs/nir.md.")
    parser.add_argument("file", metavar="NET.nir")
    parser.add_argument("--dt", type=seconds, required=True, metavar="SECONDS",
                        help="of a step of the network's; snnTorch writes files for 1e-4")
    parser.add_argument("--board", default=_BOARD, help="that it is for (default %(default)s)")
    parser.add_argument("--reset", choices=("zero", "subtract"), default="zero",
                        help="after a spike: to rest, as NIR says, or down by the threshold, as "
                             "snnTorch does unless told (default %(default)s)")
    parser.add_argument("--sample", metavar="FILE", help="inputs that are typical, in steps, as for "
                        f"run: weights are scaled for them; without it, {_STEPS} steps of random "
                        f"ones, a tenth of which fire")
    add_seed(parser, "of the random sample (default %(default)s)", 1)
    parser.add_argument("--report", action="store_true",
                        help="run the sample in floating point and on the golden model, and compare")
    parser.add_argument("--output", metavar="NET.ion", help="where the network goes")
    add_json(parser)


def _import(arguments: argparse.Namespace) -> int:
    from ionspike.boards.errors import BuildError
    from ionspike.boards.table import find
    try:
        facts = find(arguments.board)
    except BuildError as error:
        raise InputError(str(error)) from error
    if arguments.output is not None:
        _writable(Path(arguments.output))
    graph = Graph.of(arguments.file)
    sample, source = _sample(arguments, graph)
    try:
        floats = simulate(graph, sample, arguments.dt, reset=arguments.reset)
        mapped = map_lif(graph, arguments.dt, sums_of(graph, floats, arguments.dt),
                         reset=arguments.reset, metadata={"source": Path(arguments.file).name})
        fits = compile(mapped.network, facts.shape).report
    except InputError as error:
        raise InputError(f"{arguments.file}: {error}") from error
    said: dict[str, Any] = _facts(arguments, graph, mapped)
    lines = table((name, _words(value)) for name, value in said.items())
    if arguments.report:
        from ionspike.host.preflight import preflight
        found = preflight(graph, mapped, floats, sample, source=source, board=facts.name,
                          shape=facts.shape, clock_Hz=facts.clock_Hz)
        said["report"] = found.to_json()
        lines += found.lines()
    else:
        said["report"] = {"fits": fits.to_json(), "warnings": mapped.warnings}
        for warning in (*mapped.warnings, *fits.warnings):
            note(f"warning: {warning}")
    if arguments.output is not None:
        mapped.network.save(arguments.output)
        lines.append(f"written to {arguments.output}; to run it: ionspike run {arguments.output} "
                     f"--input FILE, in steps of {arguments.dt:g} s")
    emit(said, lines, arguments.json)
    return 0


def _sample(arguments: argparse.Namespace, graph: Graph) -> tuple[NDArray[np.bool_], str]:
    if arguments.sample is not None:
        return (Spikes.load(arguments.sample, dt_s=arguments.dt, width=graph.width).raster,
                arguments.sample)
    rng = np.random.default_rng(arguments.seed)
    return (rng.random((_STEPS, graph.width)) < _RATE,
            f"random inputs, rate {_RATE:g}, seed {arguments.seed}")


def _facts(arguments: argparse.Namespace, graph: Graph, mapped: Mapped) -> dict[str, Any]:
    network = mapped.network
    return {
        "file": arguments.file, "inputs": graph.width,
        "layers": {name: {"kind": layer.kind, "neurons": layer.size, "first": mapped.first[name],
                          "late_steps": mapped.late[name], "beta": mapped.beta[name]}
                   for name, layer in graph.layers.items()},
        "outputs": list(graph.outputs), "neurons": network.neurons, "synapses": network.synapses,
        "dt_s": arguments.dt, "ticks_per_step": network.ticks_per_step, "reset": arguments.reset,
        "output": arguments.output}


def _words(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {one['neurons']} {one['kind']} from {one['first']}, beta "
                         f"{one['beta'][0]:.4g}" for name, one in value.items())
    return ", ".join(value) if isinstance(value, list) else value


def _writable(path: Path) -> None:
    """Found out before the work rather than after it."""
    if path.suffix != ".ion":
        raise InputError(f"{path}: networks are written as .ion")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
