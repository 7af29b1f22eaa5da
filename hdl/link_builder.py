"""Building of the frames that the board sends."""

from amaranth import *
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from ionspike.hdl.cobs import Patcher
from ionspike.hdl.crc import CRC32
from ionspike.spec.wire import HELLO, PAYLOAD_BYTES, Kind, Nack, hello_size

__all__ = ["ACK_BASE", "FrameBuilder", "Order"]

#: Where the ACK frame stands, in the slot of number 0: behind the longest DATA frame.
ACK_BASE = 240


class Order(enum.Enum, shape=2):
    """What to build."""

    NONE = 0
    DATA = 1
    ACK = 2
    HELLO = 3


class State(enum.Enum):
    REST = 0
    BODY = 1
    CRC = 2
    CODE = 3
    DELIMITER = 4


class FrameBuilder(wiring.Component):
    """Writes one encoded frame after the other, nine clocks per byte.

    A frame takes four clocks more. A DATA frame takes in payload until it is full or :py:`close` is set.

    Parameters
    ----------
    hello : :class:`bytes`
        Payload of HELLO.

    Members
    -------
    abort : :py:`In(1)`
        Leaves the frame being built unfinished.
    order : :py:`In(Order)`
        What to build next; to be held until :py:`begun`.
    begun : :py:`Out(1)`
        Pulses when the order is taken; :py:`what` is what it was until the next time.
    what : :py:`Out(Order)`
    done : :py:`Out(1)`
        The frame is complete at the end of this clock, unless :py:`stall`.
    stall : :py:`In(1)`
    i : :py:`In(stream.Signature(8))`
        Payload of DATA frames.
    open : :py:`Out(1)`
        A DATA frame waits for payload.
    close : :py:`In(1)`
        It shall not.
    head, expected, limit, reason, nonce : :py:`In`
        Contents of the frames.
    freeze, told : :py:`Out(1)`
        :py:`limit` must not change; :py:`reason` has been taken.
    resting : :py:`Out(1)`
        Nothing is being built.
    address, data, write : :py:`Out`
        The memory's write port, within the slot.
    """

    def __init__(self, hello):
        if len(hello) != hello_size():
            raise ValueError(f"the payload of HELLO has {hello_size()} bytes, not {len(hello)}")
        self.hello = bytes(hello)
        super().__init__({
            "abort": In(1), "order": In(Order), "begun": Out(1), "what": Out(Order),
            "done": Out(1), "stall": In(1),
            "i": In(stream.Signature(8)), "open": Out(1), "close": In(1),
            "head": In(8), "expected": In(8), "limit": In(16), "reason": In(Nack), "nonce": In(16),
            "freeze": Out(1), "told": Out(1), "resting": Out(1),
            "address": Out(8), "data": Out(8), "write": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32()
        m.submodules.patcher = patcher = Patcher()

        state = Signal(State)
        what  = self.what
        place = patcher.place
        byte  = patcher.byte
        tail  = Signal(2)       # bytes of the CRC written
        end   = Signal()
        # What is no payload is known a clock after its place is.
        known = Signal()
        own   = Signal(8, reset_less=True)
        go    = Signal()

        m.d.comb += [
            go.eq(crc.i.ready & known),
            patcher.start.eq(self.resting),
            patcher.strobe.eq(crc.i.valid & crc.i.ready),
            crc.clear.eq(self.resting),
            crc.i.payload.eq(byte),
            self.resting.eq(state == State.REST),
            self.address.eq(patcher.address | Mux(what == Order.ACK, ACK_BASE, 0)),
            self.data.eq(patcher.data),
            self.write.eq(patcher.write),
        ]

        # Places modulo 4 choose among the bytes that are not constant; the nonce is at 9 and 10.
        nonce_at = 3 + sum(size for _, size in HELLO[:[name for name, _ in HELLO].index("nonce")])
        assert nonce_at % 4 == 1
        is_data, is_ack, is_hello = (what == order for order in (Order.DATA, Order.ACK, Order.HELLO))
        nonce = is_hello & (place[2:6] == nonce_at // 4)
        limit = is_ack & (place != 1)
        fixed = Signal(8)
        with m.If(is_hello):
            table = [0, Kind.HELLO, 0, *self.hello]
            m.d.comb += fixed.eq(Array(Const(k, 8) for k in table)[place[:6]])
        with m.Elif(place == 1):
            m.d.comb += fixed.eq(Mux(is_data, Kind.DATA, Kind.ACK))
        varied = Signal(8)
        with m.Switch(place[:2]):
            with m.Case(0):
                m.d.comb += varied.eq(self.limit[8:] & limit.replicate(8))
            with m.Case(1):
                m.d.comb += varied.eq(Mux(nonce, self.nonce[:8], Mux(limit, self.reason, 0)))
            with m.Case(2):
                m.d.comb += varied.eq(Mux(nonce, self.nonce[8:], Mux(
                    is_ack, self.expected, Mux(is_data, self.head, 0))))
            with m.Case(3):
                m.d.comb += varied.eq(self.limit[:8] & limit.replicate(8))

        m.d.sync += own.eq(fixed | varied)

        header = place[2:] == 0     # or the byte after it
        with m.Switch(state):
            with m.Case(State.REST):
                with m.If(self.order != Order.NONE):
                    m.d.sync += what.eq(self.order)
                    m.d.comb += self.begun.eq(1)
                    m.d.sync += state.eq(State.BODY)

            with m.Case(State.BODY):
                m.d.comb += crc.i.valid.eq(known)
                m.d.comb += byte.eq(own)
                m.d.sync += known.eq(~patcher.strobe)
                with m.If(is_ack):
                    # Nine clocks are between the two halves of the limit.
                    m.d.comb += self.freeze.eq(place[2])
                    m.d.comb += end.eq(place[:3] == 5)
                    m.d.comb += self.told.eq(go & end)
                with m.Elif(is_hello):
                    m.d.comb += end.eq(place[:6] == 2 + len(self.hello))
                with m.Elif(~header | (place[:2] == 3)):
                    m.d.comb += byte.eq(self.i.payload)
                    m.d.comb += end.eq((place == 3 + PAYLOAD_BYTES) | self.close)
                    m.d.comb += crc.i.valid.eq(self.i.valid & ~end & known)
                    m.d.comb += self.i.ready.eq(go & ~end)
                    m.d.comb += self.open.eq(go)
                with m.If(go & end):
                    m.d.sync += [state.eq(State.CRC), known.eq(0)]

            with m.Case(State.CRC):
                m.d.comb += byte.eq(crc.value[:8])
                m.d.comb += crc.expel.eq(1)
                m.d.comb += crc.i.valid.eq(1)
                with m.If(crc.i.ready):
                    m.d.sync += tail.eq(tail + 1)
                    with m.If(tail == 3):
                        m.d.sync += state.eq(State.CODE)

            with m.Case(State.CODE):
                m.d.comb += patcher.finish.eq(1)
                m.d.sync += state.eq(State.DELIMITER)

            with m.Case(State.DELIMITER):
                m.d.comb += patcher.finish.eq(1)
                m.d.comb += self.done.eq(1)
                with m.If(~self.stall):
                    m.d.sync += state.eq(State.REST)

        with m.If(self.abort):
            m.d.sync += state.eq(State.REST)
            m.d.sync += [tail.eq(0), known.eq(0)]

        return m
