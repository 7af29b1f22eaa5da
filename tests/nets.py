"""Small networks for tests."""

import numpy as np

from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.spikes import Spikes
from ionspike.spec.device import Device
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


def coarse(fine=0):
    """Weights of four bits, 264 words of eight, where a core of ``SHAPE`` has 256; ``fine`` inputs have eight."""
    rng = np.random.default_rng(0)
    inputs, own = ((rng.integers(-7, 8, (n, 48)) * 16).astype(np.int8) for n in (20, 24))
    inputs[:fine] += rng.integers(1, 15, (fine, 48)).astype(np.int8)
    return Network(
        device=Device.load("zhao2025_ms").with_(figures={}), dt_s=DT_S, inputs=20, neurons=48, scale_V=2.0**-7,
        projections=(Projection("inputs", inputs), Projection("neurons", own, delay=1)))


def spikes(ticks=200, inputs=12, seed=0, rate=0.3):
    rng = np.random.default_rng(seed)
    return Spikes(rng.random((ticks, inputs)) < rate, DT_S)
