from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ionspike.spec.wire import OFFSET_BITS

__all__ = ["BusSignature", "READ_LATENCY"]

#: Clocks from an address to its data, which stay while the address does.
READ_LATENCY = 2

#: Master's side of the 16-bit bus on which a core's memories lie while it is at rest. ``r_data``
#: belongs to an address that has been there for READ_LATENCY clocks; ``space`` and ``offset`` are
#: those of :data:`ionspike.spec.wire.Space`.
BusSignature = wiring.Signature({
    "space": Out(4), "offset": Out(OFFSET_BITS), "write": Out(1), "w_data": Out(16),
    "r_data": In(16)})
