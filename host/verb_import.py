"""``ionspike import``: a NIR file as a network for a board."""

import argparse
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, add_seed, seconds, verb
from ionspike.host.compiler import compile
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError
from ionspike.host.nir_export import export_graph
from ionspike.host.nir_import import SAMPLE_RATE, SAMPLE_STEPS, Imported, imported
from ionspike.host.nir_memristor import KIND
from ionspike.host.spikes import Spikes

__all__ = ["add"]

#: That most have.
_BOARD = "icebreaker"


def add(verbs: Any) -> None:
    parser = verb(verbs, "import", _import, "Make a network of a NIR file, and say beforehand what "
                  "a board will make of it: docs/nir.md.")
    parser.add_argument("file", metavar="NET.nir")
    parser.add_argument("--dt", type=seconds, metavar="SECONDS", help="of a step, which files do not "
                        "say: snnTorch writes them for 1e-4")
    parser.add_argument("--board", default=_BOARD, help="that it is for (default %(default)s)")
    parser.add_argument("--reset", choices=("zero", "subtract"), default="zero",
                        help="after a spike: to rest, as NIR says, or down by the threshold, as "
                             "snnTorch does unless told (default %(default)s)")
    parser.add_argument("--sample", metavar="FILE", help="inputs that are typical, in steps, as for "
                        f"run: weights are scaled for them; without it, {SAMPLE_STEPS} steps of random "
                        f"ones, a tenth of which fire")
    parser.add_argument("--bits", type=int, choices=(4, 8), default=8, help="of a weight; a core's are 8, 4 "
                        "show what such a core would make of it (default %(default)s)")
    add_seed(parser, "of the random sample (default %(default)s)", 1)
    parser.add_argument("--report", action="store_true",
                        help="run the sample in floating point and on the golden model, and compare")
    parser.add_argument("--output", metavar="FILE", help="where the network goes: .ion for run, or "
                        ".nir, the graph with the weights that the core has")
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
    sample = None if arguments.sample is None else Spikes.load(
        arguments.sample, dt_s=_given(arguments.dt, "--sample"))
    found = imported(arguments.file, dt_s=arguments.dt, reset=arguments.reset, sample=sample,
                     seed=arguments.seed, delay_slots=facts.shape.delay_slots, bits=arguments.bits)
    network = found.network
    try:
        fits = compile(network, facts.shape).report
    except InputError as error:
        raise InputError(f"{arguments.file}: {facts.name}: {error}") from error
    said = {"file": arguments.file, "board": facts.name, "inputs": network.inputs,
            "neurons": network.neurons, "synapses": network.synapses, "step_s": network.step_s,
            "ticks_per_step": network.ticks_per_step, "output": arguments.output,
            **_of_graph(found, arguments.reset)}
    lines = table((name, _words(value)) for name, value in said.items() if value is not None)
    warnings = fits.warnings
    if found.mapped is not None:
        warnings = (*found.mapped.warnings, *warnings)
    if arguments.report and found.mapped is not None:
        from ionspike.host.preflight import preflight
        source = arguments.sample or f"random inputs, rate {SAMPLE_RATE:g}, seed {arguments.seed}"
        report = preflight(found, source=source, board=facts.name, shape=facts.shape,
                           clock_Hz=facts.clock_Hz)
        said["report"], warnings = report.to_json(), report.warnings
        lines += report.lines()
    else:
        said["report"] = {"fits": fits.to_json()}
        lines += fits.lines() if arguments.report else []
    said["warnings"] = list(warnings)
    for warning in warnings:
        note(f"warning: {warning}")
    if arguments.output is not None:
        if found.mapped is not None and Path(arguments.output).suffix == ".nir":
            export_graph(found.mapped.graph, arguments.output)
        else:
            network.save(arguments.output)
        lines.append("written" if Path(arguments.output).suffix == ".nir" else
                     f"written; to run it: ionspike run {arguments.output} --input FILE, in steps of "
                     f"{network.step_s:g} s")
    emit(said, lines, arguments.json)
    return 0


def _of_graph(found: Imported, reset: str) -> dict[str, Any]:
    if found.graph is None or found.mapped is None:
        return {"neuron": KIND}
    mapped = found.mapped
    kinds = dict.fromkeys(layer.kind for layer in found.graph.layers.values())
    return {"neuron": ", ".join(kinds), "reset": reset, "bits": mapped.bits, "outputs": list(found.graph.outputs),
            "layers": {name: {"kind": layer.kind, "neurons": layer.size, "first": mapped.first[name],
                              "late_steps": mapped.late[name], "beta": mapped.beta.get(name)}
                       for name, layer in found.graph.layers.items()}}


def _given(dt_s: float | None, by: str) -> float:
    if dt_s is None:
        raise InputError(f"{by} is in steps: give --dt, the seconds of one")
    return dt_s


def _words(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {one['neurons']} {one['kind']} from {one['first']}" + (
            "" if one["beta"] is None else f", beta {one['beta'][0]:.4g}") for name, one in value.items())
    return ", ".join(value) if isinstance(value, list) else value


def _writable(path: Path) -> None:
    """Found out before the work rather than after it."""
    if path.suffix not in (".ion", ".nir"):
        raise InputError(f"{path}: networks are written as .ion, or as .nir")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
