"""Utterances per second on the bit-exact golden model, and some of them on the virtual board.

Run: ``python benchmarks/evaluate.py [NET.ion] [--items N] [--board N]``. The bar: 2,000 utterances of
100 ticks within 60 s on two cores, for some 400 neurons.

Without a network: one of the size that `ionspike train speech` makes, with random weights, 14 % of
its inputs firing in a tick.

``IONSPIKE_DATA=folder python benchmarks/evaluate.py NET.ion --held-out speech --board 1729``: the items
that the network was not trained on, instead of random ones. Exit code 1 if a board's differ.
"""

import argparse
import sys
import time

import numpy as np

from ionspike.host.board import Board
from ionspike.host.console import Bar
from ionspike.host.frame import Frame
from ionspike.host.network import Network, Projection
from ionspike.train import sources
from ionspike.train.evaluate import different, read, shape_for

TICKS, ACTIVITY = 100, 0.14
INPUTS, HIDDEN, OUTPUTS = 233, 160, 60
#: Items that the board runs before they are compared.
AT_ONCE = 32


def network(rng):
    def layer(sources, targets, mean):
        return rng.normal(mean, 0.2, (sources, targets)) / np.sqrt(sources / 32)

    inner = 2 * HIDDEN
    return Network.from_float(
        device="zhao2025_ms", dt_s=1e-3, inputs=INPUTS, neurons=inner + OUTPUTS, projections=(
            Projection("inputs", layer(INPUTS, HIDDEN, 0.08)),
            Projection("neurons", layer(HIDDEN, HIDDEN, 0.0)),
            Projection("neurons", layer(HIDDEN, HIDDEN, 0.15), target_start=HIDDEN),
            Projection("neurons", layer(HIDDEN, HIDDEN, 0.0), HIDDEN, HIDDEN),
            Projection("neurons", layer(HIDDEN, OUTPUTS, 0.15), HIDDEN, inner)),
        outputs=np.arange(inner, inner + OUTPUTS),
        labels=tuple(str(k // 3) for k in range(OUTPUTS)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", metavar="NET.ion")
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--held-out", choices=["speech", "braille"], help="of which data")
    parser.add_argument("--board", type=int, default=4, metavar="N",
                        help="runs on the virtual board, all of the first view first")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    net = network(rng) if options.network is None else Network.load(options.network)
    ticks = net.metadata.get("frame", {}).get("ticks", TICKS)
    inputs = net.inputs - net.metadata.get("bias", 0)
    labels = None
    if options.held_out:
        if net.metadata["held_out"] is None:
            parser.error(f"{options.network} learnt from all items, so none is held out")
        events = sources.load(options.held_out)[0]
        chosen = events.split(tuple(net.metadata["held_out"]))[1][:options.items]
        raster, labels = events.views(chosen, Frame.of(net)), events.labels[chosen]
    else:
        raster = rng.random((1, options.items, ticks, inputs)) < ACTIVITY
    shape = shape_for(net)
    start, own = time.perf_counter(), time.process_time()
    answers = read(net, raster, 1, shape)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - own
    views, items = raster.shape[:2]
    times = f" in {views} views" if views > 1 else ""
    print(f"golden model  {items:,} items of {ticks} ticks{times}, {net.neurons} neurons, "
          f"{net.synapses:,} synapses: {wall_s:.1f} s, {cpu_s:.1f} s of CPU time; "
          + (f"{len(np.unique(answers))} classes among the answers" if labels is None else
             f"{np.mean(answers == labels):.2%} right"), flush=True)
    wrong = []
    if options.board:
        raster, start = raster.reshape(-1, ticks, inputs)[:options.board], time.perf_counter()
        with Board.open(backend="virtual", shape=shape) as board, Bar("board", "runs") as bar:
            for first in range(0, len(raster), AT_ONCE):
                part = raster[first:first + AT_ONCE]
                wrong += [first + k for k in different(board, net, part, 1 + first)]
                bar(first + len(part), len(raster))
        print(f"virtual board  {len(raster):,} runs: " + (
            f"DIFFERENT in runs {wrong}" if wrong else
            f"every spike, final state word and LFSR is the golden model's; "
            f"{time.perf_counter() - start:.0f} s"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
