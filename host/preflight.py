"""What an imported network will be on a board, before it is there: the report of ``ionspike import``."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.board import MOST_PROBES, Board
from ionspike.host.compiler import Report
from ionspike.host.console import table
from ionspike.host.lif_float import simulate
from ionspike.host.nir_import import Imported
from ionspike.host.readout import Readout
from ionspike.host.result import Result
from ionspike.host.spikes import Spikes
from ionspike.host.steps import to_steps, to_ticks
from ionspike.spec.shape import CoreShape

__all__ = ["LayerReport", "Preflight", "preflight"]

#: A neuron that fires in so many of the steps says nothing.
_ALWAYS = 0.95


@dataclass(frozen=True)
class LayerReport:
    """One layer on the sample, in floating point and as the core computes it.

    Parameters
    ----------
    name, size, late : of the layer; ``late`` are the steps by which its spikes come later.
    dead : neurons that never fired; saturated : those that fired in 95 % of the steps or more.
    spikes_float, spikes_core : of all its neurons.
    same : spikes of both in the same step, once ``late`` is taken off.
    near : of those of the float run, how many have one of the core's within a step.
    weights_only : spikes of the float run that are in the same step with the core's weights in floating
        point: what these cost alone.
    equal : neurons whose spikes are the same, every one.
    vanished : weights to it that are not zero in the file and are zero on the core.
    levels : least and most steps of a weight to the threshold, of its neurons; of an LI, to its top.
    rms : of an LI: how far its membranes are from those of the float run, root of the mean square, as a
        part of their range; else None.
    """

    name: str
    size: int
    late: int
    dead_float: int
    dead_core: int
    saturated_float: int
    saturated_core: int
    spikes_float: int
    spikes_core: int
    same: int
    near: int
    weights_only: int
    equal: int
    vanished: int
    levels: tuple[float, float]
    rms: float | None


@dataclass(frozen=True)
class Preflight:
    """What is known before a network is on a board.

    Parameters
    ----------
    board : its name; ``clock_Hz`` its clock.
    steps : of the sample; ``sample`` says where it is from.
    dt_s : of a step; ``step_clocks`` the clocks it takes if every neuron fires, ``step_room`` those
        there are at this clock in real time.
    bits, clipped : of a weight; weights that these do not hold.
    relays : neurons that pass on spikes.
    still : how far from rest a membrane does not leak, as a part of the threshold.
    beta : what the core's membranes keep from step to step; None in a network of Thresholds.
    saturated : additions that were clamped in the run; ``clipped_drives`` : how often more arrived
        in a step than drives hold; ``early`` : spikes outside the tick of the test, which there are
        none of unless drives are clipped.
    layers : one by one.
    fits : what the compiler found.
    """

    board: str
    clock_Hz: int
    sample: str
    steps: int
    dt_s: float
    step_clocks: int
    step_room: int
    bits: int
    clipped: int
    relays: int
    still: float
    beta: float | None
    saturated: int
    clipped_drives: int
    early: int
    layers: tuple[LayerReport, ...]
    fits: Report
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        rows = [
            ("board", f"{self.board}, {self.clock_Hz / 1e6:g} MHz"),
            ("step", f"{self.dt_s:g} s, {self.step_clocks:,} clocks if all fire, {self.step_room:,} "
                     f"in real time"),
            ("weights", f"{self.bits} bits, a scale for each neuron, {self.clipped:,} clipped"),
            ("leak", "no membranes" if self.beta is None else "none" if self.beta == 1 else
             f"beta {self.beta:.6g}; within {100 * self.still:.2g} % of the threshold from "
             f"rest it is lost in rounding"),
            ("sample", f"{self.steps:,} steps of {self.sample}"),
            ("clamped", f"{self.saturated:,} additions, {self.clipped_drives:,} drives; "
                        f"{self.early:,} spikes out of turn")]
        return [*table(rows), *self._table(), *self.fits.lines()]

    def _table(self) -> list[str]:
        head = ("layer", "neurons", "late", "steps", "dead", "always on", "vanished", "spikes", "on the core",
                "same step", "by weights", "within 1", "equal trains")
        body = [(one.name, f"{one.size:,}", str(one.late), " to ".join(dict.fromkeys(
            f"{level:.3g}" for level in one.levels)), f"{one.dead_float} -> {one.dead_core}",
                 f"{one.saturated_float} -> {one.saturated_core}", f"{one.vanished:,}",
                 f"{one.spikes_float:,}", f"{one.spikes_core:,}", f"{one.same:,}",
                 f"{one.weights_only:,}", f"{one.near:,}",
                 f"{one.equal:,}") if one.rms is None else
                (one.name, f"{one.size:,}", str(one.late), " to ".join(dict.fromkeys(
                    f"{level:.3g}" for level in one.levels)), "", "", f"{one.vanished:,}", "",
                 f"rms {100 * one.rms:.2g} %", "", "", "", "") for one in self.layers]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
                for row in (head, *body)]


def preflight(found: Imported, *, source: str, board: str, shape: CoreShape,
              clock_Hz: int) -> Preflight:
    """Run the sample on the golden model of a board and compare.

    Parameters
    ----------
    found : of a graph of neurons that are not our own.
    source : of its sample, in words.

    Raises
    ------
    InputError
        For a network that does not fit, naming the resource.
    """
    graph, mapped, sample, floats = found.graph, found.mapped, found.sample, found.floats
    assert graph is not None and mapped is not None and sample is not None and floats is not None
    network = mapped.network
    with Board.open(backend="golden", shape=shape) as golden:
        fits = golden.load(network).report
        readout = Readout.of(network)
        probed = [] if readout is None else readout.neurons[:MOST_PROBES].tolist()
        # Later layers answer later, to the last input too.
        steps = len(sample) + max(mapped.late.values())
        padded = np.zeros((steps, sample.shape[1]), bool)
        padded[:len(sample)] = sample
        result = golden.run(to_ticks(Spikes(padded, network.step_s), network), seed=1, probes=probed,
                            final_state=False)
    neurons = sum(layer.size for layer in graph.layers.values())
    ticks = result.spikes.raster[:, :neurons]
    early = int(ticks.sum() - ticks[2::network.ticks_per_step].sum())
    core = to_steps(result.spikes, network).raster
    rounded = simulate(mapped.graph, sample, network.step_s, reset=found.reset)
    layers = []
    for name, layer in graph.layers.items():
        late, first = mapped.late[name], mapped.first[name]
        got = core[late:late + len(sample), first:first + layer.size]
        levels = float(mapped.levels[name].min()), float(mapped.levels[name].max())
        rms = None if layer.kind != "LI" else _rms(found, result, name)
        layers.append(_compared(name, late, floats.spikes[name], got, rounded.spikes[name],
                                mapped.vanished[name], levels, rms))
    step_room = int(clock_Hz * network.step_s)
    step_clocks = fits.clocks_idle * network.ticks_per_step + fits.clocks_busiest - fits.clocks_idle
    warnings = [*mapped.warnings, *_warnings(layers, step_clocks, step_room, early)]
    return Preflight(
        board=board, clock_Hz=clock_Hz, sample=source, steps=len(sample), dt_s=network.step_s,
        step_clocks=step_clocks, step_room=step_room, bits=mapped.bits, clipped=mapped.clipped,
        relays=mapped.relays, still=0.0 if mapped.neuron is None else mapped.neuron.still,
        beta=None if mapped.neuron is None else mapped.neuron.beta,
        saturated=result.counters["saturated"], clipped_drives=result.clipped_drives or 0, early=early,
        layers=tuple(layers), fits=fits, warnings=tuple(warnings))


def _rms(found: Imported, result: Result, name: str) -> float:
    """Of the membranes of an LI that were probed, as a part of their range."""
    graph, mapped, floats, sample = found.graph, found.mapped, found.floats, found.sample
    assert graph is not None and mapped is not None and floats is not None and sample is not None
    first, late = mapped.first[name], mapped.late[name]
    readout = Readout.of(mapped.network)
    assert readout is not None and result.probes is not None
    at = np.flatnonzero((readout.neurons >= first) & (readout.neurons < first + graph.layers[name].size)
                        & np.isin(readout.neurons, result.probes.neurons))
    if not at.size:
        return float("nan")
    readout = Readout(readout.neurons[at], readout.rest[at], readout.per_residue[at], readout.v_leak[at])
    got = readout.membranes(result.probes, mapped.network.ticks_per_step)[late:late + len(sample)]
    wanted = floats.membranes[name][:, readout.neurons - first]
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / (float(np.ptp(wanted)) or 1.0))


def _compared(name: str, late: int, wanted: NDArray[np.bool_], got: NDArray[np.bool_],
              rounded: NDArray[np.bool_], vanished: int, levels: tuple[float, float], rms: float | None) -> LayerReport:
    around = got.copy()
    around[1:] |= got[:-1]
    around[:-1] |= got[1:]
    often = _ALWAYS * len(wanted)
    return LayerReport(
        name=name, size=wanted.shape[1], late=late,
        dead_float=int((~wanted.any(axis=0)).sum()), dead_core=int((~got.any(axis=0)).sum()),
        saturated_float=int((wanted.sum(axis=0) >= often).sum()),
        saturated_core=int((got.sum(axis=0) >= often).sum()),
        spikes_float=int(wanted.sum()), spikes_core=int(got.sum()),
        same=int((wanted & got).sum()), near=int((wanted & around).sum()),
        weights_only=int((wanted & rounded).sum()),
        equal=int((wanted == got).all(axis=0).sum()), vanished=vanished, levels=levels, rms=rms)


def _warnings(layers: list[LayerReport], step_clocks: int, step_room: int,
              early: int) -> list[str]:
    said = []
    for one in layers:
        if one.dead_core == one.size and one.rms is None:
            said.append(f"layer {one.name!r} never fires on this sample")
        if (lost := one.spikes_float - one.spikes_core) > 0.05 * one.spikes_float:
            said.append(f"layer {one.name!r} loses {lost:,} of {one.spikes_float:,} spikes on the core")
    if step_clocks > step_room:
        said.append(f"not in real time if all fire: a step takes {step_clocks:,} clocks, there are "
                    f"{step_room:,}; lockstep runs are exact at any speed")
    if early:
        said.append(f"{early:,} spikes came out of turn, for drives saturate: give a sample that "
                    f"has the largest inputs")
    return said
