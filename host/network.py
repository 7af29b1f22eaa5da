"""A network of memristor neurons, independent of the board that will run it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.host.ageing import Faults
from ionspike.host.errors import InputError
from ionspike.host.lif_cells import LifCells
from ionspike.host.mismatch import Mismatch
from ionspike.spec import formats as fmt
from ionspike.spec.device import Device
from ionspike.spec.lif import Reset
from ionspike.spec.strict_json import shown

__all__ = ["Network", "Projection"]

_SCALE_STEP_V = 2.0 ** -(fmt.SCALE_SHIFT + fmt.G_FRAC)
_SCALE_MAX = (1 << fmt.SCALE_BITS) - 1


@dataclass(frozen=True)
class Projection:
    """Synapses from a range of sources to a range of neurons.

    Parameters
    ----------
    source : ``"inputs"`` or ``"neurons"``.
    weights : ``[sources, targets]``; int8 in a network, volts for :meth:`Network.from_float`.
    source_start, target_start : where the ranges begin.
    delay : axonal delay in ticks. An input arrives in its own tick plus ``delay``, a neuron's
        spike in the tick after its own plus ``delay``.
    """

    source: Literal["inputs", "neurons"]
    weights: NDArray[Any]
    source_start: int = 0
    target_start: int = 0
    delay: int = 0

    def __post_init__(self) -> None:
        if self.source not in ("inputs", "neurons"):
            raise InputError(f"source of a projection must be 'inputs' or 'neurons', "
                             f"not {self.source!r}")
        weights = np.asarray(self.weights)
        if weights.ndim != 2 or 0 in weights.shape or weights.dtype.kind not in "iuf":
            raise InputError(f"weights must be numbers of shape [sources, targets], not "
                             f"{weights.dtype} {list(weights.shape)}")
        if not np.isfinite(weights).all():
            row, column = np.argwhere(~np.isfinite(weights))[0]
            raise InputError(f"weight [{row}, {column}] is {weights[row, column]}, "
                             f"not a finite number")
        object.__setattr__(self, "weights", weights)
        for name in ("source_start", "target_start", "delay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise InputError(f"{name} must be an integer from 0 on, not {value!r}")
            object.__setattr__(self, name, int(value))


@dataclass(frozen=True)
class Network:
    """Neurons, their devices and their synapses.

    The drive of a neuron in a tick is ``v = scale_V * (sum of the weights that arrive)``, clipped
    to 0 to 2 V.

    Parameters
    ----------
    device : the device all neurons are made of, or the name of a preset.
    dt_s : seconds per tick.
    inputs, neurons : how many of each.
    projections : the synapses, int8.
    scale_V : volts per weight unit; a multiple of 2**-19 V up to 1/16 V.
    r_control_ohm : float64 ``[neurons]``, control resistors; without it, the device's.
    mismatch : how the devices differ; without it, they do not.
    faults : what has become of them, see :meth:`with_faults`.
    lif : of a network whose neurons are no devices, but LIF neurons: docs/nir.md.
    outputs : indices of the neurons whose spikes are the answer; without it, all.
    labels : names of the outputs, or with votes of their columns. Outputs of one name are one class.
    votes : int8 ``[outputs, labels]``, what a spike of each output adds to the score of each label, on
        the host; without it, 1 to its own.
    state : uint16 ``[neurons, 3]``, the state a run begins from, see ``wire.STATE``.
    metadata : anything JSON holds: where the network comes from, training figures.

    Raises
    ------
    InputError
        For ranges outside the network, weights that are not int8, or values out of range.
    """

    device: Device
    dt_s: float
    inputs: int
    neurons: int
    projections: tuple[Projection, ...]
    scale_V: float
    r_control_ohm: NDArray[np.float64] | None = None
    mismatch: Mismatch | None = None
    outputs: NDArray[np.int64] = field(default=None)  # type: ignore[arg-type]
    labels: tuple[str, ...] = ()
    votes: NDArray[np.int8] | None = None
    state: NDArray[np.uint16] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    faults: Faults | None = None
    lif: LifCells | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        if isinstance(self.device, str):
            put("device", Device.load(self.device))
        if not (np.isfinite(self.dt_s) and self.dt_s > 0):
            raise InputError(f"dt_s must be a positive number of seconds, not {self.dt_s!r}")
        for name in ("inputs", "neurons"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"{name} must be a positive integer, not {value!r}")
        scale = self.scale_V / _SCALE_STEP_V if np.isfinite(self.scale_V) else -1.0
        if not 1 <= scale <= _SCALE_MAX or abs(scale - round(scale)) > 1e-3:
            raise InputError(f"scale_V must be a multiple of {_SCALE_STEP_V:.4g} V up to "
                             f"{_SCALE_MAX * _SCALE_STEP_V:.4g} V, not {self.scale_V!r}")
        put("projections", tuple(self.projections))
        for k, projection in enumerate(self.projections):
            self._check(k, projection)
        if self.r_control_ohm is not None:
            ohm = np.asarray(self.r_control_ohm, np.float64)
            if ohm.shape != (self.neurons,) or not (np.isfinite(ohm) & (ohm > 0)).all():
                raise InputError(f"r_control_ohm must be {self.neurons} positive numbers, one a "
                                 f"neuron")
            put("r_control_ohm", ohm)
        for name in ("mismatch", "faults"):
            value = getattr(self, name)
            if value is not None and len(value) != self.neurons:
                raise InputError(f"{name} is of {len(value)} neurons, the network has "
                                 f"{self.neurons}")
        if self.lif is not None:
            if len(self.lif) != self.neurons:
                raise InputError(f"lif is of {len(self.lif)} neurons, the network has "
                                 f"{self.neurons}")
            for name in ("r_control_ohm", "mismatch", "faults"):
                if getattr(self, name) is not None:
                    raise InputError(f"{name} is of devices, and LIF neurons are none")
        outputs = np.arange(self.neurons) if self.outputs is None else np.asarray(self.outputs)
        if not outputs.size:
            outputs = outputs.astype(np.int64)
        if outputs.ndim != 1 or outputs.dtype.kind not in "iu" or ((outputs < 0) | (outputs >= self.neurons)).any():
            raise InputError(f"outputs must be indices of neurons, 0 to {self.neurons - 1}")
        put("outputs", outputs.astype(np.int64))
        put("labels", tuple(self.labels))
        if not all(isinstance(label, str) for label in self.labels):
            raise InputError(f"labels must be words, not {shown(self.labels)}")
        if not isinstance(self.metadata, dict) \
                or not isinstance(self.metadata.get("clipped_weights", 0), (int, np.integer)):
            raise InputError(f"metadata must be a dict, clipped_weights a number in it, not "
                             f"{shown(self.metadata)}")
        if self.votes is not None:
            put("votes", self._votes(np.asarray(self.votes)))
        elif self.labels and len(self.labels) != len(outputs):
            raise InputError(f"{len(self.labels)} labels for {len(outputs)} outputs")
        if self.state is not None:
            state = np.asarray(self.state)
            if state.dtype != np.uint16 or state.shape != (self.neurons, 3):
                raise InputError(f"state must be uint16 [{self.neurons}, 3], not {state.dtype} "
                                 f"{list(state.shape)}")

    def _votes(self, votes: NDArray[Any]) -> NDArray[np.int8]:
        if votes.shape != (len(self.outputs), len(self.labels)) or votes.dtype.kind not in "iu" \
                or ((votes < -128) | (votes > 127)).any():
            raise InputError(f"votes must be integers from -128 to 127, {len(self.outputs)} outputs by "
                             f"{len(self.labels)} labels, not {votes.dtype} {list(votes.shape)}")
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise InputError("votes need labels, each another")
        return votes.astype(np.int8)

    def _check(self, k: int, projection: Projection) -> None:
        weights = projection.weights
        if weights.dtype != np.int8:
            bad = (weights < -128) | (weights > 127) | (weights != np.round(weights))
            if bad.any():
                row, column = np.argwhere(bad)[0]
                raise InputError(
                    f"projection {k}: weight [{row}, {column}] = {weights[row, column]} is no "
                    f"integer from -128 to 127; Network.from_float quantises volts")
            object.__setattr__(projection, "weights", weights.astype(np.int8))
        there = getattr(self, projection.source)
        for name, start, count, available in (
                ("sources", projection.source_start, weights.shape[0], there),
                ("targets", projection.target_start, weights.shape[1], self.neurons)):
            if start + count > available:
                what = projection.source if name == "sources" else "neurons"
                raise InputError(f"projection {k}: {name} {start} to {start + count - 1} leave "
                                 f"the network's {available} {what}")

    @property
    def scale(self) -> int:
        """``scale_V`` as the register holds it."""
        return round(self.scale_V / _SCALE_STEP_V)

    @property
    def ticks_per_step(self) -> int:
        """Ticks that a step of the inputs takes; 1 but for LIF neurons."""
        return 1 if self.lif is None else self.lif.ticks_per_step

    @property
    def step_s(self) -> float:
        """Seconds per step of the inputs."""
        return self.dt_s * self.ticks_per_step

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order in which they first appear among the labels."""
        return tuple(dict.fromkeys(self.labels))

    def scores(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """``[..., classes]`` of the outputs' spikes ``[..., outputs]``: what they voted, or without votes
        how many each class's outputs fired. Without labels, each output is a class."""
        if self.votes is not None:
            return counts @ self.votes.astype(np.int64)
        if not self.labels:
            return counts
        return counts @ np.array([[label == name for name in self.classes] for label in self.labels], np.int64)

    @property
    def synapses(self) -> int:
        """Weights that are not zero."""
        return sum(int(np.count_nonzero(p.weights)) for p in self.projections)

    def with_faults(self, faults: Faults | None) -> "Network":
        """The same network with these faults of its devices, instead of any it has."""
        return replace(self, faults=faults)

    @classmethod
    def from_float(cls, *, device: Device | str, dt_s: float, inputs: int, neurons: int,
                   projections: tuple[Projection, ...] | list[Projection],
                   max_V: float | None = None, bits: int = fmt.WEIGHT_BITS, **rest: Any) -> "Network":
        """Quantise weights in volts: the nearest of 255 steps from ``-max_V`` to ``max_V``, or of 15.

        Parameters
        ----------
        projections : with weights in volts.
        max_V : largest weight that is kept; larger ones are clipped, and counted in
            ``metadata["clipped_weights"]``. Without it, the largest there is.
        bits : of a weight, 8 or 4. A core that would be too small for a network holds twice as many of 4.
        """
        if bits not in (fmt.WEIGHT_BITS, fmt.NARROW_BITS):
            raise InputError(f"bits must be {fmt.WEIGHT_BITS} or {fmt.NARROW_BITS}, not {bits!r}")
        unit, most = 1 << fmt.WEIGHT_BITS - bits, (1 << bits - 1) - 1
        largest = max((float(np.abs(p.weights).max()) for p in projections), default=0.0)
        limit = largest if max_V is None else float(max_V)
        if not (np.isfinite(limit) and limit >= 0):
            raise InputError(f"max_V must be a positive number of volts, not {max_V!r}")
        # Rounded up, so that the largest weight is never clipped.
        scale = max(1, int(np.ceil(limit / (most * unit) / _SCALE_STEP_V - 1e-9)))
        if scale > _SCALE_MAX:
            raise InputError(f"weights up to {limit:.3g} V are beyond the "
                             f"{most * unit * _SCALE_MAX * _SCALE_STEP_V:.3g} V a weight can be; "
                             f"drives end at 2 V, so give max_V to clip them")
        scale_V = scale * _SCALE_STEP_V
        clipped, quantised = 0, []
        for p in projections:
            steps = np.round(p.weights / (scale_V * unit))
            clipped += int((np.abs(steps) > most).sum())
            steps = (np.clip(steps, -most, most) * unit).astype(np.int8)
            quantised.append(Projection(p.source, steps, p.source_start, p.target_start, p.delay))
        metadata = {**rest.pop("metadata", {}), "clipped_weights": clipped}
        return cls(device=device, dt_s=dt_s, inputs=inputs,  # type: ignore[arg-type]
                   neurons=neurons, projections=tuple(quantised), scale_V=scale_V,
                   metadata=metadata, **rest)

    @classmethod
    def dense(cls, weights: ArrayLike, *, device: Device | str = "zhao2025_ms",
              dt_s: float = 5e-4, **rest: Any) -> "Network":
        """One layer: volts ``[inputs, neurons]``."""
        projection = Projection("inputs", np.asarray(weights))
        return cls.from_float(device=device, dt_s=dt_s, inputs=projection.weights.shape[0],
                              neurons=projection.weights.shape[1], projections=[projection],
                              **rest)

    def save(self, path: str | Path) -> None:
        """Write a ``.ion`` file, or with that ending a ``.nir`` file, whose neurons are our own."""
        if Path(path).suffix == ".nir":
            from ionspike.host.nir_memristor import export
            export(self, path)
        else:
            from ionspike.host.ionfile import save
            save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "Network":
        """Read a ``.ion`` file; InputError says what is wrong with it."""
        from ionspike.host.ionfile import load
        return load(path)

    @classmethod
    def from_nir(cls, graph: Any, *, dt_s: float | None = None, reset: Reset = "zero",
                 sample: ArrayLike | None = None, bits: int = fmt.WEIGHT_BITS) -> "Network":
        """From a ``.nir`` file or a ``nir.NIRGraph``: docs/nir.md.

        Parameters
        ----------
        graph : of LIF neurons and others, or of our own, which need none of the rest.
        dt_s : seconds per step.
        reset : ``zero`` or ``subtract``.
        sample : typical inputs, ``[steps, inputs]`` of 0 and 1; without it, random ones.
        bits : of a weight, 2 to 8.
        """
        from ionspike.host.nir_import import imported
        return imported(graph, dt_s=dt_s, reset=reset, sample=sample, bits=bits).network
