"""The neuron's state over time under each experiment's stimulus, as a mean over many trials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.fidelity.experiments import CHAIN_DT_S, CHAIN_TICKS, DT_S, STAGES, control_ohm
from ionspike.fidelity.rigs import Progress, Rig
from ionspike.fidelity.stimulus import Chain, Stimulus, pulse_train, side_by_side, ticks_of
from ionspike.spec.device import Device

__all__ = ["STATES", "TRACES", "TRIALS", "Trace", "example", "trace"]

F64 = NDArray[np.float64]

#: Trials behind a mean: enough for chance to be about a percent of the range.
TRIALS = 1000
STATES = ("filament", "residue", "gate_V")


@dataclass(frozen=True)
class Trace:
    """Means over the trials after each tick.

    Parameters
    ----------
    lanes : what each lane is.
    filament, residue, gate_V : ``[T, lanes]``.
    """

    experiment: str
    lanes: tuple[str, ...]
    dt_s: float
    filament: F64
    residue: F64
    gate_V: F64

    @property
    def time_s(self) -> F64:
        """End of each tick."""
        return self.dt_s * np.arange(1.0, len(self.filament) + 1)


@dataclass(frozen=True)
class _Setting:
    figure: str
    lanes: tuple[str, ...]
    stimulus: Stimulus


def _pulse(figure: str, volts: float, on_s: float, off_s: float, *, repeat: int = 1,
           jitter: bool = False) -> _Setting:
    train = pulse_train(ticks_of(on_s, DT_S, "a pulse"), ticks_of(off_s, DT_S, "a gap"), repeat)
    return _Setting(figure, (f"{volts:g} V",),
                    Stimulus(train[:, None], np.array([volts]), DT_S, jitter=jitter))


def _integration(device: Device) -> _Setting:
    gaps_s, on = (0.4e-3, 0.8e-3, 1.2e-3), ticks_of(1e-3, DT_S, "a pulse")
    lanes = [pulse_train(on, ticks_of(gap, DT_S, "a gap"), 200)[:1000] for gap in gaps_s]
    return _Setting("3b", tuple(f"gap {1e3 * gap:g} ms" for gap in gaps_s), Stimulus(
        side_by_side(lanes), np.full(len(gaps_s), 0.9), DT_S))


def _cascade(device: Device) -> _Setting:
    pulses = np.zeros((80, STAGES), bool)
    pulses[:40, 0] = True
    return _Setting("cascade", tuple(f"neuron {k + 1}" for k in range(STAGES)), Stimulus(
        pulses, np.full(STAGES, 1.0), CHAIN_DT_S, chain=Chain(1.95, CHAIN_TICKS)))


def _refractory(device: Device) -> _Setting:
    ohm, on = control_ohm(device), ticks_of(1e-3, DT_S, "a pulse")
    train = pulse_train(on, on, 100)
    return _Setting("4c", tuple(f"{float(f'{r / 1e6:.3g}'):g} MOhm" for r in ohm), Stimulus(
        np.tile(train[:, None], (1, len(ohm))), np.full(len(ohm), 0.8), DT_S, r_control_ohm=ohm))


#: The stimulus of each experiment, or the part of it that shows most; pulse trains for 200 ms.
TRACES: Mapping[str, Callable[[Device], _Setting]] = {
    "integration": _integration,
    "threshold": lambda device: _pulse("3c", 0.9, 15e-3, 15e-3),
    "cascade": _cascade,
    "plasticity": lambda device: _pulse("4a", 2.0, 20e-3, 30e-3, repeat=2),
    "refractory": _refractory,
    "stochasticity": lambda device: _pulse("3c", 0.9, 60e-3, 20e-3, jitter=True)}


def trace(name: str, rig: Rig, device: Device, seed: int, trials: int = TRIALS,
          progress: Progress = lambda done, of: None) -> Trace:
    """The mean traces of an experiment's stimulus."""
    setting = TRACES[name](device)
    response = rig.respond(device.of_figure(setting.figure), setting.stimulus, trials, seed,
                           traces=True, progress=progress)
    states = [getattr(response, state) for state in STATES]
    assert all(state is not None for state in states)
    return Trace(name, setting.lanes, setting.stimulus.dt_s, *states)


def example(rig: Rig, device: Device, seed: int) -> Trace:
    """One neuron each with the paper's second and its last resistor, not a mean."""
    setting = TRACES["refractory"](device)
    chosen, s = [1, len(setting.lanes) - 1], setting.stimulus
    assert s.r_control_ohm is not None
    response = rig.respond(device.of_figure(setting.figure), Stimulus(
        s.pulses[:, chosen], s.volts[chosen], s.dt_s, r_control_ohm=s.r_control_ohm[chosen]),
        1, seed, traces=True)
    states = [getattr(response, state) for state in STATES]
    return Trace("refractory", tuple(setting.lanes[k] for k in chosen), s.dt_s, *states)
