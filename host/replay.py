"""Runs a recorded session again, and compares everything that was recorded."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import codec
from ionspike.host.board import Board
from ionspike.host.decoder import Segment
from ionspike.host.divergence import Divergence, in_state
from ionspike.host.errors import BoardError, InputError
from ionspike.host.recording import Recording, Turn
from ionspike.spec import wire

__all__ = ["Replay", "replay"]

_CONTROL = wire.address(wire.Space.REGISTERS, wire.register("control").offset)
_NAMES = {entry.offset: entry.name for entry in wire.REGISTERS}
#: Registers that say how the line and the clock behaved, not what was computed.
_OF_THE_LINE = ("overruns", "crc_errors", "uart_errors", "gaps", "overflows", "resent",
                "longest_low", "longest_high", "high_water")
_DIGEST = np.dtype([("digest", "<u4"), ("lfsr", "<u2")])
#: What opens a board to run on, of the recording's shape.
Opener = Callable[[str], Board]


@dataclass
class Replay:
    """What was compared.

    Members
    -------
    runs, ticks, spikes, words : compared; ``words`` are those that were read back.
    complete : whether the recording was; if not, it was compared up to its last complete tick.
    uncompared : why the rest could not be; None where everything was.
    """

    runs: int = 0
    ticks: int = 0
    spikes: int = 0
    words: int = 0
    complete: bool = True
    uncompared: str | None = None
    divergence: Divergence | None = None

    @property
    def equal(self) -> bool:
        return self.divergence is None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "equal": self.equal}


def replay(recording: Recording, board: Board, *, opener: Opener | None = None,
           progress: Callable[[int, int], None] | None = None) -> Replay:
    """Tell a board what another was told, and compare their answers up to the first difference.

    Compared are every spike, digest, LFSR word and probe of each tick, and all words that were read:
    after a run LFSR, tick number, counters and, if asked for, the final state. Not compared are
    counters of the line, how many free-running ticks began late or how long they took, and how full
    buffers were.

    Parameters
    ----------
    board : of the recording's shape.
    opener : opens a ``golden`` or ``virtual`` board, which may have the state that the recording
        has only a digest of; without it, such a difference is of no neuron.
    progress : called with ticks done and ticks in all.

    Raises
    ------
    InputError
        For a board of another shape, or commands that were made by no recorder.
    BoardError, LinkError
        If the board fails.
    """
    if recording.shape != board.shape:
        raise InputError(f"{recording.path}: recorded on a core of {recording.shape}, this board "
                         f"is of {board.shape}: where neurons are decides their noise, so that "
                         f"they cannot be compared")
    done = Replay(complete=recording.closed)

    def on(ticks: int, _: int) -> None:
        if progress is not None:
            progress(done.ticks + ticks, max(recording.planned, done.ticks + ticks))

    for k, turn in enumerate(recording.turns()):
        if reason := _incomparable(turn):
            done.uncompared = reason
            break
        _check(recording, turn)
        # All of them are looked at before the first is sent.
        answers = board.told(list(_commands(turn, recording)), restart=turn.restart,
                             expected=turn.ticks, progress=on)
        done.divergence = _first(recording, turn, answers, f"on {_against(board)}")
        if done.divergence is not None and done.divergence.field == "digest" and opener:
            done.divergence = _located(recording, k, done.divergence, board, opener)
        done.runs += turn.what == "run"
        done.ticks += turn.ticks
        done.spikes += len(_spikes(recording, turn, turn.answers))
        done.words += sum(map(len, turn.answers.reads)) // 2
        if done.divergence is not None:
            break
    return done


def _check(recording: Recording, turn: Turn) -> None:
    """That the answers recorded fit what was asked for."""
    try:
        _spikes(recording, turn, turn.answers)
        if turn.ended:
            deque(_read_words(turn, turn.answers), 0)
    except BoardError as error:
        raise InputError(f"{recording.path}: what was recorded does not fit together: "
                         f"{error}") from error


def _against(board: Board) -> str:
    return {"golden": "the golden model", "virtual": "the virtual board"}.get(
        board.backend, f"the board at {board.where}")


# ----------------------------------------------------------------------------------- commands --

def _incomparable(turn: Turn) -> str | None:
    """Why a turn cannot be run again."""
    if turn.mode == "lockstep":
        return None
    if not turn.ended:
        return (f"run {turn.number} is free-running and was cut short: which of its events came "
                f"late was not known yet")
    late = [value for name, value, _ in _read_words(turn, turn.answers) if name == "late"]
    if not late or late[-1]:
        count = late[-1] if late else "an unknown number of"
        return (f"run {turn.number} is free-running and {count} of its events came late: a board "
                f"does not say in which ticks they took effect, so it cannot be compared")
    return None


def _commands(turn: Turn, recording: Recording) -> Iterator[bytes]:
    """What a turn's board was told, in lockstep, up to its last complete tick."""
    tick, limit, policy, running = turn.answers.start, turn.answers.start + turn.ticks, 0, False
    for record in turn.commands:
        op, stamp = record[0], int.from_bytes(record[1:3], "little")
        ahead = ((stamp - tick & 0xFFFF) ^ 0x8000) - 0x8000
        if op in (wire.Op.EVENTS, wire.Op.BITMAP):
            after = tick + ahead + 1 if ahead >= 0 else tick + (policy == wire.Policy.NEXT)
        elif op == wire.Op.ADVANCE:
            after = max(tick, tick + ahead)
        else:
            after = tick
        if after > limit:
            if not turn.ended:
                break
            # A stamp takes four bytes and reaches 32,767 ticks ahead.
            raise InputError(f"{recording.path}: what was recorded does not fit together: run "
                             f"{turn.number} has commands up to tick {after}, answers up to tick "
                             f"{limit}")
        if op == wire.Op.CLEAR and record[1] & 1:
            after = 0
        if op == wire.Op.WRITE and int.from_bytes(record[1:4], "little") == _CONTROL and record[4]:
            if running:
                # It ran on until it was told to stop.
                yield from codec.advance(tick, limit)
                after = max(tick, limit)
            running, policy = bool(record[5] & 1), record[5] >> 1 & 3
            record = record[:5] + bytes([record[5] & ~1]) + record[6:]
        yield record
        tick = after
    if not turn.ended:
        yield from codec.advance(tick, limit)


