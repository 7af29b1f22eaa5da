"""Random images and events that reach every corner of a core, for benches and for `verify`."""

import numpy as np
from numpy.typing import NDArray

from ionspike.host.image import Image
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device
from ionspike.spec.shape import CoreShape

__all__ = ["random_events", "random_image", "random_seed"]


def random_seed(rng: np.random.Generator) -> int:
    """A non-zero LFSR state."""
    return int(rng.integers(1, 1 << 63)) << 1 | int(rng.integers(2))


def random_image(rng: np.random.Generator, shape: CoreShape, *, wild: bool = False,
                 density: float = 0.5, delays: bool = True) -> Image:
    """An image with rows of any length, base, target and delay, chained rows and empty sources.

    Parameters
    ----------
    wild : coefficients, tables, states and weights from their whole range instead of a device's:
        saturates and clips everywhere.
    density : share of sources with a row.
    delays : whether rows have axonal delays.
    """
    groups_used = int(rng.integers(max(1, shape.groups // 2), shape.groups + 1))
    neurons = groups_used * shape.lanes
    words = int(min(shape.words, 4 * shape.sources * shape.groups))
    fanout = np.zeros(shape.sources, np.uint32)
    for source in range(shape.sources):
        length = int(min(rng.integers(1, shape.groups + 1), words)) if rng.random() < 0.7 else 1
        values = {
            "base": int(rng.integers(words - length + 1)),
            "first": int(rng.integers(shape.groups - length + 1)), "length": length - 1,
            "delay": int(rng.integers(shape.delay_slots)) if delays else 0,
            "more": int(rng.random() < 0.2 and source < shape.sources - 1),
            "enable": int(rng.random() < density)}
        shift = 0
        for name, width in shape.descriptor_fields:
            fanout[source] |= np.uint32(values[name] << shift)
            shift += width
    if wild:
        registers = {"kf": int(rng.integers(1 << 16)), "kr": int(rng.integers(1 << 16)),
                     "kb": int(rng.integers(1 << 16)), "scale": int(rng.integers(1 << 15)),
                     "r_max": int(rng.integers(1 << 15))}
        per_neuron = rng.integers(0, 1 << 32, neurons, np.uint64).astype(np.uint32)
        feedback = rng.integers(0, 1 << fmt.H_BITS, fmt.H_ENTRIES).astype(np.uint16)
        noise = rng.integers(0, 1 << fmt.NOISE_BITS, fmt.NOISE_ENTRIES).astype(np.uint16)
        weights = rng.choice(np.array([-128, -127, -1, 0, 1, 127], np.int8), (words, shape.lanes))
        state = rng.integers(0, 1 << 16, (neurons, 3)).astype(np.uint16)
    else:
        c = coefficients(Device.load("zhao2025_ms"), 5e-4)
        registers = {"kf": c.kf, "kr": c.kr, "kb": c.kb, "r_max": c.r_max,
                     "scale": int(rng.integers(200, 3000))}
        spread = rng.normal(1, 0.2, (2, neurons)).clip(0.2, 3)
        kg = (c.kg * spread[0]).astype(np.uint32).clip(1, 4095)
        mu = (c.mu * spread[1]).astype(np.uint32).clip(1, 4095)
        theta = rng.integers(-60, 61, neurons).astype(np.int8).view(np.uint8).astype(np.uint32)
        per_neuron = kg | mu << 12 | theta << 24
        feedback = np.array(c.feedback, np.uint16)
        noise = np.array(c.noise, np.uint16)
        weights = rng.integers(-60, 128, (words, shape.lanes)).astype(np.int8)
        state = np.zeros((neurons, 3), np.uint16)
    return Image(shape=shape, registers={"groups_used": groups_used, **registers},
                 weights=weights, fanout=fanout, coefficients=per_neuron, feedback=feedback,
                 noise=noise, state=state)


def random_events(rng: np.random.Generator, shape: CoreShape, ticks: int) -> NDArray[np.bool_]:
    """bool ``[ticks, inputs]``: quiet and crowded ticks, and some with nothing at all."""
    rate = rng.choice([0.0, 0.02, 0.2, 1.0], (ticks, 1), p=[0.2, 0.4, 0.35, 0.05])
    return rng.random((ticks, shape.inputs)) < rate
