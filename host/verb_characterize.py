"""``ionspike characterize``: the paper's experiments on a device, in figures and numbers."""

import argparse
import difflib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, add_seed, seconds, verb
from ionspike.host.board import TIMEOUT_S, Board
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError, LossError
from ionspike.spec.device import Device, DeviceError, presets

__all__ = ["add"]

#: ``board`` is whatever is plugged in, or else the virtual board.
_BACKENDS = ("reference", "golden", "board", "virtual", "serial")


def add(verbs: Any) -> None:
    parser = verb(verbs, "characterize", _characterize, "Run the experiments of the paper on a "
                  "device: figures, errors against the paper, and golden model, reference and "
                  "board against one another; exit code 1 if the board differs.")
    parser.add_argument("--device", default="zhao2025_ms", metavar="NAME|FILE.json",
                        help="a preset, or a device's file (default %(default)s)")
    parser.add_argument("--backend", action="append", choices=_BACKENDS, help="where to run them, "
                        "may be given several times (default: reference, golden and board)")
    parser.add_argument("--experiment", action="append", metavar="NAME",
                        help="only this one, may be given several times")
    parser.add_argument("--trials-scale", type=_scale, default=1.0, metavar="X",
                        help="factor on the number of trials (default %(default)g)")
    parser.add_argument("--output", default="ionspike-characterization", metavar="DIR",
                        help="where figures and results.json go (default %(default)s)")
    parser.add_argument("--html", action="store_true", help="write report.html as well")
    add_seed(parser, "from which all seeds follow (default %(default)s)", 1)
    group = parser.add_argument_group("board")
    group.add_argument("--port", metavar="PORT", help="serial port of the board")
    group.add_argument("--timeout", type=seconds, default=TIMEOUT_S, metavar="SECONDS",
                       help="longest silence of the board (default %(default)g)")
    add_json(parser)


def _characterize(arguments: argparse.Namespace) -> int:
    from ionspike.fidelity import report
    from ionspike.fidelity.characterize import MODELS, Characterization, characterize
    from ionspike.fidelity.experiments import EXPERIMENTS
    from ionspike.fidelity.tables import summary, tables
    wanted = list(dict.fromkeys(arguments.backend or ("reference", "golden", "board")))
    names = list(dict.fromkeys(arguments.experiment or EXPERIMENTS))
    for name in names:
        if name not in EXPERIMENTS:
            raise InputError(f"no experiment named {name!r}{_near(name, EXPERIMENTS)}; there are "
                             f"{', '.join(EXPERIMENTS)}")
    device, folder = _device(arguments.device), _folder(arguments.output)
    so_far: list[Characterization] = []
    with _board(arguments, [name for name in wanted if name not in MODELS]) as board, \
            _Bars() as bars:
        def begun(found: Characterization) -> None:
            so_far.append(found)
            bars.parts = found.parts

        try:
            characterize(
                device, experiments=names, models=[name for name in wanted if name in MODELS],
                board=board, trials_scale=arguments.trials_scale, seed=arguments.seed,
                progress=bars, begun=begun)
        finally:
            bars.clear()
            if so_far and so_far[0].missing and so_far[0].outcomes:
                report.write(so_far[0], folder, arguments.html)
                note(f"not complete, without {', '.join(so_far[0].missing)}; what there is, is in "
                     f"{folder}")
    found = so_far[0]
    written = report.write(found, folder, arguments.html)
    results = found.results()
    pace = "" if found.pace == 1 else f", {found.pace:g} times as fast as the protocols"
    lines = table([
        ("device", f"{device.name}{pace}"), ("ran on", ", ".join(found.backends)),
        ("seed", found.seed), ("seconds", f"{found.wall_s:.0f}"), *summary(results)])
    for one in tables(results).values():
        lines += ["", *one.text()]
    lines += ["", f"written to {folder}: {', '.join(path.name for path in written)}"]
    emit({**results, "written": [str(path) for path in written]}, lines, arguments.json)
    for name, different in found.differences.items():
        if different is not None:
            note(f"the board differs from the golden model: {name}: {different}")
            return 1
    if found.losses:
        raise LossError("data were lost or late: "
                        + ", ".join(f"{name} {n}" for name, n in found.losses.items()))
    return 0


def _device(name: str) -> Device:
    if Path(name).suffix != ".json" and name not in presets():
        raise DeviceError(f"no device preset named {name!r}{_near(name, presets())}; there are "
                          f"{', '.join(presets())}; or give the path of a .json file")
    return Device.load(name)


def _near(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f", perhaps {close[0]!r}" if close else ""


def _folder(name: str) -> Path:
    """Found out before the run rather than after it."""
    folder = Path(name)
    parent = folder.absolute().parent
    if not parent.is_dir() or folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: results go into a folder, which may be new, of a folder that "
                         f"exists")
    if not os.access(folder if folder.exists() else parent, os.W_OK):
        raise InputError(f"{folder}: permission denied")
    return folder


@contextmanager
def _board(arguments: argparse.Namespace, wanted: list[str]) -> Iterator[Board | None]:
    if len(wanted) > 1:
        raise InputError(f"one board at a time, not {' and '.join(wanted)}")
    if not wanted:
        if arguments.port is not None:
            raise InputError(f"the port {arguments.port!r} is of a board, and no back-end that was "
                             f"asked for is one")
        yield None
        return
    backend = None if wanted[0] == "board" else wanted[0]
    with Board.open(arguments.port, backend, timeout_s=arguments.timeout,
                    progress=lambda stage: note(f"virtual board, first use: {stage}")) as board:
        if board.backend == "golden":
            raise InputError("the golden model is a back-end of its own: --backend golden")
        yield board


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a factor above 0 and up to 1000")
    return value


class _Bars:
    """A bar for each experiment that is running, in one line of stderr if that is a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._running: dict[tuple[str, str], int] = {}
        self._finished, self._shown = 0, ""
        self.parts = 0

    def __call__(self, backend: str, what: str, done: int, of: int) -> None:
        if not self._live:
            return
        if done >= of:
            self._finished += self._running.pop((backend, what), None) is not None
        else:
            self._running[backend, what] = 100 * done // of
        bars = [f"{what} on {backend} [{'#' * (percent // 10):<10}] {percent} %"
                for (backend, what), percent in self._running.items()]
        width = shutil.get_terminal_size().columns - 1
        line = f"{self._finished} of {self.parts} done  " + "  ".join(bars)
        if line[:width] != self._shown:
            self._shown = line[:width]
            print(f"\r\033[K{self._shown}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._live and self._shown:
            self._shown = ""
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