# ------------------------------------------------------------------------------------ compare --

def _first(recording: Recording, turn: Turn, answers: Segment, side: str) -> Divergence | None:
    """The earliest difference; of one tick, that which says most."""
    before, start = turn.answers, turn.answers.start
    more: dict[str, Any] = {"sides": ("in the recording", side),
                            "what": "run" if turn.what == "run" else f"{turn.what} before run"}
    place = turn.placement

    def found(tick: int, neuron: int | None, name: str, old: Any, new: Any) -> Divergence:
        return Divergence(turn.number, tick, neuron, name, int(old), int(new), **more)

    first: list[tuple[int, int, Divergence]] = []
    old, new = _digests(turn, before), _digests(turn, answers)
    if len(old) != len(new):
        return found(start, None, "number of digests", len(old), len(new))
    for rank, name, shown in ((0, "lfsr", "lfsr, low word"), (3, "digest", "digest")):
        for at in np.flatnonzero(old[name] != new[name])[:1]:
            first.append((int(at), rank, found(start + int(at), None, shown, old[name][at],
                                               new[name][at])))
    old, new = _probes(recording, turn, before), _probes(recording, turn, answers)
    if len(old) != len(new):
        return found(start, None, "number of probes", len(old), len(new))
    for at, column in np.argwhere((old != new).any(axis=2))[:1]:
        first.append((int(at), 1, in_state(turn.number, start + int(at), turn.probes[column],
                                           old[at, column], new[at, column], **more)))
    width = recording.shape.neurons
    theirs, ours = _spikes(recording, turn, before), _spikes(recording, turn, answers)
    for key in np.setxor1d(theirs, ours)[:1]:
        at, slot = divmod(int(key), width)
        first.append((at, 2, found(start + at, place.name(slot) if place else slot, "spike",
                                   key in theirs, key in ours)))
    if first:
        return min(first, key=lambda entry: entry[:2])[2]
    if not turn.ended:
        return None
    last = max(0, before.tick - 1)
    if before.tick != answers.tick:
        return found(last, None, "next tick", before.tick, answers.tick)
    return _in_reads(turn, answers, last, more)


def _in_reads(turn: Turn, answers: Segment, last: int, more: dict[str, Any]) -> Divergence | None:
    for (name, old, state), (_, new, again) in zip(
            _read_words(turn, turn.answers), _read_words(turn, answers), strict=True):
        if name in _OF_THE_LINE or old == new:
            continue
        if state is not None and again is not None:
            slot = int(name.split()[-1]) // wire.STATE_STRIDE
            neuron = turn.placement.name(slot) if turn.placement else slot
            return in_state(turn.number, last, neuron, state, again, **more)
        return Divergence(turn.number, last, None, name, old, new, **more)
    return None


