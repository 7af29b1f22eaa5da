"""Measurements of a material that does not exist, for trying ``ionspike device fit``.

Run: ``python examples/material.py material.csv``, then
``ionspike device fit material.csv --output material.json --plot material.png``.

What is "measured" comes from the reference simulator with the parameters of
``examples/slow_material.json``, 40 times under each condition. docs/devices.md has the fit beside
that truth.
"""

import sys
from pathlib import Path

from ionspike.fidelity.measurements import save
from ionspike.fidelity.synthetic import measure, plan
from ionspike.spec.device import Device

SEED, REPEATS = 2, 40
TRUTH = Path(__file__).with_name("slow_material.json")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python examples/material.py FILE.csv")
    truth = Device.load(str(TRUTH))
    save(sys.argv[1], measure(truth, plan(truth), REPEATS, SEED),
         f"Synthetic, from ionspike.sim.reference: examples/material.py, seed {SEED}.")


if __name__ == "__main__":
    main()
