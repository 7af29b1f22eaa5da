"""The board sends no more than the host has room for."""

from ionspike.hdl.link import Link
from ionspike.host.framing import Deframer, pack, pack_ack
from ionspike.sim.lockstep import simulate
from ionspike.spec.wire import Kind, hello_size


def test_data_stay_within_the_limit():
    dut = Link(bytes(hello_size()), close_clocks=64)
    deframer, frames = Deframer(), []
    taken = 0

    async def testbench(ctx):
        nonlocal taken

        async def clock(count):
            nonlocal taken
            for _ in range(count):
                if ctx.get(dut.uart_o.valid):
                    frames.extend(deframer.feed(bytes([ctx.get(dut.uart_o.payload)])))
                taken += ctx.get(dut.i.ready)
                await ctx.tick()

        async def send(frame):
            for byte in frame:
                ctx.set(dut.uart_i.payload, byte)
                ctx.set(dut.uart_i.valid, 1)
                await clock(1)
                ctx.set(dut.uart_i.valid, 0)
                await clock(11)

        async def settle():
            """Acknowledge whatever comes, without more credit; the bytes of all frames so far."""
            seq = -1
            while seq != (seq := sum(frame.kind == Kind.DATA for frame in frames)):
                await send(pack_ack(seq))
                await clock(3500)
            return sum(len(frame.payload) for frame in frames if frame.kind == Kind.DATA)

        ctx.set(dut.uart_o.ready, 1)
        ctx.set(dut.i.valid, 1)
        await send(pack(Kind.OPEN, 0, b"\1\0"))
        await clock(3000)
        assert frames[0].kind == Kind.HELLO
        assert await settle() == taken == 0
        # A limit is rounded down to a multiple of 256.
        for limit in (600, 767, 768, 1500):
            await send(pack_ack(sum(frame.kind == Kind.DATA for frame in frames), limit))
            await clock(3500)
            assert await settle() == taken == limit // 256 * 256

    simulate(dut, testbench, clocks=80_000)
