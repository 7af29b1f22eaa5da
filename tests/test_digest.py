import zlib

import numpy as np
import pytest
from amaranth.sim import Simulator

from ionspike.hdl.digest import DIGEST_POLYNOMIAL as POLYNOMIAL
from ionspike.hdl.digest import Digest
from ionspike.sim import digest as golden


def run(states):
    """The digest after each of these ``(s0, s1, s2)``."""
    dut, found = Digest(), []

    async def testbench(ctx):
        ctx.set(dut.begin, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        ctx.set(dut.i_valid, 1)
        for a, b, c in states:
            ctx.set(dut.i.as_value(), a | b << 16 | c << 32)
            await ctx.tick()
            found.append(ctx.get(dut.o))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return found


def test_both_sides_use_one_polynomial():
    assert POLYNOMIAL == golden.DIGEST_POLYNOMIAL
    # That of zlib, which writes it with its bits reversed.
    table = zlib.crc32(b"\x80") ^ zlib.crc32(b"\x00")
    assert int(f"{table:032b}"[::-1], 2) == POLYNOMIAL


def test_where_words_go():
    assert run([(0x1234, 0, 0)]) == [0x0000_1234]
    assert run([(0, 0x1234, 0)]) == [0x1234_0000]
    assert run([(0, 0, 0x1234)]) == [0x0012_3400]


def test_earlier_words_move_up_and_around():
    nothing = (0, 0, 0)
    assert run([(0, 0x4000, 0), nothing, nothing]) == [0x4000_0000, 0x8000_0000, POLYNOMIAL]


@pytest.mark.parametrize("place", range(48))
def test_every_bit_counts(place):
    words = np.zeros((2, 5, 3), np.uint16)
    words[1, 2, place // 16] = 1 << place % 16
    same, other = golden.digest(words)
    assert same == 0 and other != 0


def test_order_counts():
    assert run([(1, 2, 3), (4, 5, 6)])[-1] != run([(4, 5, 6), (1, 2, 3)])[-1]


def test_cocotb(run_cocotb):
    run_cocotb(Digest(), "ionspike.sim.tb_digest", seed=1)
