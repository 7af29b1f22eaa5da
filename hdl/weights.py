from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ionspike.spec.shape import CoreShape

__all__ = ["WeightMemory"]


class WeightMemory(wiring.Component):
    """Synaptic weights, one word of ``lanes`` weights per clock, single-ported.

    The one place where a vendor's cell may stand: an iCE40UP gets its SPRAM, every other target
    what its tools infer. Read data come a clock after the address and stay until the next read.

    Members
    -------
    addr : :py:`In(word_bits)`
    read : :py:`In(1)`
    write : :py:`In(lanes // 2)`
        16-bit parts to write; not together with ``read``.
    w_data : :py:`In(16)`
    r_data : :py:`Out(8 * lanes)`
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        super().__init__({
            "addr": In(shape.word_bits), "read": In(1), "write": In(shape.lanes // 2),
            "w_data": In(16), "r_data": Out(8 * shape.lanes)})

    def elaborate(self, platform):
        m = Module()
        if str(getattr(platform, "device", "")).startswith("iCE40UP") and self.shape.words == 16384:
            for k in range(self.shape.lanes // 2):
                m.submodules[f"spram_{k}"] = Instance(
                    "SB_SPRAM256KA",
                    i_CLOCK=ClockSignal(), i_ADDRESS=self.addr, i_DATAIN=self.w_data,
                    i_MASKWREN=C(15, 4), i_WREN=self.write[k],
                    i_CHIPSELECT=self.read | self.write[k],
                    i_STANDBY=0, i_SLEEP=0, i_POWEROFF=1,   # POWEROFF is active low
                    o_DATAOUT=self.r_data[16 * k:16 * k + 16])
        else:
            m.submodules.memory = words = memory.Memory(
                shape=8 * self.shape.lanes, depth=self.shape.words, init=[])
            read, write = words.read_port(), words.write_port(granularity=16)
            m.d.comb += [
                read.addr.eq(self.addr), read.en.eq(self.read), self.r_data.eq(read.data),
                write.addr.eq(self.addr), write.en.eq(self.write),
                write.data.eq(self.w_data.replicate(self.shape.lanes // 2)),
            ]
        return m
