from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.bus import BusSignature
from ionspike.hdl.neuron import HELD
from ionspike.spec.formats import LFSR_WIDTH
from ionspike.spec.wire import (
    CONTROL,
    COUNTERS,
    HIGH_WATER,
    HIGH_WATER_SHIFT,
    REGISTERS,
    Space,
)
from ionspike.spec.wire import register as find

__all__ = ["ELSEWHERE", "RegisterFile"]

#: Registers that are kept by what they are for.
ELSEWHERE = (*HELD, "bit_clocks")
_LFSR = [f"lfsr_{k}" for k in range(LFSR_WIDTH // 16)]
_TIMED = ("longest_low", "longest_high", "high_water")


class RegisterFile(wiring.Component):
    """The registers of :data:`ionspike.spec.wire.REGISTERS`, and the counters.

    Those that only a host changes are read from elsewhere, ``wire.AUX_REGISTERS``. Counters stop at
    ``wire.COUNTER_LIMIT`` instead of wrapping: one bit tells that they have.

    Members
    -------
    bus : :py:`In(BusSignature)`
        Answers READ_LATENCY clocks after the address; zero for what is not read here.
    *name* : :py:`Out(width)`
        Every writable register but the LFSR's and ``ELSEWHERE``.
    load : :py:`Out(1)` for each of ``ELSEWHERE``
        It is written to.
    lfsr : :py:`In(64)`, lfsr_load : :py:`Out(1)`
    tick, digest : :py:`In(32)`
    word : :py:`In(1)`
    *counter* : :py:`In(amount)`
        How much to add to the counter of that name.
    longest : :py:`In(24)`
        See :class:`ionspike.hdl.ticker.Ticker`.
    *level* : :py:`In`
        For each of ``wire.HIGH_WATER``: how high it is.
    clear_counters : :py:`In(1)`
    halt : :py:`In(1)`
        Stop free-running ticks.
    """

    def __init__(self, *, saturated_bits: int):
        self._written = [r for r in REGISTERS
                         if r.access == "rw" and r.name not in (*_LFSR, *ELSEWHERE)]
        super().__init__({
            "bus": In(BusSignature),
            **{r.name: Out(r.width, init=r.init) for r in self._written if r.name != "control"},
            "control": Out(data.StructLayout(dict(CONTROL))),
            "load": Out(data.StructLayout(dict.fromkeys(ELSEWHERE, 1))),
            "lfsr": In(LFSR_WIDTH), "lfsr_load": Out(1),
            "tick": In(32), "digest": In(32), "word": In(1),
            **{name: In(saturated_bits if name == "saturated" else 1) for name, _ in COUNTERS},
            "longest": In(24), **{name: In(range(most + 1)) for name, most in HIGH_WATER},
            "clear_counters": In(1), "halt": In(1)})

    def elaborate(self, platform):
        m = Module()
        chosen, write = Signal(), Signal()
        offset = self.bus.offset[:max(r.offset for r in REGISTERS).bit_length()]
        m.d.comb += [
            chosen.eq((self.bus.space == Space.REGISTERS)
                      & ~self.bus.offset[len(offset):].any()),
            write.eq(self.bus.write & chosen)]
        with m.If(self.halt):
            m.d.sync += self.control.free_running.eq(0)

        words = Signal(32)
        values = {"digest_low": self.digest[:16], "digest_high": self.digest[16:],
                  "tick_low": self.tick[:16], "tick_high": self.tick[16:],
                  "words_low": words[:16], "words_high": words[16:]}
        with m.If(self.clear_counters):
            m.d.sync += words.eq(0)
        with m.Elif(self.word & ~words[-1]):
            m.d.sync += words.eq(words + 1)
        for name, _ in COUNTERS:
            amount = getattr(self, name)
            values[name] = count = Signal(16, name=f"count_{name}")
            if len(amount) == 1:
                with m.If(amount & ~count[-1]):
                    m.d.sync += count.eq(count + 1)
            else:
                # A register, for sums of lanes come at the end of a long path.
                strobe, amount = amount, Signal.like(amount, name=f"amount_{name}")
                total = Signal(16)
                m.d.sync += amount.eq(strobe)
                m.d.comb += total.eq(count + amount)
                with m.If(~count[-1]):
                    m.d.sync += count.eq(total)
                    # It may step over the limit.
                    with m.If(total[-1]):
                        m.d.sync += count[:-1].eq(0)
            with m.If(self.clear_counters):
                m.d.sync += count.eq(0)

        marks = Signal(sum(most for _, most in HIGH_WATER))
        reached = [getattr(self, name) > k for name, most in HIGH_WATER for k in range(most)]
        m.d.sync += marks.eq(Mux(self.clear_counters, 0, marks | Cat(reached)))

        for register in self._written:
            member = Value.cast(getattr(self, register.name))
            if not register.is_live:
                assert not register.init
                kept = Signal(register.width, name=f"{register.name}_kept", reset_less=True)
                m.d.comb += member.eq(kept)
                member = kept
            with m.If(write & (offset == register.offset)):
                m.d.sync += member.eq(self.bus.w_data)
        for name in ELSEWHERE:
            m.d.comb += self.load[name].eq(write & (offset == find(name).offset))
        values["control"] = self.control
        for k, name in enumerate(_LFSR):
            values[name] = self.lfsr[16 * k:16 * k + 16]
        first = find(_LFSR[0]).offset
        assert first % len(_LFSR) == 0
        m.d.comb += self.lfsr_load.eq(write & (offset[2:] == first >> 2))

        # Four words are two tables of four inputs a bit: the second is told by the first, where it
        # has none of its own two words, which of the others it is. A register is between them, for
        # no synthesis leaves them so. A row that is not asked is zero by its reset, which costs
        # nothing; then all that is left is an OR.
        rows = {}
        for register in filter(lambda r: r.is_live and r.name not in _TIMED, REGISTERS):
            rows.setdefault(register.offset >> 2, {})[register.offset & 3] = register
        # Three that are nearly empty share one; it tells the two apart that end alike.
        rest = {}
        for high in [high for high, row in rows.items() if len(row) < 3]:
            for k, register in rows.pop(high).items():
                rest[k | register.offset >> 5] = register
        assert len(rest) == 4
        asked = reduce(or_, (offset == register.offset for register in rest.values()))
        choices = [(asked, Cat(offset[0] | offset[5], offset[1]), rest)]
        choices += [(offset[2:] == high, offset[:2], row) for high, row in rows.items()]
        read = []
        for asked, index, row in choices:
            first = min(register.offset for register in row.values())
            lower, word = Signal(16, name=f"lower_{first:x}"), Signal(16, name=f"row_{first:x}")
            read.append(word)
            a, b, c, d = (Value.cast(values[row[k].name]) for k in range(4))
            m.d.sync += lower.eq(Mux(index[1], index[0].replicate(16), Mux(index[0], b, a)))
            with m.If(~(chosen & asked)):
                m.d.sync += word.eq(0)
            with m.Elif(index[1]):
                # A bit of `lower` chooses that of one of the others.
                m.d.sync += word.eq((lower & d) | (~lower & c))
            with m.Else():
                m.d.sync += word.eq(lower)
        # No bit is in all three of these words, so that each is one table.
        timed = Signal(16)
        read.append(timed)
        low, high, water = (find(name).offset for name in _TIMED)
        assert find("longest_high").width <= HIGH_WATER_SHIFT
        assert low ^ high == 1 and low >> 3 != water >> 3 and not water & 1
        with m.If(~(chosen & ((offset[1:] == low >> 1) | (offset == water)))):
            m.d.sync += timed.eq(0)
        with m.Else():
            m.d.sync += timed.eq(Mux(offset[3], marks << HIGH_WATER_SHIFT, Mux(
                offset[0], self.longest[16:], self.longest[:16])))
        m.d.comb += self.bus.r_data.eq(reduce(or_, read))
        return m
