"""Random records of a host, for benches of the interpreter."""

import random
from collections import Counter

import numpy as np

from ionspike.host import codec
from ionspike.host.image import Image
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import AUX_PROBES, LIST_END, LIST_SKIP, Op, Policy, Report, Space

__all__ = ["Records", "control", "everything", "load", "register", "reports"]


def register(name, value):
    [record] = codec.write(wire.address(Space.REGISTERS, wire.register(name).offset),
                           np.array([value], np.uint16))
    return record


def control(*, free_running=0, policy=Policy.DROP, digest=1, probes=0):
    return register("control", free_running | policy << 1 | digest << 3 | probes << 4)


def load(image: Image, lfsr: int) -> bytes:
    """Write all that can be written, whatever was there before."""
    shape = image.shape
    values = {r.name: r.init for r in wire.REGISTERS if r.access == "rw"} | image.registers | {
        f"lfsr_{k}": lfsr >> 16 * k & 0xFFFF for k in range(4)}
    parts = [codec.clear(state=True, counters=True)]
    for space, size in sizes(shape).items():
        if space != Space.REGISTERS:
            parts += codec.write(wire.address(space), np.zeros(size, np.uint16))
    parts += [register(name, value) for name, value in values.items()]
    for address, words in image.writes():
        parts += codec.write(address, words)
    return b"".join(parts)


