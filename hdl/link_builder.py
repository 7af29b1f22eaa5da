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


class FrameBuilder(wiring.Component):
    """Writes one encoded frame after the other, nine clocks per byte.

    An ACK takes 85 clocks. A DATA frame takes in payload until it is full or :py:`close` is set.

    Parameters
    ----------
    hello : :class:`bytes`
        Payload of HELLO.

    Members
    -------
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
    address, data, write : :py:`Out`
        The memory's write port, within the slot.
    """

    def __init__(self, hello):
        if len(hello) != hello_size():
            raise ValueError(f"the payload of HELLO has {hello_size()} bytes, not {len(hello)}")
        self.hello = bytes(hello)
        super().__init__({
            "order": In(Order), "begun": Out(1), "what": Out(Order),
            "done": Out(1), "stall": In(1),
            "i": In(stream.Signature(8)), "open": Out(1), "close": In(1),
            "head": In(8), "expected": In(8), "limit": In(16), "reason": In(Nack), "nonce": In(16),
            "freeze": Out(1), "told": Out(1),
            "address": Out(8), "data": Out(8), "write": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32()
        m.submodules.patcher = patcher = Patcher()

        what  = self.what
        place = patcher.place
        byte  = patcher.byte
        tail  = Signal(2)       # bytes of the CRC written

        m.d.comb += [
            crc.i.payload.eq(byte),
            crc.i.valid.eq(patcher.strobe),
            patcher.base.eq(Mux(self.order == Order.ACK, ACK_BASE, 0)),
            self.address.eq(patcher.address),
            self.data.eq(patcher.data),
            self.write.eq(patcher.write),
        ]

        def put(value):
            m.d.comb += byte.eq(value)
            m.d.comb += patcher.strobe.eq(crc.i.ready)

        with m.FSM():
            with m.State("Rest"):
                m.d.comb += patcher.start.eq(1)
                m.d.comb += crc.clear.eq(1)
                m.d.sync += what.eq(self.order)
                with m.If(self.order != Order.NONE):
                    m.d.comb += self.begun.eq(1)
                    m.next = "Kind"

            with m.State("Kind"):
                put(Mux(what == Order.DATA, Kind.DATA, Mux(what == Order.ACK, Kind.ACK, Kind.HELLO)))
                m.next = "Seq"

            with m.State("Seq"):
                put(Mux(what == Order.ACK, self.expected, self.head))
                with m.If(crc.i.ready):
                    m.next = "Control"
                    with m.If(what == Order.DATA):
                        m.next = "Data"

            with m.State("Data"):
                m.d.comb += byte.eq(self.i.payload)
                with m.If((place == 3 + PAYLOAD_BYTES) | self.close):
                    with m.If(crc.i.ready):
                        m.next = "CRC"
                with m.Else():
                    m.d.comb += self.open.eq(crc.i.ready)
                    m.d.comb += self.i.ready.eq(crc.i.ready)
                    m.d.comb += patcher.strobe.eq(crc.i.ready & self.i.valid)

            with m.State("Control"):
                # Two clocks, nine apart, take the limit.
                m.d.comb += self.freeze.eq(1)
                with m.If(what == Order.ACK):
                    with m.Switch(place[:3]):
                        with m.Case(3):
                            put(self.limit[:8])
                        with m.Case(4):
                            put(self.limit[8:])
                        with m.Default():
                            put(self.reason)
                            with m.If(crc.i.ready):
                                m.d.comb += self.told.eq(1)
                                m.next = "CRC"
                with m.Else():
                    nonce_at = 3
                    for name, size in HELLO:
                        if name == "nonce":
                            break
                        nonce_at += size
                    with m.Switch(place[:6]):
                        for k, value in enumerate(self.hello, 3):
                            with m.Case(k):
                                put(value if not nonce_at <= k < nonce_at + 2 else
                                    self.nonce.word_select(k - nonce_at, 8))
                    with m.If(crc.i.ready & (place[:6] == 2 + len(self.hello))):
                        m.next = "CRC"

            with m.State("CRC"):
                put(~crc.value[:8])
                m.d.comb += crc.expel.eq(1)
                with m.If(crc.i.ready):
                    m.d.sync += tail.eq(tail + 1)
                    with m.If(tail == 3):
                        m.next = "Code"

            with m.State("Code"):
                m.d.comb += patcher.finish.eq(1)
                m.next = "Delimiter"

            with m.State("Delimiter"):
                m.d.comb += patcher.finish.eq(1)
                m.d.comb += self.done.eq(1)
                with m.If(~self.stall):
                    m.next = "Rest"

        return m
