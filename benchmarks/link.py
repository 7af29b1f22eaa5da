"""How much of the serial line is payload, in both directions at once, in simulated time.

    python benchmarks/link.py

The whole gateware, not the link alone: the host streams ECHO records, and everything comes back.
Bar: >= 90 % at 1 and 3 Mbaud. The host is simulated as infinitely fast; a real one is not.
"""

import random

from ionspike.hdl.top import CLOCK_HZ
from ionspike.host.codec import echo
from ionspike.host.link import Link
from ionspike.sim.virtual import Model, SimPort, library

RECORD_BYTES = 200
RECORDS, FILLING = 300, 60


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
        record = echo(rng.randbytes(RECORD_BYTES))
        link.send(record)
        sent += len(record)
        got += len(link.receive(0))
    if link.counters["resent"] or link.counters["crc_errors"]:
        raise SystemExit(f"the line was not clean: {link.counters}")
    line_bytes = (port.cycles - begun[0]) / (10 * divisor)
    return (sent - begun[1]) / line_bytes, (got - begun[2]) / line_bytes


def main() -> None:
    for baud in (3_000_000, 1_000_000):
        to_board, from_board = share(CLOCK_HZ // baud)
        print(f"{baud / 1e6:g} Mbaud: {to_board:.1%} of the line to the board, "
              f"{from_board:.1%} from it", flush=True)


if __name__ == "__main__":
    main()
