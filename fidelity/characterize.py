"""All experiments on all back-ends, and what they say of one another."""

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from ionspike.fidelity import errors
from ionspike.fidelity.experiments import CHAIN_DT_S, DT_S, EXPERIMENTS, Curve, Outcome, trials_of
from ionspike.fidelity.rigs import BoardRig, GoldenRig, ReferenceRig, Rig
from ionspike.fidelity.traces import TRACES, Trace, example, trace
from ionspike.fidelity.traces import TRIALS as TRACE_TRIALS
from ionspike.fidelity.workers import Workers
from ionspike.host.board import Board
from ionspike.host.errors import InputError
from ionspike.spec import wire
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device, DeviceError
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["MODELS", "Characterization", "at_paper_pace", "characterize"]

#: Back-ends that need no board.
MODELS = ("reference", "golden")

Progress = Callable[[str, str, int, int], None]

#: The paper's points are of this device, and of what is derived from it.
_PAPER_DEVICE = "zhao2025_ms"
#: Roughly from the one that takes longest, so that processes end together.
_ORDER = ("refractory", "integration", "plasticity", "stochasticity", "cascade", "threshold")
#: More would take the board's core.
_PROCESSES = 2
#: Seeds of experiments are so far apart that those of their passes do not meet.
_SEEDS_APART = 100_000


@dataclass(frozen=True)
class _Task:
    kind: str
    backend: str
    experiment: str
    device: Device
    seed: int
    trials: int
    shape: CoreShape


def _run(task: _Task, progress: Callable[[int, int], None]) -> Any:
    rig: Rig = ReferenceRig() if task.backend == "reference" else GoldenRig(task.shape)
    begun = time.perf_counter()
    result: Any
    if task.kind == "outcome":
        result = EXPERIMENTS[task.experiment](rig, task.device, seed=task.seed,
                                              trials=task.trials, progress=progress)
    elif task.kind == "example":
        result = example(rig, task.device, task.seed)
    else:
        result = trace(task.experiment, rig, task.device, task.seed, task.trials, progress)
    return result, time.perf_counter() - begun


