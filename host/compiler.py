"""From a network to what a board is loaded with, and what can be known before it runs."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.devices import Devices
from ionspike.host.image import Image
from ionspike.host.network import Network
from ionspike.host.placement import Placement, Row, place
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.coefficients import coefficients, gate_loss
from ionspike.spec.shape import CoreShape

__all__ = ["Compiled", "Report", "compile"]

#: Clocks a tick takes beside its words and its neurons: pipelines and the report.
_TICK_OVERHEAD = 25
_ACC_MAX = (1 << fmt.ACC_BITS - 1) - 1


@dataclass(frozen=True)
class Report:
    """What is known before a run; pairs are ``(used, available)``."""

    inputs: tuple[int, int]
    neurons: tuple[int, int]
    words: tuple[int, int]
    groups_used: int
    synapses: int
    chained: int
    narrow: int
    clipped_weights: int
    saturated_coefficients: int
    largest_sum: int
    unreachable: int
    clocks_idle: int
    clocks_busiest: int
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people."""
        def used(name: str) -> str:
            have, of = getattr(self, name)
            return f"{have:,} of {of:,}"

        return [
            f"inputs    {used('inputs')}",
            f"neurons   {used('neurons')} in {self.groups_used} groups",
            f"words     {used('words')}, {self.synapses:,} synapses that are not zero, "
            f"{self.chained} chained rows" + (f", {self.narrow} rows of 4 bits" if self.narrow else ""),
            f"headroom  largest sum of weights {self.largest_sum:,} of {_ACC_MAX:,}",
            f"tick      {self.clocks_idle:,} clocks idle, {self.clocks_busiest:,} if all fire",
            *(f"warning   {text}" for text in self.warnings)]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Compiled:
    """A network placed in a core.

    Parameters
    ----------
    network : what was compiled.
    image : what the board is loaded with.
    input_slots, neuron_slots : physical index of each input and neuron.
    report : what is known before a run.
    """

    network: Network
    image: Image
    input_slots: NDArray[np.int64]
    neuron_slots: NDArray[np.int64]
    report: Report

    def to_board(self, raster: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Inputs ``[..., network inputs]`` on the core's ``[..., shape.inputs]``."""
        placed = np.zeros((*raster.shape[:-1], self.image.shape.inputs), bool)
        placed[..., self.input_slots] = raster
        return placed

    def placed(self, state: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """State ``[network neurons, 3]`` of the core's ``[image.neurons, 3]``; the rest is zero."""
        words = np.zeros((self.image.neurons, 3), np.uint16)
        words[self.neuron_slots] = state
        return words


def compile(network: Network, shape: CoreShape, narrow: bool = True) -> Compiled:
    """Place a network in a core and make its image.

    Parameters
    ----------
    narrow : whether the board knows rows of weights of four bits, as those of ``wire.NARROW_SINCE`` on do.

    Raises
    ------
    InputError
        For a network that does not fit, naming the resource, what it needs and what there is.
    DeviceError
        For a device whose coefficients vanish or saturate at this tick.
    """
    placement = place(network, shape, narrow)
    groups = int(placement.neurons.max()) // shape.lanes + 1
    common = coefficients(network.device, network.dt_s) if network.lif is None \
        else network.lif.coefficients()
    packed, saturated = _coefficients(network, placement, groups * shape.lanes)
    weights, fanout = _memories(placement, shape)
    state = np.zeros((groups * shape.lanes, 3), np.uint16)
    if network.state is not None:
        state[placement.neurons] = network.state
    image = Image(
        shape=shape,
        registers={"groups_used": groups, "scale": network.scale, **common.registers},
        weights=weights, fanout=fanout, coefficients=packed,
        feedback=np.array(common.feedback, np.uint16), noise=np.array(common.noise, np.uint16),
        state=state)
    report = _report(network, image, placement, saturated)
    return Compiled(network, image, placement.inputs, placement.neurons, report)


def _pack(values: dict[str, NDArray[np.int64] | int], fields: tuple[tuple[str, int], ...]) -> Any:
    word: Any = 0
    shift = 0
    for name, width in fields:
        word = word | (values[name] & ((1 << width) - 1)) << shift
        shift += width
    return word


def _coefficients(network: Network, placement: Placement,
                  count: int) -> tuple[NDArray[np.uint32], int]:
    packed = np.zeros(count, np.uint32)
    if (lif := network.lif) is not None:
        packed[placement.neurons] = _pack(
            {"kg": lif.kg, "mu": lif.mu, "theta": lif.theta}, wire.COEFFICIENT)
        return packed, 0
    devices = Devices.of(network)
    nominal = coefficients(network.device, network.dt_s).mu
    values, which = np.unique(devices.r_control_ohm, return_inverse=True)
    device = network.device.with_(figures={})
    kg = np.array([gate_loss(device.with_(r_control_ohm=float(r)), network.dt_s) for r in values])
    mu = np.round(nominal * devices.growth).astype(np.int64)
    theta = np.round(devices.gap * 2.0 ** (fmt.F_FRAC - fmt.THETA_SHIFT)).astype(np.int64)
    # Where spreads and drifts end, too: one less would be a device that is stuck on.
    mu_max, theta_max = (1 << fmt.MU_BITS) - 1, (1 << fmt.THETA_BITS - 1) - 1
    beyond = (mu > mu_max) | (np.abs(theta) >= theta_max) | (mu == 0) & (devices.growth > 0)
    saturated = int((beyond & ~devices.stuck_on).sum())
    theta = np.where(devices.stuck_on, fmt.THETA_STUCK, np.clip(theta, -theta_max, theta_max))
    # A place that holds no neuron cannot grow a filament, so it stays silent whatever arrives.
    packed[placement.neurons] = _pack(
        {"kg": kg[which], "mu": np.clip(mu, 0, mu_max), "theta": theta}, wire.COEFFICIENT)
    return packed, saturated


def _memories(placement: Placement,
              shape: CoreShape) -> tuple[NDArray[np.int8], NDArray[np.uint32]]:
    fanout = np.zeros(shape.sources, np.uint32)
    base_of: dict[bytes, int] = {}
    content = bytearray()

    def put(source: int, rows: list[Row]) -> None:
        for k, (delay, first, weights) in enumerate(rows):
            stored, narrow = placement.stored(weights)
            if stored not in base_of:
                base_of[stored] = len(content) // shape.lanes
                content.extend(stored)
            fanout[source + k] = _pack(
                {"base": base_of[stored], "first": first,
                 "length": len(weights) // shape.lanes - 1, "delay": delay,
                 "more": int(k + 1 < len(rows)), "enable": 1, "narrow": int(narrow)},
                shape.descriptor_fields)

    for slot, rows in zip(placement.inputs, placement.input_rows, strict=True):
        put(int(slot), rows)
    for slot, rows in zip(placement.neurons, placement.neuron_rows, strict=True):
        put(shape.inputs + int(slot), rows)
    return np.frombuffer(bytes(content), np.int8).reshape(-1, shape.lanes), fanout


def _report(network: Network, image: Image, placement: Placement, saturated: int) -> Report:
    positive, negative = np.zeros(network.neurons, np.int64), np.zeros(network.neurons, np.int64)
    for p in network.projections:
        target = slice(p.target_start, p.target_start + p.weights.shape[1])
        weights = p.weights.astype(np.int64)
        positive[target] += np.maximum(weights, 0).sum(axis=0)
        negative[target] -= np.minimum(weights, 0).sum(axis=0)
    largest = int(max(positive.max(), negative.max()))
    threshold_V = network.device.threshold_V()
    unreachable = 0 if network.lif is not None \
        else int((positive * network.scale_V < threshold_V).sum())
    clipped = int(network.metadata.get("clipped_weights", 0))
    every = [rows for rows in (*placement.input_rows, *placement.neuron_rows)]
    words_busiest = sum(len(row[2]) for rows in every for row in rows) // image.shape.lanes
    warnings = []
    if clipped:
        warnings.append(f"{clipped} weights were clipped when the network was quantised")
    if saturated:
        warnings.append(f"{saturated} neurons have a coefficient that saturates its format")
    if largest > _ACC_MAX:
        warnings.append(f"if all fire at once, sums of weights reach {largest:,} and saturate "
                        f"at {_ACC_MAX:,}")
    if unreachable:
        warnings.append(f"{unreachable} neurons cannot fire: all their weights together stay "
                        f"below the threshold of {threshold_V:.3g} V")
    shape = image.shape
    return Report(
        inputs=(sum(max(1, len(r)) for r in placement.input_rows), shape.inputs),
        neurons=(image.neurons, shape.neurons), words=(len(image.weights), shape.words),
        groups_used=image.registers["groups_used"], synapses=network.synapses,
        chained=sum(max(0, len(rows) - 1) for rows in every),
        narrow=image.narrow, clipped_weights=clipped,
        saturated_coefficients=saturated, largest_sum=largest, unreachable=unreachable,
        clocks_idle=image.neurons + _TICK_OVERHEAD,
        clocks_busiest=words_busiest + image.neurons + _TICK_OVERHEAD,
        warnings=tuple(warnings))
