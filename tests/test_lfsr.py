import pytest
from amaranth.sim import Simulator

from ionspike.hdl.lfsr import LFSR
from ionspike.sim.lfsr import leap
from ionspike.spec.formats import LFSR_LEAP, LFSR_TAPS, LFSR_WIDTH

ORDER = (1 << LFSR_WIDTH) - 1
FACTORS = (3, 5, 17, 257, 641, 65537, 6700417)
#: Words that follow on state 1, by hand: its one bit returns through the taps as bits 59, 60, 62
#: and 63 of the first 64, and the next 64 are that polynomial's square.
KNOWN = [0, 0, 0, 0x001B, 0, 0, 0, 0x0145]


def power(exponent, modulus):
    """``x ** exponent`` over GF(2), modulo a polynomial; bit k is the coefficient of x^k."""
    result, square = 1, 2
    while exponent:
        if exponent & 1:
            result = times(result, square, modulus)
        square = times(square, square, modulus)
        exponent >>= 1
    return result


def times(a, b, modulus):
    product = 0
    while b:
        product ^= a * (b & 1)
        a, b = a << 1, b >> 1
        if a >> modulus.bit_length() - 1:
            a ^= modulus
    return product


def is_prime(n):
    return n > 1 and all(n % k for k in range(2, int(n ** 0.5) + 1))


@pytest.mark.parametrize("exponents", [
    LFSR_TAPS, tuple(LFSR_WIDTH - tap for tap in LFSR_TAPS)], ids=["polynomial", "reciprocal"])
def test_is_primitive(exponents):
    """x generates all 2^64 - 1 residues, so every state but zero is passed before one repeats."""
    product = 1
    for factor in FACTORS:
        assert is_prime(factor)
        product *= factor
    assert product == ORDER
    polynomial = 1 << LFSR_WIDTH | 1
    for exponent in exponents:
        polynomial |= 1 << exponent
    assert power(ORDER, polynomial) == 1
    for factor in FACTORS:
        assert power(ORDER // factor, polynomial) != 1
    assert power(1 << LFSR_WIDTH, polynomial) == 2


def test_the_proof_sees_what_is_not_primitive():
    # x^4 + x^3 + x^2 + x + 1 divides x^5 + 1.
    assert power(5, 0b11111) == 1
    # x^64 + 1, of which x has the order 64.
    assert power(64, 1 << 64 | 1) == 1


def test_a_leap_uses_no_bit_twice():
    # The leap and the period have no common factor: it passes all states, too.
    assert LFSR_LEAP & (LFSR_LEAP - 1) == 0 and ORDER % 2 == 1


def definition(state):
    """One leap, bit by bit: b[t] = b[t-64] ^ b[t-63] ^ b[t-61] ^ b[t-60]."""
    bits = [state >> k & 1 for k in reversed(range(LFSR_WIDTH))]
    for _ in range(LFSR_LEAP):
        bits.append(bits[-64] ^ bits[-63] ^ bits[-61] ^ bits[-60])
    return int("".join(map(str, bits[-LFSR_WIDTH:])), 2)


def run(testbench):
    dut = LFSR()
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def started(ctx):
        await testbench(ctx, dut)

    sim.add_testbench(started)
    sim.run()


async def load(ctx, dut, state):
    ctx.set(dut.load, 1)
    for k in reversed(range(4)):
        ctx.set(dut.data, state >> 16 * k & 0xFFFF)
        await ctx.tick()
    ctx.set(dut.load, 0)


def test_known_answers():
    async def testbench(ctx, dut):
        ctx.set(dut.advance, 1)
        words, states, expected, model = [], [], [1], [1]
        for _ in range(40):
            await ctx.tick()
            states.append(ctx.get(dut.state))
            words.append(states[-1] & 0xFFFF)
            expected.append(definition(expected[-1]))
            model.append(leap(model[-1]))
        assert states == expected[1:] == model[1:]
        assert words[:8] == KNOWN

    run(testbench)


def test_one_leap_per_clock_and_rest():
    async def testbench(ctx, dut):
        await load(ctx, dut, 0x0123_4567_89AB_CDEF)
        assert ctx.get(dut.state) == 0x0123_4567_89AB_CDEF
        await ctx.tick().repeat(3)
        assert ctx.get(dut.state) == 0x0123_4567_89AB_CDEF
        ctx.set(dut.advance, 1)
        await ctx.tick()
        first = ctx.get(dut.state)
        assert first >> 16 == 0x4567_89AB_CDEF
        await ctx.tick()
        assert ctx.get(dut.state) >> 16 == first & 0xFFFF_FFFF_FFFF

    run(testbench)


def test_zero_is_left_for_one():
    assert leap(0) == 1

    async def testbench(ctx, dut):
        await load(ctx, dut, 0)
        assert ctx.get(dut.state) == 0
        ctx.set(dut.advance, 1)
        await ctx.tick()
        assert ctx.get(dut.state) == 1
        await ctx.tick()
        assert ctx.get(dut.state) == definition(1)

    run(testbench)


def test_cocotb(run_cocotb):
    run_cocotb(LFSR(), "ionspike.sim.tb_lfsr", seed=1)