@dataclass
class Characterization:
    """What has been measured of a device; complete, or as far as it came.

    Parameters
    ----------
    device : as given.
    pace : how many times as fast as the protocols the device is, a power of ten: 1 s of an
        experiment is ``1 / pace`` s of the device.
    backends : by name, what each of them is.
    outcomes : ``[experiment][backend]``.
    traces : ``[experiment]["golden", "reference" or "repeat"]``, repeat being the reference with
        another seed.
    examples : single neurons, by back-end.
    seconds : by ``(what, backend, experiment)``.
    parts : how many things there are to run; missing : those that have not been.
    """

    device: Device
    pace: float
    seed: int
    trials_scale: float
    experiments: tuple[str, ...]
    backends: dict[str, dict[str, Any]]
    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    traces: dict[str, dict[str, Trace]] = field(default_factory=dict)
    examples: dict[str, Trace] = field(default_factory=dict)
    seconds: dict[tuple[str, str, str], float] = field(default_factory=dict)
    parts: int = 0
    missing: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def of_paper(self) -> bool:
        """Whether the paper's points are of this device."""
        return self.device.name == _PAPER_DEVICE

    @property
    def board(self) -> str | None:
        """Name of the back-end that is a board."""
        return next((name for name in self.backends if name not in MODELS), None)

    def trials(self, experiment: str) -> int:
        return _scaled(trials_of(experiment), self.trials_scale)

    def seed_of(self, experiment: str) -> int:
        return self.seed + _SEEDS_APART * list(EXPERIMENTS).index(experiment)

    def whole(self, experiment: str) -> bool:
        """Whether every back-end has done it."""
        return len(self.outcomes.get(experiment, {})) == len(self.backends)

    @property
    def differences(self) -> dict[str, errors.Difference | None]:
        """Of the board from the golden model, by experiment."""
        return {name: errors.difference(of[self.board], of["golden"])
                for name, of in self.outcomes.items()
                if self.board is not None and {self.board, "golden"} <= set(of)}

    @property
    def losses(self) -> dict[str, int]:
        """What a board lost or had too late."""
        counters = [response.counters for of in self.outcomes.values() for outcome in of.values()
                    for response in outcome.responses.values()]
        totals = {name: sum(c.get(name, 0) for c in counters)
                  for name in ("late", "dropped", "overruns")}
        return {name: total for name, total in totals.items() if total}

    def results(self) -> dict[str, Any]:
        """Everything but raw spikes, as JSON holds it; NaN is null."""
        agreements = [errors.compare_curve(name, curve, of["reference"].curves[curve.name])
                      for name, of in self.outcomes.items() if {"reference", "golden"} <= set(of)
                      for curve in of["golden"].curves.values()]
        agreements += [one for of in self.traces.values() if len(of) == 3 for one in
                       errors.compare_trace(of["golden"], of["reference"], of["repeat"])]
        return _plain({
            "device": {**asdict(self.device), "hash": device_hash(self.device)},
            "pace": self.pace, "seed": self.seed, "trials_scale": self.trials_scale,
            "backends": self.backends, "experiments": {
                name: {"trials": self.trials(name), "seed": self.seed_of(name), "backends": {
                    backend: _outcome(outcome) for backend, outcome in of.items()}}
                for name, of in self.outcomes.items()},
            "paper": {name: {backend: [asdict(d) | {"met": d.met}
                                       for d in errors.against_paper(outcome)]
                             for backend, outcome in of.items()}
                      for name, of in self.outcomes.items()} if self.of_paper else {},
            "nrmse": {"bar": errors.NRMSE_BAR, "trials_of_traces": _scaled(
                TRACE_TRIALS, self.trials_scale), "golden_against_reference": [
                    asdict(a) | {"met": a.met} for a in agreements]},
            "board_against_golden": {name: None if d is None else str(d)
                                     for name, d in self.differences.items()},
            "losses": self.losses, "missing": self.missing, "wall_s": round(self.wall_s, 1),
            "seconds": [[*key, round(value, 2)] for key, value in self.seconds.items()],
            "versions": {"ionspike": version("ionspike"), "python": platform.python_version(),
                         "numpy": np.__version__, "protocol": "{}.{}".format(*wire.PROTOCOL),
                         "contract": f"{wire.digest():08x}"}})


