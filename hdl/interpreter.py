from enum import IntEnum

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ionspike.hdl.bus import READ_LATENCY, BusSignature
from ionspike.hdl.loadable import plus_one_or
from ionspike.hdl.onehot import OneHot
from ionspike.hdl.spikes import group_layout
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import (
    AUX_PROBES,
    CONTROL,
    LIST_END,
    LIST_SKIP,
    REGISTERS,
    STATE_STRIDE,
    TICK_EVERY,
    Op,
    Policy,
    Report,
    Space,
)
from ionspike.spec.wire import register as find

__all__ = ["Interpreter"]

#: Bytes of each command, its first one included, before it is decided what to do.
_BYTES = {Op.WRITE: 5, Op.READ: 5, Op.EVENTS: 3, Op.BITMAP: 3, Op.ADVANCE: 3, Op.CLEAR: 2,
          Op.MARK: 3, Op.ECHO: 2}
#: Commands whose answer begins with those very bytes.
_ANSWERED = (Op.READ, Op.MARK, Op.ECHO)
assert all(Report[op.name] == op for op in _ANSWERED)


def _code(op):
    """The bits by which commands differ; zero is none of them."""
    return op & 3 | op >> 2 & 12


assert len({_code(op) for op in Op} | {0}) == len(Op) + 1


class _Report(IntEnum):
    """What is being told."""

    SPIKES = Report.SPIKES - Report.SPIKES
    BITMAP = Report.BITMAP - Report.SPIKES
    TICK = Report.TICK - Report.SPIKES
    DIGEST = Report.DIGEST - Report.SPIKES
    PROBES = Report.PROBES - Report.SPIKES
    # Their heads have been sent when these are chosen.
    READ = 5
    MARK = 6


