"""Live use: a source that never ends, and a loop that is closed over the board.

    python examples/live.py                      # the golden model
    python examples/live.py socket://lab:5333    # any board

The source stands for a microphone or an event camera: at each tick it gives the inputs that fire. Here
it is a loudness that swells and fades, turned down by what the neurons answered last.
"""

import itertools
import math
import sys

import numpy as np

from ionspike import Board, Network

TICKS = 400


def main() -> None:
    rng = np.random.default_rng(1)
    network = Network.dense(rng.uniform(0, 0.3, (16, 8)))
    answered = 0.0

    def source():
        for tick in itertools.count():
            loud = 0.25 * (1 - math.cos(tick / 30)) / (1 + answered)
            yield np.flatnonzero(rng.random(16) < loud)

    with Board.open(sys.argv[1] if len(sys.argv) > 1 else "golden") as board:
        board.load(network)
        # ahead=1: the next input is made when these spikes have been dealt with.
        with board.stream(source(), seed=1, ahead=1) as stream:
            for fired in itertools.islice(stream, TICKS):
                answered = 0.95 * answered + len(fired)
                if stream.ticks % 20 == 0:
                    print(f"tick {stream.ticks:4}  {'#' * round(4 * answered)}")
        print("lost or late:", stream.losses or "nothing")


if __name__ == "__main__":
    main()