def device_hash(device: Device) -> str:
    """Of all its parameters; of `sustained`, which came later, where it is so."""
    text = json.dumps({name: value for name, value in asdict(device).items() if name != "sustained" or value},
                      sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _scaled(trials: int, scale: float) -> int:
    return max(2, round(trials * scale))


def _outcome(outcome: Outcome) -> dict[str, Any]:
    found = hashlib.sha256()
    for name, response in sorted(outcome.responses.items()):
        found.update(name.encode() + np.packbits(response.spikes).tobytes())
        if response.digests is not None:
            found.update(response.digests.astype("<u4").tobytes())
    return {
        "curves": {name: _curve(curve) for name, curve in outcome.curves.items()},
        "samples": {name: _sample(values) for name, values in outcome.samples.items()},
        "seeds": {name: list(r.seeds) for name, r in outcome.responses.items()},
        "counters": {name: r.counters for name, r in outcome.responses.items()},
        "where": next(iter(outcome.responses.values())).where,
        "hash": found.hexdigest()[:16]}


def _curve(curve: Curve) -> dict[str, Any]:
    values = {key: getattr(curve, key) for key in ("x", "y", "error", "paper")}
    return {"x_name": curve.x_name, "y_name": curve.y_name,
            **{key: None if v is None else v.tolist() for key, v in values.items()}}


def _sample(values: Any) -> dict[str, Any]:
    kept = values[np.isfinite(values)]
    if not len(kept):
        return {"count": 0}
    return {"count": len(kept), "mean": kept.mean(), "std": kept.std(),
            "deciles": np.quantile(kept, np.arange(1, 10) / 10).tolist()}


def _plain(value: Any) -> Any:
    """What JSON knows: no NaN, no types of NumPy's."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# ------------------------------------------------------------------------------------- running --

def at_paper_pace(device: Device) -> tuple[Device, float]:
    """The device in slow motion, so that the paper's protocols suit it, and how slow.

    Rates are divided, and the gate's capacitance multiplied, by the power of ten that brings
    ``gamma1 + beta`` nearest to that of the ms scale. Only products of rates and times enter the
    equations, so that nothing else changes.
    """
    pace = 10.0 ** round(math.log10(device.rate_per_s / _PAPER_RATE_PER_S))
    if pace == 1:
        return device, 1.0

    def slow(values: dict[str, float]) -> dict[str, Any]:
        return {name: value / pace if name.endswith("_s") else value * pace
                for name, value in values.items()
                if name.endswith(("_per_s", "_per_V_s")) or name == "c_gate_F"}

    own = {name: value for name, value in asdict(device).items()
           if isinstance(value, (int, float))}
    figures = {name: values | slow(values) for name, values in device.figures.items()}
    return replace(device, **slow(own), figures=figures), pace


_PAPER_RATE_PER_S = 620.0


def check(device: Device, experiments: Iterable[str], backends: Iterable[str]) -> None:
    """DeviceError for a device that fixed point cannot hold at a tick it is needed at."""
    if set(backends) <= {"reference"}:
        return
    for name in experiments:
        figure, dt_s = _FIGURES[name], CHAIN_DT_S if name == "cascade" else DT_S
        try:
            coefficients(device.of_figure(figure), dt_s)
        except DeviceError as error:
            raise DeviceError(f"experiment {name}: {error}") from error


_FIGURES = {"integration": "3b", "threshold": "3c", "cascade": "cascade", "plasticity": "4a",
            "refractory": "4c", "stochasticity": "3c"}


def characterize(device: Device, *, experiments: Sequence[str] = tuple(EXPERIMENTS),
                 models: Sequence[str] = MODELS, board: Board | None = None,
                 trials_scale: float = 1.0, seed: int = 1, processes: int | None = None,
                 progress: Progress = lambda backend, what, done, of: None,
                 begun: Callable[[Characterization], None] = lambda so_far: None,
                 ) -> Characterization:
    """Run experiments on back-ends.

    Parameters
    ----------
    device : of which all neurons are.
    experiments : names, see :data:`ionspike.fidelity.experiments.EXPERIMENTS`.
    models : of ``reference`` and ``golden``; with both, also the traces of each state.
    board : to run them on as well.
    trials_scale : factor on the number of trials.
    seed : from which all seeds follow; equal seeds give equal results, however many processes.
    processes : for the models, beside the board's; none: all in this one. Without it, as many as
        there are cores, up to two.
    progress : told the back-end, what runs on it, how much is done, and of how much.
    begun : told where results will be found as they come, for whoever wants them if it is
        interrupted.

    Raises
    ------
    InputError, DeviceError
        For names that there are not, or a device that cannot be simulated.
    """
    for name in experiments:
        if name not in EXPERIMENTS:
            raise InputError(f"no experiment named {name!r}; there are {', '.join(EXPERIMENTS)}")
    if not (math.isfinite(trials_scale) and 0 < trials_scale <= 1000):
        raise InputError(f"trials_scale must be above 0 and up to 1000, not {trials_scale!r}")
    if not 0 <= seed < 1 << 48:
        raise InputError(f"a characterization's seed is from 0 to 2**48 - 1, not {seed}")
    shape = DEFAULT_SHAPE if board is None else board.shape
    paced, pace = at_paper_pace(device)
    backends: dict[str, dict[str, Any]] = {
        name: {"is_hardware": False} for name in MODELS if name in models}
    if board is not None:
        backends[board.backend] = {
            "is_hardware": board.is_hardware, "name": board.name, "build": board.build,
            "neurons": shape.neurons}
    check(paced, experiments, backends)
    names = tuple(name for name in EXPERIMENTS if name in experiments)
    found = Characterization(device, pace, seed, trials_scale, names, backends)
    tasks = _tasks(found, paced, shape)
    found.parts = len(tasks) + (0 if board is None else len(names))
    begun(found)
    started = time.perf_counter()

    def told(number: int, done: int, of: int) -> None:
        task = tasks[number]
        what = task.experiment if task.kind == "outcome" else f"{task.experiment} ({task.kind})"
        progress(task.backend, what, done, of)

    if processes is None:
        processes = min(_PROCESSES, os.cpu_count() or 1)
    workers = Workers(_run, tasks, processes, told)
    try:
        if board is not None:
            _on_board(found, paced, board, workers, progress)
        workers.wait()
    finally:
        workers.close()
        for number, (result, seconds) in sorted(workers.results.items()):
            _file(found, tasks[number], result, seconds)
        found.missing = _missing(found, tasks, set(workers.results))
        # In the paper's order, whichever was done first.
        found.outcomes = {name: found.outcomes[name] for name in names if name in found.outcomes}
        found.outcomes = {name: {b: of[b] for b in backends if b in of}
                          for name, of in found.outcomes.items()}
        found.traces = {name: found.traces[name] for name in names if name in found.traces}
        found.wall_s = time.perf_counter() - started
    return found


def _tasks(found: Characterization, device: Device, shape: CoreShape) -> list[_Task]:
    models = [name for name in MODELS if name in found.backends]
    both, tasks = len(models) == 2, []
    for experiment in (name for name in _ORDER if name in found.experiments):
        for backend in models:
            seed = found.seed_of(experiment)

            def add(kind: str, trials: int, seed: int, backend: str = backend,
                    experiment: str = experiment) -> None:
                tasks.append(_Task(kind, backend, experiment, device, seed, trials, shape))

            add("outcome", found.trials(experiment), seed)
            if both and experiment in TRACES:
                trials = _scaled(TRACE_TRIALS, found.trials_scale)
                add("trace", trials, seed)
                if backend == "reference":
                    add("repeat", trials, seed + _SEEDS_APART // 2)
            if experiment == "refractory":
                add("example", 1, seed)
    return tasks


def _on_board(found: Characterization, device: Device, board: Board, workers: Workers,
              progress: Progress) -> None:
    rig = BoardRig(board)
    for name in found.experiments:
        begun = time.perf_counter()

        def told(done: int, of: int, name: str = name) -> None:
            workers.poll()
            progress(board.backend, name, done, of)

        outcome = EXPERIMENTS[name](rig, device, seed=found.seed_of(name),
                                    trials=found.trials(name), progress=told)
        found.outcomes.setdefault(name, {})[board.backend] = outcome
        found.seconds["outcome", board.backend, name] = time.perf_counter() - begun


def _file(found: Characterization, task: _Task, result: Any, seconds: float) -> None:
    found.seconds[task.kind, task.backend, task.experiment] = seconds
    if task.kind == "outcome":
        found.outcomes.setdefault(task.experiment, {})[task.backend] = result
    elif task.kind == "example":
        found.examples[task.backend] = result
    else:
        name = "repeat" if task.kind == "repeat" else task.backend
        found.traces.setdefault(task.experiment, {})[name] = result


def _missing(found: Characterization, tasks: list[_Task], done: set[int]) -> list[str]:
    missing = [f"{task.experiment} on {task.backend} ({task.kind})"
               for number, task in enumerate(tasks) if number not in done]
    if found.board is not None:
        missing += [f"{name} on {found.board} (outcome)" for name in found.experiments
                    if found.board not in found.outcomes.get(name, {})]
    return missing
