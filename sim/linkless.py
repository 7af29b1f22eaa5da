"""A board without its serial link: what benches of the interpreter are run on."""

from amaranth import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ionspike.hdl.core import Core
from ionspike.hdl.interpreter import Interpreter
from ionspike.hdl.registers import RegisterFile
from ionspike.hdl.ticker import Ticker
from ionspike.spec.shape import CoreShape

__all__ = ["Linkless"]


class Linkless(wiring.Component):
    """Interpreter, core, registers and ticker, connected as :class:`ionspike.hdl.top.Top` does.

    Members
    -------
    i, o, opened, idle : the interpreter's
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        super().__init__({
            "i": In(stream.Signature(8)), "o": Out(stream.Signature(8)),
            "opened": In(1), "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.interpreter = interpreter = Interpreter(self.shape)
        m.submodules.ticker = ticker = Ticker()
        m.submodules.core = core = Core(self.shape)
        m.submodules.registers = registers = RegisterFile(saturated_bits=len(core.saturated))
        connect(m, flipped(self.i), interpreter.i)
        connect(m, interpreter.o, flipped(self.o))
        connect(m, interpreter.events, core.events)
        connect(m, core.groups, interpreter.groups)
        connect(m, core.spikes, interpreter.spikes)
        for name in ("space", "offset", "write", "w_data"):
            for slave in (core, registers):
                m.d.comb += getattr(slave.bus, name).eq(getattr(interpreter.bus, name))
        for name in ("start", "last_event", "clear", "rewind", "expand"):
            m.d.comb += getattr(core, name).eq(getattr(interpreter, name))
        for name in ("tick", "spikes_done", "spike_count"):
            m.d.comb += getattr(interpreter, name).eq(getattr(core, name))
        for name in ("groups_used", "kf", "kr", "kb", "scale", "r_max"):
            m.d.comb += getattr(core, name).eq(getattr(registers, name))
        m.d.comb += [
            interpreter.bus.r_data.eq(core.bus.r_data | registers.bus.r_data),
            interpreter.core_idle.eq(core.idle), interpreter.opened.eq(self.opened),
            interpreter.control.eq(registers.control),
            interpreter.groups_used.eq(registers.groups_used),
            interpreter.probe_count.eq(registers.probe_count),
            ticker.run.eq(registers.control.free_running),
            ticker.period.eq(Cat(registers.period_low, registers.period_high)),
            ticker.take.eq(interpreter.take), ticker.busy.eq(interpreter.busy),
            interpreter.due.eq(ticker.due),
            core.lfsr_load.eq(registers.lfsr_load), registers.lfsr.eq(core.lfsr),
            registers.tick.eq(core.tick), registers.digest.eq(core.digest),
            registers.word.eq(core.word),
            registers.saturated.eq(core.saturated), registers.late.eq(interpreter.late),
            registers.dropped.eq(interpreter.dropped), registers.overruns.eq(ticker.overrun),
            registers.clear_counters.eq(interpreter.clear_counters),
            registers.halt.eq(interpreter.halt
                              | (ticker.overrun & registers.control.halt_on_overrun)),
            self.idle.eq(interpreter.idle),
        ]
        return m
