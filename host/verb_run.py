"""``ionspike run``: spikes in, spikes out."""

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_board, add_json, add_seed, open_board, verb
from ionspike.host.board import MOST_PROBES
from ionspike.host.cli_text import result_lines
from ionspike.host.console import Bar, emit, note
from ionspike.host.errors import InputError, LossError
from ionspike.host.network import Network
from ionspike.host.readout import Readout
from ionspike.host.recorder import check_file as check_recording
from ionspike.host.steps import load_input
from ionspike.host.waves import DEFAULT_NEURONS, check_file
from ionspike.spec.wire import Policy

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "run", _run, "Run a network on spikes from a file.")
    parser.add_argument("network", metavar="NET.ion")
    parser.add_argument("--input", required=True, metavar="FILE",
                        help=".npy, .npz or NIRData: a raster [T, inputs], events with t (us) and x, or "
                             "index with t_s or tick")
    parser.add_argument("--output", metavar="FILE.npz", help="where spikes, probes, digests, the "
                        "final state and the counters go")
    parser.add_argument("--probe", default="", metavar="N,N,...",
                        help="neurons whose state is recorded after every tick")
    parser.add_argument("--digests", action="store_true",
                        help="record a digest of all state after every tick")
    parser.add_argument("--jitter", action="store_true",
                        help="begin with residues drawn from 0 to the device's residue_jitter")
    add_seed(parser, "of the noise; without it one is drawn, and said", None)
    parser.add_argument("--mode", choices=("lockstep", "free-running"), default="lockstep",
                        help="run a tick when its events are there, or on time")
    parser.add_argument("--period", type=float, metavar="SECONDS",
                        help="of a free-running tick; without it, the network's")
    parser.add_argument("--policy", choices=[p.name.lower() for p in Policy], default="drop",
                        help="what happens to late events (default %(default)s)")
    parser.add_argument("--halt-on-overrun", action="store_true",
                        help="end free-running ticks at the first that lasts too long")
    parser.add_argument("--allow-late", action="store_true",
                        help="exit with 0 even if free-running ticks or events came late")
    group = parser.add_argument_group("recording", "of all that is said, for `ionspike replay`")
    group.add_argument("--record", metavar="FILE.ionrec", help="where it goes while it runs")
    group.add_argument("--force", action="store_true", help="replace a recording that is there")
    group = parser.add_argument_group("waves", "of the virtual board, for GTKWave or Surfer")
    group.add_argument("--waves", metavar="FILE.fst", help="record neurons, core, link and pins; "
                       ".fst or .vcd, and a .gtkw save file beside it")
    group.add_argument("--waves-neurons", metavar="N,N,...", help="neurons that are recorded; "
                       f"without them, those of --probe, else the first {DEFAULT_NEURONS}")
    group.add_argument("--waves-ticks", default=":", metavar="FROM:TO",
                       help="ticks that are recorded, TO not among them; without it, all")
    add_board(parser)
    add_json(parser)


def _run(arguments: argparse.Namespace) -> int:
    network = Network.load(arguments.network)
    spikes = load_input(arguments.input, network)
    probes = _numbers("--probe", arguments.probe)
    neurons = probes or None
    readout = Readout.of(network)
    if readout is not None:
        read = list(dict.fromkeys([*probes, *readout.neurons.tolist()]))
        if len(read) <= MOST_PROBES:
            probes = read
        else:
            note(f"warning: {len(readout.neurons)} membranes are to be read, a board reports "
                 f"{MOST_PROBES} neurons of a run: --probe chooses")
    if arguments.waves_neurons is not None:
        neurons = _numbers("--waves-neurons", arguments.waves_neurons)
    ticks = _ticks(arguments.waves_ticks)
    if arguments.waves is not None:
        check_file(Path(arguments.waves))
    elif arguments.waves_neurons is not None or arguments.waves_ticks != ":":
        raise InputError("--waves-neurons and --waves-ticks choose what --waves FILE.fst records, "
                         "which is missing")
    if arguments.output is not None:
        _writable(Path(arguments.output))
    if arguments.record is not None:
        check_recording(Path(arguments.record), arguments.force)
    elif arguments.force:
        raise InputError("--force replaces what --record FILE.ionrec writes, which is missing")
    if spikes.merged:
        note(f"{spikes.merged} events fell on a spike that was already there")
    with open_board(arguments) as board, Bar("running", "ticks") as bar:
        record = nullcontext(None) if arguments.record is None else board.record(
            arguments.record, overwrite=arguments.force)
        with record as recording:
            for warning in board.load(network).report.warnings:
                note(f"warning: {warning}")
            waves = nullcontext(None) if arguments.waves is None else board.waves(
                arguments.waves, neurons=neurons, ticks=ticks)
            with waves as written:
                result = board.run(
                    spikes, seed=arguments.seed, probes=probes, digests=arguments.digests,
                    jitter=arguments.jitter, mode=arguments.mode, period_s=arguments.period,
                    policy=Policy[arguments.policy.upper()],
                    halt_on_overrun=arguments.halt_on_overrun, progress=bar)
    if arguments.output is not None:
        result.save(arguments.output)
    facts = {**result.summary(), "output_counts": result.output_counts.tolist(),
             "membranes": None if result.membranes is None else result.membranes[-1:].tolist(),
             "merged": spikes.merged, "output": arguments.output, "waves": written,
             "recording": recording}
    lines = result_lines(result)
    if arguments.output is not None:
        lines.append(f"written to {arguments.output}")
    if recording is not None:
        lines.append(f"recorded in {recording['path']}, {recording['bytes'] / 1e3:,.1f} kB; to run "
                     f"it again: ionspike replay {recording['path']}")
    if written is not None:
        lines.append(f"waves in {written['path']}, {written['bytes'] / 1e6:.2f} MB; to see them: "
                     f"gtkwave {written['save_file']}")
        if not written["complete"]:
            note(f"warning: the waves end after {written['changes']:,} changes; bound them with "
                 f"--waves-ticks or --waves-neurons")
    emit(facts, lines, arguments.json)
    if result.clipped_membranes:
        note(f"warning: {result.clipped_membranes:,} times a membrane that is read was at the end of its "
             f"range; import the network with a sample that has such inputs")
    if result.clipped_drives:
        note(f"warning: {result.clipped_drives:,} times more arrived than a LIF neuron's drive holds; "
             f"import the network with a sample that has such inputs")
    if result.losses:
        told = "data were lost or late: " + ", ".join(
            f"{name} {n}" for name, n in result.losses.items())
        if not (arguments.allow_late and arguments.mode == "free-running"):
            raise LossError(told)
        note(f"warning: {told}")
    return 0


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"{option} takes numbers of neurons with commas between, "
                         f"not {text!r}") from None


def _ticks(text: str) -> tuple[int | None, int | None]:
    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first) if first else None, int(last) if last else None
    except ValueError:
        raise InputError(f"--waves-ticks takes FROM:TO, either of which may be missing, "
                         f"not {text!r}") from None


def _writable(path: Path) -> None:
    """Found out before the run rather than after it."""
    if path.suffix != ".npz":
        raise InputError(f"{path}: results are written as .npz")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
