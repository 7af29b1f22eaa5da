import random
from collections import Counter

import numpy as np
import pytest

from ionspike.hdl.engine import Engine
from ionspike.host import codec
from ionspike.sim.interpreter import Interpreter
from ionspike.sim.lockstep import answer, simulate
from ionspike.sim.records import Records, control, everything, load, register
from ionspike.sim.stimulus import random_image, random_seed
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Op, Policy, Report, Space

SHAPE = CoreShape(neurons=16, inputs=16, words=16)
COUNTERS = wire.register("late").offset


def events(tick, *deltas):
    return bytes([Op.EVENTS, tick & 0xFF, tick >> 8, *deltas, wire.LIST_END])


def counters():
    """Reads late, dropped and overruns."""
    return b"".join(codec.read(wire.address(Space.REGISTERS, COUNTERS), 3))


def counted(data):
    """What that read, at the end of an answer, found."""
    return tuple(np.frombuffer(data[-6:], "<u2").tolist())


def test_echo_and_mark():
    assert answer(SHAPE, codec.echo(b"hello") + codec.echo(b"") + codec.mark(0xBEEF)) == (
        b"\x32\x05hello" b"\x32\x00" b"\x31\xEF\xBE\0\0\0\0")


def test_write_and_read():
    address = wire.address(Space.WEIGHTS, 5)
    data = b"".join(codec.write(address, np.array([0x1234, 0xABCD], np.uint16)))
    assert answer(SHAPE, data + b"".join(codec.read(address, 2))) == (
        bytes([Report.READ]) + address.to_bytes(3, "little") + b"\x02\x34\x12\xCD\xAB")


def test_ticks_run_until_a_record_s_tick():
    # 3 empty ticks before the one with an event, and none for what is reached already.
    data = events(3, 0) + codec.mark(1) + bytes([Op.ADVANCE, 4, 0]) + codec.mark(2)
    assert answer(SHAPE, data) == (bytes([Report.TICK, 0]) + b"\x31\x01\x00\x04\0\0\0"
                                   + b"\x31\x02\x00\x04\0\0\0")


def test_a_tick_is_told_every_128():
    assert answer(SHAPE, bytes([Op.ADVANCE, 130, 0]), patience=8000) == bytes([Report.TICK, 0, Report.TICK, 128])


def test_how_spikes_are_told():
    """As a list of distances, or as a bitmap where that is no longer."""
    shape = CoreShape(neurons=320, inputs=8, words=64)

    def fires(neurons):
        # Without coefficients a gate loses one, and then is at the level.
        return b"".join(record for n in neurons for record in codec.write(
            wire.address(Space.STATE, 4 * n), np.array([0, 0, 2], np.uint16)))

    few, many = [3, 4, 300], range(0, 320, 8)
    data = register("groups_used", 40) + register("spike_level", 1) + fires(few) + bytes([Op.ADVANCE, 1, 0]) \
        + codec.clear(state=True, counters=False) + fires(many) + bytes([Op.ADVANCE, 1, 0])
    assert answer(shape, data) == (
        bytes([Report.SPIKES, 0, 3, 0, wire.LIST_SKIP, 300 - 5 - wire.LIST_SKIP, wire.LIST_END])
        + bytes([Report.BITMAP, 0, 40]) + b"\1" * 40)


@pytest.mark.parametrize("policy, ticks, found", [
    (Policy.DROP, 2, (2, 2, 0)), (Policy.HALT, 2, (2, 2, 0)), (Policy.NEXT, 3, (2, 0, 0))])
def test_late_events(policy, ticks, found):
    data = control(policy=policy, digest=0) + bytes([Op.ADVANCE, 2, 0]) + events(1, 0, 3) \
        + codec.mark(1) + counters()
    got = answer(SHAPE, data)
    assert got[2:9] == b"\x31\x01\x00" + bytes([ticks, 0, 0, 0])
    assert counted(got) == found


def test_events_for_inputs_that_do_not_exist_are_dropped():
    # Inputs 15 and 16, and one 254 further up.
    data = events(0, 15, 0, wire.LIST_SKIP, 0) + bytes([Op.BITMAP, 1, 0, 3, 0, 0, 0x81]) + counters()
    assert counted(answer(SHAPE, data)) == (0, 4, 0)


