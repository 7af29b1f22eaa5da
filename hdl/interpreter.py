from enum import IntEnum

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ionspike.hdl.bus import READ_LATENCY, BusSignature
from ionspike.hdl.onehot import OneHot
from ionspike.hdl.loadable import plus_one_or
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

        fsm = OneHot(m, "Command", "Error", "Lost", "Arguments", "Clear", "Echo", "WriteLow", "WriteHigh", "Stamped", "Events", "ListByte", "ListEvent", "MapByte", "MapBit", "Run", "Report", "Digest", "Probes", "Resume", "Code", "Ran", "Count", "Delta", "Mask", "ReadNext", "Probe", "ProbeWait", "ReadWait", "ReadLow", "ReadHigh")
        op = Signal(4)
        # Arguments arrive from the top: the last one is in `spent`, as its complement, which counts
        # up to 255 while the address does.
        address, spent = Signal(24), Signal(8)
        stamp = address[8:]
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

        distance = Signal(signed(16))
        ahead, here = Signal(), Signal()
        go, stamped = Signal(), Signal()
        m.d.comb += [distance.eq(stamp - self.tick[:16]),
                     ahead.eq(~distance[-1] & ~here), here.eq(~distance.any()),
                     go.eq(~self.control.free_running | self.due)]

        # The input an event is for; then the neuron after the last spike told, or the byte of the
        # bitmap, or the probe. Of inputs, it stays where it is once it is beyond all of them.
        place = Signal(range(max(shape.inputs + 256, shape.neurons + 255)))
        beyond, advance = Signal(), Signal()
        step, skip = Signal(8), Signal()
        m.d.comb += [beyond.eq(place >= shape.inputs), self.events.payload.eq(place)]
        with m.If(advance):
            m.d.sync += place.eq(place + step + ~(fsm.at("ListByte") | skip))
        discard, was_late = Signal(), Signal()
        ticked = Signal()
        bits = word[:8]

        # What is told of the next spike: the distance from `place`, or that it is too far.
        delta, last = Signal.like(place), Signal()
        m.d.comb += [
            delta.eq(self.spikes.payload - place),
            skip.eq(fsm.at("Delta") & (delta[8:].any() | delta[1:8].all())),
            last.eq(~self.spikes.valid),
        ]
        assert (LIST_SKIP, LIST_END) == (254, 255)
        part = Signal(3)
        said = Signal(8)
        # Bytes of a bitmap, or probes.
        count = Signal(8)
        m.d.comb += [
            count.eq(Mux(report == _Report.BITMAP, self.groups_used * (shape.lanes // 8),
                         self.probe_count)),
            self.bus.space.eq(address[20:]), self.bus.offset.eq(address[:20]),
            self.bus.w_data.eq(Cat(word[:8], self.i.payload))]

        fired, bitmap = Signal(), Signal(8)

        def gated(value, condition):
            return value & Value.cast(condition).replicate(8)

        # Nothing is said in other states; there it does not matter.
        far = skip | (fsm.at("Delta") & ~self.spikes.valid)
        m.d.comb += [
            step.eq(gated(self.i.payload, fsm.at("Arguments", "Echo", "ListByte"))
                    | gated(Cat(delta[0] & ~skip, delta[1:8]) | Cat(~self.spikes.valid, far.replicate(7)),
                            fsm.at("Delta"))),
            self.o.payload.eq(
                step | gated(ran, fsm.at("Ran")) | gated(count, fsm.at("Count"))
                | gated(word[:8], fsm.at("ReadLow", "ReadHigh"))
                | gated(bitmap, fsm.at("Mask") & fired)
                | gated(Report.SPIKES | report, fsm.at("Code"))
                | gated(C(Report.ERROR, 8), fsm.at("Error"))),
        ]

        def begin_tick():
            m.d.comb += [self.start.eq(1), self.take.eq(1)]
            m.d.sync += [ran.eq(self.tick), place.eq(0)]

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
                fsm.to("Command")
            with m.Else():
                fsm.to("Run")

        def send(which):
            m.d.sync += report.eq(which)
            fsm.to("Code")

        m.d.comb += self.busy.eq(1)
        if True:
            with fsm.State("Command"):
                m.d.comb += [self.busy.eq(0), self.idle.eq(~self.i.valid & ~self.due)]
                m.d.sync += [index.eq(0), part.eq(0), discard.eq(0), was_late.eq(0), stamped.eq(0),
                             aborted.eq(0)]
                # Between two ticks a record has its turn, or ticks that take longer than their
                # period would shut out the host that could stop them.
                with m.If(self.due & self.control.free_running & ~(ticked & self.i.valid)):
                    begin_tick()
                    m.d.sync += ticked.eq(1)
                    fsm.to("Run")
                with m.Elif(self.i.valid & ~abort):
                    m.d.sync += ticked.eq(0)
                    # The byte is taken with the arguments.
                    with m.Switch(self.i.payload):
                        for command in Op:
                            with m.Case(command):
                                m.d.sync += op.eq(_code(command))
                                fsm.to("Arguments")
                        with m.Default():
                            m.d.sync += op.eq(0)
                            fsm.to("Error")

            # Not a command: nothing that follows can be trusted until the host opens again.
            with fsm.State("Error"):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    fsm.to("Arguments")

            with fsm.State("Lost"):
                m.d.comb += [self.i.ready.eq(~abort), self.busy.eq(0), self.idle.eq(~self.i.valid)]
                with m.If(abort):
                    fsm.to("Command")

            with fsm.State("Arguments"):
                m.d.comb += self.busy.eq(0)
                needed, answered = Signal(3), Signal()
                with m.Switch(op):
                    for command, size in _BYTES.items():
                        with m.Case(_code(command)):
                            m.d.comb += [needed.eq(size), answered.eq(command in _ANSWERED)]
                    with m.Case(0):
                        m.d.comb += [needed.eq(1), answered.eq(1)]
                with m.If(abort):
                    fsm.to("Command")
                with m.Elif(index == needed):
                    m.d.sync += index.eq(0)
                    with m.Switch(op):
                        with m.Case(_code(Op.WRITE)):
                            fsm.to("WriteLow")
                        with m.Case(_code(Op.READ)):
                            m.d.sync += report.eq(_Report.READ)
                            fsm.to("ReadNext")
                        with m.Case(_code(Op.ECHO)):
                            fsm.to("Echo")
                        with m.Case(_code(Op.MARK)):
                            m.d.sync += report.eq(_Report.MARK)
                            fsm.to("ReadWait")
                        with m.Case(_code(Op.CLEAR)):
                            m.d.comb += [self.clear.eq(~spent[0]),
                                         self.clear_counters.eq(~spent[1])]
                            fsm.to("Clear")
                        with m.Case(0):
                            fsm.to("Lost")
                        with m.Default():
                            m.d.comb += shift.eq(1)
                            fsm.to("Stamped")
                with m.Else():
                    m.d.comb += [sending.eq(self.i.valid & answered),
                                 self.i.ready.eq(self.o.ready | ~answered)]
                    with m.If(self.i.valid & self.i.ready):
                        m.d.comb += shift.eq(1)
                        m.d.sync += index.eq(index + 1)

            with fsm.State("Clear"):
                with m.If(self.core_idle):
                    fsm.to("Command")

            with fsm.State("Echo"):
                with m.If(abort | (spent.all())):
                    fsm.to("Command")
                with m.Else():
                    m.d.comb += [sending.eq(self.i.valid), self.i.ready.eq(taken)]
                    with m.If(self.i.valid & taken):
                        m.d.comb += count_on.eq(1)

            with fsm.State("WriteLow"):
                m.d.comb += self.busy.eq(0)
                with m.If(abort | (spent.all())):
                    fsm.to("Command")
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += word[:8].eq(self.i.payload)
                    with m.If(self.i.valid):
                        fsm.to("WriteHigh")

            with fsm.State("WriteHigh"):
                m.d.comb += self.busy.eq(0)
                with m.If(abort):
                    fsm.to("Command")
                with m.Else():
                    m.d.comb += [self.i.ready.eq(1), self.bus.write.eq(self.i.valid)]
                    with m.If(self.i.valid):
                        m.d.comb += count_on.eq(1)
                        fsm.to("WriteLow")

            # A record that belongs to a tick.
            with fsm.State("Stamped"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += stamped.eq(1)
                with m.If(abort):
                    fsm.to("Command")
                with m.Elif(ahead):
                    with m.If(go):
                        begin_tick()
                        fsm.to("Run")
                with m.Elif(op == _code(Op.ADVANCE)):
                    fsm.to("Command")
                with m.Elif(here | (self.control.policy == Policy.NEXT)):
                    with m.If(go):
                        begin_tick()
                        m.d.sync += was_late.eq(~here)
                        fsm.to("Events")
                with m.Else():
                    m.d.comb += self.halt.eq(self.control.policy == Policy.HALT)
                    m.d.sync += [discard.eq(1), was_late.eq(1), place.eq(0)]
                    fsm.to("Events")

            with fsm.State("Events"):
                m.d.sync += stamped.eq(0)
                with m.If(op == _code(Op.BITMAP)):
                    m.d.comb += self.i.ready.eq(~abort)
                    with m.If(abort):
                        end_events()
                    with m.Elif(self.i.valid):
                        m.d.comb += shift.eq(1)
                        fsm.to("MapByte")
                with m.Else():
                    fsm.to("ListByte")

            with fsm.State("ListByte"):
                m.d.comb += self.i.ready.eq(~abort)
                with m.If(abort):
                    end_events()
                with m.Elif(self.i.valid):
                    with m.If(self.i.payload == LIST_END):
                        end_events()
                    with m.Else():
                        m.d.comb += advance.eq(~beyond)
                        with m.If(self.i.payload != LIST_SKIP):
                            fsm.to("ListEvent")

            with fsm.State("ListEvent"):
                with m.If(event()):
                    go_on()
                    fsm.to("ListByte")

            with fsm.State("MapByte"):
                m.d.sync += bits.eq(self.i.payload)
                with m.If(abort | (spent.all())):
                    end_events()
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    with m.If(self.i.valid):
                        m.d.comb += count_on.eq(1)
                        fsm.to("MapBit")

            with fsm.State("MapBit"):
                done = Signal()
                with m.If(bits.bit_select(index, 1)):
                    m.d.comb += done.eq(event())
                with m.Else():
                    m.d.comb += done.eq(1)
                with m.If(done):
                    go_on()
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == 7):
                        fsm.to("MapByte")

            with fsm.State("Run"):
                m.d.comb += self.last_event.eq(1)
                with m.If(self.core_idle):
                    fsm.to("Report")

            # What the tick that just ran has to tell.
            with fsm.State("Report"):
                m.d.comb += self.rewind.eq(1)
                m.d.sync += place.eq(0)
                with m.If(self.spike_count == 0):
                    with m.If(ran[:exact_log2(TICK_EVERY)] == 0):
                        send(_Report.TICK)
                    with m.Else():
                        fsm.to("Digest")
                with m.Elif(self.spike_count < self.groups_used * (shape.lanes // 8)):
                    send(_Report.SPIKES)
                with m.Else():
                    send(_Report.BITMAP)

            with fsm.State("Digest"):
                # The second of what its offsets count.
                m.d.sync += part.eq(2)
                with m.If(self.control.report_digest):
                    send(_Report.DIGEST)
                with m.Else():
                    fsm.to("Probes")

            with fsm.State("Probes"):
                m.d.sync += [part.eq(0), place.eq(0)]
                with m.If(self.control.report_probes):
                    send(_Report.PROBES)
                with m.Else():
                    fsm.to("Resume")

            with fsm.State("Resume"):
                m.d.sync += was_late.eq(0)
                with m.If(stamped):
                    fsm.to("Stamped")
                with m.Else():
                    fsm.to("Command")

            # First bytes of a report on a tick; what follows them depends on the report.
            with fsm.State("Code"):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    fsm.to("Ran")

            with fsm.State("Ran"):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    with m.Switch(report):
                        with m.Case(_Report.SPIKES):
                            fsm.to("Delta")
                        with m.Case(_Report.TICK):
                            fsm.to("Digest")
                        with m.Case(_Report.DIGEST):
                            fsm.to("ReadWait")
                        with m.Default():
                            fsm.to("Count")

            with fsm.State("Count"):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    with m.If(report == _Report.BITMAP):
                        fsm.to("Mask")
                    with m.Else():
                        fsm.to("Probe")

            with fsm.State("Delta"):
                m.d.comb += self.expand.eq(1)
                with m.If(self.spikes.valid):
                    m.d.comb += [sending.eq(1), advance.eq(taken),
                                 self.spikes.ready.eq(taken & ~skip)]
                with m.Elif(self.spikes_done):
                    m.d.comb += sending.eq(1)
                    with m.If(taken):
                        fsm.to("Digest")

            with fsm.State("Mask"):
                mask = self.groups.payload.mask
                halves = shape.lanes // 8
                group, half = place >> exact_log2(halves), place % halves
                m.d.comb += [
                    fired.eq(self.groups.valid & (self.groups.payload.group == group)),
                    bitmap.eq(mask.word_select(half, 8))]
                with m.If(place[:8] == count):
                    fsm.to("Digest")
                with m.Elif(self.groups.valid | self.spikes_done):
                    m.d.comb += [sending.eq(1), advance.eq(taken),
                                 self.groups.ready.eq(fired & taken & (half == halves - 1))]

            # Words from the bus: the host's READ, the probes' numbers and states, and the registers
            # that belong to a report.
            with fsm.State("ReadNext"):
                with m.If(spent.all()):
                    fsm.to("Command")
                with m.Else():
                    fsm.to("ReadWait")

            with fsm.State("Probe"):
                m.d.sync += part.eq(0)
                with m.If(place[:8] == count):
                    fsm.to("Resume")
                with m.Else():
                    fsm.to("ProbeWait")

            with fsm.State("ProbeWait"):
                m.d.comb += [self.bus.space.eq(Space.AUX),
                             self.bus.offset.eq(AUX_PROBES | place[:7])]
                m.d.sync += index.eq(index + 1)
                with m.If(index == READ_LATENCY):
                    m.d.sync += [index.eq(0), word.eq(self.bus.r_data)]
                    fsm.to("ReadWait")

            with fsm.State("ReadWait"):
                with m.Switch(report):
                    with m.Case(_Report.PROBES):
                        assert STATE_STRIDE == 4
                        m.d.comb += [self.bus.space.eq(Space.STATE),
                                     self.bus.offset.eq(Cat(part[:2], word))]
                    with m.Case(_Report.MARK):
                        m.d.comb += [self.bus.space.eq(Space.REGISTERS),
                                     self.bus.offset.eq(find("tick_low").offset | part[0])]
                    with m.Case(_Report.DIGEST):
                        m.d.comb += [self.bus.space.eq(Space.REGISTERS),
                                     self.bus.offset.eq((find("digest_low").offset & ~7) | part)]
                m.d.sync += index.eq(index + 1)
                with m.If(index == READ_LATENCY):
                    m.d.sync += [index.eq(0), word.eq(self.bus.r_data)]
                    fsm.to("ReadLow")

            with fsm.State("ReadLow"):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    m.d.sync += word[:8].eq(word[8:])
                    fsm.to("ReadHigh")

            with fsm.State("ReadHigh"):
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    m.d.sync += part.eq(part + 1)
                    with m.Switch(report):
                        with m.Case(_Report.READ):
                            m.d.comb += count_on.eq(1)
                            fsm.to("ReadNext")
                        with m.Case(_Report.MARK):
                            with m.If(part[0]):
                                fsm.to("Command")
                            with m.Else():
                                fsm.to("ReadWait")
                        with m.Case(_Report.DIGEST):
                            with m.If(part[2]):
                                fsm.to("Probes")
                            with m.Else():
                                fsm.to("ReadWait")
                        with m.Default():
                            with m.If(part[1]):
                                m.d.comb += advance.eq(1)
                                fsm.to("Probe")
                            with m.Else():
                                fsm.to("ProbeWait")

        with m.If(self.opened):
            m.d.sync += aborted.eq(1)

        return m
