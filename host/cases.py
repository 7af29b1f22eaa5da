"""Random networks and stimuli that leave no corner of a core out."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ionspike.host.ageing import Faults
from ionspike.host.compiler import Compiled, compile
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.spikes import Spikes
from ionspike.spec import wire
from ionspike.spec.device import Device
from ionspike.spec.shape import CoreShape

__all__ = ["Case", "random_case"]


@dataclass(frozen=True)
class Case:
    """One experiment."""

    compiled: Compiled
    spikes: Spikes
    seed: int
    jitter: bool = False


def random_case(shape: CoreShape, ticks: int, seed: int, minor: int = wire.PROTOCOL[1]) -> Case:
    """A case that a core of this shape can run; equal arguments give equal cases.

    Parameters
    ----------
    minor : version of the protocol that the board speaks; what came after it is left out.

    Devices, ticks, sizes, weights, delays, recurrence, mismatch, faults, initial states and whether
    there is jitter are drawn. Of every four seeds one drives accumulators into saturation, and one
    loads words from the whole range of every memory, as no compiler would.
    """
    rng = np.random.default_rng([seed, ticks, shape.neurons, shape.inputs])
    if seed % 4 == 2:
        compiled = _wild(rng, shape, minor)
        return Case(compiled, Spikes(_stimulus(rng, ticks, shape.inputs, False),
                                     compiled.network.dt_s), seed)
    network = _network(rng, shape, seed)
    if minor < wire.register("sustained").since:
        network = replace(network, device=network.device.with_(sustained=False))
    spikes = Spikes(_stimulus(rng, ticks, network.inputs, seed % 4 == 3), network.dt_s)
    return Case(compile(network, shape, minor >= wire.NARROW_SINCE), spikes, seed, jitter=bool(rng.random() < 0.5))


def _wild(rng: np.random.Generator, shape: CoreShape, minor: int) -> Compiled:
    from ionspike.sim.stimulus import random_image
    image = random_image(rng, shape, wild=True)
    registers = {name: value if wire.register(name).since <= minor else wire.register(name).init
                 for name, value in image.registers.items()}
    fanout = image.fanout if minor >= wire.NARROW_SINCE else image.fanout & ~np.uint32(shape.mask("narrow"))
    image = replace(image, registers=registers, fanout=fanout)
    network = Network(Device.load("zhao2025_ms"), 5e-4, shape.inputs, image.neurons, (), 2.0 ** -19)
    return Compiled(network, image, np.arange(shape.inputs), np.arange(image.neurons),
                    compile(network, shape).report)


def _network(rng: np.random.Generator, shape: CoreShape, seed: int) -> Network:
    saturating = seed % 4 == 3
    neurons = int(rng.integers(shape.lanes, shape.neurons * 5 // 8 + 1))
    # Every projection may cost each of its sources a place.
    count = int(rng.integers(1, 5))
    inputs = shape.inputs if saturating else int(rng.integers(1, shape.inputs // count + 1))
    device = Device.load("zhao2025_ms").with_(
        r_control_ohm=float(10 ** rng.uniform(7.3, 8.7)), sigma1=float(rng.choice([0, 0.03, 0.08])),
        residue_noise=float(rng.choice([0, 0.01, 0.08])),
        spike_level_V=float(rng.choice([0.0, rng.uniform(0.1, 1.0)])),
        r_max=float(rng.uniform(0.3, 0.99)), residue_jitter=float(rng.uniform(0.1, 0.9)),
        mu_per_V_s=float(rng.uniform(150, 400)), sustained=bool(rng.integers(2)))
    projections = _saturating(rng, shape, inputs, neurons) if saturating \
        else _sparse(rng, shape, inputs, neurons, count)
    state = np.zeros((neurons, 3), np.uint16)
    if rng.random() < 0.5:
        state[:, 0] = rng.integers(0, 1 << 15, neurons)
        state[:, 2] = rng.integers(0, 1 << 12, neurons)
    return Network(
        device=device, dt_s=float(rng.choice([2e-4, 5e-4, 1e-3])), inputs=inputs,
        neurons=neurons, projections=projections,
        scale_V=int(rng.integers(3000, 32000)) * 2.0 ** -19,
        mismatch=Mismatch.draw(neurons, seed=seed, growth=0.2, gap=0.04, rc=0.2), state=state,
        faults=Faults.draw(neurons, seed=seed, stuck_on=0.1, stuck_off=0.1, drift=0.1,
                           drift_gap=0.02) if rng.random() < 0.5 else None)


def _sparse(rng: np.random.Generator, shape: CoreShape, inputs: int, neurons: int,
            count: int) -> tuple[Projection, ...]:
    # What fits: an eighth of the words for each of the projections, whatever the layout.
    room = shape.words * shape.lanes // 8
    found = []
    for k in range(count):
        source = "inputs" if k == 0 or rng.random() < 0.5 else "neurons"
        available = inputs if source == "inputs" else min(neurons, shape.neurons // 8)
        targets = int(rng.integers(1, neurons + 1))
        sources = int(rng.integers(1, max(1, min(available, room // (targets + shape.lanes))) + 1))
        if k == 0:
            sources = max(1, min(available, room // (targets + shape.lanes)))
        weights = rng.integers(-60, 128, (sources, targets)).astype(np.int8)
        weights[rng.random(weights.shape) < rng.choice([0.0, 0.5, 0.9])] = 0
        found.append(Projection(
            source, weights, int(rng.integers(0, available - sources + 1)),  # type: ignore[arg-type]
            int(rng.integers(0, neurons - targets + 1)), int(rng.integers(0, shape.delay_slots))))
    return tuple(found)


def _saturating(rng: np.random.Generator, shape: CoreShape, inputs: int,
                neurons: int) -> tuple[Projection, ...]:
    """Sums that pass both limits: inputs alone nearly reach them, recurrence goes beyond."""
    targets = min(neurons, max(1, shape.words * shape.lanes // 2 // shape.sources - shape.lanes))
    drive = np.full((inputs, targets), 127, np.int8)
    # Most neurons fire, and with the inputs push the last ones far below and far above zero.
    drive[:, -(targets // 4 or 1):] = -128
    again = np.full((neurons, targets), 127, np.int8)
    again[:, -(targets // 4 or 1):] = -128
    delay = int(rng.integers(0, shape.delay_slots))
    return (Projection("inputs", drive, delay=delay), Projection("neurons", again, delay=delay))


def _stimulus(rng: np.random.Generator, ticks: int, inputs: int,
              saturating: bool) -> NDArray[np.bool_]:
    if saturating:
        # Bursts of everything, and pauses in which gates discharge.
        burst = rng.random(ticks) < 0.3
        return np.where(burst[:, None], rng.random((ticks, inputs)) < 0.99, False)
    # A drive that lasts keeps gates charged: spikes come where it falls and rises again.
    rates = rng.choice([0.0, 0.02, 0.2, 0.8], ticks).repeat(rng.integers(1, 9, ticks))[:ticks]
    return rng.random((ticks, inputs)) < rates[:, None]
