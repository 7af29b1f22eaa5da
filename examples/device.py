"""What a neuron does under the paper's pulses, beside what the paper measured.

Run: ``python examples/device.py``. Bit-exact integers with a fixed seed, so that every machine
prints the same; docs/model.md has the table. The paper's values are read off its main text and
figures by a third party (docs/model.md, Sources).
"""

import numpy as np

from ionspike import Network
from ionspike.host.compiler import compile
from ionspike.host.network import Projection
from ionspike.host.seeds import lfsr_states
from ionspike.sim.model import Model
from ionspike.spec.shape import CoreShape

SEED = 1
STEP_V = round(0.025 * 2**19) / 2**19   # 25 mV a weight unit, to the scale register's precision
PERCENT = "{:.0%}".format


def respond(volts, pulses, dt_s, trials, ohm=None):
    """Spikes ``[trials, T, N]`` of N single neurons, each driven by its own pulses ``[T, N]``."""
    count = len(volts)
    weights = np.diag(np.round(np.array(volts) / STEP_V).astype(np.int8))
    network = Network(device="zhao2025_ms", dt_s=dt_s, inputs=count, neurons=count, scale_V=STEP_V,
                      projections=[Projection("inputs", weights)],
                      r_control_ohm=None if ohm is None else np.array(ohm))
    compiled = compile(network, CoreShape(neurons=8, inputs=8, words=16))
    model = Model(compiled.image, lfsr_states(SEED, trials))
    raster = compiled.to_board(np.asarray(pulses, bool))
    spikes = model.run(np.broadcast_to(raster, (trials, *raster.shape)))
    return spikes[..., compiled.neuron_slots]


def train(on, off, count):
    """``count`` pulses of ``on`` ticks and ``off`` ticks between."""
    return ([1] * on + [0] * off) * count


def columns(trains):
    """Trains of any length side by side, ``[T, N]``."""
    pulses = np.zeros((max(map(len, trains)), len(trains)), bool)
    for k, one in enumerate(trains):
        pulses[:len(one), k] = one
    return pulses


def first(spikes):
    """Tick of the first spike ``[trials, N]``; -1 where there is none."""
    return np.where(spikes.any(axis=1), spikes.argmax(axis=1), -1)


def row(name, settings, ours, paper):
    print(f"| {name} | {settings} | {' / '.join(ours)} | {paper} |")


def intervals():
    ohm, dt_s = np.array([50e6, 100e6, 250e6, 500e6, 1000e6]), 5e-4
    spikes = respond([0.8] * 5, columns([train(2, 2, 1000)] * 5), dt_s, 40, ohm)
    gaps = [np.concatenate([np.diff(np.flatnonzero(s)) for s in spikes[..., n]]) for n in range(5)]
    row("interval between spikes (ms)", "0.8 V, 1 ms on, 1 ms off; 50 / 100 / 250 / 500 / 1000 MΩ",
        [f"{g.mean() * dt_s * 1e3:.2f}" for g in gaps], "2.25 / 2.3 / 4.0 / 8.0 / 23.8")
    row("its coefficient of variation", "same", [f"{g.std() / g.mean():.2f}" for g in gaps], "–")
    row("first spike (ms)", "same, 250 MΩ", [f"{first(spikes)[:, 2].mean() * dt_s * 1e3:.0f}"], "88")


def threshold():
    volts, dt_s = [0.8, 0.85, 0.9, 0.95, 1.0], 5e-4
    spikes = respond(volts, columns([train(30, 0, 1)] * 5), dt_s, 2000)
    row("fires at all", "one pulse of 15 ms; 0.8 / 0.85 / 0.9 / 0.95 / 1.0 V",
        map(PERCENT, spikes.any(axis=1).mean(axis=0)), "5% / – / 76% / – / 95%")
    when = first(respond([0.9, 2.0], columns([train(400, 0, 1)] * 2), dt_s, 400)) * dt_s * 1e3
    row("latency (ms)", "one long pulse; 0.9 / 2.0 V", [f"{ms:.1f}" for ms in when.mean(axis=0)],
        "5 / 13")
    row("its coefficient of variation", "same", [f"{cv:.2f}" for cv in when.std(axis=0)
                                                 / when.mean(axis=0)], "–")


def integration():
    dt_s = 2e-4
    gaps = [2, 3, 4, 5, 6]
    pulses = columns([train(5, gap, 400) for gap in gaps])
    when = first(respond([0.9] * 5, pulses, dt_s, 100))
    row("pulses to the first spike", "0.9 V, 1 ms on; 0.4 / 0.6 / 0.8 / 1.0 / 1.2 ms off",
        [f"{np.median(when[:, k] // (5 + gap) + 1):.0f}" for k, gap in enumerate(gaps)],
        "140 / 160 / 180 / 215 / 260")


def plasticity():
    dt_s, on = 5e-4, 80
    gaps = [round(ms * 1e-3 / dt_s) for ms in (3, 30, 80, 200, 1000)]
    pulses = columns([train(on, gap, 1) + train(on, 0, 1) for gap in gaps])
    spikes = respond([1.0] * 5, pulses, dt_s, 400)
    before = first(spikes[:, :on])
    after = [first(spikes[:, on + gap:on + gap + on])[:, k] for k, gap in enumerate(gaps)]
    row("latency less than the first pulse's (ms)", "two pulses, 3 / 30 / 80 / 200 / 1000 ms apart; "
        f"ours 1 V, 40 ms, first {before.mean() * dt_s * 1e3:.1f} ms; paper 2 V, 20 ms, first 13 ms",
        [f"{round((before[:, k] - after[k]).mean() * dt_s * 1e3, 1) + 0.0:.1f}" for k in range(5)],
        "5.7 / 4.5 / 3.2 / 2.4 / 0.2")


if __name__ == "__main__":
    print("| observable | protocol | ours | paper (as transcribed) |")
    print("|---|---|---|---|")
    for experiment in (intervals, threshold, integration, plasticity):
        experiment()
