"""Small networks for tests."""

import numpy as np

from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.spikes import Spikes
from ionspike.spec.shape import CoreShape

#: Small enough to be quick, and no power of two in neurons, so that groups are told from bits.
SHAPE = CoreShape(neurons=48, inputs=24, lanes=8, words=256, delay_slots=4)
DT_S = 5e-4


def network(inputs=12, neurons=20, seed=0, **options):
    """Two layers with delays, recurrence and mismatch."""
    rng = np.random.default_rng(seed)
    return Network.from_float(
        device="zhao2025_ms", dt_s=DT_S, inputs=inputs, neurons=neurons,
        projections=[
            Projection("inputs", rng.normal(0.3, 0.4, (inputs, neurons))),
            Projection("neurons", rng.normal(0.1, 0.3, (neurons, 5)), delay=2)],
        mismatch=Mismatch.draw(neurons, seed=seed, growth=0.1, gap=0.02, rc=0.1), **options)


def spikes(ticks=200, inputs=12, seed=0, rate=0.3):
    rng = np.random.default_rng(seed)
    return Spikes(rng.random((ticks, inputs)) < rate, DT_S)
