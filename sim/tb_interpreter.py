"""Random streams of records, byte for byte against :class:`ionspike.sim.interpreter.Interpreter`."""

import random
from collections import Counter

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout

from ionspike.host import codec
from ionspike.sim.bench import parameters
from ionspike.sim.interpreter import Interpreter
from ionspike.sim.records import Records, control, everything, load, register, reports
from ionspike.sim.stimulus import random_image, random_seed
from ionspike.sim.streams import Stream, coin, reset
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Op, Policy, Report


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

    def image(self, **options):
        return load(random_image(self.numbers, self.shape, **options), random_seed(self.numbers))

    async def open(self):
        """New streams; the first byte of the new one may come in the very next clock."""
        self.dut.opened.value = 1
        await FallingEdge(self.dut.clk)
        self.dut.opened.value = 0


def golden(model: Interpreter, data: bytes) -> bytes:
    model.feed(data)
    return model.run()


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
            counted += reports(expected)
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
    data = bench.image(wild=True, hot=False) + register("period_low", given["period"]) \
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
        content = rng.choice([bytes([Op.EVENTS, 0, 0]) + records.event_list(),
                              bytes([Op.BITMAP, 0, 0]) + records.bitmap_bytes()])
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
    got, _ = await collect(2)
    # How long ticks took is known to the clock alone. Registers come first, 5 bytes before them.
    at = 5 + 2 * wire.register("longest_low").offset
    longest = int.from_bytes(got[at:at + 4], "little")
    assert 0 < longest < given["period"]
    got = got[:at] + bytes(4) + got[at + 4:]
    unequal = [k for k, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b]
    assert not unequal, f"bytes {unequal} differ: {got.hex()}, {expected.hex()}"
    dut._log.info("reached: %s; %s", dict(reach), model.memory.counters)
    assert reach["wait"] and reach["ahead"] and reach["late"]
    assert model.memory.counters["late"]
