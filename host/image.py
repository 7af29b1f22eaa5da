"""What a board is loaded with: the one object that feeds gateware and golden model alike."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape

__all__ = ["Image"]


@dataclass(frozen=True)
class Image:
    """Contents of every loadable memory and register of a core.

    Parameters
    ----------
    shape : sizes of the core it is for.
    registers : values by name, see :data:`ionspike.spec.wire.REGISTERS`.
    weights : int8 ``[words used, lanes]``.
    fanout : uint32 ``[sources]``, see ``CoreShape.descriptor_fields``.
    coefficients : uint32 ``[neurons used]``, see ``wire.COEFFICIENT``.
    feedback, noise : uint16 tables.
    state : uint16 ``[neurons used, 3]``, the initial state, see ``wire.STATE``; zero by default.
    """

    shape: CoreShape
    registers: dict[str, int]
    weights: NDArray[np.int8]
    fanout: NDArray[np.uint32]
    coefficients: NDArray[np.uint32]
    feedback: NDArray[np.uint16]
    noise: NDArray[np.uint16]
    state: NDArray[np.uint16] = field(default_factory=lambda: np.zeros((0, 3), np.uint16))

    def __post_init__(self) -> None:
        if not len(self.state):
            object.__setattr__(self, "state", np.zeros((self.neurons, 3), np.uint16))
        expected = {
            "weights": (self.weights.shape[0], self.shape.lanes), "fanout": (self.shape.sources,),
            "coefficients": (self.neurons,), "feedback": (fmt.H_ENTRIES,),
            "noise": (fmt.NOISE_ENTRIES,), "state": (self.neurons, 3)}
        for name, shape in expected.items():
            if (got := getattr(self, name).shape) != shape:
                raise ValueError(f"image: {name} must have shape {shape}, not {got}")
        if len(self.weights) > self.shape.words:
            raise ValueError(f"image: {len(self.weights)} weight words, "
                             f"the core has {self.shape.words}")

    @property
    def neurons(self) -> int:
        """Neurons that a tick updates."""
        return self.registers["groups_used"] * self.shape.lanes

    @property
    def narrow(self) -> int:
        """Rows of weights of four bits."""
        both = np.uint32(self.shape.mask("enable") | self.shape.mask("narrow"))
        return int(np.count_nonzero((self.fanout & both) == both))

    def writes(self) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """``(address, words)`` of everything a board must be told, registers first."""
        for name, value in self.registers.items():
            yield (wire.address(wire.Space.REGISTERS, wire.register(name).offset),
                   np.array([value], np.uint16))
        for space, words in (
                (wire.Space.FEEDBACK, self.feedback), (wire.Space.AUX, self.noise),
                (wire.Space.FANOUT, self.fanout.astype("<u4").view("<u2")),
                (wire.Space.COEFFICIENTS, self.coefficients.astype("<u4").view("<u2")),
                (wire.Space.WEIGHTS, np.ascontiguousarray(self.weights).view("<u2").ravel())):
            yield wire.address(space), words
        yield from self.state_writes()

    def state_writes(self, state: NDArray[np.uint16] | None = None) -> Iterator[
            tuple[int, NDArray[np.uint16]]]:
        """The writes of the initial state alone, or of another, without what CLEAR does anyway."""
        words = self.state if state is None else state
        if words.any():
            padded = np.zeros((len(words), wire.STATE_STRIDE), np.uint16)
            padded[:, :3] = words
            yield wire.address(wire.Space.STATE), padded.ravel()

    def digest(self) -> str:
        """SHA-256 over the contents, in hexadecimal."""
        # What later versions of the protocol brought counts where it is used: digests stay what they were.
        registers = sorted((name, value) for name, value in self.registers.items()
                           if value != (entry := wire.register(name)).init or entry.since == 1)
        sha = hashlib.sha256(repr((self.shape, registers)).encode())
        for name in ("weights", "fanout", "coefficients", "feedback", "noise", "state"):
            sha.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return sha.hexdigest()