def sizes(shape: CoreShape) -> dict[Space, int]:
    """Words of every space."""
    return {Space.REGISTERS: 64, Space.FEEDBACK: fmt.H_ENTRIES, Space.AUX: 2 * AUX_PROBES,
            Space.FANOUT: 2 * shape.sources, Space.COEFFICIENTS: 2 * shape.neurons,
            Space.STATE: wire.STATE_STRIDE * shape.neurons,
            Space.ACCUMULATORS: shape.delay_slots * shape.lanes << shape.group_bits,
            Space.WEIGHTS: shape.words * shape.lanes // 2}


def everything(shape: CoreShape) -> bytes:
    """Reads of all that a host can read."""
    return b"".join(record for space, size in sizes(shape).items()
                    for record in codec.read(wire.address(space), size))


class Records:
    """Draws random records; ``tick`` is the number of the next tick once all of them are done."""

    def __init__(self, rng: random.Random, shape: CoreShape, reach: Counter[str]):
        self.rng, self.shape, self.reach, self.tick = rng, shape, reach, 0
        self.policy = Policy.DROP

    def any(self) -> bytes:
        kinds = {"events": 6, "bitmap": 4, "advance": 3, "late": 2, "mark": 1, "echo": 1,
                 "read": 2, "counters": 1, "write": 2, "probes": 1, "control": 1, "clear": 0.3}
        [kind] = self.rng.choices(list(kinds), list(kinds.values()))
        self.reach[kind] += 1
        return getattr(self, kind)()

    def _stamp(self, ahead):
        at = self.tick + ahead
        if ahead >= 0:
            self.tick = at + 1
        elif self.policy == Policy.NEXT:
            self.tick += 1
        self.reach["empty ticks"] += max(0, ahead)
        return (at & 0xFFFF).to_bytes(2, "little")

    def event_list(self):
        rng = self.rng
        density = rng.choice([0, 0.05, 0.5])
        content = bytearray()
        while rng.random() < 0.97 and len(content) < 2 * self.shape.inputs:
            delta = 0 if rng.random() < density else rng.choice([0, 1, 2, 5, 20, LIST_SKIP])
            content.append(delta)
        self.reach["skips"] += content.count(LIST_SKIP)
        self.reach["beyond"] += sum(content) + len(content) > self.shape.inputs
        return bytes(content) + bytes([LIST_END])

    def bitmap_bytes(self):
        rng = self.rng
        count = rng.choice([0, 1, self.shape.inputs // 8, self.shape.inputs // 8 + 2])
        rate = rng.choice([0, 0.1, 0.9])
        return bytes([count]) + bytes(
            sum((rng.random() < rate) << k for k in range(8)) for _ in range(count))

    def events(self):
        return bytes([Op.EVENTS]) + self._stamp(self.rng.choice([0, 0, 0, 1, 3])) + self.event_list()

    def bitmap(self):
        return bytes([Op.BITMAP]) + self._stamp(self.rng.choice([0, 0, 0, 1, 3])) + self.bitmap_bytes()

    def late(self):
        if self.tick == 0:
            return b""
        what, content = self.rng.choice([(Op.EVENTS, self.event_list()), (Op.BITMAP, self.bitmap_bytes())])
        return bytes([what]) + self._stamp(-self.rng.randint(1, 5)) + content

    def advance(self):
        # One before the next tick is nothing to do.
        ahead = self.rng.choice([-1, 0, 1, 10, 140])
        stamp = (self.tick + ahead & 0xFFFF).to_bytes(2, "little")
        self.tick += max(0, ahead)
        return bytes([Op.ADVANCE]) + stamp

    def mark(self):
        return codec.mark(self.rng.getrandbits(16))

    def echo(self):
        return codec.echo(self.rng.randbytes(self.rng.choice([0, 1, 30, 255])))

    def _read(self, space, size, most):
        count = self.rng.randint(0, min(most, size))
        address = wire.address(space, self.rng.randint(0, size - count))
        return bytes([Op.READ]) + address.to_bytes(3, "little") + bytes([count])

    def read(self):
        # Registers that do not exist, and spaces that do not, read as zero.
        return self._read(*self.rng.choice([
            *sizes(self.shape).items(), (Space.REGISTERS, 128), (9, 1000)]), most=40)

    def counters(self):
        return b"".join(codec.read(wire.address(Space.REGISTERS, 0x10), 32))

    def write(self):
        rng, shape = self.rng, self.shape
        # A row that leaves the core is the host's mistake, so fan-out is left as it is.
        space, size = rng.choice([*sizes(shape).items(), (9, 100)])
        if space == Space.FANOUT:
            return b""
        if space == Space.REGISTERS:
            name = rng.choice(["kf", "kr", "kb", "scale", "r_max", "spike_level", "r_noise", "sustained", "lfsr_2",
                               "period_high", "tick_low", "words_high", "late"])
            return register(name, rng.getrandbits(16))
        count = rng.randint(0, 20)
        words = np.array([rng.getrandbits(16) for _ in range(count)], np.uint16)
        if not count:
            return bytes([Op.WRITE, 0, 0, space << 4, 0])
        return b"".join(codec.write(wire.address(space, rng.randint(0, size - count)), words))

    def probes(self):
        rng = self.rng
        chosen = np.array([rng.randrange(self.shape.neurons)
                           for _ in range(rng.randint(1, 8))], np.uint16)
        return b"".join(codec.write(wire.address(Space.AUX, AUX_PROBES), chosen)) + register(
            "probe_count", rng.choice([0, len(chosen)]))

    def control(self):
        self.policy = self.rng.choice(list(Policy))
        return control(policy=self.policy, digest=self.rng.random() < 0.8,
                       probes=self.rng.random() < 0.4)

    def clear(self):
        state = self.rng.randrange(2)
        if state:
            self.tick = 0
        return codec.clear(bool(state), bool(self.rng.randrange(2)))


def reports(data: bytes) -> Counter[str]:
    """How many of each report there are."""
    found: Counter[str] = Counter()
    at = 0
    while at < len(data):
        kind = Report(data[at])
        found[kind.name] += 1
        match kind:
            case Report.READ:
                at += 5 + 2 * data[at + 4]
            case Report.SPIKES:
                at = data.index(LIST_END, at + 2) + 1
            case Report.BITMAP:
                at += 3 + data[at + 2]
            case Report.PROBES:
                at += 3 + 6 * data[at + 2]
            case Report.ECHO:
                at += 2 + data[at + 1]
            case _:
                at += {Report.TICK: 2, Report.DIGEST: 8, Report.MARK: 7, Report.ERROR: 2}[kind]
    return found