class Interpreter(wiring.Component):
    """Executes the host's records one after the other, runs ticks, and reports.

    Records: :class:`ionspike.spec.wire.Op` and :class:`ionspike.spec.wire.Report`;
    docs/protocol.md. Golden model: :mod:`ionspike.sim.interpreter`.

    In lockstep a tick runs as soon as a record asks for it, else when ``due``. A record for a
    tick yet to come waits for it, and everything behind it waits too. However short the period,
    one record is taken between two ticks.

    Commands are taken one byte a clock at most, a word to be written every two clocks; events one
    every two. Reports come one byte a clock, a word that is read every six clocks, of a probe every
    nine. The head of an answer that repeats its command is sent while the command is taken.

    Members
    -------
    i, o : :py:`In(stream of bytes)`, :py:`Out(stream of bytes)`
        Commands and reports; one byte a clock at most.
    opened : :py:`In(1)`
        The streams start anew: what is under way is abandoned, a running tick ends silently.
    idle : :py:`Out(1)`
    bus : :py:`Out(BusSignature)`
    core's side, same names as :class:`ionspike.hdl.core.Core`
    control, groups_used, probe_count : registers
    due : :py:`In(1)`, take, busy : :py:`Out(1)`
        See :class:`ionspike.hdl.ticker.Ticker`.
    late, dropped : :py:`Out(1)`
        Strobes, one event each.
    clear_counters, halt : :py:`Out(1)`
    """

    def __init__(self, shape: CoreShape):
        self.shape = shape
        widths = {r.name: r.width for r in REGISTERS}
        super().__init__({
            "i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "opened": In(1),
            "idle": Out(1), "bus": Out(BusSignature),
            "start": Out(1), "events": Out(stream.Signature(range(shape.inputs))),
            "last_event": Out(1), "core_idle": In(1), "clear": Out(1), "tick": In(32),
            "rewind": Out(1), "groups": In(stream.Signature(group_layout(shape))),
            "spikes": In(stream.Signature(range(shape.neurons))), "expand": Out(1),
            "spikes_done": In(1), "spike_count": In(range(shape.neurons + 1)),
            "control": In(data.StructLayout(dict(CONTROL))),
            "groups_used": In(range(shape.groups + 1)),
            "probe_count": In(widths["probe_count"]),
            "due": In(1), "take": Out(1), "busy": Out(1),
            "late": Out(1), "dropped": Out(1), "clear_counters": Out(1), "halt": Out(1)})

    def elaborate(self, platform):
        m = Module()
        shape = self.shape

        fsm = OneHot(
            m,
            "Command", "Error", "Lost", "Arguments", "Clear", "Echo", "WriteLow",
            "WriteHigh", "Shifted", "Stamped", "Events", "ListByte", "ListEvent", "MapByte",
            "MapBit", "Run", "Report", "Digest", "Probes", "Resume", "Code", "Ran",
            "Count", "Delta", "Mask", "ReadNext", "Probe", "ProbeWait", "ReadWait",
            "ReadLow", "ReadHigh")
        go, at = fsm.go, fsm.at
        op = Signal(4)
        # Arguments arrive from the top: the last one is in `spent`, as its complement, which counts
        # up to 255 while the address does.
        address, spent = Signal(24), Signal(8)
        stamp = address[8:]     # after one shift more
        shift, count_on = Signal(), Signal()
        shifted = Cat(address[8:], ~spent)
        with m.If(shift | count_on):
            m.d.sync += [address[:20].eq(plus_one_or(address[:20], shift, shifted)),
                         spent.eq(plus_one_or(spent, shift, ~self.i.payload))]
        with m.If(shift):
            m.d.sync += address[20:].eq(shifted[20:])
        ran = Signal(8)
        report = Signal(3)
        index = Signal(3)
        word = Signal(16)

        # Set by OPEN until the FSM is back at the start of a command; meanwhile nothing is sent.
        aborted, abort = Signal(), Signal()
        m.d.comb += abort.eq(aborted | self.opened)
        taken = Signal()
        sending = Signal()
        m.d.comb += [self.o.valid.eq(sending & ~abort), taken.eq(self.o.ready | abort)]

        # Of the record's tick from the next one; `stamped` while such a record waits.
        distance = Signal(signed(16))
        ahead, here = Signal(), Signal()
        may_tick, stamped = Signal(), Signal()
        # Known a clock late, which is soon enough: neither side of it has just changed when used.
        m.d.sync += [ahead.eq(~distance[-1] & distance.any()), here.eq(~distance.any())]
        m.d.comb += [distance.eq(stamp - self.tick[:16]),
                     may_tick.eq(~self.control.free_running | self.due)]

        # The input an event is for; then the neuron after the last spike told, or the byte of the
        # bitmap, or the probe. Of inputs, it stays where it is once it is beyond all of them.
        place = Signal(range(max(shape.inputs + 256, shape.neurons + 255)))
        beyond, advance = Signal(), Signal()
        step, skip = Signal(8), Signal()
        m.d.comb += [beyond.eq(place >= shape.inputs), self.events.payload.eq(place)]
        with m.If(advance):
            m.d.sync += place.eq(place + step + ~(at("ListByte") | skip))
        discard, was_late = Signal(), Signal()
        ticked = Signal()
        bits = word[:8]

        # Spikes are told by their distance from `place`, unless that is too far, or they are over.
        assert (LIST_SKIP, LIST_END) == (254, 255)
        delta, none, told = Signal.like(place), ~self.spikes.valid, Signal(8)
        m.d.comb += [
            delta.eq(self.spikes.payload - place),
            skip.eq(at("Delta") & (delta[8:].any() | delta[1:8].all())),
            told.eq(Cat((delta[0] & ~skip) | none, delta[1:8] | (skip | none).replicate(7)))]
        # Bytes of a bitmap, or probes.
        count = Signal(8)
        m.d.comb += count.eq(Mux(report == _Report.BITMAP, self.groups_used * (shape.lanes // 8),
                                 self.probe_count))
        fired, bitmap = Signal(), Signal(8)

        def during(condition, value):
            return value & Value.cast(condition).replicate(8)

        # Where neither is used, they may be anything.
        m.d.comb += [
            step.eq(during(at("Arguments", "Echo", "ListByte"), self.i.payload)
                    | during(at("Delta"), told)),
            self.o.payload.eq(
                step
                | during(at("Code"), Report.SPIKES | report) | during(at("Error"), C(Report.ERROR))
                | during(at("Ran"), ran) | during(at("Count"), count)
                | during(at("ReadLow", "ReadHigh"), word[:8])
                | during(at("Mask") & fired, bitmap))]

        part = Signal(3)        # of what is read from the bus
        # What is on the bus comes from registers: much logic chooses it, and much hangs on it.
        m.d.comb += self.bus.w_data.eq(word)
        m.d.sync += [self.bus.space.eq(address[20:]), self.bus.offset.eq(address[:20]),
                     self.bus.write.eq(0)]
        read_clocks = READ_LATENCY + 1

        def begin_tick():
            m.d.comb += [self.start.eq(1), self.take.eq(1)]
            m.d.sync += [ran.eq(self.tick), self.busy.eq(1)]

        def go_on():
            """To the next source."""
            m.d.comb += advance.eq(~beyond)

        def event():
            """Count the event under way; whether it is done with."""
            done = Signal(name="event_done")
            m.d.comb += [
                self.events.valid.eq(~discard & ~beyond),
                done.eq(self.events.ready | discard | beyond),
                self.late.eq(was_late & done), self.dropped.eq(discard | beyond)]
            return done

        def end_events():
            with m.If(discard):
                go("Command")
            with m.Else():
                go("Run")

        def send(which):
            m.d.sync += report.eq(which)
            go("Code")

        with fsm.state("Command"):
            m.d.comb += self.idle.eq(~self.i.valid & ~self.due)
            m.d.sync += [index.eq(0), part.eq(0), discard.eq(0), was_late.eq(0), stamped.eq(0),
                         aborted.eq(0), self.busy.eq(0)]
            # Between two ticks a record has its turn, or ticks that take longer than their
            # period would shut out the host that could stop them.
            with m.If(self.due & self.control.free_running & ~(ticked & self.i.valid)):
                begin_tick()
                m.d.sync += ticked.eq(1)
                go("Run")
            with m.Elif(self.i.valid & ~abort):
                m.d.sync += ticked.eq(0)
                # The byte is taken with the arguments.
                with m.Switch(self.i.payload):
                    for command in Op:
                        with m.Case(command):
                            m.d.sync += op.eq(_code(command))
                            go("Arguments")
                    with m.Default():
                        m.d.sync += op.eq(0)
                        go("Error")

        # Not a command: nothing that follows can be trusted until the host opens again.
        with fsm.state("Error"):
            m.d.comb += sending.eq(1)
            with m.If(taken):
                go("Arguments")

        with fsm.state("Lost"):
            m.d.comb += [self.i.ready.eq(~abort), self.idle.eq(~self.i.valid)]
            with m.If(abort):
                go("Command")

        with fsm.state("Arguments"):
            needed, answered = Signal(3), Signal()
            with m.Switch(op):
                for command, size in _BYTES.items():
                    with m.Case(_code(command)):
                        m.d.comb += [needed.eq(size), answered.eq(command in _ANSWERED)]
                with m.Case(0):
                    m.d.comb += [needed.eq(1), answered.eq(1)]
            with m.If(abort):
                go("Command")
            with m.Elif(index == needed):
                m.d.sync += index.eq(0)
                with m.Switch(op):
                    with m.Case(_code(Op.WRITE)):
                        go("WriteLow")
                    with m.Case(_code(Op.READ)):
                        m.d.sync += report.eq(_Report.READ)
                        go("ReadNext")
                    with m.Case(_code(Op.ECHO)):
                        go("Echo")
                    with m.Case(_code(Op.MARK)):
                        m.d.sync += report.eq(_Report.MARK)
                        go("ReadWait")
                    with m.Case(_code(Op.CLEAR)):
                        m.d.comb += [self.clear.eq(~spent[0]),
                                     self.clear_counters.eq(~spent[1])]
                        go("Clear")
                    with m.Case(0):
                        go("Lost")
                    with m.Default():
                        m.d.comb += shift.eq(1)
                        go("Shifted")
            with m.Else():
                m.d.comb += [sending.eq(self.i.valid & answered),
                             self.i.ready.eq(self.o.ready | ~answered)]
                with m.If(self.i.valid & self.i.ready):
                    m.d.comb += shift.eq(1)
                    m.d.sync += index.eq(index + 1)

        with fsm.state("Clear"):
            with m.If(self.core_idle):
                go("Command")

        with fsm.state("Echo"):
            with m.If(abort | spent.all()):
                go("Command")
            with m.Else():
                m.d.comb += [sending.eq(self.i.valid), self.i.ready.eq(taken)]
                with m.If(self.i.valid & taken):
                    m.d.comb += count_on.eq(1)

        with fsm.state("WriteLow"):
            with m.If(abort | spent.all()):
                go("Command")
            with m.Else():
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += word[:8].eq(self.i.payload)
                with m.If(self.i.valid):
                    go("WriteHigh")

        with fsm.state("WriteHigh"):
            with m.If(abort):
                go("Command")
            with m.Else():
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [word[8:].eq(self.i.payload), self.bus.write.eq(self.i.valid)]
                with m.If(self.i.valid):
                    m.d.comb += count_on.eq(1)
                    go("WriteLow")

        # A record that belongs to a tick.
        with fsm.state("Shifted"):
            go("Stamped")

        with fsm.state("Stamped"):
            m.d.sync += [stamped.eq(1), place.eq(0)]
            with m.If(abort):
                go("Command")
            with m.Elif(ahead):
                with m.If(may_tick):
                    begin_tick()
                    go("Run")
            with m.Elif(op == _code(Op.ADVANCE)):
                go("Command")
            with m.Elif(here | (self.control.policy == Policy.NEXT)):
                with m.If(may_tick):
                    begin_tick()
                    m.d.sync += was_late.eq(~here)
                    go("Events")
            with m.Else():
                m.d.comb += self.halt.eq(self.control.policy == Policy.HALT)
                m.d.sync += [discard.eq(1), was_late.eq(1)]
                go("Events")

        with fsm.state("Events"):
            m.d.sync += stamped.eq(0)
            with m.If(op == _code(Op.BITMAP)):
                m.d.comb += self.i.ready.eq(~abort)
                with m.If(abort):
                    end_events()
                with m.Elif(self.i.valid):
                    m.d.comb += shift.eq(1)
                    go("MapByte")
            with m.Else():
                go("ListByte")

        with fsm.state("ListByte"):
            m.d.comb += self.i.ready.eq(~abort)
            with m.If(abort):
                end_events()
            with m.Elif(self.i.valid):
                with m.If(self.i.payload == LIST_END):
                    end_events()
                with m.Else():
                    m.d.comb += advance.eq(~beyond)
                    with m.If(self.i.payload != LIST_SKIP):
                        go("ListEvent")

        with fsm.state("ListEvent"):
            with m.If(event()):
                go_on()
                go("ListByte")

        with fsm.state("MapByte"):
            m.d.sync += bits.eq(self.i.payload)
            with m.If(abort | spent.all()):
                end_events()
            with m.Else():
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.comb += count_on.eq(1)
                    go("MapBit")

        with fsm.state("MapBit"):
            done = Signal()
            with m.If(bits.bit_select(index, 1)):
                m.d.comb += done.eq(event())
            with m.Else():
                m.d.comb += done.eq(1)
            with m.If(done):
                go_on()
                m.d.sync += index.eq(index + 1)
                with m.If(index == 7):
                    go("MapByte")

        with fsm.state("Run"):
            m.d.comb += self.last_event.eq(1)
            with m.If(self.core_idle):
                go("Report")

        # What the tick that just ran has to tell.
        with fsm.state("Report"):
            m.d.comb += self.rewind.eq(1)
            m.d.sync += place.eq(0)
            with m.If(self.spike_count == 0):
                with m.If(ran[:exact_log2(TICK_EVERY)] == 0):
                    send(_Report.TICK)
                with m.Else():
                    go("Digest")
            with m.Elif(self.spike_count < self.groups_used * (shape.lanes // 8)):
                send(_Report.SPIKES)
            with m.Else():
                send(_Report.BITMAP)

        with fsm.state("Digest"):
            # Where its words begin among eight.
            m.d.sync += part.eq(2)
            with m.If(self.control.report_digest):
                send(_Report.DIGEST)
            with m.Else():
                go("Probes")

        with fsm.state("Probes"):
            m.d.sync += [part.eq(0), place.eq(0)]
            with m.If(self.control.report_probes):
                send(_Report.PROBES)
            with m.Else():
                go("Resume")

        with fsm.state("Resume"):
            m.d.sync += [was_late.eq(0), self.busy.eq(0)]
            with m.If(stamped):
                go("Stamped")
            with m.Else():
                go("Command")

        # First bytes of a report on a tick; what follows them depends on the report.
        with fsm.state("Code"):
            m.d.comb += sending.eq(1)
            with m.If(taken):
                go("Ran")

        with fsm.state("Ran"):
            m.d.comb += sending.eq(1)
            with m.If(taken):
                with m.Switch(report):
                    with m.Case(_Report.SPIKES):
                        go("Delta")
                    with m.Case(_Report.TICK):
                        go("Digest")
                    with m.Case(_Report.DIGEST):
                        go("ReadWait")
                    with m.Default():
                        go("Count")

        with fsm.state("Count"):
            m.d.comb += sending.eq(1)
            with m.If(taken):
                with m.If(report == _Report.BITMAP):
                    go("Mask")
                with m.Else():
                    go("Probe")

        with fsm.state("Delta"):
            m.d.comb += self.expand.eq(1)
            with m.If(self.spikes.valid):
                m.d.comb += [sending.eq(1), advance.eq(taken),
                             self.spikes.ready.eq(taken & ~skip)]
            with m.Elif(self.spikes_done):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    go("Digest")

        with fsm.state("Mask"):
            mask = self.groups.payload.mask
            halves = shape.lanes // 8
            group, half = place >> exact_log2(halves), place % halves
            m.d.comb += [
                fired.eq(self.groups.valid & (self.groups.payload.group == group)),
                bitmap.eq(mask.word_select(half, 8))]
            with m.If(place[:8] == count):
                go("Digest")
            with m.Elif(self.groups.valid | self.spikes_done):
                m.d.comb += [sending.eq(1), advance.eq(taken),
                             self.groups.ready.eq(fired & taken & (half == halves - 1))]

        # Words from the bus: the host's READ, the probes' numbers and states, and the registers
        # that belong to a report.
        with fsm.state("ReadNext"):
            with m.If(spent.all()):
                go("Command")
            with m.Else():
                go("ReadWait")

        with fsm.state("Probe"):
            m.d.sync += part.eq(0)
            with m.If(place[:8] == count):
                go("Resume")
            with m.Else():
                go("ProbeWait")

        with fsm.state("ProbeWait"):
            m.d.sync += [self.bus.space.eq(Space.AUX),
                         self.bus.offset.eq(AUX_PROBES | place[:7])]
            m.d.sync += index.eq(index + 1)
            with m.If(index == read_clocks):
                m.d.sync += [index.eq(0), word.eq(self.bus.r_data)]
                go("ReadWait")

        with fsm.state("ReadWait"):
            with m.Switch(report):
                with m.Case(_Report.PROBES):
                    assert STATE_STRIDE == 4
                    m.d.sync += [self.bus.space.eq(Space.STATE),
                                 self.bus.offset.eq(Cat(part[:2], word))]
                with m.Case(_Report.MARK):
                    m.d.sync += [self.bus.space.eq(Space.REGISTERS),
                                 self.bus.offset.eq(find("tick_low").offset | part[0])]
                with m.Case(_Report.DIGEST):
                    assert find("digest_low").offset & 7 == 2
                    m.d.sync += [self.bus.space.eq(Space.REGISTERS),
                                 self.bus.offset.eq((find("digest_low").offset & ~7) | part)]
            m.d.sync += index.eq(index + 1)
            with m.If(index == read_clocks):
                m.d.sync += [index.eq(0), word.eq(self.bus.r_data)]
                go("ReadLow")

        with fsm.state("ReadLow"):
            m.d.comb += sending.eq(1)
            with m.If(taken):
                m.d.sync += word[:8].eq(word[8:])
                go("ReadHigh")

        with fsm.state("ReadHigh"):
            m.d.comb += sending.eq(1)
            with m.If(taken):
                m.d.sync += part.eq(part + 1)
                with m.Switch(report):
                    with m.Case(_Report.READ):
                        m.d.comb += count_on.eq(1)
                        go("ReadNext")
                    with m.Case(_Report.MARK):
                        with m.If(part[0]):
                            go("Command")
                        with m.Else():
                            go("ReadWait")
                    with m.Case(_Report.DIGEST):
                        with m.If(part[2]):
                            go("Probes")
                        with m.Else():
                            go("ReadWait")
                    with m.Default():
                        with m.If(part[1]):
                            m.d.comb += advance.eq(1)
                            go("Probe")
                        with m.Else():
                            go("ProbeWait")

        with m.If(self.opened):
            m.d.sync += aborted.eq(1)

        return m
