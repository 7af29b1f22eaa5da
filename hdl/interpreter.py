from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ionspike.hdl.bus import READ_LATENCY, BusSignature
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

#: Bytes that follow the first one of each command before it is decided what to do.
_ARGUMENTS = {Op.WRITE: 4, Op.READ: 4, Op.EVENTS: 2, Op.BITMAP: 2, Op.ADVANCE: 2, Op.CLEAR: 1,
              Op.MARK: 2, Op.ECHO: 1}


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

        op = Signal(8)
        # Arguments arrive from the top: the last one is always args[24:].
        args = Signal(32)
        left = Signal(8)
        address, number, stamp = args[:24], args[24:], args[16:]
        ran = Signal(8)
        report = Signal(Report)
        index = Signal(3)
        word = Signal(16)

        # Set by OPEN until the FSM is back at the start of a command; meanwhile nothing is sent.
        aborted, abort = Signal(), Signal()
        m.d.comb += abort.eq(aborted | self.opened)
        taken = Signal()
        sending = Signal()
        m.d.comb += [self.o.valid.eq(sending & ~abort), taken.eq(self.o.ready | abort)]

        # Known a clock late, which is soon enough: neither side of it has just changed when used.
        distance = Signal(signed(16))
        ahead, here = Signal(), Signal()
        m.d.sync += [ahead.eq(distance > 0), here.eq(distance == 0)]
        go, resume = Signal(), Signal(2)
        m.d.comb += [distance.eq(stamp - self.tick[:16]),
                     go.eq(~self.control.free_running | self.due)]
        COMMAND, STAMPED, EVENTS = 0, 1, 2

        # Stays where it is once it is beyond all inputs.
        position, beyond = Signal(range(shape.inputs + 256)), Signal()
        forward = Signal(8)
        with m.If(~beyond):
            m.d.sync += position.eq(position + forward)
        discard, was_late = Signal(), Signal()
        ticked = Signal()
        bits, bit = Signal(8), Signal(3)
        m.d.comb += [beyond.eq(position >= shape.inputs), self.events.payload.eq(position)]

        after = Signal(range(max(shape.neurons, 254 + 1) + 1))
        delta = Signal.like(after)
        m.d.comb += delta.eq(self.spikes.payload - after)
        group = Signal(shape.group_bits + 1)
        half = Signal(range(max(2, shape.lanes // 8)))
        probe = Signal(7)
        probed = Signal(range(shape.neurons))
        part = Signal(2)
        m.d.comb += [self.bus.space.eq(address[20:]), self.bus.offset.eq(address[:20]),
                     self.bus.w_data.eq(Cat(word[:8], self.i.payload))]

        def begin_tick(resume_at):
            m.d.comb += [self.start.eq(1), self.take.eq(1)]
            m.d.sync += [ran.eq(self.tick), resume.eq(resume_at), position.eq(0), self.busy.eq(1)]

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
                m.next = "Command"
            with m.Else():
                m.next = "Run"

        def send(which):
            m.d.sync += [report.eq(which), index.eq(0)]
            m.next = "Head"

        with m.FSM():
            with m.State("Command"):
                m.d.comb += self.idle.eq(~self.i.valid & ~self.due)
                m.d.sync += [index.eq(0), discard.eq(0), was_late.eq(0), aborted.eq(0),
                             self.busy.eq(0)]
                # Between two ticks a record has its turn, or ticks that take longer than their
                # period would shut out the host that could stop them.
                with m.If(self.due & self.control.free_running & ~(ticked & self.i.valid)):
                    begin_tick(COMMAND)
                    m.d.sync += ticked.eq(1)
                    m.next = "Run"
                with m.Else():
                    m.d.comb += self.i.ready.eq(~abort)
                    m.d.sync += op.eq(self.i.payload)
                    with m.If(self.i.valid & ~abort):
                        m.d.sync += ticked.eq(0)
                        m.next = "Arguments"

            with m.State("Arguments"):
                needed = Signal(3)
                with m.Switch(op):
                    for command, count in _ARGUMENTS.items():
                        with m.Case(command):
                            m.d.comb += needed.eq(count)
                with m.If(abort):
                    m.next = "Command"
                with m.Elif(needed == 0):
                    send(Report.ERROR)
                with m.Elif(index == needed):
                    m.d.sync += index.eq(0)
                    with m.Switch(op):
                        with m.Case(Op.WRITE):
                            m.next = "WriteLow"
                        with m.Case(Op.READ):
                            send(Report.READ)
                        with m.Case(Op.ECHO):
                            send(Report.ECHO)
                        with m.Case(Op.MARK):
                            send(Report.MARK)
                        with m.Case(Op.CLEAR):
                            m.d.comb += [self.clear.eq(number[0]),
                                         self.clear_counters.eq(number[1])]
                            m.next = "Clear"
                        with m.Default():
                            m.next = "Stamped"
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    with m.If(self.i.valid):
                        m.d.sync += [args.eq(Cat(args[8:], self.i.payload)), index.eq(index + 1)]

            with m.State("Clear"):
                with m.If(self.core_idle):
                    m.next = "Command"

            with m.State("WriteLow"):
                with m.If(abort | (number == 0)):
                    m.next = "Command"
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += word[:8].eq(self.i.payload)
                    with m.If(self.i.valid):
                        m.next = "WriteHigh"

            with m.State("WriteHigh"):
                with m.If(abort):
                    m.next = "Command"
                with m.Else():
                    m.d.comb += [self.i.ready.eq(1), self.bus.write.eq(self.i.valid)]
                    with m.If(self.i.valid):
                        m.d.sync += [address[:20].eq(address[:20] + 1), number.eq(number - 1)]
                        m.next = "WriteLow"

            # A record that belongs to a tick.
            with m.State("Stamped"):
                with m.If(abort):
                    m.next = "Command"
                with m.Elif(ahead):
                    with m.If(go):
                        begin_tick(STAMPED)
                        m.next = "Run"
                with m.Elif(op == Op.ADVANCE):
                    m.next = "Command"
                with m.Elif(here | (self.control.policy == Policy.NEXT)):
                    with m.If(go):
                        begin_tick(EVENTS)
                        m.d.sync += was_late.eq(~here)
                        m.next = "Events"
                with m.Else():
                    m.d.comb += self.halt.eq(self.control.policy == Policy.HALT)
                    m.d.sync += [discard.eq(1), was_late.eq(1), position.eq(0)]
                    m.next = "Events"

            with m.State("Events"):
                with m.If(op == Op.BITMAP):
                    m.d.comb += self.i.ready.eq(~abort)
                    m.d.sync += left.eq(self.i.payload)
                    with m.If(abort):
                        end_events()
                    with m.Elif(self.i.valid):
                        m.next = "MapByte"
                with m.Else():
                    m.next = "ListByte"

            with m.State("ListByte"):
                m.d.comb += self.i.ready.eq(~abort)
                with m.If(abort):
                    end_events()
                with m.Elif(self.i.valid):
                    with m.If(self.i.payload == LIST_END):
                        end_events()
                    with m.Else():
                        m.d.comb += forward.eq(self.i.payload)
                        with m.If(self.i.payload != LIST_SKIP):
                            m.next = "ListEvent"

            with m.State("ListEvent"):
                with m.If(event()):
                    m.d.comb += forward.eq(1)
                    m.next = "ListByte"

            with m.State("MapByte"):
                m.d.sync += [bits.eq(self.i.payload), bit.eq(0)]
                with m.If(abort | (left == 0)):
                    end_events()
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    with m.If(self.i.valid):
                        m.d.sync += left.eq(left - 1)
                        m.next = "MapBit"

            with m.State("MapBit"):
                step = Signal()
                with m.If(bits[0]):
                    m.d.comb += step.eq(event())
                with m.Else():
                    m.d.comb += step.eq(1)
                with m.If(step):
                    m.d.sync += [bits.eq(bits >> 1), bit.eq(bit + 1)]
                    m.d.comb += forward.eq(1)
                    with m.If(bit == 7):
                        m.next = "MapByte"

            with m.State("Run"):
                m.d.comb += self.last_event.eq(1)
                with m.If(self.core_idle):
                    m.next = "Report"

            # What the tick that just ran has to tell.
            with m.State("Report"):
                m.d.comb += self.rewind.eq(1)
                m.d.sync += [after.eq(0), group.eq(0), half.eq(0)]
                with m.If(self.spike_count == 0):
                    with m.If(ran[:exact_log2(TICK_EVERY)] == 0):
                        send(Report.TICK)
                    with m.Else():
                        m.next = "Digest"
                with m.Elif(self.spike_count < self.groups_used * (shape.lanes // 8)):
                    send(Report.SPIKES)
                with m.Else():
                    send(Report.BITMAP)

            with m.State("Digest"):
                with m.If(self.control.report_digest):
                    send(Report.DIGEST)
                with m.Else():
                    m.next = "Probes"

            with m.State("Probes"):
                with m.If(self.control.report_probes):
                    send(Report.PROBES)
                with m.Else():
                    m.next = "Resume"

            with m.State("Resume"):
                m.d.sync += [was_late.eq(0), self.busy.eq(0)]
                with m.If(resume == STAMPED):
                    m.next = "Stamped"
                with m.Else():
                    m.next = "Command"

            # First bytes of a report; what follows them depends on the report.
            with m.State("Head"):
                heads = {
                    Report.READ: [args.word_select(k, 8) for k in range(4)],
                    Report.ECHO: [number],
                    Report.MARK: [stamp[:8], stamp[8:]],
                    Report.TICK: [ran], Report.SPIKES: [ran],
                    Report.BITMAP: [ran, self.groups_used * (shape.lanes // 8)],
                    Report.DIGEST: [ran],
                    Report.PROBES: [ran, self.probe_count],
                    Report.ERROR: [op],
                }
                then = {
                    Report.READ: "ReadNext", Report.ECHO: "Echo", Report.MARK: "ReadWait",
                    Report.TICK: "Digest", Report.SPIKES: "Delta", Report.BITMAP: "Mask",
                    Report.DIGEST: "ReadWait", Report.PROBES: "Probe", Report.ERROR: "Lost"}
                m.d.comb += sending.eq(1)
                with m.If(taken):
                    m.d.sync += index.eq(index + 1)
                with m.Switch(report):
                    for which, head in heads.items():
                        with m.Case(which):
                            with m.Switch(index):
                                with m.Case(0):
                                    m.d.comb += self.o.payload.eq(which)
                                for k, value in enumerate(head):
                                    with m.Case(k + 1):
                                        m.d.comb += self.o.payload.eq(value)
                            with m.If(taken & (index == len(head))):
                                m.d.sync += [probe.eq(0), part.eq(0), index.eq(0)]
                                m.next = then[which]

            with m.State("Echo"):
                with m.If(abort | (number == 0)):
                    m.next = "Command"
                with m.Else():
                    m.d.comb += [self.o.payload.eq(self.i.payload), sending.eq(self.i.valid),
                                 self.i.ready.eq(taken)]
                    with m.If(self.i.valid & taken):
                        m.d.sync += number.eq(number - 1)

            with m.State("Delta"):
                m.d.comb += self.expand.eq(1)
                with m.If(self.spikes.valid):
                    m.d.comb += sending.eq(1)
                    skip = Signal()
                    m.d.comb += [skip.eq(delta >= LIST_SKIP),
                                 self.o.payload.eq(Mux(skip, LIST_SKIP, delta)),
                                 self.spikes.ready.eq(taken & ~skip)]
                    with m.If(taken):
                        m.d.sync += after.eq(Mux(skip, after, self.spikes.payload)
                                             + Mux(skip, LIST_SKIP, 1))
                with m.Elif(self.spikes_done):
                    m.d.comb += [sending.eq(1), self.o.payload.eq(LIST_END)]
                    with m.If(taken):
                        m.next = "Digest"

            with m.State("Mask"):
                here = Signal()
                last_half = half == max(1, shape.lanes // 8) - 1
                m.d.comb += [
                    here.eq(self.groups.valid & (self.groups.payload.group == group)),
                    sending.eq(self.groups.valid | self.spikes_done),
                    self.o.payload.eq(Mux(here, self.groups.payload.mask.word_select(half, 8), 0)),
                    self.groups.ready.eq(here & taken & last_half)]
                with m.If(sending & taken):
                    m.d.sync += half.eq(Mux(last_half, 0, half + 1))
                    with m.If(last_half):
                        m.d.sync += group.eq(group + 1)
                        with m.If(group + 1 == self.groups_used):
                            m.next = "Digest"

            # Words from the bus: the host's READ, the probes' numbers and states, and the registers
            # that belong to a report.
            with m.State("ReadNext"):
                with m.If(number == 0):
                    m.next = "Command"
                with m.Else():
                    m.next = "ReadWait"

            with m.State("Probe"):
                m.d.sync += part.eq(0)
                with m.If(probe == self.probe_count):
                    m.next = "Resume"
                with m.Else():
                    m.next = "ProbeWait"

            with m.State("ProbeWait"):
                m.d.comb += [self.bus.space.eq(Space.AUX), self.bus.offset.eq(AUX_PROBES + probe)]
                m.d.sync += [index.eq(index + 1), probed.eq(self.bus.r_data)]
                with m.If(index == READ_LATENCY):
                    m.d.sync += index.eq(0)
                    m.next = "ReadWait"

            with m.State("ReadWait"):
                with m.Switch(report):
                    with m.Case(Report.PROBES):
                        assert STATE_STRIDE == 4
                        m.d.comb += [self.bus.space.eq(Space.STATE),
                                     self.bus.offset.eq(Cat(part, probed))]
                    for which, first in ((Report.MARK, "tick_low"), (Report.DIGEST, "digest_low")):
                        with m.Case(which):
                            m.d.comb += [self.bus.space.eq(Space.REGISTERS),
                                         self.bus.offset.eq(find(first).offset + part)]
                m.d.sync += [index.eq(index + 1), word.eq(self.bus.r_data)]
                with m.If(index == READ_LATENCY):
                    m.d.sync += index.eq(0)
                    m.next = "ReadLow"

            with m.State("ReadLow"):
                m.d.comb += [sending.eq(1), self.o.payload.eq(word[:8])]
                with m.If(taken):
                    m.next = "ReadHigh"

            with m.State("ReadHigh"):
                m.d.comb += [sending.eq(1), self.o.payload.eq(word[8:])]
                with m.If(taken):
                    with m.If(report == Report.READ):
                        m.d.sync += [address[:20].eq(address[:20] + 1), number.eq(number - 1)]
                        m.next = "ReadNext"
                    with m.Else():
                        m.d.sync += part.eq(part + 1)
                        m.next = "ReadWait"
                        with m.If((report == Report.MARK) & (part == 1)):
                            m.next = "Command"
                        with m.Elif((report == Report.DIGEST) & (part == 2)):
                            m.next = "Probes"
                        with m.Elif((report == Report.PROBES) & (part == 2)):
                            m.d.sync += probe.eq(probe + 1)
                            m.next = "Probe"

            # Not a command: nothing that follows can be trusted until the host opens again.
            with m.State("Lost"):
                m.d.comb += [self.i.ready.eq(~abort), self.idle.eq(~self.i.valid)]
                with m.If(abort):
                    m.next = "Command"

        with m.If(self.opened):
            m.d.sync += aborted.eq(1)

        return m
