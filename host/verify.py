"""Runs the same on a board and on the golden model, and compares everything."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.board import Board
from ionspike.host.cases import Case, random_case
from ionspike.host.compiler import Compiled
from ionspike.host.divergence import Divergence, in_state
from ionspike.host.jitter import jittered
from ionspike.host.result import Result
from ionspike.host.seeds import lfsr_state
from ionspike.host.spikes import Spikes
from ionspike.spec import wire

__all__ = ["Divergence", "Verification", "compare", "verify"]

_CASE_TICKS = 256


@dataclass
class Verification:
    """What was compared."""

    cases: int = 0
    ticks: int = 0
    neuron_ticks: int = 0
    spikes: int = 0
    saturated: int = 0
    words: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    divergence: Divergence | None = None

    @property
    def equal(self) -> bool:
        return self.divergence is None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "equal": self.equal}


@dataclass(frozen=True)
class _Expected:
    spikes: NDArray[np.bool_]
    digests: NDArray[np.uint32]
    lfsr_words: NDArray[np.uint16]
    state: NDArray[np.uint16]
    lfsr: int
    counters: dict[str, int]


def verify(board: Board, *, ticks: int, seed: int, cases: list[Case] | None = None,
           progress: Callable[[int, int], None] | None = None) -> Verification:
    """Compare a board with the golden model on random cases; stops at the first divergence.

    Compared are the memories as loaded, every spike, the digest of all state words and the LFSR
    after every tick, the final state and LFSR, and the counters of words and saturation.

    Parameters
    ----------
    board : any back-end.
    ticks : in all; the last case is shorter where they do not divide.
    seed : of the cases and of their noise.
    cases : to compare these instead.
    progress : called with ticks done and ticks in all.
    """
    done = Verification()
    total = sum(case.spikes.ticks for case in cases) if cases is not None else ticks
    for k, case in enumerate(_cases(board, ticks, seed) if cases is None else cases):
        compiled = board.load(case.compiled)
        done.divergence = _memories(board, compiled, k)
        if done.divergence is None:
            result = board.run(case.spikes, seed=case.seed, digests=True, jitter=case.jitter)
            expected = _expected(case, case.spikes)
            done.divergence = _first(board, case, result, expected, k)
            for name, value in result.losses.items():
                done.losses[name] = done.losses.get(name, 0) + value
            done.spikes += result.spikes.count
            done.saturated += result.counters["saturated"]
            done.words += result.counters["words"]
        done.cases += 1
        done.ticks += case.spikes.ticks
        done.neuron_ticks += case.spikes.ticks * compiled.image.neurons
        if progress is not None:
            progress(done.ticks, total)
        if done.divergence is not None:
            break
    return done


def compare(board: Board, case: Case, result: Result) -> Divergence | None:
    """Compare one result with the golden model; None if they are equal."""
    return _first(board, case, result, _expected(case, case.spikes), 0)


def _cases(board: Board, ticks: int, seed: int) -> Iterator[Case]:
    for k, at in enumerate(range(0, ticks, _CASE_TICKS)):
        yield random_case(board.shape, min(_CASE_TICKS, ticks - at), seed + k, board.hello.minor)


def _memories(board: Board, compiled: Compiled, case: int) -> Divergence | None:
    """What is read back from the board against what it was told."""
    for address, words in compiled.image.writes():
        space = wire.Space(address >> wire.OFFSET_BITS)
        offset = address & ((1 << wire.OFFSET_BITS) - 1)
        found = board.read(space, offset, len(words))
        if space == wire.Space.STATE:
            # The word between two neurons is not there.
            words[3::wire.STATE_STRIDE] = found[3::wire.STATE_STRIDE] = 0
        for at in np.flatnonzero(found != words)[:1]:
            return Divergence(case, 0, None, f"{space.name.lower()} word {offset + at}",
                              int(found[at]), int(words[at]))
    return None


def _expected(case: Case, spikes: Spikes) -> _Expected:
    from ionspike.sim.model import Model
    compiled = case.compiled
    model = Model(compiled.image, np.array([lfsr_state(case.seed)], np.uint64))
    if case.jitter:
        model.state = compiled.placed(jittered(compiled.network, case.seed))[None]
    raster = compiled.to_board(spikes.raster)
    fired = np.zeros((spikes.ticks, compiled.image.neurons), bool)
    digests = np.zeros(spikes.ticks, np.uint32)
    words = np.zeros(spikes.ticks, np.uint16)
    for t in range(spikes.ticks):
        fired[t] = model.step(raster[None, t])[0]
        digests[t] = model.digest[0]
        words[t] = int(model.lfsr[0]) & 0xFFFF
    counters = {name: int(np.sum(value)) for name, value in model.counters.items()}
    return _Expected(fired, digests, words, model.state[0], int(model.lfsr[0]), counters)


def _first(board: Board, case: Case, result: Result, expected: _Expected,
           number: int) -> Divergence | None:
    compiled = case.compiled
    assert result.digests is not None and result.lfsr_words is not None
    assert result.final_state is not None
    spikes = expected.spikes[:, compiled.neuron_slots]
    wrong = (result.spikes.raster != spikes).any(axis=1) \
        | (result.digests != expected.digests) | (result.lfsr_words != expected.lfsr_words)
    if wrong.any():
        tick = int(np.argmax(wrong))
        return _at(board, case, result, expected, number, tick)
    last = case.spikes.ticks - 1
    state = expected.state[compiled.neuron_slots]
    for neuron in np.flatnonzero((result.final_state != state).any(axis=1))[:1]:
        return in_state(number, last, int(neuron), result.final_state[neuron], state[neuron])
    if result.lfsr != expected.lfsr:
        return Divergence(number, last, None, "lfsr", result.lfsr, expected.lfsr)
    for name in ("words", "saturated"):
        # The board's counters stop at their limits.
        most = wire.COUNTER_LIMIT if name == "saturated" else wire.WORDS_LIMIT
        if result.counters[name] != min(most, expected.counters[name]):
            return Divergence(number, last, None, name, result.counters[name],
                              expected.counters[name])
    return None


def _at(board: Board, case: Case, result: Result, expected: _Expected, number: int,
        tick: int) -> Divergence:
    """Name what differs after a tick, by running up to it once more and reading the state."""
    compiled = case.compiled
    assert result.digests is not None and result.lfsr_words is not None
    if result.lfsr_words[tick] != expected.lfsr_words[tick]:
        return Divergence(number, tick, None, "lfsr, low word", int(result.lfsr_words[tick]),
                          int(expected.lfsr_words[tick]))
    prefix = Spikes(case.spikes.raster[:tick + 1], case.spikes.dt_s)
    board.run(prefix, seed=case.seed, jitter=case.jitter)
    words = board.read(wire.Space.STATE, 0, compiled.image.neurons * wire.STATE_STRIDE)
    found = words.reshape(-1, wire.STATE_STRIDE)[:, :3]
    state = _expected(case, prefix).state
    for place in np.flatnonzero((found != state).any(axis=1))[:1]:
        # Places that hold no neuron of the network are named by their number in the core.
        neuron = np.flatnonzero(compiled.neuron_slots == place)
        name = int(neuron[0]) if len(neuron) else int(place)
        return in_state(number, tick, name, found[place], state[place])
    spikes = expected.spikes[tick, compiled.neuron_slots]
    for neuron in np.flatnonzero(result.spikes.raster[tick] != spikes)[:1]:
        return Divergence(number, tick, int(neuron), "spike",
                          int(result.spikes.raster[tick, neuron]), int(spikes[neuron]))
    return Divergence(number, tick, None, "digest, though a second run has the model's state",
                      int(result.digests[tick]), int(expected.digests[tick]))