def test_after_what_is_no_command_nothing_counts():
    assert answer(SHAPE, codec.mark(1) + b"\x77" + codec.mark(2) + codec.echo(b"x")) == (
        b"\x31\x01\x00\0\0\0\0" + bytes([Report.ERROR, 0x77]))


class FreeRunning:
    """A board that ticks by the clock; what it has sent, and the clocks gone by."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut, self.sent, self.clocks, self.token = ctx, dut, bytearray(), 0, 0
        self.begun = 0      # when it was told to

    async def clock(self, count=1):
        for _ in range(count):
            if self.ctx.get(self.dut.o.valid):
                self.sent.append(self.ctx.get(self.dut.o.payload))
            await self.ctx.tick()
        self.clocks += count

    async def send(self, data):
        for byte in data:
            self.ctx.set(self.dut.i.payload, byte)
            self.ctx.set(self.dut.i.valid, 1)
            while not self.ctx.get(self.dut.i.ready):
                await self.clock()
            await self.clock()
        self.ctx.set(self.dut.i.valid, 0)

    async def ask(self):
        """The number of the next tick, once all before is done."""
        self.token += 1
        await self.send(codec.mark(self.token))
        while bytes(self.sent[-7:-4]) != bytes([Report.MARK, self.token, 0]):
            await self.clock()
        return int.from_bytes(self.sent[-4:], "little")

    async def counters(self):
        await self.send(counters())
        await self.clock(100)
        return counted(bytes(self.sent))


def free_running(scenario, *, period, policy=Policy.DROP, extra=0):
    """Run ``scenario`` on a board whose ticks are ``period`` clocks apart."""
    dut = Engine(SHAPE)

    async def testbench(ctx):
        board = FreeRunning(ctx, dut)
        ctx.set(dut.o.ready, 1)
        await board.send(register("groups_used", 2) + register("spike_level", 0xFFF)
                         + register("period_low", period) + register("period_high", 0)
                         + register("control", 1 | policy << 1 | extra))
        board.begun = board.clocks
        await scenario(board)

    simulate(dut, testbench, clocks=10_000)


def test_free_running_ticks_by_the_clock():
    async def scenario(board):
        first, clocks = await board.ask(), board.clocks
        await board.clock(1000)
        now = await board.ask()
        assert now - first == pytest.approx((board.clocks - clocks) / 100, abs=1)
        await board.send(register("control", 0))
        stopped = await board.ask()
        await board.clock(1000)
        assert await board.ask() == stopped
        assert await board.counters() == (0, 0, 0)

    free_running(scenario, period=100)


def test_free_running_events_wait_for_their_tick():
    async def scenario(board):
        at, clocks = await board.ask(), board.clocks
        await board.send(events(at + 5, 0))
        # What is behind the event waits as well.
        assert await board.ask() == at + 6
        assert board.clocks - clocks > 4 * 200
        assert await board.counters() == (0, 0, 0)

    free_running(scenario, period=200)


@pytest.mark.parametrize("policy, found", [
    (Policy.DROP, (2, 2, 0)), (Policy.NEXT, (2, 0, 0)), (Policy.HALT, (2, 2, 0))])
def test_free_running_late_events(policy, found):
    async def scenario(board):
        await board.clock(600)
        at = await board.ask()
        await board.send(events(at - 1, 0, 0))
        await board.clock(400)
        assert (await board.ask() > at + 1) == (policy != Policy.HALT)
        assert await board.counters() == found

    free_running(scenario, period=150, policy=policy)


@pytest.mark.parametrize("behind, late", [(0, 0), (1, 1)])
def test_an_event_is_late_from_the_beginning_of_its_tick(behind, late):
    async def scenario(board):
        at = await board.ask()
        # A whole period remains to send it in, since a tick has just begun.
        while await board.ask() == at:
            pass
        await board.send(events(at + 1 - behind, 0))
        assert (await board.counters())[0] == late

    free_running(scenario, period=400)


#: Clocks from when a board is told to tick by itself to when the first tick is due, less a period.
SETTING = 1


def boundary(after, *, policy, period=400, at=3):
    """Offer an event for tick ``at`` so many clocks after that tick fell due; what is counted."""
    found = []

    async def scenario(board):
        await board.clock(SETTING + (at + 1) * period + after - (board.clocks - board.begun))
        await board.send(events(at, 0))
        await board.clock(2 * period)
        tick, clocks = await board.ask(), board.clocks - board.begun
        found.extend([*await board.counters(), tick - (clocks - SETTING) // period])

    free_running(scenario, period=period, policy=policy)
    return tuple(found)


@pytest.mark.parametrize("policy, late", [
    (Policy.DROP, (1, 1, 0)), (Policy.NEXT, (1, 0, 0)), (Policy.HALT, (1, 1, 0))])
def test_the_clock_in_which_its_tick_falls_due_is_an_events_last(policy, late):
    """It is offered in that clock, or one later, when the tick has begun."""
    assert boundary(0, policy=policy)[:3] == (0, 0, 0)
    *counted, behind = boundary(1, policy=policy)
    assert tuple(counted) == late
    assert (behind < -1) == (policy == Policy.HALT)


def test_a_tick_may_last_until_the_clock_before_the_next_is_due():
    """One that is over a clock earlier is no overrun; one that is not is one, and nothing else."""
    def timed(period, clocks):
        found = []

        async def scenario(board):
            await board.clock(clocks - (board.clocks - board.begun))
            found.append((await board.counters())[2])
            await board.send(b"".join(codec.read(wire.address(
                Space.REGISTERS, wire.register("longest_low").offset), 2)))
            await board.clock(100)
            found.append(int.from_bytes(board.sent[-4:], "little"))

        free_running(scenario, period=period)
        return found

    # Tick 0, which is told, takes longer than the others.
    overruns, longest = timed(400, 700)
    assert overruns == 0
    # It took this and the clock in which it fell due.
    taken = longest + 1
    assert timed(taken + 1, 4 * taken) == [0, longest]
    assert timed(taken, 4 * taken) == [1, longest - 1]


@pytest.mark.parametrize("period", [20, 47, 90, 130])
def test_every_period_begins_a_tick_or_is_counted(period):
    async def scenario(board):
        await board.clock(3000)
        await board.send(register("control", 0))
        stopped = board.clocks - board.begun
        # What was due then is forgotten.
        periods = (stopped - SETTING) // period
        ticks = await board.ask()
        overruns = (await board.counters())[2]
        assert periods - overruns - 1 <= ticks <= periods
        assert overruns or ticks in (periods, periods - 1)

    free_running(scenario, period=period)


@pytest.mark.parametrize("halts", [False, True])
def test_overruns_are_counted_and_can_be_ended(halts):
    async def scenario(board):
        # A tick of 16 neurons takes longer than 20 clocks; commands are still taken.
        await board.clock(600)
        overruns = (await board.counters())[2]
        assert 1 <= overruns <= 3 if halts else overruns > 10
        await board.send(register("control", 0))
        at = await board.ask()
        await board.clock(300)
        assert await board.ask() == at

    free_running(scenario, period=20, extra=halts << 5)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_records(seed):
    """What the cocotb bench does at length."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    records = Records(rng, SHAPE, Counter())
    image = random_image(numbers, SHAPE, wild=True, hot=False)
    data = load(image, random_seed(numbers)) + control() + b"".join(
        records.any() for _ in range(15))
    golden = Interpreter(SHAPE)
    golden.feed(data)
    expected = golden.run()
    got = answer(SHAPE, data)
    assert got == expected


def test_reads_back_what_was_loaded():
    numbers = np.random.default_rng(1)
    data = load(random_image(numbers, SHAPE, wild=True), 0x0123_4567_89AB_CDEF) + everything(SHAPE)
    golden = Interpreter(SHAPE)
    golden.feed(data)
    assert answer(SHAPE, data) == golden.run()


REACH = ("events", "bitmap", "advance", "late", "mark", "echo", "read", "counters", "write",
         "probes", "control", "clear", "skips", "beyond", "empty ticks", "unknown")


def test_cocotb(run_cocotb):
    shape = CoreShape(neurons=32, inputs=40, words=64, delay_slots=4)
    run_cocotb(Engine(shape), "ionspike.sim.tb_interpreter", seed=1, parameters={
        "shape": {name: getattr(shape, name) for name in (
            "neurons", "inputs", "lanes", "words", "delay_slots")},
        "runs": 3, "records": 30, "reach": REACH, "opens": 20, "states": 8,
        "period": 4500, "ticks": 40})
