"""Random streams of records, byte for byte against :class:`ionspike.sim.interpreter.Interpreter`."""

import random
from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout

from ionspike.host import codec
from ionspike.host.image import Image
from ionspike.sim.bench import parameters
from ionspike.sim.interpreter import Interpreter
from ionspike.sim.stimulus import random_image, random_seed
from ionspike.sim.streams import Stream, coin, reset
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import AUX_PROBES, LIST_END, LIST_SKIP, Op, Policy, Report, Space


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

    def __init__(self, rng: random.Random, shape: CoreShape, reach: Counter):
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

    def _list(self):
        rng = self.rng
        density = rng.choice([0, 0.05, 0.5])
        content = bytearray()
        while rng.random() < 0.97 and len(content) < 2 * self.shape.inputs:
            delta = 0 if rng.random() < density else rng.choice([0, 1, 2, 5, 20, LIST_SKIP])
            content.append(delta)
        self.reach["skips"] += content.count(LIST_SKIP)
        self.reach["beyond"] += sum(content) + len(content) > self.shape.inputs
        return bytes(content) + bytes([LIST_END])

    def _bits(self):
        rng = self.rng
        count = rng.choice([0, 1, self.shape.inputs // 8, self.shape.inputs // 8 + 2])
        rate = rng.choice([0, 0.1, 0.9])
        return bytes([count]) + bytes(
            sum((rng.random() < rate) << k for k in range(8)) for _ in range(count))

    def events(self):
        return bytes([Op.EVENTS]) + self._stamp(self.rng.choice([0, 0, 0, 1, 3])) + self._list()

    def bitmap(self):
        return bytes([Op.BITMAP]) + self._stamp(self.rng.choice([0, 0, 0, 1, 3])) + self._bits()

    def late(self):
        if self.tick == 0:
            return b""
        what, content = self.rng.choice([(Op.EVENTS, self._list()), (Op.BITMAP, self._bits())])
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
            name = rng.choice(["kf", "kr", "kb", "scale", "r_max", "lfsr_2", "period_high",
                               "tick_low", "words_high", "late"])
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


class Bench:
    def __init__(self, dut, shape):
        self.dut, self.shape, self.rng = dut, shape, random.Random(cocotb.RANDOM_SEED)
        self.numbers = np.random.default_rng(cocotb.RANDOM_SEED)
        self.i, self.o = Stream(dut, "i", driven=True), Stream(dut, "o", driven=False)
        self.reach = Counter()

    async def start(self):
        await reset(self.dut, opened=0)

    async def exchange(self, data: bytes, expected: bytes, *, stall=0.0, patient=False):
        """Send, and collect what must come back."""
        def pauses():
            return coin(self.rng, stall) if stall else None
        sender = cocotb.start_soon(self.i.put(data, idle=pauses()))
        # Collected piece by piece, so that a difference is seen rather than a byte missed for ever.
        for at in range(0, len(expected), 64):
            part = expected[at:at + 64]
            got = await with_timeout(
                self.o.get(len(part), idle=pauses(), patient=patient), 2, "ms")
            assert bytes(got) == part, f"from byte {at} on"
        await with_timeout(sender, 5, "ms")
        if not self.dut.idle.value:
            await with_timeout(RisingEdge(self.dut.idle), 1, "ms")
        await FallingEdge(self.dut.clk)
        assert not self.dut.o__valid.value

    def image(self, wild):
        return load(random_image(self.numbers, self.shape, wild=wild), random_seed(self.numbers))

    async def open(self):
        """New streams; the first byte of the new one may come in the very next clock."""
        self.dut.opened.value = 1
        await FallingEdge(self.dut.clk)
        self.dut.opened.value = 0


def golden(model: Interpreter, data: bytes) -> bytes:
    model.feed(data)
    return model.run()


def reports(data: bytes, groups: int) -> Counter:
    """How many of each report there are."""
    found, at = Counter(), 0
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


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def lockstep(dut):
    given = parameters()
    shape = CoreShape(**given["shape"])
    bench, model = Bench(dut, shape), Interpreter(shape)
    records = Records(bench.rng, shape, bench.reach)
    await bench.start()
    counted = Counter()
    for run in range(given["runs"]):
        data = bench.image(wild=run % 2 == 0) + control() + everything(shape)
        records.tick, records.policy = 0, Policy.DROP
        await bench.exchange(data, golden(model, data))
        for stall, patient in ((0.0, False), (0.5, False), (0.0, True), (0.7, True)):
            data = b"".join(records.any() for _ in range(given["records"]))
            expected = golden(model, data)
            assert model.memory.core.tick & 0xFFFF == records.tick & 0xFFFF
            await bench.exchange(data, expected, stall=stall, patient=patient)
            counted += reports(expected, shape.groups)
            for name in ("late", "dropped"):
                bench.reach[f"{name} events"] += model.memory.counters[name]
        data = everything(shape)
        await bench.exchange(data, golden(model, data))
        if run % 3 == 2:
            # Not a command: it is reported, and all else is lost until the streams start anew.
            unknown = bytes([bench.rng.choice([0, 1, 0x13, 0x23, 0x31 + 2, 0xFF])])
            data = codec.mark(7) + unknown + bench.rng.randbytes(100)
            await bench.exchange(data, golden(model, data))
            bench.reach["unknown"] += 1
            model.restart()
            await bench.open()
    dut._log.info("reached: %s, reports: %s", dict(bench.reach), dict(counted))
    for what in (*given["reach"], "late events", "dropped events"):
        assert bench.reach[what], f"the stimulus did not reach: {what}"
    for report in Report:
        assert counted[report.name] or report == Report.ERROR, f"never sent: {report.name}"


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def opened_anywhere(dut):
    """Whatever is under way when the streams start anew, the new ones work."""
    given = parameters()
    shape = CoreShape(**given["shape"])
    bench = Bench(dut, shape)
    await bench.start()
    seen = set()
    image = bench.image(wild=True) + control(probes=1)
    await bench.exchange(image, b"")
    for _ in range(given["opens"]):
        records = Records(bench.rng, shape, bench.reach)
        data = b"".join(records.any() for _ in range(60))
        sender = cocotb.start_soon(bench.i.put(data))
        collector = cocotb.start_soon(bench.o.get(1 << 30, idle=coin(bench.rng, 0.3)))
        await ClockCycles(dut.clk, bench.rng.randint(1, 1500))
        await FallingEdge(dut.clk)
        seen.add(int(dut.interpreter.fsm_state.value))
        sender.cancel()
        collector.cancel()
        dut.i__valid.value = 0
        # As late as that the old streams may still take part.
        await bench.open()
        model = Interpreter(shape)
        records = Records(bench.rng, shape, bench.reach)
        data = bench.image(wild=True) + control() + b"".join(records.any() for _ in range(5))
        await bench.exchange(data, golden(model, data))
    dut._log.info("opened in states %s", sorted(seen))
    assert len(seen) >= given["states"]


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(policy=[Policy.DROP, Policy.NEXT])
async def free_running(dut, policy):
    """Ticks by the clock. The model is told what only the clock decides: when a mark was reached."""
    given = parameters()
    shape = CoreShape(**given["shape"])
    bench, model = Bench(dut, shape), Interpreter(shape)
    rng, reach = bench.rng, bench.reach
    await bench.start()
    data = bench.image(wild=True) + register("period_low", given["period"]) \
        + register("period_high", 0)
    await bench.exchange(data, golden(model, data))
    records = Records(rng, shape, reach)

    # Nothing may hold ticks up, so reports are taken whenever they come.
    cocotb.start_soon(bench.o.watch())
    cocotb.start_soon(bench.o.get(1 << 30, idle=coin(rng, 0.2)))

    async def collect(token):
        """Everything up to the report of this mark, and its tick."""
        head = bytes([Report.MARK]) + token.to_bytes(2, "little")
        while bytes(bench.o.log[-7:-4]) != head:
            await FallingEdge(dut.clk)
        got = bytes(bench.o.log)
        bench.o.log.clear()
        return got, int.from_bytes(got[-4:], "little")

    await bench.i.put(control(free_running=1, policy=policy))
    golden(model, control(policy=policy))
    tick = 0
    for token in range(0xA000, 0xA000 + given["ticks"]):
        kind = rng.choice(["wait", "ahead", "late"] if tick else ["wait", "ahead"])
        content = rng.choice([bytes([Op.EVENTS, 0, 0]) + records._list(),
                              bytes([Op.BITMAP, 0, 0]) + records._bits()])
        # Far enough from the clock that it decides nothing.
        stamp = tick + rng.randint(4, 8) if kind == "ahead" else tick - rng.randint(1, 3)
        record = content[:1] + (stamp & 0xFFFF).to_bytes(2, "little") + content[3:]
        if kind == "wait":
            await ClockCycles(dut.clk, rng.randint(1, 3 * given["period"]))
            await FallingEdge(dut.clk)
            record = b""
        await bench.i.put(record + codec.mark(token))
        got, tick = await collect(token)
        reach[kind] += 1
        before = tick - (kind == "late" and policy == Policy.NEXT)
        expected = b"" if kind == "ahead" else golden(
            model, b"".join(codec.advance(model.memory.core.tick, before)))
        expected += golden(model, record)
        expected += golden(model, b"".join(codec.advance(model.memory.core.tick, tick)))
        expected += golden(model, codec.mark(token))
        assert got == expected, kind
    # Back to lockstep; a tick may have begun meanwhile.
    await bench.i.put(control(policy=policy) + codec.mark(1))
    got, tick = await collect(1)
    expected = golden(model, b"".join(codec.advance(model.memory.core.tick, tick))
                      + control(policy=policy) + codec.mark(1))
    assert got == expected
    await bench.i.put(everything(shape) + codec.mark(2))
    expected = golden(model, everything(shape) + codec.mark(2))
    assert (await collect(2))[0] == expected
    dut._log.info("reached: %s; %s", dict(reach), model.memory.counters)
    assert reach["wait"] and reach["ahead"] and reach["late"]
    assert model.memory.counters["late"]
