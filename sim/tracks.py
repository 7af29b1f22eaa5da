"""Waveforms on their way to a file: what is drawn, and its changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

__all__ = ["Block", "Track", "tree"]


@dataclass(frozen=True)
class Track:
    """One line of a waveform.

    Parameters
    ----------
    scope : what it belongs to, such as ``neuron[12]``; tracks of a scope follow one another.
    name : its name in there.
    kind : ``bits`` of some width, up to 64; ``real``; or ``text``, whose values number ``names``, which
        have no spaces.
    """

    scope: str
    name: str
    kind: Literal["bits", "real", "text"]
    width: int = 1
    names: tuple[str, ...] = ()


#: Per track the times, in ns, and values of its changes.
Block = list[tuple[NDArray[Any], NDArray[Any]]]


def tree(tracks: list[Track]) -> Iterator[tuple[str, str, Track | None]]:
    """``scope``, ``track`` and ``end`` in the order in which a file declares them."""
    scope = None
    for track in tracks:
        if track.scope != scope:
            if scope is not None:
                yield "end", scope, None
            scope = track.scope
            yield "scope", scope, None
        yield "track", track.name, track
    if scope is not None:
        yield "end", scope, None
