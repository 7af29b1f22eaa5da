"""The ladder of equivalence: netlists and a bitstream of a board against the golden model.

    python benchmarks/ladder.py [--board hx8k] [--rungs synthesis,route,bitstream] [--ticks 1000]

Each rung is compiled into the virtual board's place and compared, through the UART's pins, on the
same random cases as `ionspike verify` takes. Needs the `boards` extra and, for the bitstream,
Debian's fpga-icestorm. The exit code is 1 if anything differs. What was synthesised and routed is
kept in the cache; the clocks/s are those of the simulator alone, in processor time.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

from ionspike import Board
from ionspike.boards.flow import FLOWS
from ionspike.boards.netlists import FAMILIES, Family, route, synthesise
from ionspike.hdl.top import CLOCK_HZ, Top
from ionspike.host.link import Link
from ionspike.host.verify import verify
from ionspike.sim import cache, netlist
from ionspike.sim.virtual import DEFAULT_DIVISOR, Model, SimPort, VirtualBoard

RUNGS = {"synthesis": "top.json", "route": "routed.json", "bitstream": "top.bin"}
TIMEOUT_S = 60.0


class Timed(Model):
    """A model that knows how much processor time it took."""

    spent_s = 0.0

    def run(self, cycles: int, *, until: int | None = None) -> int:
        begun = time.thread_time()
        try:
            return super().run(cycles, until=until)
        finally:
            self.spent_s += time.thread_time() - begun


def built(family: Family, top: Top, routed: bool) -> Path:
    """Folder with the files of a design, from the cache if they are there."""
    key = hashlib.sha256(repr((family, FLOWS[family.flow], top.build)).encode()).hexdigest()[:32]
    folder = cache.folder("netlists") / key
    with cache.locked(folder.with_suffix(".lock")):
        for file, make in (("top.json", lambda part: synthesise(top, family, part)),
                           ("routed.json", lambda part: route(family, part))):
            if (folder / file).exists() or file == "routed.json" and not routed:
                continue
            folder.mkdir(exist_ok=True)
            # Whole or not at all, also where a build is interrupted.
            with tempfile.TemporaryDirectory(dir=folder.parent) as name:
                part = Path(name)
                for old in folder.iterdir():
                    os.link(old, part / old.name)
                make(part)
                for new in sorted(part.iterdir(), key=lambda path: path.name == file):
                    os.replace(new, folder / new.name)
    return folder


def climb(path: Path, ticks: int, seed: int, pty: bool) -> bool:
    """Verify one rung and print how it went; whether it is equal."""
    library = netlist.library(path)
    begun = time.perf_counter()
    if pty:
        import serial
        with VirtualBoard(library) as virtual, serial.Serial(virtual.port, timeout=TIMEOUT_S) as line, \
                Board(Link(line), backend="virtual", where=path.name, timeout_s=TIMEOUT_S) as board:
            done = verify(board, ticks=ticks, seed=seed)
            cycles = virtual.model.cycles
        speed = "through a pty"
    else:
        model = Timed(library, DEFAULT_DIVISOR)
        port = SimPort(model, clock_Hz=CLOCK_HZ)
        with Board(Link(port), backend="virtual", where=path.name, timeout_s=TIMEOUT_S) as board:
            done = verify(board, ticks=ticks, seed=seed)
        cycles = model.cycles
        speed = f"{cycles / model.spent_s / 1e6:.2f} M clocks/s"
    wall_s = time.perf_counter() - begun
    result = "0 differences" if done.equal else f"differs: {done.divergence}"
    print(f"{path.name:12} {done.ticks:7,} ticks, {done.spikes:,} spikes, {cycles:,} clocks, "
          f"{result}, {speed}, {wall_s:.0f} s", flush=True)
    return done.equal and not done.losses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", choices=FAMILIES, default="hx8k")
    parser.add_argument("--rungs", default=",".join(RUNGS), help="with commas between")
    parser.add_argument("--ticks", type=int, default=1000)
    parser.add_argument("--seeds", default="1", help="of the random cases, with commas between")
    parser.add_argument("--pty", action="store_true", help="behind a pseudo-terminal")
    options = parser.parse_args()
    rungs = options.rungs.split(",")
    if unknown := set(rungs) - set(RUNGS):
        parser.error(f"no such rung: {', '.join(unknown)}; there are {', '.join(RUNGS)}")
    if options.board == "ecp5" and "bitstream" in rungs:
        rungs.remove("bitstream")
        print("no tool turns an ECP5 bitstream back into a netlist: that rung is left out")
    family = FAMILIES[options.board]
    top = Top(family.shape, clock_hz=CLOCK_HZ, baud=CLOCK_HZ // DEFAULT_DIVISOR)
    folder = built(family, top, set(rungs) != {"synthesis"})
    equal = [climb(folder / RUNGS[rung], options.ticks, int(seed), options.pty)
             for rung in rungs for seed in options.seeds.split(",")]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
