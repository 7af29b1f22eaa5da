"""Random and nearly right bytes at the UART of the whole gateware, and whether it bears them.

    python benchmarks/fuzz_board.py                         # 200,000 bytes: a minute
    python benchmarks/fuzz_board.py --bytes 10000000        # the long run
    python benchmarks/fuzz_board.py --seed 7 --json

A third of the bytes is noise. A third is frames of a real conversation with bits flipped, parts cut
out, doubled and swapped. The rest is what gets furthest: frames with the right sum and number, in a
conversation that is open, whose records are nearly right, so that every memory and register, the one of
the baud rate too, is written with anything.

After each round a host must be able to do its work: open the board, at the rate it was built with or
after a break; find that each of a few broken frames is counted; and run a network of which every spike,
the state and the LFSR are those of the golden model. Exit code 1 if one of these fails; the round and
seed that are said repeat it. Ctrl-C ends it with what was found so far.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import numpy as np

from ionspike import Board, Network, Spikes
from ionspike.hdl.top import CLOCK_HZ
from ionspike.host import codec
from ionspike.host.errors import BoardError, NoBoardError
from ionspike.host.framing import pack, pack_ack
from ionspike.host.link import Link, LinkError
from ionspike.sim.virtual import DEFAULT_DIVISOR, Model, SimPort, library
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Kind, Nack, Op, Space

SHAPE = CoreShape(neurons=48, inputs=24, lanes=8, words=256, delay_slots=4)
BUILT = CLOCK_HZ // DEFAULT_DIVISOR
#: Simulated seconds in which a board answers OPEN, half of them at each rate.
OPEN_S = 0.2
ROUND_BYTES, PIECE_BYTES = 20_000, 1_000
BROKEN = 5


@dataclass
class Tally:
    """What was thrown at the board, and what came of it."""

    seed: int
    bytes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    woken: int = 0
    spikes: int = 0
    answered: int = 0
    clocks: int = 0
    failures: list[str] = field(default_factory=list)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Bytes with one to four changes."""
    for _ in range(1 + rng.getrandbits(2)):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        match rng.randrange(6):
            case 0 | 1 if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:end] + data[end:]
            case 4:
                data = data[end:] + data[:at]
            case _:
                data = data[:at] + rng.choice((b"\0", b"\xff", rng.randbytes(3))) + data[at:]
    return data


def record(rng: random.Random) -> bytes:
    """A record as a host might send it, to anywhere."""
    space = rng.choice((*Space, rng.randrange(16)))
    offset = rng.choice((rng.randrange(64), rng.randrange(1 << rng.randrange(1, 20))))
    address, tick = space << wire.OFFSET_BITS | offset, rng.choice((0, 1, rng.getrandbits(16)))
    match rng.choice((*Op, Op.WRITE)):
        case Op.WRITE:
            count = rng.choice((1, 1, 4, 100))
            return bytes([Op.WRITE]) + address.to_bytes(3, "little") + bytes([count]) \
                + rng.randbytes(2 * count)
        case Op.READ:
            return bytes([Op.READ]) + address.to_bytes(3, "little") + bytes([rng.randrange(256)])
        case Op.EVENTS:
            return bytes([Op.EVENTS]) + tick.to_bytes(2, "little") + rng.randbytes(9) + b"\xff"
        case Op.BITMAP:
            size = rng.randrange(1, 30)
            return bytes([Op.BITMAP]) + tick.to_bytes(2, "little") + bytes([size]) + rng.randbytes(size)
        case Op.ADVANCE:
            return bytes([Op.ADVANCE]) + (tick % 300).to_bytes(2, "little")
        case Op.CLEAR:
            return bytes([Op.CLEAR, rng.randrange(256)])
        case Op.MARK:
            return bytes([Op.MARK]) + rng.randbytes(2)
        case _:
            return codec.echo(rng.randbytes(rng.randrange(200)))


def conversation(rng: random.Random, spoil_frames: bool) -> bytes:
    """An OPEN and DATA frames in order; what is spoiled is either the records or the frames."""
    frames = [b"\0" + pack(Kind.OPEN, 0, rng.randbytes(2)), pack_ack(0, 0x6000, Nack.OK)]
    for seq in range(rng.randrange(1, 12)):
        payload = b""
        while len(payload) < 150 and rng.random() < 0.8:
            payload += record(rng)
        if not spoil_frames and rng.random() < 0.3:
            payload = mutated(rng, payload)
        frames.append(pack(Kind.DATA, seq, payload[:wire.PAYLOAD_BYTES]))
        if rng.random() < 0.5:
            frames.append(pack_ack(rng.randrange(8), rng.getrandbits(16), rng.choice(list(Nack))))
    if spoil_frames:
        frames = [mutated(rng, frame) if rng.random() < 0.5 else frame for frame in frames]
    return b"".join(frames)


