"""Spike latency: from an event on the wire to the spike that it causes on the wire, in clocks.

    python benchmarks/latency.py

From the end of the stop bit of the last byte of the frame that brings the event, on ``uart_rx``, to
that of the last byte of the frame that tells of the spike, on ``uart_tx``, on the compiled top level in
lockstep. The bound is that of docs/link.md; the host and its USB are not in it.
"""

from dataclasses import dataclass

import numpy as np

from ionspike.hdl.top import CLOCK_HZ
from ionspike.host import codec
from ionspike.host.compiler import compile
from ionspike.host.link import Link
from ionspike.host.network import Network, Projection
from ionspike.sim.virtual import Model, SimPort, library
from ionspike.spec import wire
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

DT_S = 5e-4
#: Of the event's frame, and of credit if a quarter of the ring has been read; with their building.
ACKS, ACK_BYTES, ACK_CLOCKS = 2, wire.FRAME_OVERHEAD + 3, 100
CLOSE_CLOCKS = 512      # at most, after the last byte
#: What is left: from pin to interpreter, through the core's pipelines, from CRC to pin.
FIXED_CLOCKS = 150
#: Network's neurons and inputs, events at a time, ticks.
CASES = ((8, 4, 1, 3), (24, 4, 4, 3), (64, 16, 1, 3), (64, 16, 16, 3), (504, 200, 1, 3),
         (504, 200, 200, 3))


@dataclass(frozen=True)
class Latency:
    """Of one tick, in clocks: as measured, and the most that there may be."""

    neurons: int
    events: int
    spikes: int
    clocks: int
    bound: int


class Tapped(SimPort):
    """Notes when each thing written has left, and when the last byte that was read had come."""

    def __init__(self, model: Model):
        super().__init__(model, clock_Hz=CLOCK_HZ)
        self.left: list[int] = []
        self.came = 0

    def write(self, data: bytes) -> int:
        self.left.append(self.cycles + 10 * self.model.divisor * len(data))
        return super().write(data)

    def read(self, size: int = 1) -> bytes:
        data = super().read(size)
        # It is known in the middle of the stop bit.
        self.came = self.cycles + self.model.divisor // 2
        return data


def bound(divisor: int, record: bytes, walked: int, neurons: int, report: bytes) -> int:
    """The formula of docs/link.md; ``walked`` are words of rows, at least one of each source."""
    read = (10 if record[0] == wire.Op.BITMAP else 2) * len(record)
    work = read + walked + neurons
    acks = ACKS * (10 * divisor * ACK_BYTES + ACK_CLOCKS)
    frame = 10 * divisor * (wire.FRAME_OVERHEAD + len(report))
    return max(work, acks) + 9 * len(report) + CLOSE_CLOCKS + FIXED_CLOCKS + frame


def measure(shape: CoreShape, divisor: int, neurons: int, inputs: int, events: int,
            ticks: int) -> list[Latency]:
    """Ticks in which every neuron is bridged, and fires if an event charges its gate."""
    port = Tapped(Model(library(shape, divisor), divisor))
    link = Link(port, clock=lambda: port.cycles / CLOCK_HZ,
                sleep=lambda seconds: port.run(int(seconds * CLOCK_HZ)))
    link.open()
    compiled = compile(Network.from_float(
        device="zhao2025_ms", dt_s=DT_S, inputs=inputs, neurons=neurons,
        projections=[Projection("inputs", np.full((inputs, neurons), 3.0))]), shape)
    updated = compiled.image.neurons
    bridged = np.tile(np.array([0xFFFF, 0, 0], np.uint16), (updated, 1))

    def told(*records: bytes) -> bytes:
        for record in (*records, codec.mark(1)):
            link.send(record)
        data = b""
        while not data.endswith(b"\x31\1\0" + data[-4:]) or len(data) < 7:
            data += link.receive(1.0)
        return data[:-7]

    told(codec.clear(state=True, counters=True),
         *(record for address, words in compiled.image.writes()
           for record in codec.write(address, words)))
    found, before = [], 0
    for tick in range(ticks):
        told(*(record for address, words in compiled.image.state_writes(bridged)
               for record in codec.write(address, words)))
        port.run(20_000)
        raster = np.zeros((1, inputs), bool)
        raster[0, :events] = True
        record, = codec.encode_events(compiled.to_board(raster), tick)
        assert port.out_waiting == 0
        port.left.clear()
        link.send(record)
        report = link.receive(1.0)
        clocks = port.came - port.left[0]
        assert report[0] in (wire.Report.SPIKES, wire.Report.BITMAP), report
        fired = np.unpackbits(np.frombuffer(report[3:], np.uint8)).sum() \
            if report[0] == wire.Report.BITMAP else len(report) - 3
        words = -(-neurons // shape.lanes)
        found.append(Latency(neurons, events, int(fired), clocks, bound(
            divisor, record, events * words + before, updated, report)))
        before = int(fired)
    return found


def main() -> None:
    divisor = CLOCK_HZ // wire.BAUD
    print(f"at {wire.BAUD / 1e6:g} Mbaud and {CLOCK_HZ / 1e6:g} MHz\n"
          "| neurons | events | spikes | clocks, at most | bound | us, at most |\n"
          "|---|---|---|---|---|---|")
    for case in CASES:
        worst = max(measure(DEFAULT_SHAPE, divisor, *case), key=lambda one: one.clocks)
        print(f"| {worst.neurons} | {worst.events} | {worst.spikes} | {worst.clocks:,} "
              f"| {worst.bound:,} | {worst.clocks / CLOCK_HZ * 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
