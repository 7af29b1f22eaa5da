"""Random accesses and strobes, against the table of registers."""

import random
from collections import Counter

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from ionspike.hdl.bus import READ_LATENCY
from ionspike.hdl.registers import ELSEWHERE
from ionspike.sim.streams import reset
from ionspike.spec.wire import (
    COUNTER_LIMIT,
    COUNTERS,
    HIGH_WATER,
    HIGH_WATER_SHIFT,
    REGISTERS,
    Space,
)

_INPUTS = {"lfsr": 64, "tick": 32, "digest": 32, "longest": 24}
_LEVELS = dict(HIGH_WATER)
#: Strobes are counted a clock after they came.
_SETTLE = 1


class Model:
    def __init__(self):
        self.written = {r.name: r.init for r in REGISTERS if r.access == "rw"}
        self.counters = dict.fromkeys([name for name, _ in COUNTERS], 0)
        self.words = 0
        self.marks = dict.fromkeys(_LEVELS, 0)

    def value(self, register, inputs):
        name = register.name
        if name in self.counters:
            return min(COUNTER_LIMIT, self.counters[name])
        if name.startswith("lfsr_"):
            return inputs["lfsr"] >> 16 * int(name[-1]) & 0xFFFF
        if name == "high_water":
            value, at = 0, HIGH_WATER_SHIFT
            for level, most in HIGH_WATER:
                value |= ((1 << self.marks[level]) - 1) << at
                at += most
            return value
        whole = {**inputs, "words": self.words}
        base, _, half = name.rpartition("_")
        if register.access == "ro":
            return whole[base] >> 16 * (half == "high") & 0xFFFF
        # What only a host changes is read from a table.
        return self.written[name] if name == "control" else 0


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def agrees_with_table(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    names = [name for name, _ in COUNTERS]
    await reset(dut, **dict.fromkeys((
        *_INPUTS, *_LEVELS, *names, "word", "clear_counters", "halt", "bus__space", "bus__offset",
        "bus__write", "bus__w_data"), 0))
    model, inputs, reach = Model(), dict.fromkeys(_INPUTS, 0), Counter()
    by_offset = {r.offset: r for r in REGISTERS}
    widths = {name: len(getattr(dut, name)) for name in names}
    for _ in range(6000):
        kind = rng.choice(["write", "write", "read", "read", "read", "inputs", "halt", "clear"])
        reach[kind] += 1
        if kind == "write":
            offset = rng.choice([*by_offset, rng.randrange(1 << 20)])
            data = rng.choice([0, 0xFFFF, rng.getrandbits(16)])
            space = rng.choice([Space.REGISTERS] * 4 + [Space.AUX, 9])
            dut.bus__space.value, dut.bus__offset.value = space, offset
            dut.bus__w_data.value, dut.bus__write.value = data, 1
            register = by_offset.get(offset)
            await RisingEdge(dut.clk)
            loaded = [name for k, name in enumerate(ELSEWHERE) if int(dut.load.value) >> k & 1]
            held = space == Space.REGISTERS and register is not None and register.name in ELSEWHERE
            assert loaded == ([register.name] if held else [])
            reach["held"] += held
            await FallingEdge(dut.clk)
            dut.bus__write.value = 0
            if space == Space.REGISTERS and register is not None and register.access == "rw":
                model.written[register.name] = data & ((1 << register.width) - 1)
                reach["effective"] += 1
            for r in REGISTERS:
                if not (r.is_live or r.name in ELSEWHERE):
                    assert int(getattr(dut, r.name).value) == model.written[r.name]
            assert int(dut.control.value) == model.written["control"]
        elif kind == "read":
            offset = rng.choice([*by_offset, rng.randrange(1 << 20)])
            space = rng.choice([Space.REGISTERS] * 4 + [Space.AUX, 9])
            dut.bus__space.value, dut.bus__offset.value = space, offset
            for _ in range(READ_LATENCY):
                await FallingEdge(dut.clk)
            register = by_offset.get(offset)
            expected = 0 if space != Space.REGISTERS or register is None else model.value(
                register, inputs)
            assert int(dut.bus__r_data.value) == expected, (space, hex(offset))
        elif kind == "inputs":
            inputs = {name: rng.getrandbits(width) for name, width in _INPUTS.items()}
            levels = {name: rng.randint(0, rng.randint(0, most)) for name, most in HIGH_WATER}
            amounts = {name: rng.choice([0, 1, (1 << widths[name]) - 1]) for name in names}
            amounts["saturated"] = rng.randrange(9)
            # Now and then for so long that every counter stops.
            long = reach["inputs"] % 250 == 100
            clocks, word = (70_000, 1) if long else (rng.randint(1, 50), rng.getrandbits(1))
            for name, value in {**inputs, **levels, **amounts, "word": word}.items():
                getattr(dut, name).value = value
            await ClockCycles(dut.clk, clocks, FallingEdge)
            for name in (*names, *_LEVELS, "word"):
                getattr(dut, name).value = 0
            for name, level in levels.items():
                reach["higher"] += 0 < model.marks[name] < level
                model.marks[name] = max(model.marks[name], level)
            for name in names:
                model.counters[name] += clocks * amounts[name]
            model.words += clocks * word
            for _ in range(_SETTLE):
                await FallingEdge(dut.clk)
        elif kind == "halt":
            dut.halt.value = 1
            await FallingEdge(dut.clk)
            dut.halt.value = 0
            reach["halted"] += model.written["control"] & 1
            model.written["control"] &= ~1
            assert int(dut.control.value) == model.written["control"]
        elif rng.random() < 0.02:
            dut.clear_counters.value = 1
            await FallingEdge(dut.clk)
            dut.clear_counters.value = 0
            reach["cleared"] += model.words > 0
            model.counters, model.words = dict.fromkeys(names, 0), 0
            model.marks = dict.fromkeys(_LEVELS, 0)
        reach["stopped"] += max(model.counters.values()) > COUNTER_LIMIT
        reach["beyond 16 bits"] += model.words > 0xFFFF
    dut._log.info("reached: %s", dict(reach))
    for what in ("effective", "held", "halted", "cleared", "stopped", "beyond 16 bits", "higher"):
        assert reach[what], f"the stimulus did not reach: {what}"
