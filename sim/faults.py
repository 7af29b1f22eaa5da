"""A line that flips, drops, inserts and doubles bytes."""

import random
from dataclasses import dataclass, field

from ionspike.host.link import Port

__all__ = ["FaultyPort", "Faults"]


@dataclass
class Faults:
    """Faults on a run of bytes, reproducible by seed.

    Parameters
    ----------
    seed : of the random numbers.
    flip, drop, insert, double : probability of each, per byte.

    Attributes
    ----------
    done : how often each has happened.
    """

    seed: int
    flip: float = 0.0
    drop: float = 0.0
    insert: float = 0.0
    double: float = 0.0
    done: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.done = {"flip": 0, "drop": 0, "insert": 0, "double": 0}
        self._left = self._gap()

    @classmethod
    def evenly(cls, seed: int, rate: float) -> "Faults":
        """All four kinds, together at this rate per byte."""
        return cls(seed, *(rate / 4,) * 4)

    def _gap(self) -> float:
        total = self.flip + self.drop + self.insert + self.double
        return self._rng.expovariate(total) if total else float("inf")

    def __call__(self, data: bytes) -> bytes:
        """The bytes that arrive."""
        if self._left > len(data):
            self._left -= len(data)
            return data
        out = bytearray()
        at = 0
        while self._left <= len(data) - at:
            hit = min(at + int(self._left), len(data) - 1)
            out += data[at:hit]
            byte = data[hit]
            kind, = self._rng.choices(
                tuple(self.done), (self.flip, self.drop, self.insert, self.double))
            self.done[kind] += 1
            if kind == "flip":
                out.append(byte ^ 1 << self._rng.randrange(8))
            elif kind == "insert":
                out += bytes((byte, self._rng.randrange(256)))
            elif kind == "double":
                out += bytes((byte, byte))
            at = hit + 1
            self._left = self._gap()
        self._left -= len(data) - at
        return bytes(out + data[at:])


class FaultyPort:
    """A port with faults in both directions.

    Parameters
    ----------
    port : the port behind.
    to_board, from_board : what happens on the way.
    """

    def __init__(self, port: Port, to_board: Faults, from_board: Faults):
        self.port, self.to_board, self.from_board = port, to_board, from_board

    def __getattr__(self, name: str):
        return getattr(self.port, name)

    @property
    def timeout(self) -> float | None:
        return self.port.timeout

    @timeout.setter
    def timeout(self, timeout: float | None) -> None:
        self.port.timeout = timeout

    def read(self, size: int = 1) -> bytes:
        return self.from_board(self.port.read(size))

    def write(self, data: bytes) -> int:
        self.port.write(self.to_board(data))
        return len(data)
