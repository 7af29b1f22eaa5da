"""The rate of the line in the gateware."""

import pytest
from amaranth.sim import Simulator

from ionspike.hdl.baud import BaudRate
from ionspike.hdl.top import Top
from ionspike.spec.baud import bit_clocks

BUILT, SAFE = 8, 208


def rate_after(*steps):
    """Clocks per bit after each clock; a step is the inputs that are 1, and the value."""
    dut, found = BaudRate(BUILT, SAFE), []

    async def testbench(ctx):
        for inputs, value in steps:
            for name in ("ask", "opened", "rests", "broken"):
                ctx.set(getattr(dut, name), name in inputs.split())
            ctx.set(dut.value, value - 1)
            await ctx.tick()
            found.append(ctx.get(dut.last) + 1)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return found


def test_what_is_asked_for_holds_once_the_line_rests():
    assert rate_after(("", 4), ("rests", 4), ("ask", 24), ("", 24), ("rests", 24), ("rests", 5)) == [
        8, 8, 8, 8, 24, 24]


def test_a_line_that_rests_already_is_looked_at_a_clock_later():
    """The answer to whoever asks is then on its way."""
    assert rate_after(("ask rests", 24), ("rests", 24)) == [8, 24]


def test_a_break_sets_the_safe_rate_and_forgets_what_was_asked_for():
    assert rate_after(("ask", 24), ("broken", 24), ("rests", 24), ("ask", 4), ("rests", 4)) == [
        8, 208, 208, 208, 4]


def test_a_host_that_starts_anew_forgets_what_was_asked_for():
    """Also in the clock in which that reaches the engine, whose last write comes with it."""
    assert rate_after(("ask", 24), ("opened", 24), ("rests", 24), ("ask opened", 4), ("rests", 4),
                      ("ask", 4), ("rests", 4)) == [8, 8, 8, 8, 8, 8, 4]


@pytest.mark.parametrize(("clock_hz", "bauds"), [
    (12_000_000, (115_200, 230_400, 460_800, 921_600, 1_000_000, 3_000_000)),
    (24_000_000, (115_200, 230_400, 460_800, 921_600, 1_000_000, 2_000_000, 3_000_000, 6_000_000)),
    (45_000_000, (115_200, 921_600, 1_000_000, 3_000_000, 11_250_000)),
])
def test_rates_of_a_clock_are_within_two_percent(clock_hz, bauds):
    for baud in bauds:
        assert abs(clock_hz / bit_clocks(clock_hz, baud) / baud - 1) <= 0.02


@pytest.mark.parametrize(("baud", "message"), [
    (7_000_000, "7000000 baud cannot be made from 24000000 Hz: a bit must last at least 4 clocks, "
                "6000000 baud is the most"),
    (5_500_000, "5500000 baud cannot be made from 24000000 Hz: the nearest is 6000000"),
])
def test_rates_that_a_clock_cannot_make(baud, message):
    for make in bit_clocks, lambda clock_hz, baud: Top(clock_hz=clock_hz, baud=baud):
        with pytest.raises(ValueError) as error:
            make(24_000_000, baud)
        assert str(error.value) == message


