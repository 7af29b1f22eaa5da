"""Reads a recorded session, turn by turn: docs/recordings.md."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import blocks
from ionspike.host.blocks import Block
from ionspike.host.codec import record_size
from ionspike.host.decoder import Decoder, Segment
from ionspike.host.errors import BoardError, InputError
from ionspike.host.network import Network
from ionspike.host.recorder import FORMAT, Kind
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.strict_json import parse, shown

__all__ = ["Placement", "Recording", "Turn"]


@dataclass(frozen=True)
class Placement:
    """Where the neurons of what is loaded are.

    Parameters
    ----------
    image_digest : SHA-256 of what the board was loaded with.
    neurons : places that a tick updates.
    neuron_slots : place of each neuron of the network.
    """

    image_digest: str
    neurons: int
    neuron_slots: NDArray[np.int64]

    def name(self, place: int) -> int:
        """The neuron at a place; places that hold none are named by their own number."""
        found = np.flatnonzero(self.neuron_slots == place)
        return int(found[0]) if len(found) else place


@dataclass(frozen=True)
class Turn:
    """What a board was told up to a MARK, and what it answered.

    Parameters
    ----------
    number : of the run; of the next one, for what is none.
    what : ``run``, ``load`` or ``memory``.
    mode : of a run.
    restart : whether ticks are counted from zero.
    commands : records, without the MARK.
    answers : as they came.
    ended : whether the MARK was answered; if not, the recording was cut short here.
    ticks : that are complete.
    probes : neurons whose state was reported.
    placement : of what is loaded, if anything is.
    """

    number: int
    what: str
    mode: str
    restart: bool
    commands: list[bytes]
    answers: Segment
    ended: bool
    ticks: int
    probes: tuple[int, ...] = ()
    placement: Placement | None = None


@dataclass
class _Exchange:
    what: str
    mode: str
    restart: bool
    probes: tuple[int, ...]
    decoder: Decoder
    rest: bytes = b""
    commands: list[bytes] = field(default_factory=list)
    told: deque[list[bytes]] = field(default_factory=deque)
    broken: bool = False


class Recording:
    """A recorded session.

    Members
    -------
    path : of the file.
    header : what recorded it and on what, as JSON.
    shape : sizes of the core.
    closed : whether it ended as it should; a killed recording did not.
    planned : ticks that its runs were to have.

    Raises
    ------
    InputError
        For what is no recording, is damaged, or was made by another version or under another
        contract.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.closed, self.planned = False, 0
        header = None
        for block in blocks.read(self.path):
            if header is None:
                header = self._header(block)
            elif block.kind == Kind.BEGIN:
                ticks = self._facts(block).get("ticks", [])
                if not isinstance(ticks, list) or not all(
                        isinstance(n, int) and 0 <= n < 1 << 32 for n in ticks):
                    raise self._damaged(block, "its ticks are no numbers")
                self.planned += sum(ticks)
            elif block.kind == Kind.CLOSE:
                self.closed = True
        if header is None:
            raise InputError(f"{self.path}: ends within its header; nothing was recorded")
        self.header: dict[str, Any] = header

    def _header(self, block: Block) -> dict[str, Any]:
        if block.kind != Kind.HEADER:
            raise self._damaged(block, f"is of kind {block.kind}, not a header")
        header = self._facts(block)
        if header.get("format") != FORMAT:
            raise InputError(f"{self.path}: holds {shown(header.get('format'))}, not {FORMAT!r}")
        try:
            versions, contract = header["versions"], header["contract"]
            for name in ("build", "backend", "board", "lfsr", "begun"):
                if not isinstance(header[name], str):
                    raise TypeError(f"{name} is {shown(header[name])}")
            if not isinstance(versions, dict) or not isinstance(contract, int) \
                    or not 0 <= contract < 1 << 32 or not isinstance(header["is_hardware"], bool):
                raise TypeError("versions, contract or is_hardware are not what they should be")
            if contract not in wire.digests().values():
                raise InputError(
                    f"{self.path}: recorded under wire contract {contract:08x}, by ionspike "
                    f"{shown(versions.get('ionspike'))}; this ionspike's is {wire.digest():08x}: take that "
                    f"version")
            if not all(isinstance(size, int) for size in header["shape"].values()):
                raise TypeError("sizes are no numbers")
            self.shape = CoreShape(**header["shape"])
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(block, f"no header: {type(error).__name__}: {error}") from error
        return header

    def networks(self) -> Iterator[Network]:
        """The networks that were loaded, in order.

        Raises
        ------
        InputError
            For one that is damaged, though its checksum is right.
        """
        from ionspike.host.ionfile import load_bytes
        for block in blocks.read(self.path):
            if block.kind == Kind.NETWORK:
                yield load_bytes(block.payload, f"{self.path}: block {block.number}")

    def turns(self) -> Iterator[Turn]:
        """Everything that was said, up to the last complete tick.

        Raises
        ------
        InputError
            For what was written by no recorder.
        """
        placement: Placement | None = None
        exchange: _Exchange | None = None
        number = 0
        for block in blocks.read(self.path):
            if block.kind == Kind.PLACEMENT:
                placement = self._placement(block)
            elif block.kind == Kind.BEGIN:
                exchange = self._begin(block, placement)
            elif block.kind in (Kind.SENT, Kind.RECEIVED):
                if exchange is None:
                    raise self._damaged(block, "belongs to nothing that was begun")
                if block.kind == Kind.SENT:
                    self._split(block, exchange)
                elif not exchange.broken:
                    try:
                        exchange.decoder.feed(block.payload)
                    except BoardError:
                        # The board was at fault, not the file: what it said before stands.
                        exchange.broken = True
                while exchange.told and exchange.decoder.segments:
                    yield _turn(exchange, number, exchange.told.popleft(),
                                exchange.decoder.segments.pop(0), placement, ended=True)
                    number += exchange.what == "run"
            elif block.kind == Kind.END:
                exchange = None
        if exchange is not None:
            yield _turn(exchange, number, [*exchange.told, exchange.commands][0],
                        exchange.decoder.current, placement, ended=False)

    def _begin(self, block: Block, placement: Placement | None) -> _Exchange:
        facts = self._facts(block)
        try:
            what, restart, tick = facts["what"], facts["restart"], facts["tick"]
            probes = facts.get("probes", [])
            count = 0 if placement is None else len(placement.neuron_slots)
            if what not in ("run", "load", "memory") or not isinstance(restart, bool) \
                    or not isinstance(tick, int) or not 0 <= tick < 1 << 32 \
                    or not all(isinstance(p, int) and 0 <= p < count for p in probes):
                raise ValueError(f"begins {shown(what)} at tick {shown(tick)}, probes "
                                 f"{shown(probes)}")
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(block, f"{type(error).__name__}: {error}") from error
        decoder = Decoder()
        decoder.restart = restart
        decoder.begin(tick)
        return _Exchange(what, str(facts.get("mode", "lockstep")), restart, tuple(probes), decoder)

    def _placement(self, block: Block) -> Placement:
        facts = self._facts(block)
        try:
            digest, neurons, slots = facts["image_digest"], facts["neurons"], facts["neuron_slots"]
            if not isinstance(digest, str) or not isinstance(neurons, int) \
                    or not 0 < neurons <= self.shape.neurons or neurons % self.shape.lanes \
                    or not 0 < len(slots) <= neurons \
                    or not all(isinstance(s, int) and 0 <= s < neurons for s in slots):
                raise ValueError(f"{shown(neurons)} places of {self.shape.neurons}")
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(block, f"no placement: {type(error).__name__}: "
                                       f"{error}") from error
        return Placement(digest, neurons, np.array(slots, np.int64))

    def _split(self, block: Block, exchange: _Exchange) -> None:
        """Commands, up to each MARK."""
        data, at = exchange.rest + block.payload, 0
        while at < len(data):
            size = record_size(data[at:at + wire.PAYLOAD_BYTES])
            if size is None or size > wire.PAYLOAD_BYTES:
                raise self._damaged(block, f"{data[at]:#04x} begins no command")
            if not size or at + size > len(data):
                if len(data) - at >= wire.PAYLOAD_BYTES:
                    raise self._damaged(block, "a command is longer than a frame")
                break
            record = data[at:at + size]
            if record[0] == wire.Op.MARK:
                exchange.told.append(exchange.commands)
                exchange.commands = []
            else:
                exchange.commands.append(record)
            at += size
        exchange.rest = data[at:]

    def _facts(self, block: Block) -> dict[str, Any]:
        try:
            return parse(block.payload)
        except ValueError as error:
            raise self._damaged(block, str(error)) from error

    def _damaged(self, block: Block, why: str) -> InputError:
        return InputError(f"{self.path}: damaged: block {block.number}, at byte {block.at}: {why}")


def _turn(exchange: _Exchange, number: int, commands: list[bytes], answers: Segment,
          placement: Placement | None, *, ended: bool) -> Turn:
    # Of a tick that something was said of, more may have been on its way.
    ran = answers.tick - answers.start if ended else answers.last - answers.start
    return Turn(number, exchange.what, exchange.mode, exchange.restart, commands, answers, ended,
                max(0, ran), exchange.probes, placement)
