"""Where experiments run: the float reference, the golden model, or anything that
:class:`ionspike.Board` opens."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.stimulus import Response, Stimulus
from ionspike.host.board import Board
from ionspike.host.compiler import compile
from ionspike.host.errors import InputError
from ionspike.host.network import Network, Projection
from ionspike.host.result import Probes
from ionspike.host.seeds import lfsr_state
from ionspike.host.spikes import Spikes
from ionspike.sim.digest import digest
from ionspike.sim.model import Model
from ionspike.sim.reference import simulate
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.device import Device
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["UNIT_V", "BoardRig", "GoldenRig", "Progress", "ReferenceRig", "Rig", "share"]

Progress = Callable[[int, int], None]

#: Volts per weight unit on a board: what 25 mV is to the precision of its scale register. All
#: heights of the paper's pulses are multiples of it.
UNIT_V = round(0.025 * 2.0 ** (fmt.SCALE_SHIFT + fmt.G_FRAC)) * 2.0 ** -(
    fmt.SCALE_SHIFT + fmt.G_FRAC)
_MOST_PROBES = (1 << wire.register("probe_count").width) - 1
#: Words of state after which a board's memory of reports would only slow it down.
_MOST_PROBED_TICKS = 1500


def share(progress: Progress, begin: float, end: float) -> Progress:
    """Progress of something that is the part from ``begin`` to ``end`` of a whole."""
    return lambda done, of: progress(round(1000 * (begin + (end - begin) * done / of)), 1000)


class Rig(Protocol):
    """Anything that experiments can run on."""

    name: str

    def respond(self, device: Device, stimulus: Stimulus, trials: int, seed: int, *,
                traces: bool = False, progress: Progress = ...) -> Response:
        """Apply a stimulus to ``trials`` fresh neurons a lane, all of that device."""
        ...


def _units(volts: NDArray[np.float64]) -> NDArray[np.int64]:
    units = np.round(volts / UNIT_V).astype(np.int64)
    for k in np.flatnonzero((np.abs(units * UNIT_V - volts) > 1e-3) | (units > 127))[:1]:
        raise InputError(f"pulses of {volts[k]:g} V cannot be made: multiples of 0.025 V up to 2 V "
                         f"can")
    return units


def _residues(device: Device, stimulus: Stimulus, trials: int, seed: int) -> NDArray[np.float64]:
    """Residues to begin with, ``[trials, lanes]``; the same on every rig."""
    if not stimulus.jitter:
        return np.zeros((trials, stimulus.lanes))
    # Not the stream of numbers that is the reference's noise.
    drawn = np.random.default_rng((seed, 1)).random((trials, stimulus.lanes))
    return np.minimum(drawn * device.residue_jitter, device.r_max)


class ReferenceRig:
    """The stochastic differential equations, :mod:`ionspike.sim.reference`.

    Parameters
    ----------
    step_s : of the integration; without it, the largest that is allowed.
    """

    name = "reference"

    def __init__(self, step_s: float | None = None):
        self.step_s = step_s

    def respond(self, device: Device, stimulus: Stimulus, trials: int, seed: int, *,
                traces: bool = False, progress: Progress = lambda done, of: None) -> Response:
        volts = _units(stimulus.volts) * UNIT_V
        chain, synapses, width = stimulus.chain, None, 1
        if chain is not None:
            weight_V = float(_units(np.array([chain.weight_V]))[0] * UNIT_V)
            synapses = np.diag(np.full(stimulus.lanes - 1, weight_V), 1)
            width = chain.width_ticks
        run = simulate(device, stimulus.pulses * volts, stimulus.dt_s, trials=trials, seed=seed,
                       step_s=self.step_s, r_control_ohm=stimulus.r_control_ohm,
                       residue=_residues(device, stimulus, trials, seed), synapses_V=synapses,
                       delay_ticks=width, progress=progress)
        return Response(run.spikes, run.filament, run.residue, run.gate_V, seeds=(seed,),
                        where=f"steps of {1e6 * run.step_s:.3g} us")


@dataclass(frozen=True)
class _Passes:
    """How the trials of a stimulus are spread over a core, the same for every core of a shape.

    Every trial of every lane is a neuron of its own, so that as many run at once as the core has
    neurons; the rest follows in further passes with other seeds. A neuron's number is its copy's
    times the lanes, plus its lane's.
    """

    device: Device
    stimulus: Stimulus
    copies: int
    seeds: tuple[int, ...]
    residue: NDArray[np.float64]

    @classmethod
    def plan(cls, shape: CoreShape, device: Device, stimulus: Stimulus, trials: int,
             seed: int) -> "_Passes":
        # A chained row takes the place of the next neuron's.
        width = 1 if stimulus.chain is None else stimulus.chain.width_ticks
        copies = min(trials, shape.neurons // width // stimulus.lanes)
        if copies < 1 or stimulus.lanes > shape.inputs:
            raise InputError(f"{stimulus.lanes} lanes do not fit a board of {shape.neurons} "
                             f"neurons and {shape.inputs} inputs")
        if width > shape.delay_slots:
            raise InputError(f"pulses of {width} ticks need as many delay slots; this board has "
                             f"{shape.delay_slots}")
        passes = -(-trials // copies)
        return cls(device, stimulus, copies, tuple(seed + k for k in range(passes)),
                   _residues(device, stimulus, passes * copies, seed))

    def state(self, k: int) -> NDArray[np.uint16]:
        """What a pass begins with."""
        part = self.residue[k * self.copies:(k + 1) * self.copies].ravel()
        r = np.round(part * (1 << fmt.R_FRAC)).astype(np.int64)
        state = np.zeros((len(r), 3), np.uint16)
        state[:, 1], state[:, 2] = r >> fmt.R_LOW_BITS, (
            r & (1 << fmt.R_LOW_BITS) - 1) << fmt.G_BITS
        return state

    def network(self, k: int) -> Network:
        """Of a pass."""
        stimulus, copies, lanes = self.stimulus, self.copies, self.stimulus.lanes
        weights = np.tile(np.diag(_units(stimulus.volts)), copies).astype(np.int8)
        projections = [Projection("inputs", weights)]
        if stimulus.chain is not None:
            unit = _units(np.array([stimulus.chain.weight_V]))[0]
            link = np.kron(np.eye(copies, dtype=np.int8), np.diag(
                np.full(lanes - 1, unit, np.int8), 1))
            projections += [Projection("neurons", link, delay=delay)
                            for delay in range(stimulus.chain.width_ticks)]
        ohm = None if stimulus.r_control_ohm is None else np.tile(stimulus.r_control_ohm, copies)
        return Network(device=self.device, dt_s=stimulus.dt_s, inputs=lanes,
                       neurons=copies * lanes, projections=tuple(projections), scale_V=UNIT_V,
                       r_control_ohm=ohm, state=self.state(k))

    def trials(self, spikes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """``[copies, T, lanes]`` from a pass's ``[T, neurons]``."""
        return spikes.reshape(len(spikes), self.copies, -1).transpose(1, 0, 2)


