"""How much of the serial line is payload, in both directions at once, in simulated time; and what the
host's end costs.

    python benchmarks/link.py

The whole gateware, not the link alone: the host streams ECHO records that fill a frame, and everything
comes back. Bar: >= 93 % at 3 Mbaud, which is 139,000 events/s of 2 bytes. The host is simulated as
infinitely fast; a real one is not. So, too: CPU time of the thread that calls `Board.run` on a virtual
board, which runs in a thread of its own, per 100,000 events in and out; compiling records, the link,
decoding and waiting are in it.
"""

import random
import time

import numpy as np

from ionspike import Board, Network, Spikes
from ionspike.hdl.top import CLOCK_HZ
from ionspike.host.codec import ECHO_BYTES, echo
from ionspike.host.link import Link
from ionspike.sim.virtual import Model, SimPort, library

RECORDS, FILLING = 200, 40
EVENT_BYTES = 2
RUNS, TICKS, INPUTS, NEURONS = 3, 400, 64, 32


def share(divisor: int) -> tuple[float, float]:
    """Payload share of the line to the board and from it, once the buffers are full."""
    port = SimPort(Model(library(divisor=divisor), divisor), clock_Hz=CLOCK_HZ)
    link = Link(port, clock=lambda: port.cycles / CLOCK_HZ,
                sleep=lambda seconds: port.run(int(seconds * CLOCK_HZ)))
    link.open()
    rng, sent, got, begun = random.Random(1), 0, 0, (0, 0, 0)
    for k in range(RECORDS):
        if k == FILLING:
            begun = port.cycles, sent, got
        record = echo(rng.randbytes(ECHO_BYTES))
        link.send(record)
        sent += len(record)
        got += len(link.receive(0))
    if link.counters["resent"] or link.counters["crc_errors"]:
        raise SystemExit(f"the line was not clean: {link.counters}")
    line_bytes = (port.cycles - begun[0]) / (10 * divisor)
    return (sent - begun[1]) / line_bytes, (got - begun[2]) / line_bytes


def host_cpu_s() -> float:
    """Of 100,000 events."""
    rng = np.random.default_rng(1)
    spikes = Spikes(rng.random((TICKS, INPUTS)) < 0.25, 5e-4)
    with Board.open(backend="virtual", timeout_s=60) as board:
        board.load(Network.dense(rng.uniform(0, 0.3, (INPUTS, NEURONS))))
        begun_s, events = time.thread_time(), 0
        for seed in range(RUNS):
            events += spikes.count + board.run(spikes, seed=seed).spikes.count
        return (time.thread_time() - begun_s) / events * 1e5


def main() -> None:
    print(f"host: {host_cpu_s():.2f} s of CPU time per 100,000 events", flush=True)
    for baud in (3_000_000, 1_000_000):
        to_board, from_board = share(CLOCK_HZ // baud)
        events = min(to_board, from_board) * baud / 10 / EVENT_BYTES
        print(f"{baud / 1e6:g} Mbaud: {to_board:.1%} of the line to the board, {from_board:.1%} from it; "
              f"{events:,.0f} events/s of {EVENT_BYTES} bytes", flush=True)


if __name__ == "__main__":
    main()
