import pytest
from amaranth import *
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ionspike.sim.bench import BenchFailed


class Buffer(wiring.Component):
    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = buffer = fifo.SyncFIFO(width=8, depth=4)
        wiring.connect(m, wiring.flipped(self.i), buffer.w_stream)
        wiring.connect(m, buffer.r_stream, wiring.flipped(self.o))
        return m


def test_passes(run_cocotb):
    run_cocotb(Buffer(), "tb_fifo", seed=1, parameters={"fail": False})


def test_a_failing_bench_fails(run_cocotb):
    with pytest.raises(BenchFailed, match="tb_fifo, seed 2: "):
        run_cocotb(Buffer(), "tb_fifo", seed=2, parameters={"fail": True},
                   testcase="does_what_it_is_told")


def test_a_missing_bench_fails(run_cocotb):
    with pytest.raises(BenchFailed, match="tb_nowhere, seed 3: "):
        run_cocotb(Buffer(), "tb_nowhere", seed=3)
