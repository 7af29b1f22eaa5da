"""Spikes over a bad line: none lost, doubled or out of order, and what that costs; simulated time.

    python benchmarks/faults.py                              # a minute or two
    python benchmarks/faults.py --events 1000000 --minutes 10    # the long run: 10 minutes a rate at most
    python benchmarks/faults.py --soak 30                    # half an hour of faults and re-plugs together

The whole gateware at 6 Mbaud, behind a line that flips, drops, inserts and doubles bytes in both
directions at each rate. Random spikes go in; what comes out, the state and the LFSR after the last tick
are compared with the golden model. Bar: no difference at any rate up to 1e-2 per byte. Then a clean line
whose port is pulled again and again. Bar: data come within 50 ms of its return. A soak has faults at
1e-4 per byte and a re-plug every 20 ms of simulated time; bar: no difference, and no more memory at the
end than after its first tenth, but for 16 MB.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np

from ionspike import Board, Network, Result, Spikes
from ionspike.hdl.top import CLOCK_HZ
from ionspike.host.fault_spec import FaultSpec
from ionspike.host.link import Link
from ionspike.host.replug import Replugging
from ionspike.sim.virtual import Model, SimPort, library

RATES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
#: Clocks a bit: 6 Mbaud, the fastest line of this clock.
DIVISOR = 4
INPUTS, NEURONS, TICKS = 64, 32, 250
BAR_S, BAR_MB = 0.05, 16.0
#: Spike trains, which come round again.
ITEMS = 256
SOAK = FaultSpec.parse("1e-4,replug=20ms,away=50ms")


class Watched(Link):
    """A link that notes how long after each re-plug it gave data."""

    def __init__(self, port, plug, **times):
        super().__init__(port, **times)
        self.plug, self.took_s = plug, []

    def receive(self, timeout_s):
        data = super().receive(timeout_s)
        if data and self.plug is not None and self.plug.pulls > len(self.took_s):
            self.took_s.append(self._clock() - self.plug.back_s)
        return data


class Bench:
    """A board behind a line with faults, in simulated time."""

    def __init__(self, spec: FaultSpec):
        self.port = SimPort(Model(library(divisor=DIVISOR), DIVISOR), clock_Hz=CLOCK_HZ)
        self.line = spec.wrap(self.port, clock=self.now_s)
        times = {"clock": self.now_s, "sleep": lambda s: self.port.run(int(s * CLOCK_HZ))}
        self.link = Watched(Replugging(self.line, **times), self.line.plug, **times)
        self.board = Board(self.link, backend="virtual", where="simulated board", timeout_s=20)

    def now_s(self) -> float:
        return self.port.cycles / CLOCK_HZ


def item(number: int) -> Spikes:
    rng = np.random.default_rng([7, number])
    return Spikes(rng.random((TICKS, INPUTS)) < 0.25, 5e-4)


def resident_MB() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def measure(network: Network, spec: FaultSpec, events: float, expected: list[Result],
            pulls: int = 0, minutes: float = float("inf")) -> dict:
    """Run until so many events, in and out, are through after so many pulls, or time is over."""
    bench = Bench(spec)
    bench.board.load(network)
    lost = added = states = through = 0
    begun_s, wall_s, number = bench.now_s(), time.perf_counter(), 0
    memory_MB: list[tuple[float, float]] = []
    while through < events or len(bench.link.took_s) < pulls:
        if (spent_s := time.perf_counter() - wall_s) > 60 * minutes:
            break
        memory_MB.append((spent_s, resident_MB()))
        if (which := number % ITEMS) == len(expected):
            with Board.open(backend="golden") as golden:
                golden.load(network)
                expected += golden.run_many([item(which + k) for k in range(8)],
                                            seeds=list(range(which, which + 8)))
        right, got = expected[which], bench.board.run(item(which), seed=which)
        lost += int((right.spikes.raster & ~got.spikes.raster).sum())
        added += int((got.spikes.raster & ~right.spikes.raster).sum())
        states += bool((right.final_state != got.final_state).any() or right.lfsr != got.lfsr
                       or got.losses)
        through += right.inputs.count + right.spikes.count
        number += 1
    took_s = bench.now_s() - begun_s
    counters = bench.link.counters
    done = {kind: bench.line.to_board.done[kind] + bench.line.from_board.done[kind]
            for kind in bench.line.to_board.done}
    return {"events": through, "lost": lost, "added": added, "states": states,
            "faults": sum(done.values()), "simulated_s": round(took_s, 3),
            "wall_s": round(time.perf_counter() - wall_s, 1),
            "events_per_s": round(through / took_s),
            "bytes_per_event": round((counters["bytes_out"] + counters["bytes_in"]) / through, 2),
            "resent": counters["resent"], "pulls": bench.line.plug.pulls if bench.line.plug else 0,
            "recovery_s": bench.link.took_s,
            "memory_MB": [mb for spent_s, mb in memory_MB if spent_s >= memory_MB[-1][0] / 10]}


def picture(path: Path, found: dict[float, dict]) -> None:
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    speed, load = figure.subplots(1, 2)
    rates = [rate for rate in found if rate]
    for axes, key, label, style in (
            (speed, "events_per_s", "events per simulated second", "ko-"),
            (load, "bytes_per_event", "bytes on the line per event", "ks--")):
        axes.semilogx(rates, [found[rate][key] for rate in rates], style, label="with faults")
        if 0.0 in found:
            axes.axhline(found[0.0][key], color="0.5", linestyle=":", label="clean line")
        axes.set(xlabel="faults per byte, each direction", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.grid(color="0.9")
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def soak(network: Network, minutes: float, expected: list[Result]) -> None:
    row = measure(network, SOAK, float("inf"), expected, minutes=minutes)
    memory_MB = row["memory_MB"]
    print(f"{row['wall_s'] / 60:.1f} minutes, {row['simulated_s']:.1f} s simulated: {row['events']:,} "
          f"events, {row['faults']:,} faults, {row['pulls']} re-plugs; {row['lost']} lost, "
          f"{row['added']} added, {row['states']} runs differ; memory {memory_MB[0]:.0f} MB after a "
          f"tenth of it, {memory_MB[-1]:.0f} MB at the end, {max(memory_MB):.0f} MB at most")
    if row["lost"] or row["added"] or row["states"] or memory_MB[-1] > memory_MB[0] + BAR_MB:
        raise SystemExit("below the bar")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=20_000, help="at each rate, at least")
    parser.add_argument("--rates", default=",".join(map(str, RATES)))
    parser.add_argument("--pulls", type=int, default=20, help="of the port, at least")
    parser.add_argument("--minutes", type=float, default=float("inf"),
                        help="at each rate, at most, whatever the number of events")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="faults and re-plugs, so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="where the figure goes")
    parser.add_argument("--json", type=Path, help="where all numbers go; those of other rates that "
                        "are there already stay, and are in the figure")
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    network = Network.dense(rng.uniform(0, 0.3, (INPUTS, NEURONS)))
    expected: list[Result] = []
    if given.soak is not None:
        soak(network, given.soak, expected)
        return
    found = {}
    print("| faults per byte | events | lost | added | runs that differ | faults put in | frames the "
          "host sent again | events/s, simulated | bytes on the line per event |\n"
          "|---|---|---|---|---|---|---|---|---|")
    for rate in map(float, given.rates.split(",")):
        spec = FaultSpec.parse(f"{rate},seed={given.seed}")
        row = found[rate] = measure(network, spec, given.events, expected,
                                    minutes=given.minutes)
        print(f"| {rate:g} | {row['events']:,} | {row['lost']} | {row['added']} | {row['states']} | "
              f"{row['faults']:,} | {row['resent']:,} | {row['events_per_s']:,} | "
              f"{row['bytes_per_event']} |", flush=True)
    spec = FaultSpec(replug_s=0.02, away_s=0.05, seed=given.seed)
    row = measure(network, spec, 1, expected, given.pulls)
    took_s = row["recovery_s"]
    print(f"\nre-plugs: {row['pulls']}, each of {spec.away_s:g} s; {row['events']:,} events, {row['lost']} "
          f"lost, {row['added']} added, {row['states']} runs differ; data {1e3 * statistics.median(took_s):.1f} ms "
          f"after the port was back (median), {1e3 * max(took_s):.1f} ms at most")
    shown = found
    if given.json is not None:
        if given.json.exists():
            before = json.loads(given.json.read_text())["rates"]
            shown = {float(rate): one for rate, one in before.items()} | found
        given.json.write_text(json.dumps({"rates": shown, "replug": row}, indent=1))
    if given.picture is not None:
        picture(given.picture, dict(sorted(shown.items())))
    wrong = [rate for rate, row in [*found.items(), ("re-plug", row)]
             if row["lost"] or row["added"] or row["states"]]
    if wrong or max(took_s) > BAR_S:
        raise SystemExit(f"below the bar: differences at {wrong}, recovery {max(took_s):.3f} s")


if __name__ == "__main__":
    main()
