from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ionspike.hdl.core import Core
from ionspike.hdl.interpreter import Interpreter
from ionspike.hdl.neuron import HELD
from ionspike.hdl.registers import RegisterFile
from ionspike.hdl.stage import Stage
from ionspike.hdl.ticker import Ticker
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import HIGH_WATER

__all__ = ["Engine", "LINK_COUNTERS"]

#: Counters of what happens outside: a strobe each.
LINK_COUNTERS = ("crc_errors", "uart_errors", "gaps", "overflows", "resent")


class Engine(wiring.Component):
    """A board without its link: a core, the interpreter of its commands, registers and ticks.

    Members
    -------
    i, o : :py:`In(stream of bytes)`, :py:`Out(stream of bytes)`
        Commands and reports, see :class:`ionspike.hdl.interpreter.Interpreter`.
    opened : :py:`In(1)`
        Both streams start anew.
    *counter* : :py:`In(1)`
        For each of ``LINK_COUNTERS``: count one.
    *level* : :py:`In`
        For each of ``wire.HIGH_WATER``.
    bit_clocks : :py:`Out(16)`, bit_clocks_load : :py:`Out(1)`
        What is written to the register of that name, and when.
    idle : :py:`Out(1)`
        Nothing would change without input.
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        super().__init__({
            "i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "opened": In(1),
            **{name: In(1) for name in LINK_COUNTERS},
            **{name: In(range(most + 1)) for name, most in HIGH_WATER},
            "bit_clocks": Out(16), "bit_clocks_load": Out(1), "idle": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.interpreter = interpreter = Interpreter(self.shape)
        m.submodules.ticker = ticker = Ticker()
        m.submodules.core = core = Core(self.shape)
        m.submodules.registers = registers = RegisterFile(saturated_bits=len(core.saturated))

        connect(m, flipped(self.i), interpreter.i)
        connect(m, interpreter.o, flipped(self.o))
        # Registers, between what is known of an event and whether there is room for it,
        m.submodules.events = events = Stage(range(self.shape.inputs))
        connect(m, interpreter.events, events.i)
        connect(m, events.o, core.events)
        connect(m, core.groups, interpreter.groups)
        # and between the search for a group's next spike and what is made of it.
        m.submodules.spikes = spikes = Stage(range(self.shape.neurons))
        connect(m, core.spikes, spikes.i)
        connect(m, spikes.o, interpreter.spikes)

        for name in ("space", "offset", "write", "w_data"):
            for slave in (core, registers):
                m.d.comb += getattr(slave.bus, name).eq(getattr(interpreter.bus, name))
        for name in ("start", "last_event", "clear", "rewind", "expand"):
            m.d.comb += getattr(core, name).eq(getattr(interpreter, name))
        m.d.comb += interpreter.spikes_done.eq(core.spikes_done & ~spikes.o.valid)
        for name in ("tick", "spike_count"):
            m.d.comb += getattr(interpreter, name).eq(getattr(core, name))
        for name in ("groups_used", "spike_level", "r_noise", "sustained", "lfsr_load"):
            m.d.comb += getattr(core, name).eq(getattr(registers, name))
        for name in HELD:
            m.d.comb += core.load[name].eq(registers.load[name])
        for name in ("lfsr", "tick", "digest", "word", "saturated"):
            m.d.comb += getattr(registers, name).eq(getattr(core, name))
        for name in ("late", "dropped", "clear_counters"):
            m.d.comb += getattr(registers, name).eq(getattr(interpreter, name))
        for name in ("control", "groups_used", "probe_count"):
            m.d.comb += getattr(interpreter, name).eq(getattr(registers, name))
        for name in (*LINK_COUNTERS, *dict(HIGH_WATER)):
            m.d.comb += getattr(registers, name).eq(getattr(self, name))
        m.d.comb += [
            # Who is not asked answers zero.
            interpreter.bus.r_data.eq(core.bus.r_data | registers.bus.r_data),
            interpreter.core_idle.eq(core.idle), interpreter.opened.eq(self.opened),
            interpreter.due.eq(ticker.due),
            ticker.run.eq(registers.control.free_running),
            ticker.period.eq(Cat(registers.period_low, registers.period_high)),
            ticker.take.eq(interpreter.take), ticker.busy.eq(interpreter.busy),
            registers.overruns.eq(ticker.overrun), registers.longest.eq(ticker.longest),
            ticker.clear.eq(interpreter.clear_counters),
            registers.halt.eq(interpreter.halt
                              | (ticker.overrun & registers.control.halt_on_overrun)),
            self.bit_clocks.eq(interpreter.bus.w_data),
            self.bit_clocks_load.eq(registers.load.bit_clocks),
            self.idle.eq(interpreter.idle & core.idle & ~registers.control.free_running),
        ]
        return m
