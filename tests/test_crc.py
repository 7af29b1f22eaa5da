import random
import zlib

from amaranth.sim import Simulator

from ionspike.hdl.crc import CRC32


def run(testbench):
    dut = CRC32()
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def put(ctx, data):
        """Feed a message; return how many clocks it took."""
        clocks = 0
        for byte in data:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            *_, ready = await ctx.tick().sample(dut.i.ready)
            clocks += 1
            while not ready:
                *_, ready = await ctx.tick().sample(dut.i.ready)
                clocks += 1
            ctx.set(dut.i.valid, 0)
        while not ctx.get(dut.i.ready):
            await ctx.tick()
            clocks += 1
        return clocks

    async def clear(ctx):
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)

    async def wrapper(ctx):
        await testbench(ctx, dut, put, clear)

    sim.add_testbench(wrapper)
    sim.run()


def test_known_answer():
    async def testbench(ctx, dut, put, clear):
        assert await put(ctx, b"123456789") == 9 * 9
        assert ctx.get(dut.value) == 0xCBF43926

    run(testbench)


def test_is_zlibs():
    async def testbench(ctx, dut, put, clear):
        rng = random.Random(1)
        for _ in range(40):
            message = rng.randbytes(rng.randrange(12))
            crc = zlib.crc32(message).to_bytes(4, "little")
            await clear(ctx)
            await put(ctx, message)
            assert ctx.get(dut.value) == int.from_bytes(crc, "little")
            await put(ctx, crc)
            assert ctx.get(dut.match)
            await clear(ctx)
            await put(ctx, message + crc[:-1] + bytes([crc[-1] ^ 1 << rng.randrange(8)]))
            assert not ctx.get(dut.match)

    run(testbench)


def test_expels_the_bytes_to_send():
    async def testbench(ctx, dut, put, clear):
        await put(ctx, b"ionspike")
        ctx.set(dut.expel, 1)
        sent = []
        for _ in range(4):
            sent.append(ctx.get(dut.value) & 0xFF)
            await put(ctx, b"\xA5")
        assert bytes(sent) == zlib.crc32(b"ionspike").to_bytes(4, "little")

    run(testbench)


def test_clear_forgets_a_byte_being_taken():
    async def testbench(ctx, dut, put, clear):
        ctx.set(dut.i.payload, 0x55)
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(3)
        await clear(ctx)
        assert ctx.get(dut.i.ready)
        await put(ctx, b"123456789")
        assert ctx.get(dut.value) == 0xCBF43926

    run(testbench)
