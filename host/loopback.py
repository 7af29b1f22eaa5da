"""What a line can carry: echoes of every size and pattern, timed and compared."""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from ionspike.host.baud import USUAL, checked, makeable
from ionspike.host.board import Board
from ionspike.host.codec import ECHO_BYTES
from ionspike.host.errors import BoardError, InputError
from ionspike.host.link import LinkError

__all__ = ["PATTERNS", "SIZES", "Loopback", "Rate", "loopback", "pattern"]

#: Payload bytes of the echoes, from one to what fits a frame.
SIZES = (1, 8, 32, 100, ECHO_BYTES)
#: ``cobs`` has zeros at all distances, so that every code of COBS differs from its neighbours.
PATTERNS = ("zeros", "ones", "0x55", "random", "cobs")
#: Bytes of the first batch of a case, at this rate. Each is twice the one before, so that in the last,
#: which is the one that counts, both directions are full for most of the time.
_BATCH_BYTES, _BATCH_BAUD, _MOST_BYTES = 1000, 3_000_000, 1 << 20
#: Echoes of one byte, one at a time, that time a round trip; fewer where they take long.
_ROUND_TRIPS, _FEWEST_TRIPS = 50, 5
_BOARD_COUNTERS = ("crc_errors", "gaps", "overflows", "resent")


def pattern(name: str, size: int, rng: random.Random) -> bytes:
    """So many bytes of a pattern."""
    match name:
        case "zeros":
            return bytes(size)
        case "ones":
            return b"\xff" * size
        case "0x55":
            return b"\x55" * size
        case "cobs":
            runs = b"".join(b"\0" + bytes(range(1, k + 1)) for k in range(22))
            return runs[:size]
        case _:
            return rng.randbytes(size)


