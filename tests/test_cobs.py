import random

import pytest
from amaranth.sim import Simulator

from ionspike.hdl.cobs import Decoder, Patcher
from ionspike.host.framing import FrameError, cobs_decode, cobs_encode


def decode(line):
    """What the decoder makes of bytes: a list of frames, None for one that is not whole."""
    dut, frames = Decoder(), [[]]

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        for byte in line:
            ctx.set(dut.i.payload, byte)
            assert ctx.get(dut.i.ready), "it takes a byte per clock"
            if ctx.get(dut.o.valid):
                if ctx.get(dut.o.p.end):
                    if not ctx.get(dut.o.p.whole):
                        frames[-1] = None
                    frames.append([])
                else:
                    frames[-1].append(ctx.get(dut.o.p.byte))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return [frame if frame is None else bytes(frame) for frame in frames[:-1]]


def encode(data):
    """What the patcher leaves in memory."""
    dut, memory = Patcher(), bytearray(b"\xEE" * 256)

    async def clock(ctx):
        if ctx.get(dut.write):
            memory[ctx.get(dut.address)] = ctx.get(dut.data)
        await ctx.tick()

    async def testbench(ctx):
        ctx.set(dut.start, 1)
        await clock(ctx)
        ctx.set(dut.start, 0)
        ctx.set(dut.strobe, 1)
        for k, byte in enumerate(data):
            assert ctx.get(dut.place) == k + 1
            ctx.set(dut.byte, byte)
            await clock(ctx)
        ctx.set(dut.strobe, 0)
        ctx.set(dut.byte, 0)
        ctx.set(dut.finish, 1)
        await clock(ctx)
        await clock(ctx)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    assert memory[len(data) + 2:] == b"\xEE" * (254 - len(data)), "it writes nowhere else"
    return bytes(memory[:len(data) + 2])


def messages(seed, count):
    rng = random.Random(seed)
    for size in (0, 1, 2, 230, *(rng.randrange(231) for _ in range(count))):
        yield bytes(rng.choice((0, rng.randrange(256))) for _ in range(size))


def test_decoder():
    frames = list(messages(1, 20))
    assert decode(b"".join(cobs_encode(frame) + b"\0" for frame in frames)) == frames


def test_decoder_tells_missing_bytes():
    assert decode(b"\0" b"\x03\x11\0" b"\x02\x11\0" b"\0") == [b"", None, b"\x11", b""]


def test_decoder_agrees_on_garbage():
    rng = random.Random(2)
    blocks = [bytes(rng.randrange(1, 12) for _ in range(rng.randrange(12))) for _ in range(300)]
    expected = []
    for block in blocks:
        try:
            expected.append(cobs_decode(block))
        except FrameError:
            expected.append(None)
    assert decode(b"".join(block + b"\0" for block in blocks)) == expected
    assert 50 < expected.count(None) < 250


@pytest.mark.parametrize("data", list(messages(3, 6)), ids=len)
def test_patcher(data):
    assert encode(data) == cobs_encode(data) + b"\0"
