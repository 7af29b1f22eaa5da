"""Faults on a run of bytes: what a bad line, a bad adapter or a loose plug does to it."""

import random
from dataclasses import dataclass, field

__all__ = ["BYTE_KINDS", "TIME_KINDS", "Faults"]

#: Kinds that change what arrives, and kinds that change only when.
BYTE_KINDS = ("flip", "drop", "insert", "double", "truncate")
TIME_KINDS = ("split", "delay", "stall")
#: The rest of a burst that is split comes so much later: a frame of USB.
SPLIT_S = 0.001


@dataclass
class Faults:
    """Faults on a run of bytes, reproducible by seed.

    Parameters
    ----------
    seed : of the random numbers.
    flip, drop, insert, double : probability per byte that one of its bits is flipped; that it is
        lost; that a random byte comes after it; that it comes twice.
    truncate : probability per byte that it and the rest of its burst, what is written or read at
        once, are lost.
    split, delay, stall : probability per byte that it and all after it come a little later, by
        ``SPLIT_S``, ``delay_s`` or ``stall_s``.
    delay_s, stall_s : seconds.

    Attributes
    ----------
    done : how often each kind has happened.
    """

    seed: int
    flip: float = 0.0
    drop: float = 0.0
    insert: float = 0.0
    double: float = 0.0
    truncate: float = 0.0
    split: float = 0.0
    delay: float = 0.0
    stall: float = 0.0
    delay_s: float = 0.005
    stall_s: float = 0.1
    done: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.done = dict.fromkeys((*BYTE_KINDS, *TIME_KINDS), 0)
        self._rates = [getattr(self, kind) for kind in self.done]
        self._waits = {"split": SPLIT_S, "delay": self.delay_s, "stall": self.stall_s}
        self._left = self._gap()

    @classmethod
    def evenly(cls, seed: int, rate: float) -> "Faults":
        """Flips, drops, inserted and doubled bytes, together at this rate per byte."""
        return cls(seed, *(rate / 4,) * 4)

    def _gap(self) -> float:
        total = sum(self._rates)
        return self._rng.expovariate(total) if total else float("inf")

    def __call__(self, data: bytes) -> bytes:
        """The bytes that arrive, all at once."""
        return b"".join(piece for _, piece in self.pieces(data))

    def pieces(self, data: bytes) -> list[tuple[float, bytes]]:
        """What arrives of a burst: seconds after the piece before, and bytes."""
        if self._left > len(data):
            self._left -= len(data)
            return [(0.0, data)]
        found: list[tuple[float, bytes]] = []
        wait_s, out, at = 0.0, bytearray(), 0
        while self._left <= len(data) - at:
            hit = min(at + int(self._left), len(data) - 1)
            out += data[at:hit]
            byte, at = data[hit], hit + 1
            kind, = self._rng.choices(tuple(self.done), self._rates)
            self.done[kind] += 1
            self._left = self._gap()
            if kind == "truncate":
                at = len(data)
            elif kind == "flip":
                out.append(byte ^ 1 << self._rng.randrange(8))
            elif kind == "insert":
                out += bytes((byte, self._rng.randrange(256)))
            elif kind == "double":
                out += bytes((byte, byte))
            elif kind in self._waits:
                found.append((wait_s, bytes(out)))
                wait_s, out = self._waits[kind], bytearray((byte,))
        self._left -= len(data) - at
        return [*found, (wait_s, bytes(out + data[at:]))]
