"""How many placement seeds meet a board's clock, with the delay of multipliers counted.

    python benchmarks/seeds.py [BOARD] [--seeds 10]

Synthesised once, placed and routed with seed 1, 2 and so on; some two minutes each.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from ionspike.boards.build import place, prepare, synthesise
from ionspike.boards.table import find
from ionspike.hdl.top import Top


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("board", nargs="?", default="icebreaker")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    facts = find(arguments.board)
    with tempfile.TemporaryDirectory(prefix="ionspike-", dir=".") as name:
        folder = Path(name)
        prepare(facts, Top(facts.shape, board=facts.board, clock_hz=facts.clock_Hz,
                           packages=("ionspike.boards",)), folder)
        synthesise(facts.flow, folder)
        placed = []
        for seed in range(1, arguments.seeds + 1):
            placed.append(place(facts, folder, seed))
            print(placed[-1], flush=True)
    used = ", ".join(f"{taken} of {room} {kind}" for kind, (taken, room) in placed[0].used.items())
    reached = sorted(each.checked_Hz / 1e6 for each in placed)
    print(f"{facts.title}: {used}")
    print(f"{sum(each.is_met for each in placed)} of {len(placed)} seeds meet "
          f"{facts.clock_Hz / 1e6:g} MHz: {reached[0]:.2f} to {reached[-1]:.2f} MHz, "
          f"median {statistics.median(reached):.2f}")


if __name__ == "__main__":
    main()
