"""Neuron-ticks per second of the golden model, single and batched.

Run: ``python benchmarks/golden.py``. The bar: >= 20 M/s batched, on two cores.

All 512 neurons of the default core, noise on, recurrent, a tenth of 256 inputs firing in a tick.
"""

import statistics
import time

import numpy as np

from ionspike.host.compiler import compile
from ionspike.host.network import Network, Projection
from ionspike.host.seeds import lfsr_states
from ionspike.sim.model import Model
from ionspike.spec.shape import DEFAULT_SHAPE

ROUNDS = 9
TRIALS = 256
UPDATES = 4_000_000     # neuron-ticks of a round, about
INPUTS, NEURONS, FAN_IN = DEFAULT_SHAPE.inputs, DEFAULT_SHAPE.neurons, 128


def network(rng):
    recurrent = rng.normal(-0.01, 0.05, (NEURONS, FAN_IN))
    return Network.from_float(
        device="zhao2025_ms", dt_s=5e-4, inputs=INPUTS, neurons=NEURONS, projections=(
            Projection("inputs", rng.normal(0.03, 0.06, (INPUTS, FAN_IN))),
            Projection("inputs", rng.normal(0.03, 0.06, (INPUTS, FAN_IN)), target_start=FAN_IN),
            Projection("neurons", recurrent, target_start=2 * FAN_IN, delay=1)))


def measure(compiled, trials, rng):
    """Rates of all rounds by wall-clock time, by CPU time of this thread, and spikes per update."""
    model = Model(compiled.image, lfsr_states(1, trials))
    raster = rng.random((trials, 16, INPUTS)) < 0.1
    inputs = np.ascontiguousarray(compiled.to_board(raster).transpose(1, 0, 2))
    ticks = max(8, UPDATES // trials // NEURONS)
    spikes, wall, cpu = 0, [], []
    for _ in range(ROUNDS):
        start, own = time.perf_counter(), time.thread_time()
        for t in range(ticks):
            spikes += np.count_nonzero(model.step(inputs[t % len(inputs)]))
        wall.append(trials * NEURONS * ticks / (time.perf_counter() - start) / 1e6)
        cpu.append(trials * NEURONS * ticks / (time.thread_time() - own) / 1e6)
    return wall, cpu, spikes / (trials * NEURONS * ticks * ROUNDS)


def main():
    rng = np.random.default_rng(1)
    compiled = compile(network(rng), DEFAULT_SHAPE)
    for name, trials in (("single", 1), ("batched", TRIALS)):
        wall, cpu, rate = measure(compiled, trials, rng)
        print(f"{name:8} {trials:4} trials  median {statistics.median(wall):6.1f} M neuron-ticks/s "
              f"({min(wall):.1f} to {max(wall):.1f} in {ROUNDS} rounds; by its thread's CPU time "
              f"{statistics.median(cpu):.1f}), {rate:.1%} of updates spike")


if __name__ == "__main__":
    main()