def _read_words(turn: Turn, answers: Segment) -> Iterator[
        tuple[str, int, NDArray[np.uint16] | None]]:
    """Name and value of all that was read, and the state of the neuron it belongs to."""
    asked = [record for record in turn.commands if record[0] == wire.Op.READ]
    if len(asked) != len(answers.reads) or any(
            2 * record[4] != len(data) for record, data in zip(asked, answers.reads, strict=True)):
        raise BoardError(f"run {turn.number}: {len(asked)} reads, {len(answers.reads)} answers of "
                         f"their length")
    for record, data in zip(asked, answers.reads, strict=True):
        address, words = int.from_bytes(record[1:4], "little"), np.frombuffer(data, "<u2")
        space, offset = address >> wire.OFFSET_BITS, address & (1 << wire.OFFSET_BITS) - 1
        for k, word in enumerate(words.tolist()):
            at, state = offset + k, None
            if space == wire.Space.REGISTERS:
                name = _NAMES.get(at, f"registers word {at}")
            else:
                name = f"{_space(space)} word {at}"
            if space == wire.Space.STATE:
                if at % wire.STATE_STRIDE == 3:
                    continue    # the word between two neurons is not there
                begin = k - at % wire.STATE_STRIDE
                if begin >= 0 and begin + 3 <= len(words):
                    state = words[begin:begin + 3]
            yield name, word, state


def _space(space: int) -> str:
    try:
        return wire.Space(space).name.lower()
    except ValueError:
        return f"space {space}"


def _digests(turn: Turn, answers: Segment) -> NDArray[Any]:
    return np.frombuffer(b"".join(answers.digests), _DIGEST)[:turn.ticks]


def _probes(recording: Recording, turn: Turn, answers: Segment) -> NDArray[np.uint16]:
    data, columns = b"".join(answers.probes), len(turn.probes)
    if len(data) % (6 * columns or 1) or data and not columns:
        raise InputError(f"{recording.path}: run {turn.number} has {len(data)} bytes of "
                         f"{columns} probes")
    return np.frombuffer(data, "<u2").reshape(-1, columns, 3)[:turn.ticks] if columns \
        else np.zeros((0, 0, 3), np.uint16)


def _spikes(recording: Recording, turn: Turn, answers: Segment) -> NDArray[np.int64]:
    """One number per spike: tick times places of the core, and place; in order."""
    if not answers.lists and not answers.bitmaps:
        return np.zeros(0, np.int64)
    places = turn.placement.neurons if turn.placement else recording.shape.neurons
    # Where the recording was cut, the tick under way is not looked at.
    shown = replace(answers, tick=max(answers.tick, answers.last + 1))
    try:
        tick, slot = shown.events(places)
    except BoardError as error:
        raise BoardError(f"run {turn.number}: {error}") from error
    inside = tick < turn.ticks
    return np.sort(tick[inside] * recording.shape.neurons + slot[inside])


# ----------------------------------------------------------------------------- only a digest --

def _located(recording: Recording, at: int, found: Divergence, board: Board,
             opener: Opener) -> Divergence:
    """The neuron and field behind a digest, if another board has the state it is of."""
    own = {"virtual"} if recording.header["backend"] == "virtual" else set()
    again, ours = _state_after(recording, at, found.tick, board)
    if again != found.model:
        return replace(found, field="digest, which a second run has not again")
    for backend in sorted(({"golden"} | own) - {board.backend}):
        with opener(backend) as other:
            digest, theirs = _state_after(recording, at, found.tick, other)
        if digest == found.board:
            for slot in np.flatnonzero((theirs != ours).any(axis=1))[:1]:
                turn = next(t for k, t in enumerate(recording.turns()) if k == at)
                neuron = turn.placement.name(int(slot)) if turn.placement else int(slot)
                return in_state(found.case, found.tick, neuron, theirs[slot], ours[slot],
                                sides=found.sides, what=found.what)
    return found


def _state_after(recording: Recording, at: int, tick: int,
                 board: Board) -> tuple[int, NDArray[np.uint16]]:
    """Digest and state of a board when a tick of a turn has run."""
    before: list[Turn] = []
    for k, turn in enumerate(recording.turns()):
        if k == at:
            break
        if turn.what == "load":
            before.clear()
        before.append(turn)
    cut = replace(turn, ended=False, ticks=tick + 1 - turn.answers.start)
    for one in (*(t for t in before if t.what != "run" or not turn.restart), cut):
        board.told(_commands(one, recording), restart=one.restart)
    registers = board.registers()
    words = board.read(wire.Space.STATE, 0, recording.shape.neurons * wire.STATE_STRIDE)
    return (registers["digest_low"] | registers["digest_high"] << 16,
            words.reshape(-1, wire.STATE_STRIDE)[:, :3])
