"""What a run gave, with everything needed to tell whether to believe it and to repeat it."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.clipping import clipped_drives
from ionspike.host.errors import InputError
from ionspike.host.estimate import Estimate, estimate
from ionspike.host.files import replacing
from ionspike.host.network import Network
from ionspike.host.readout import Readout
from ionspike.host.spikes import Spikes
from ionspike.host.timing import Timing
from ionspike.spec import formats as fmt

__all__ = ["LOSSES", "Probes", "Result"]

#: Counters of lost or late data.
LOSSES = ("late", "dropped", "overruns")


@dataclass(frozen=True)
class Probes:
    """State of chosen neurons after every tick.

    Parameters
    ----------
    neurons : their indices, ``[P]``.
    words : uint16 ``[T, P, 3]``, see ``wire.STATE``.
    """

    neurons: NDArray[np.int64]
    words: NDArray[np.uint16]

    @property
    def filament(self) -> NDArray[np.float64]:
        """``f``, ``[T, P]``; 1 bridges the gap."""
        return self.words[..., 0] / fmt.ONE

    @property
    def residue(self) -> NDArray[np.float64]:
        """``r``, ``[T, P]``, on the scale of ``f``."""
        high = self.words[..., 1].astype(np.int64) & 0x7FFF
        return (high << fmt.R_LOW_BITS | self.words[..., 2] >> fmt.G_BITS) / (1 << fmt.R_FRAC)

    @property
    def gate_V(self) -> NDArray[np.float64]:
        """``g`` in volts, ``[T, P]``."""
        return (self.words[..., 2] & ((1 << fmt.G_BITS) - 1)) / (1 << fmt.G_FRAC)

    @property
    def on(self) -> NDArray[np.bool_]:
        """Whether the gate is at or above the spike level, ``[T, P]``."""
        return self.words[..., 1] >> 15 != 0


@dataclass(frozen=True)
class Result:
    """One run.

    Parameters
    ----------
    spikes : of the network's neurons, ``[T, neurons]``.
    counters : the board's counters of this run, ``words`` among them.
    timing : how it kept time.
    link : the host's counters of the link, since it was opened.
    probes : if some were asked for.
    digests, lfsr_words : uint32 and uint16 ``[T]``: digest of all state words after each tick, and
        the low word of the LFSR, if asked for.
    seed : as given, or as drawn; None where the run went on from the one before.
    first_tick : number of its first tick.
    initial_state, final_state : uint16 ``[neurons, 3]`` before the first tick and after the last,
        see ``wire.STATE``; the first is None where the run went on from the one before.
    network, inputs : what ran, with mismatch and faults, and on what.
    jitter : whether it began with residues drawn from 0 to the device's ``residue_jitter``.
    lfsr : state of the LFSR after the last tick.
    mode : ``lockstep`` or ``free-running``.
    is_hardware, backend, board : what ran it.
    versions, network_digest, image_digest, build : of the software, of what ran and of the gateware.
    wall_s : seconds from the first byte of this run to its last.
    """

    spikes: Spikes
    counters: dict[str, int]
    timing: Timing
    link: dict[str, int]
    seed: int | None
    first_tick: int
    lfsr: int
    mode: str
    is_hardware: bool
    backend: str
    board: str
    versions: dict[str, str]
    image_digest: str
    build: str
    wall_s: float
    outputs: NDArray[np.int64]
    network: Network = field(repr=False)
    inputs: Spikes = field(repr=False)
    jitter: bool = False
    initial_state: NDArray[np.uint16] | None = None
    probes: Probes | None = None
    digests: NDArray[np.uint32] | None = None
    lfsr_words: NDArray[np.uint16] | None = None
    final_state: NDArray[np.uint16] | None = None

    @property
    def ticks(self) -> int:
        return self.spikes.ticks

    @property
    def losses(self) -> dict[str, int]:
        """Counters of lost or late data that are not zero; empty if nothing was lost."""
        return {name: self.counters[name] for name in LOSSES if self.counters[name]}

    @property
    def output_counts(self) -> NDArray[np.int64]:
        """Spikes of each of the network's output neurons."""
        return self.spikes.raster[:, self.outputs].sum(axis=0)

    @property
    def scores(self) -> NDArray[np.int64]:
        """Of each class, see :meth:`Network.scores`."""
        return self.network.scores(self.output_counts)

    @property
    def answer(self) -> int:
        """The class with the highest score, the first of several."""
        return int(np.argmax(self.scores))

    @cached_property
    def estimate(self) -> Estimate | None:
        """Energy and area of the emulated chip for this run; see :class:`Estimate`. None for LIF
        neurons, which stand for no chip.

        Calculated tick by tick when it, or a summary, is first asked for; on the golden model that
        takes about half as long as the run.
        """
        if self.network.lif is not None:
            return None
        return estimate(self.network, self.inputs, self.spikes, self.initial_state)

    @cached_property
    def clipped_drives(self) -> int | None:
        """Of LIF neurons, how often more arrived in a step than their drives hold; else None."""
        if self.network.lif is None:
            return None
        return clipped_drives(self.network, self.inputs, self.spikes, self.first_tick)

    @cached_property
    def membranes(self) -> NDArray[np.float64] | None:
        """Of LI neurons, whose membranes are the answer, ``[steps, neurons]`` in the order of the graph's
        layers; None where there are none, or they were not probed: ``Readout.of(network).neurons``."""
        readout = Readout.of(self.network)
        if readout is None or self.probes is None or not np.isin(readout.neurons, self.probes.neurons).all():
            return None
        return readout.membranes(self.probes, self.network.ticks_per_step, self.first_tick)

    @cached_property
    def clipped_membranes(self) -> int | None:
        """How often one of :attr:`membranes` was at the upper end of its range, where the residue ends."""
        if self.membranes is None or self.network.lif is None:
            return None
        readout = Readout.of(self.network)
        assert readout is not None and self.probes is not None
        read = np.isin(self.probes.neurons, readout.neurons)
        high = self.probes.words[:, read, 1] & 0x7FFF
        return int((high >= self.network.lif.registers["r_max"]).sum())

    def summary(self) -> dict[str, Any]:
        """All but the arrays, as JSON holds it."""
        faults = self.network.faults
        return {
            "backend": self.backend, "board": self.board, "is_hardware": self.is_hardware,
            "mode": self.mode, "ticks": self.ticks, "dt_s": self.spikes.dt_s,
            "first_tick": self.first_tick, "neurons": self.spikes.width,
            "spikes": self.spikes.count, "seed": self.seed, "lfsr": f"{self.lfsr:#018x}",
            "counters": self.counters, "losses": self.losses, "timing": self.timing.to_json(),
            "link": self.link,
            "versions": self.versions, "image_digest": self.image_digest, "build": self.build,
            "wall_s": round(self.wall_s, 6), "jitter": self.jitter,
            "clipped_drives": self.clipped_drives, "clipped_membranes": self.clipped_membranes,
            "faults": None if faults is None else faults.summary(),
            "estimate": None if self.estimate is None else self.estimate.to_json()}

    def save(self, path: str | Path) -> None:
        """Write ``.npz``: ``tick``, ``index``, ``ticks``, ``width``, ``dt_s`` of the spikes, the
        other arrays by name, and ``summary`` as JSON. ``Spikes.load`` reads the spikes back."""
        path = Path(path)
        if path.suffix != ".npz":
            raise InputError(f"{path}: results are written as .npz")
        tick, index = self.spikes.events()
        arrays: dict[str, Any] = {
            "tick": tick, "index": index, "ticks": self.ticks, "width": self.spikes.width,
            "dt_s": self.spikes.dt_s, "summary": json.dumps(self.summary())}
        for name in ("digests", "lfsr_words", "initial_state", "final_state"):
            if (value := getattr(self, name)) is not None:
                arrays[name] = value
        if self.membranes is not None:
            arrays["membranes"] = self.membranes
        if self.probes is not None:
            arrays |= {"probe_neurons": self.probes.neurons, "probe_words": self.probes.words}
        with replacing(path) as file:
            np.savez_compressed(file, **arrays)
