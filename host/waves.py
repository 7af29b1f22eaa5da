"""Waveforms of what a virtual board does, for GTKWave and Surfer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ionspike.host.errors import BoardError, InputError
from ionspike.host.link import LinkError

__all__ = ["DEFAULT_NEURONS", "check_file", "recorded"]

SUFFIXES = (".fst", ".vcd")

#: Neurons that are recorded where none are named.
DEFAULT_NEURONS = 16
_TICKS = 1 << 32


def check_file(path: Path) -> None:
    """Found out before the run rather than after it."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: waves are written as {' or '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")


@contextmanager
def recorded(board: Any, path: Path, neurons: Sequence[int] | None,
             ticks: tuple[int | None, int | None]) -> Iterator[dict[str, Any]]:
    """See :meth:`ionspike.host.board.Board.waves`."""
    check_file(path)
    if board.simulated is None:
        raise InputError(f"waves are recorded on the virtual board only, not on {board.where}; "
                         f"use --backend virtual")
    compiled = board.compiled
    if compiled is None:
        raise InputError("no network is loaded: load one first")
    count = compiled.network.neurons
    chosen = range(min(DEFAULT_NEURONS, count)) if neurons is None else list(dict.fromkeys(neurons))
    for neuron in chosen:
        if not 0 <= neuron < count:
            raise InputError(f"neuron {neuron} of the waves is out of range: the network has "
                             f"{count} neurons, 0 to {count - 1}")
    first, last = ticks[0] or 0, _TICKS if ticks[1] is None else ticks[1]
    if not 0 <= first < last <= _TICKS:
        raise InputError(f"waves from tick {first} to {last}: the first must come before the last, "
                         f"and both be 0 to {_TICKS}")
    from ionspike.sim.waves import Recording
    recording = Recording(board.simulated, {n: int(compiled.neuron_slots[n]) for n in chosen},
                          board.hello.clock_hz, ticks=(first, last))
    facts: dict[str, Any] = {}
    try:
        try:
            yield facts
        except (BoardError, LinkError):
            # What a board did before it fell silent is what one wants to see.
            recording.save(path)
            raise
        facts.update(vars(recording.save(path)))
    finally:
        recording.close()