class GoldenRig:
    """The golden model itself, :mod:`ionspike.sim.model`, all passes side by side.

    It has all state of all neurons; what it gives is bit for bit what a board of the shape gives.
    """

    name = "golden"

    def __init__(self, shape: CoreShape = DEFAULT_SHAPE):
        self.shape = shape

    def respond(self, device: Device, stimulus: Stimulus, trials: int, seed: int, *,
                traces: bool = False, progress: Progress = lambda done, of: None) -> Response:
        plan = _Passes.plan(self.shape, device, stimulus, trials, seed)
        compiled = compile(plan.network(0), self.shape)
        slots, passes = compiled.neuron_slots, len(plan.seeds)
        model = Model(compiled.image, [lfsr_state(s) for s in plan.seeds])
        state = model.state
        state[:, slots] = [plan.state(k) for k in range(passes)]
        model.state = state
        raster = compiled.to_board(stimulus.pulses)
        spikes = np.empty((passes, stimulus.ticks, len(slots)), bool)
        digests = np.empty((passes, stimulus.ticks), np.uint32)
        means = np.empty((3, stimulus.ticks, stimulus.lanes))
        for tick in range(stimulus.ticks):
            spikes[:, tick] = model.step(np.broadcast_to(
                raster[tick], (passes, len(raster[tick]))))[:, slots]
            words = model.state
            digests[:, tick] = digest(words)
            if traces:
                p = Probes(slots, words[:, slots].reshape(-1, stimulus.lanes, 3))
                means[:, tick] = [x.mean(axis=0) for x in (p.filament, p.residue, p.gate_V)]
            progress(tick + 1, stimulus.ticks)
        response = Response(
            np.concatenate([plan.trials(one) for one in spikes])[:trials], digests=digests,
            counters=dict(model.counters), seeds=plan.seeds, where="golden model")
        return response.with_means(*means) if traces else response


class BoardRig:
    """A board or virtual board, or the golden model in its place, behind the host library."""

    def __init__(self, board: Board):
        self.board, self.name = board, board.backend

    def respond(self, device: Device, stimulus: Stimulus, trials: int, seed: int, *,
                traces: bool = False, progress: Progress = lambda done, of: None) -> Response:
        plan = _Passes.plan(self.board.shape, device, stimulus, trials, seed)
        passes, lanes = len(plan.seeds), stimulus.lanes
        probes = np.arange(min(plan.copies, _MOST_PROBES // lanes) * lanes) \
            if traces else np.zeros(0, np.int64)
        if traces and stimulus.ticks > _MOST_PROBED_TICKS:
            raise InputError(f"traces of {stimulus.ticks} ticks; up to {_MOST_PROBED_TICKS}")
        spikes, digests, counters = [], [], Counter[str]()
        means: list[NDArray[np.float64]] = []
        for k, seed_k in enumerate(plan.seeds):
            if k == 0 or stimulus.jitter:
                self.board.load(plan.network(k))
            result = self.board.run(
                Spikes(stimulus.pulses, stimulus.dt_s), seed=seed_k, digests=True,
                final_state=False, probes=probes.tolist() if k == 0 else [],
                progress=share(progress, k / passes, (k + 1) / passes))
            spikes.append(plan.trials(result.spikes.raster))
            digests.append(result.digests)
            counters.update(result.counters)
            if k == 0 and traces and result.probes is not None:
                p = result.probes
                shape = stimulus.ticks, -1, lanes
                means = [x.reshape(shape).mean(axis=1) for x in (p.filament, p.residue, p.gate_V)]
        response = Response(np.concatenate(spikes)[:trials], digests=np.array(digests),
                            counters=dict(counters), seeds=plan.seeds, where=self.board.name)
        return response.with_means(*means) if means else response