@dataclass
class Rate:
    """One baud rate.

    Members
    -------
    baud : bits per second on the line.
    tried : whether echoes were sent at it.
    why : why not, or why the link gave up among them.
    sent, lost, altered : echoes sent, not come back, and come back otherwise.
    bytes_sent : payload of all echoes.
    bytes_per_s, share : payload of full frames each way, both ways at once; and of what the line
        can carry, None where there is no line.
    cases : payload per second each way, by size and pattern.
    clock : what the seconds of these are counted on: ``host``, or ``simulated``.
    round_trip_s, round_trip_p99_s : median and 99th percentile, on the host's clock.
    host, board : counters of both ends' links, for this rate alone.
    """

    baud: int
    tried: bool = False
    why: str = ""
    sent: int = 0
    lost: int = 0
    altered: int = 0
    bytes_sent: int = 0
    bytes_per_s: float = 0.0
    share: float | None = None
    round_trip_s: float = 0.0
    round_trip_p99_s: float = 0.0
    clock: str = "host"
    host: dict[str, int] = field(default_factory=dict)
    board: dict[str, int] = field(default_factory=dict)
    cases: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether everything came back as it was sent."""
        return self.tried and not (self.why or self.lost + self.altered)

    @property
    def safe(self) -> bool:
        """Whether, besides, nothing had to be sent again."""
        return self.whole and not any(
            self.host[name] for name in ("crc_errors", "gaps", "resent")) and not any(
            self.board.values())


@dataclass
class Loopback:
    """What :func:`loopback` found; ``safe_baud`` is None if no rate was without a fault."""

    rates: list[Rate]

    @property
    def safe_baud(self) -> int | None:
        return max((rate.baud for rate in self.rates if rate.safe), default=None)

    @property
    def whole(self) -> bool:
        return not any(rate.lost + rate.altered for rate in self.rates)

    def to_json(self) -> dict[str, Any]:
        return {"rates": [{**asdict(rate), "safe": rate.safe} for rate in self.rates],
                "safe_baud": self.safe_baud, "whole": self.whole}


def loopback(board: Board, *, seconds: float = 2.0, bauds: list[int] | None = None, seed: int = 1,
             progress: Callable[[int, int], None] = lambda done, total: None) -> Loopback:
    """Have a board echo payloads of every size and pattern at every rate that it can speak at.

    Parameters
    ----------
    seconds : for each rate, about; every size and pattern is sent once at least.
    bauds : rates to try besides the built one; without them, all of ``USUAL`` that the board's clock
        can make. A line without a rate is measured as it is, and says why the others were not tried.
    progress : told how many of the sizes and patterns are done.

    Raises
    ------
    InputError
        For a rate that the board's clock cannot make.
    BoardError, LinkError
        If there is no rate at which the link bears the line.
    """
    clock_hz, built = board.hello.clock_hz, board.hello.baud
    if bauds is None:
        bauds = [baud for baud in USUAL if makeable(clock_hz, baud)] if board.has_rate else []
    for baud in bauds:
        checked(clock_hz, baud)
    rates = [Rate(baud) for baud in sorted({*bauds, built})]
    cases, failed = len(SIZES) * len(PATTERNS), None
    for k, rate in enumerate(rates):
        try:
            if rate.baud != board.baud and board.has_rate:
                board.change_rate(rate.baud)
            if rate.baud != board.baud:
                rate.why = "no answer at it" if board.has_rate else "the line has no rate to change"
                continue
            rate.tried = True
            _measure(board, rate, seconds, random.Random(seed),
                     partial(_tell, progress, k * cases, len(rates) * cases))
        except InputError:
            rate.why = "the port does not do it"
        except (BoardError, LinkError) as error:
            rate.why, failed = str(error), error
    if failed is not None and not any(rate.whole for rate in rates):
        raise failed
    return Loopback(rates)


def _tell(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _measure(board: Board, rate: Rate, seconds: float, rng: random.Random,
             progress: Callable[[int], None]) -> None:
    before = board.link_counters, _board_counters(board)
    cases = [(name, size) for size in SIZES for name in PATTERNS]
    first = min(_BATCH_BYTES, _BATCH_BYTES * rate.baud // _BATCH_BAUD)
    for done, (name, size) in enumerate(cases):
        begun_s, goal = time.perf_counter(), first
        while goal == first or time.perf_counter() - begun_s < seconds / len(cases):
            batch = [pattern(name, size, rng) for _ in range(max(1, goal // (size + 2)))]
            goal = min(2 * goal, _MOST_BYTES)
            start_s = _clock_s(board)
            echoes, took_s = board.echo(batch)
            if start_s is not None:
                took_s = (_clock_s(board) or 0.0) - start_s
            rate.cases[f"{size} x {name}"] = size * len(batch) / max(took_s, 1e-9)
            rate.sent += len(batch)
            rate.bytes_sent += size * len(batch)
            rate.lost += max(0, len(batch) - len(echoes))
            rate.altered += sum(a != b for a, b in zip(batch, echoes, strict=False)) \
                + max(0, len(echoes) - len(batch))
        progress(done + 1)
    trips: list[float] = []
    while len(trips) < _FEWEST_TRIPS or (len(trips) < _ROUND_TRIPS and sum(trips) < seconds):
        trips.append(board.round_trip_s())
    trips.sort()
    rate.round_trip_s, rate.round_trip_p99_s = (
        statistics.median(trips), trips[int(0.99 * len(trips))])
    # Of full frames alone, for one-byte echoes measure the records' overhead.
    rate.bytes_per_s = statistics.median(rate.cases[f"{ECHO_BYTES} x {name}"] for name in PATTERNS)
    if board.backend != "golden":
        rate.share = rate.bytes_per_s / (rate.baud / 10)
    rate.clock = "host" if board.simulated is None else "simulated"
    rate.host = _since(before[0], board.link_counters)
    rate.board = _since(before[1], _board_counters(board))


def _clock_s(board: Board) -> float | None:
    """Simulated seconds of a virtual board, whose line stands still while it does."""
    return None if board.simulated is None else board.simulated.cycles / board.hello.clock_hz


def _board_counters(board: Board) -> dict[str, int]:
    registers = board.registers()
    return {name: registers[name] for name in _BOARD_COUNTERS}


def _since(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after}