def piece(rng: random.Random, tally: Tally) -> bytes:
    """About a thousand bytes of one kind."""
    kind = rng.choice(("noise", "spoiled frames", "spoiled records"))
    if kind == "noise":
        data = rng.randbytes(PIECE_BYTES)
        if rng.getrandbits(1):      # more of what frames end with
            data = bytes(byte & rng.getrandbits(8) & rng.getrandbits(8) for byte in data)
    else:
        data = b""
        while len(data) < PIECE_BYTES:
            data += conversation(rng, kind == "spoiled frames")
    tally.kinds[kind] += len(data)
    return data


class Bench:
    """One board for all rounds, in simulated time."""

    def __init__(self, tally: Tally):
        self.tally = tally
        self.port = SimPort(Model(library(SHAPE)), clock_Hz=CLOCK_HZ)
        rng = np.random.default_rng(1)
        self.network = Network.dense(rng.uniform(0, 0.3, (SHAPE.inputs, SHAPE.neurons)))
        self.spikes = Spikes(rng.random((30, SHAPE.inputs)) < 0.25, 5e-4)
        with Board.open(backend="golden", shape=SHAPE) as golden:
            golden.load(self.network)
            self.expected = golden.run(self.spikes, seed=5)
        assert self.expected.spikes.count > 10, "a network that is silent compares nothing"

    def throw(self, data: bytes) -> None:
        """Bytes as fast as the line goes; what the board says meanwhile is not listened to."""
        self.port.write(data)
        self.port.flush()
        self.port.run(200 * DEFAULT_DIVISOR)
        self.tally.answered += self.port.in_waiting
        self.port.reset_input_buffer()
        self.tally.bytes += len(data)

    def use(self) -> None:
        """Do what any host does.

        Raises
        ------
        LinkError, BoardError, AssertionError
            If it does not work.
        """
        self.port.baudrate = BUILT
        link = Link(self.port, clock=lambda: self.port.cycles / CLOCK_HZ,
                    sleep=lambda seconds: self.port.run(int(seconds * CLOCK_HZ)))
        board = Board(link, backend="virtual", where="simulated board", timeout_s=OPEN_S)
        if board.baud != BUILT:
            self.tally.woken += 1
            board.change_rate(BUILT)
            assert board.baud == BUILT, f"speaks at {board.baud} baud, and not at its own rate"
        board.load(self.network)    # which clears the counters
        errors = board.registers()["crc_errors"]
        self.port.write(b"\0" + b"\x03\x55\x55\0" * BROKEN)
        self.port.run(1000 * DEFAULT_DIVISOR)
        counted = board.registers()["crc_errors"] - errors
        assert counted == BROKEN, f"{BROKEN} broken frames were counted as {counted}"
        got, right = board.run(self.spikes, seed=5), self.expected
        assert (got.spikes.raster == right.spikes.raster).all(), "spikes differ"
        assert (got.final_state == right.final_state).all(), "the state differs"
        assert got.lfsr == right.lfsr, "the LFSR differs"
        assert not got.losses, f"losses: {got.losses}"
        self.tally.spikes += got.spikes.count


def fuzz(size: int, tally: Tally) -> None:
    """Throw so many bytes, at least."""
    seed, bench = tally.seed, Bench(tally)
    while tally.bytes < size and not tally.failures:
        rng = random.Random(f"{seed}/{tally.rounds}")
        goal = tally.bytes + ROUND_BYTES
        while tally.bytes < goal:
            bench.throw(piece(rng, tally))
        try:
            bench.use()
        except (AssertionError, LinkError, BoardError, NoBoardError) as error:
            tally.failures.append(f"round {tally.rounds} of seed {seed}: {error}")
        tally.rounds += 1
        tally.clocks = bench.port.cycles
        if sys.stderr.isatty():
            print(f"\r{tally.bytes:,} bytes ", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bytes", type=int, default=200_000, metavar="N", help="at least")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    begun_s = time.perf_counter()
    tally = Tally(given.seed)
    try:
        fuzz(given.bytes, tally)
    except KeyboardInterrupt:
        print("interrupted; so far:", file=sys.stderr)
    seconds = time.perf_counter() - begun_s
    if given.json:
        print(json.dumps({**asdict(tally), "seconds": round(seconds, 1)}, indent=2))
    else:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(tally.kinds.items()))
        print(f"{tally.bytes:,} bytes ({kinds}) in {tally.rounds} rounds, {tally.clocks:,} clocks, "
              f"{seconds:.0f} s; {tally.answered:,} bytes came back; found at another rate and woken "
              f"{tally.woken} times; {tally.spikes:,} spikes compared; {len(tally.failures)} failures")
        for failure in tally.failures:
            print(failure)
    return int(bool(tally.failures))


if __name__ == "__main__":
    sys.exit(main())
