"""The first difference between two runs of the same, and how it is named."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.spec import wire

__all__ = ["Divergence", "in_state"]


@dataclass(frozen=True)
class Divergence:
    """The first difference found.

    Parameters
    ----------
    case : number of the case, or of the run in a recording.
    neuron : None where no neuron can be named.
    board, model : what one side has and what the other.
    sides : what those two are, for people.
    what : what ``case`` counts.
    """

    case: int
    tick: int
    neuron: int | None
    field: str
    board: int
    model: int
    sides: tuple[str, str] = ("on the board", "in the model")
    what: str = "case"

    def __str__(self) -> str:
        where = "" if self.neuron is None else f", neuron {self.neuron}"
        first, second = self.sides
        return (f"{self.what} {self.case}, tick {self.tick}{where}: {self.field} is "
                f"{self.board:#x} {first}, {self.model:#x} {second}")


def in_state(case: int, tick: int, neuron: int, board: NDArray[np.uint16],
             model: NDArray[np.uint16], **more: Any) -> Divergence:
    """Names the field in which two states of a neuron, three words each, differ."""
    ours, theirs = _fields(board), _fields(model)
    name = next(name for name in ours if ours[name] != theirs[name])
    return Divergence(case, tick, neuron, name, ours[name], theirs[name], **more)


def _fields(words: NDArray[np.uint16]) -> dict[str, int]:
    value = sum(int(word) << 16 * k for k, word in enumerate(words))
    fields = {}
    for name, width in wire.STATE:
        fields[name] = value & ((1 << width) - 1)
        value >>= width
    return fields
