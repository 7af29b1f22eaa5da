"""Does the default core fit an iCE40UP5K, and how fast is it there?

    python benchmarks/up5k.py [--seeds 1,2,3]

Needs the ``boards`` extra. nextpnr knows next to nothing of the multipliers' delay, so the
frequency is quoted as nextpnr gives it, and with 9.05 ns more, which is what icestorm's table has
for a 16 x 16 product without registers: ours end in one, which is in the fabric.
"""

import argparse
import tempfile
from pathlib import Path

from ionspike.boards.up5k import place, synthesise
from ionspike.hdl.top import CLOCK_HZ, Top
from ionspike.spec.wire import Board

MULTIPLIER_S = 9.05e-9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1", help="placement seeds, with commas between")
    seeds = [int(seed) for seed in parser.parse_args().seeds.split(",")]
    with tempfile.TemporaryDirectory() as name:
        cells = synthesise(Top(board=Board.ICEBREAKER), Path(name))
        print(", ".join(f"{name} {count}" for name, count in sorted(cells.items())))
        for seed in seeds:
            placed = place(Path(name), clock_Hz=CLOCK_HZ, seed=seed)
            used = ", ".join(f"{name} {count}/{total}"
                             for name, (count, total) in placed.used.items())
            corrected = 1 / (1 / placed.fmax_Hz + MULTIPLIER_S)
            print(f"seed {seed}: {used}; {placed.fmax_Hz / 1e6:.1f} MHz by nextpnr, "
                  f"{corrected / 1e6:.1f} MHz were a multiplier on the longest path; "
                  f"{CLOCK_HZ / 1e6:g} MHz wanted", flush=True)


if __name__ == "__main__":
    main()
