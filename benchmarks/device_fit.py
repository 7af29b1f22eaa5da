"""How often the intervals of ``ionspike device fit`` hold the truth, on data of known truth.

Run: ``python benchmarks/device_fit.py [--rounds 10]``; about 25 s a fit and core.

Two truths, each "measured" anew with every seed by the reference simulator, 30 times under each
condition. Prints, by parameter, in how many fits the interval of 95 % held the truth, and the
median and largest error of the value.
"""

import argparse
import multiprocessing
import os
from pathlib import Path

import numpy as np

from ionspike.fidelity.fit import Fit, fit
from ionspike.fidelity.synthetic import measure, plan
from ionspike.spec.device import Device

TRUTHS = ("zhao2025_table1", str(Path(__file__).parents[1] / "examples" / "slow_material.json"))
REPEATS, FIRST_SEED = 30, 101


def one(job: tuple[str, int]) -> tuple[str, Fit]:
    name, seed = job
    truth = Device.load(name)
    return name, fit(measure(truth, plan(truth), REPEATS, seed), bootstrap=200, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    jobs = [(name, seed) for seed in range(FIRST_SEED, FIRST_SEED + parser.parse_args().rounds)
            for name in TRUTHS]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.map(one, jobs, chunksize=1)
    for name in TRUTHS:
        truth, fits = Device.load(name), [fit for its, fit in found if its == name]
        print(f"{truth.name}: {len(fits)} fits, sum of squares over expected "
              f"{np.median([f.chi2 / f.freedom for f in fits]):.2f} (median)")
        for parameter in fits[0].estimates:
            estimates, true = [f.estimates[parameter] for f in fits], getattr(truth, parameter)
            held = sum(e.low <= true <= e.high for e in estimates)
            errors = [abs(e.value - true) / (true or 1) for e in estimates]
            print(f"  {parameter:15} held {held:3} of {len(fits)}, determined in "
                  f"{sum(e.determined for e in estimates):3}, error {np.median(errors):6.1%} median, "
                  f"{max(errors):6.1%} largest" + ("" if true else " (absolute)"))


if __name__ == "__main__":
    main()
