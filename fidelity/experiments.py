"""The six experiments of the paper, each the same on every rig.

Protocols: the paper's, :mod:`ionspike.fidelity.paper`; the cascade's is ours, for the paper's is
not known to us. A spike's time is the end of its tick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity import paper
from ionspike.fidelity.rigs import Progress, Rig, share
from ionspike.fidelity.stimulus import (
    Chain,
    Response,
    Stimulus,
    pulse_train,
    side_by_side,
    ticks_of,
)
from ionspike.spec.device import Device

__all__ = ["DT_S", "EXPERIMENTS", "Curve", "Outcome", "control_ohm", "first_spike_s",
           "intervals_s", "trials_of"]

F64 = NDArray[np.float64]

#: Seconds per tick: the longest of which all the paper's times are multiples.
DT_S = 2e-4


@dataclass(frozen=True)
class Curve:
    """One observable over one setting.

    Parameters
    ----------
    name, x_name, y_name : for labels; units in SI or none.
    x, y : ``[points]``; NaN where nothing fired.
    error : standard error of each y, ``[points]``.
    paper : the paper's y, NaN where it has none; None if it has no such curve.
    """

    name: str
    x_name: str
    y_name: str
    x: F64
    y: F64
    error: F64
    paper: F64 | None = None


@dataclass(frozen=True)
class Outcome:
    """What one experiment gave on one rig.

    Parameters
    ----------
    curves : by name.
    samples : distributions behind them, by name, seconds.
    responses : raw, by name; for comparing rigs bit by bit.
    """

    experiment: str
    curves: dict[str, Curve]
    samples: dict[str, F64] = field(default_factory=dict)
    responses: dict[str, Response] = field(default_factory=dict)


def first_spike_s(spikes: NDArray[np.bool_], dt_s: float) -> F64:
    """Time of the first spike, ``[trials, lanes]`` from ``[trials, T, lanes]``; NaN where none."""
    return np.where(spikes.any(axis=1), (spikes.argmax(axis=1) + 1) * dt_s, np.nan)


def intervals_s(spikes: NDArray[np.bool_], dt_s: float) -> F64:
    """All intervals between the spikes of each trial, ``[T, trials]`` of one lane joined."""
    found = [np.diff(np.flatnonzero(one)) for one in spikes]
    return np.concatenate(found).astype(np.float64) * dt_s if found else np.zeros(0)


def _mean(samples: list[F64]) -> tuple[F64, F64]:
    """Means and their standard errors, without the NaNs."""
    kept = [s[~np.isnan(s)] for s in samples]
    means = np.array([s.mean() if len(s) else np.nan for s in kept])
    errors = np.array([s.std() / np.sqrt(len(s)) if len(s) else np.nan for s in kept])
    return means, errors


def _cv(samples: list[F64]) -> tuple[F64, F64]:
    """Coefficients of variation and their standard errors, without the NaNs."""
    kept = [s[~np.isnan(s)] for s in samples]
    cv = np.array([s.std() / s.mean() if len(s) else np.nan for s in kept])
    # Of a normal distribution.
    return cv, np.array([c * np.sqrt((0.5 + c ** 2) / max(1, len(s)))
                         for c, s in zip(cv, kept, strict=True)])


def control_ohm(device: Device) -> F64:
    """The resistors that give this device the paper's ``Rc Cg``: the paper's own at 10 pF."""
    return np.array(paper.REFRACTORY.x) * (paper.C_GATE_F / device.c_gate_F)


def refractory(rig: Rig, device: Device, seed: int = 1, trials: int = 100,
               progress: Progress = lambda done, of: None, pulses: int = 1000) -> Outcome:
    """Interval between spikes over the control resistor, and the first spike (Fig. 2e, 4c, d)."""
    ohm = control_ohm(device)
    on = ticks_of(1e-3, DT_S, "a pulse")
    train = pulse_train(on, on, pulses)
    stimulus = Stimulus(np.tile(train[:, None], (1, len(ohm))), np.full(len(ohm), 0.8), DT_S,
                        r_control_ohm=ohm)
    response = rig.respond(device.of_figure("4c"), stimulus, trials, seed, progress=progress)
    waits = [intervals_s(response.spikes[..., k], DT_S) for k in range(len(ohm))]
    first = first_spike_s(response.spikes, DT_S)
    mean, error = _mean(waits)
    cv, cv_error = _cv(waits)
    start, start_error = _mean(list(first.T))
    known = np.where(np.array(paper.REFRACTORY.x) == 250e6, paper.FIRST_SPIKE_S, np.nan)
    x_name = "control resistor (ohm)"
    return Outcome("refractory", {
        "interval": Curve("interval", x_name, "interval between spikes (s)", ohm, mean, error,
                          np.array(paper.REFRACTORY.y)),
        "interval_cv": Curve("interval_cv", x_name, "its coefficient of variation", ohm, cv,
                             cv_error),
        "first_spike": Curve("first_spike", x_name, "first spike (s)", ohm, start, start_error,
                             known)},
        {f"interval at {r / 1e6:.0f} MOhm": w for r, w in zip(ohm, waits, strict=True)},
        {"refractory": response})


def threshold(rig: Rig, device: Device, seed: int = 2, trials: int = 400,
              progress: Progress = lambda done, of: None) -> Outcome:
    """How often one pulse of 15 ms fires, over its height (Fig. 3c, d)."""
    volts = np.array([0.75, 0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95, 1.0, 1.05])
    train = pulse_train(ticks_of(15e-3, DT_S, "a pulse"), 0, 1)
    stimulus = Stimulus(np.tile(train[:, None], (1, len(volts))), volts, DT_S)
    response = rig.respond(device.of_figure("3c"), stimulus, trials, seed, progress=progress)
    fired = response.spikes.any(axis=1).mean(axis=0)
    known = dict(zip(paper.THRESHOLD.x, paper.THRESHOLD.y, strict=True))
    return Outcome("threshold", {"fires": Curve(
        "fires", "height of the pulse (V)", "probability of firing", volts, fired,
        np.sqrt(fired * (1 - fired) / trials),
        np.array([known.get(v, np.nan) for v in volts]))}, {}, {"threshold": response})


def integration(rig: Rig, device: Device, seed: int = 3, trials: int = 100,
                progress: Progress = lambda done, of: None, most: int = 600) -> Outcome:
    """Pulses to the first spike over the gap between pulses (Fig. 3b)."""
    gaps_s = np.array(paper.INTEGRATION.x)
    on = ticks_of(1e-3, DT_S, "a pulse")
    periods = np.array([on + ticks_of(gap, DT_S, "a gap") for gap in gaps_s])
    trains = [pulse_train(on, int(period) - on, most) for period in periods]
    stimulus = Stimulus(side_by_side(trains), np.full(len(gaps_s), 0.9), DT_S)
    response = rig.respond(device.of_figure("3b"), stimulus, trials, seed, progress=progress)
    when = first_spike_s(response.spikes, DT_S)
    # A spike's tick, counted from zero, in periods.
    pulses = np.floor((when / DT_S - 0.5) / periods) + 1
    mean, error = _mean(list(pulses.T))
    return Outcome("integration", {"pulses": Curve(
        "pulses", "gap between pulses (s)", "pulses to the first spike", gaps_s, mean, error,
        np.array(paper.INTEGRATION.y))}, {}, {"integration": response})


def plasticity(rig: Rig, device: Device, seed: int = 4, trials: int = 1200,
               progress: Progress = lambda done, of: None) -> Outcome:
    """By how much sooner the second of two pulses fires, over the gap between them (Fig. 4a, b)."""
    gaps_s = np.array(paper.PLASTICITY.x)
    on = ticks_of(20e-3, DT_S, "a pulse")
    pulse = np.ones(on, bool)
    both, responses = [], {}
    # A run of its own for the longest gap, or all would be as long.
    for k, (part, chosen, ends) in enumerate((("short", gaps_s[:-1], (0, 0.2)),
                                              ("long", gaps_s[-1:], (0.2, 1)))):
        gaps = [ticks_of(gap, DT_S, "a gap") for gap in chosen]
        trains = [np.concatenate([pulse, np.zeros(gap, bool), pulse]) for gap in gaps]
        stimulus = Stimulus(side_by_side(trains), np.full(len(gaps), 2.0), DT_S)
        response = rig.respond(device.of_figure("4a"), stimulus, trials, seed + 1000 * k,
                               progress=share(progress, *ends))
        responses[f"{part} gaps"] = response
        for lane_k, gap in enumerate(gaps):
            lane = response.spikes[..., lane_k:lane_k + 1]
            both.append((first_spike_s(lane[:, :on], DT_S)[:, 0],
                         first_spike_s(lane[:, on + gap:on + gap + on], DT_S)[:, 0]))
    before, after = (np.stack(times, axis=1) for times in zip(*both, strict=True))
    sooner, error = _mean(list((before - after).T))
    latency, latency_error = _mean([before.ravel()] + list(after.T))
    return Outcome("plasticity", {
        "sooner": Curve("sooner", "gap between pulses (s)", "second latency shorter by (s)",
                        gaps_s, sooner, error, np.array(paper.PLASTICITY.y)),
        "latency": Curve("latency", "gap between pulses (s); 0: first pulse", "latency (s)",
                         np.concatenate([[0.0], gaps_s]), latency, latency_error)},
        {"first latency": before.ravel()}, responses)


#: Neurons of the chain, and its tick: four ticks of 1 ms are a pulse of 4 ms at the next neuron,
#: about as long as the gate of one with the nominal resistor stays above V_T.
STAGES, CHAIN_DT_S, CHAIN_TICKS = 4, 1e-3, 4


def cascade(rig: Rig, device: Device, seed: int = 5, trials: int = 100,
            progress: Progress = lambda done, of: None) -> Outcome:
    """A chain of four: each spike is a pulse of 4 ms at the next neuron (ours).

    The first is driven by 1 V for 40 ms. How often each stage fires at all over the height of the
    pulses between stages, and at 1.95 V when it fires for the first time.
    """
    weights = np.array([0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 1.95])
    on, rest = ticks_of(40e-3, CHAIN_DT_S, "a pulse"), ticks_of(40e-3, CHAIN_DT_S, "a gap")
    pulses = np.zeros((on + rest, STAGES), bool)
    pulses[:on, 0] = True
    reached, arrived, responses = [], np.zeros((0, STAGES)), {}
    for k, weight_V in enumerate(weights):
        stimulus = Stimulus(pulses, np.full(STAGES, 1.0), CHAIN_DT_S,
                            chain=Chain(float(weight_V), CHAIN_TICKS))
        response = rig.respond(
            device.of_figure("cascade"), stimulus, trials, seed + 1000 * k,
            progress=share(progress, k / len(weights), (k + 1) / len(weights)))
        reached.append(response.spikes.any(axis=1).mean(axis=0))
        arrived = first_spike_s(response.spikes, CHAIN_DT_S)
        responses[f"cascade at {weight_V:g} V"] = response
    fired = np.array(reached)
    when, error = _mean(list(arrived.T))
    curves = {f"stage_{s + 1}": Curve(
        f"stage_{s + 1}", "height of the pulses between neurons (V)",
        f"neuron {s + 1} fires", weights, fired[:, s],
        np.sqrt(fired[:, s] * (1 - fired[:, s]) / trials)) for s in range(STAGES)}
    curves["arrival"] = Curve("arrival", "neuron of the chain", "first spike (s)",
                              np.arange(1.0, STAGES + 1), when, error)
    return Outcome("cascade", curves, {}, responses)


def stochasticity(rig: Rig, device: Device, seed: int = 6, trials: int = 500,
                  progress: Progress = lambda done, of: None) -> Outcome:
    """Spread of the latency under one long pulse, with and without a random residue."""
    volts = np.array([0.85, 0.9, 1.0, 1.25, 1.5])
    train = pulse_train(ticks_of(200e-3, DT_S, "a pulse"), 0, 1)
    pulses = np.tile(train[:, None], (1, len(volts)))
    curves, responses = {}, {}
    samples: dict[str, F64] = {}
    for k, jitter in enumerate((False, True)):
        name = "jittered" if jitter else "fresh"
        response = rig.respond(
            device.of_figure("3c"), Stimulus(pulses, volts, DT_S, jitter=jitter), trials,
            seed + 1000 * k, progress=share(progress, k / 2, (k + 1) / 2))
        latency = list(first_spike_s(response.spikes, DT_S).T)
        for what, (y, error), unit in (("latency", _mean(latency), "latency (s)"),
                                       ("cv", _cv(latency), "its coefficient of variation")):
            curves[f"{what}_{name}"] = Curve(f"{what}_{name}", "height of the pulse (V)", unit,
                                             volts, y, error)
        samples |= {f"latency at {v:g} V, {name}": s for v, s in zip(volts, latency, strict=True)}
        responses[name] = response
    return Outcome("stochasticity", curves, samples, responses)


#: In the paper's order.
EXPERIMENTS: Mapping[str, Callable[..., Outcome]] = {
    "integration": integration, "threshold": threshold, "cascade": cascade,
    "plasticity": plasticity, "refractory": refractory, "stochasticity": stochasticity}


def trials_of(experiment: str) -> int:
    """How many trials an experiment has unless it is told otherwise."""
    return int(signature(EXPERIMENTS[experiment]).parameters["trials"].default)
