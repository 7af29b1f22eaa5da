"""Random images and events that reach every corner of a core, for benches and for `verify`."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ionspike.host.image import Image
from ionspike.sim.synapse import rows
from ionspike.spec import formats as fmt
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import register

__all__ = ["edges", "random_events", "random_image", "random_seed"]

# Of random_events, as a share of the inputs.
_RATES, _CHANCES = (0.0, 0.02, 0.2, 1.0), (0.2, 0.4, 0.35, 0.05)


def random_seed(rng: np.random.Generator) -> int:
    """A non-zero LFSR state."""
    return int(rng.integers(1, 1 << 63)) << 1 | int(rng.integers(2))


def edges(rng: np.random.Generator, bits: int, size: int | tuple[int, ...]) -> NDArray[np.int64]:
    """Unsigned numbers of so many bits; of eight, one is near zero and one near the top."""
    anything = rng.integers(0, 1 << bits, size)
    near = rng.integers(0, 4, size).clip(0, (1 << bits) - 1)
    return np.choose(rng.integers(0, 8, size),
                     [near, (1 << bits) - 1 - near, *[anything] * 6])


def random_image(rng: np.random.Generator, shape: CoreShape, *, wild: bool = False,
                 hot: bool | None = None, density: float = 0.5, delays: bool = True) -> Image:
    """An image with rows of any length, base, target and delay, chained rows and empty sources.

    Parameters
    ----------
    wild : coefficients, tables, states and weights from their whole range instead of a device's:
        clips everywhere.
    hot : weights of one sign per lane, and rows that meet often enough to saturate in both
        directions; by default every other wild image.
    density : share of sources with a row.
    delays : whether rows have axonal delays.
    """
    groups_used = int(rng.integers(max(1, shape.groups // 2), shape.groups + 1))
    neurons = groups_used * shape.lanes
    words = int(min(shape.words, 4 * shape.sources * shape.groups))
    if hot is None:
        hot = wild and bool(rng.integers(2))
    # Long chains pass the limits of a small core; a large one has the rows for it anyway.
    chained = hot and shape.sources <= 128
    fanout = _fanout(rng, shape, words, 1 - (1 - density) / 32 if chained else density, delays,
                     chain=1 - 4 / shape.sources if chained else 0.25)
    state = np.zeros((neurons, 3), np.uint16)
    if wild:
        registers = {name: int(edges(rng, register(name).width, 1)[0]) for name in (
            "kf", "kr", "kb", "scale", "r_max", "spike_level", "r_noise", "sustained")}
        per_neuron = (edges(rng, fmt.KG_BITS, neurons) | edges(rng, fmt.MU_BITS, neurons) << 12
                      | edges(rng, fmt.THETA_BITS, neurons) << 24).astype(np.uint32)
        feedback = edges(rng, fmt.H_BITS, fmt.H_ENTRIES).astype(np.uint16)
        noise = edges(rng, fmt.NOISE_BITS, fmt.NOISE_ENTRIES).astype(np.uint16)
        weights = rng.choice(np.array([-128, -127, -1, 0, 1, 127], np.int8), (words, shape.lanes))
        if hot:
            # Both halves have the sign of the whole: narrow rows add up in the same direction.
            weights[:] = rng.permutation(np.resize([0x77, 0x88 - 256], shape.lanes))
        state = edges(rng, 16, (neurons, 3)).astype(np.uint16)
        return Image(shape=shape, registers={"groups_used": groups_used, **registers},
                     weights=weights, fanout=fanout, coefficients=per_neuron, feedback=feedback,
                     noise=noise, state=state)
    device = Device.load("zhao2025_ms")
    device = replace(device, sigma1=float(rng.choice([0, device.sigma1, 0.08])),
                     residue_noise=float(rng.choice([0, device.residue_noise, 0.05])),
                     sustained=bool(rng.integers(2)))
    c = coefficients(device, float(rng.choice([2e-4, 5e-4, 1e-3])))
    spread = rng.normal(1, 0.2, (2, neurons)).clip(0.2, 3)
    kg = (c.kg * spread[0]).astype(np.uint32).clip(1, 4095)
    mu = (c.mu * spread[1]).astype(np.uint32).clip(1, 4095)
    theta = rng.integers(-60, 61, neurons).astype(np.int8).view(np.uint8).astype(np.uint32)
    image = Image(
        shape=shape, weights=rng.integers(-60, 128, (words, shape.lanes)).astype(np.int8),
        registers={"groups_used": groups_used, "scale": 0, **c.registers},
        fanout=fanout, coefficients=kg | mu << 12 | theta << 24,
        feedback=np.array(c.feedback, np.uint16), noise=np.array(c.noise, np.uint16))
    volts = float(rng.uniform(1, 4))
    scale = volts * (1 << fmt.SCALE_SHIFT + fmt.G_FRAC) / max(1.0, _typical_drive(image))
    image.registers["scale"] = min(int(scale), (1 << fmt.SCALE_BITS) - 1)
    return image


def _fanout(rng: np.random.Generator, shape: CoreShape, words: int, density: float, delays: bool,
            *, chain: float) -> NDArray[np.uint32]:
    fanout = np.zeros(shape.sources, np.uint32)
    for source in range(shape.sources):
        length = min(int(rng.integers(1, shape.groups + 1)), words) if rng.random() < 0.7 else 1
        values = {
            "base": int(rng.integers(words - length + 1)),
            "first": int(rng.integers(shape.groups - length + 1)), "length": length - 1,
            "delay": int(rng.integers(shape.delay_slots)) if delays else 0,
            "more": int(bool(rng.random() < chain) and source < shape.sources - 1),
            "enable": int(rng.random() < density), "narrow": int(rng.integers(2))}
        shift = 0
        for name, width in shape.descriptor_fields:
            fanout[source] |= np.uint32(values[name] << shift)
            shift += width
    return fanout


def _typical_drive(image: Image) -> float:
    """Upper quartile over the neurons of what a busy tick's inputs add."""
    total = np.zeros(image.shape.neurons)
    for source in range(image.shape.inputs):
        for row in rows(image, source):
            lanes = image.shape.lanes
            total[row.first * lanes:(row.first + row.length) * lanes] += row.weights(image).ravel()
    return float(np.quantile(total[:image.neurons], 0.75)) * _RATES[2]


def random_events(rng: np.random.Generator, shape: CoreShape, ticks: int) -> NDArray[np.bool_]:
    """bool ``[ticks, inputs]``: quiet and crowded ticks, and some with nothing at all.

    A rate lasts for up to eight ticks, so that there is time to fire and time to recover.
    """
    rate = rng.choice(_RATES, ticks, p=_CHANCES).repeat(rng.integers(1, 9, ticks))[:ticks]
    return rng.random((ticks, shape.inputs)) < rate[:, None]
