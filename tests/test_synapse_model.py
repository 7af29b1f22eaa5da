"""The golden fan-out against one saturating addition after the other."""

import random

import numpy as np
import pytest

from ionspike.host.image import Image
from ionspike.sim.synapse import Fanout
from ionspike.spec import formats as fmt
from ionspike.spec.shape import CoreShape

SEED = 20251027
SHAPE = CoreShape(neurons=32, inputs=1024, lanes=8, words=1024, delay_slots=4)
SOURCES = SHAPE.sources


def drawn(rng, largest, lopsided, narrow=0.0):
    """An image of random rows, chained ones among them, and those rows as plain tuples."""
    words = [[rng.randint(largest - 40 if lopsided else -largest, largest) for _ in range(8)]
             for _ in range(SHAPE.words)]
    fanout, rows = [], []
    for _ in range(SOURCES):
        first = rng.randrange(4)
        fields = {"base": rng.randrange(1000), "first": first, "length": rng.randrange(4 - first),
                  "delay": rng.randrange(4 if rng.random() < 0.3 else 1),
                  "more": rng.random() < 0.2, "enable": rng.random() < 0.9, "narrow": rng.random() < narrow}
        rows.append(fields)
        word = shift = 0
        for name, width in SHAPE.descriptor_fields:
            word |= int(fields[name]) << shift
            shift += width
        fanout.append(word)
    image = Image(SHAPE, {"groups_used": 3}, np.array(words, np.int8), np.array(fanout, np.uint32),
                  np.zeros(24, np.uint32), np.zeros(fmt.H_ENTRIES, np.uint16),
                  np.zeros(fmt.NOISE_ENTRIES, np.uint16))
    return image, words, rows


class Plain:
    def __init__(self, words, rows):
        self.weights, self.rows = words, rows
        self.acc = [[0] * 32 for _ in range(4)]

    def of(self, row, k):
        if not row["narrow"]:
            return self.weights[row["base"] + k]
        word = self.weights[row["base"] + k // 2]
        return [weight // 16 * 16 if k % 2 else (weight % 16 - 16 * (weight % 16 > 7)) * 16 for weight in word]

    def add(self, events, tick):
        words = clamped = 0
        for source in events:
            for row in self.rows[source:]:
                if not row["enable"]:
                    break
                acc = self.acc[(tick + row["delay"]) % 4]
                for k in range(row["length"] + 1):
                    words += 1
                    for lane, weight in enumerate(self.of(row, k)):
                        n = (row["first"] + k) * 8 + lane
                        exact = acc[n] + weight
                        acc[n] = min(max(exact, -32768), 32767)
                        clamped += acc[n] != exact
                if not row["more"]:
                    break
        return words, clamped


@pytest.mark.parametrize("largest, lopsided, narrow, saturates", [
    (3, False, 0.0, False), (127, False, 0.0, False), (127, True, 0.0, True), (127, False, 0.5, False),
    (127, True, 0.2, True)])
@pytest.mark.parametrize("trials", [1, 3])
def test_sums_words_and_clamps_equal_plain_additions(largest, lopsided, narrow, saturates, trials):
    rng = random.Random(SEED + trials)
    image, words, rows = drawn(rng, largest, lopsided, narrow)
    fanout, plain = Fanout(image, trials), [Plain(words, rows) for _ in range(trials)]
    clamps = 0
    for tick in range(12):
        density = rng.choice([0, 0.05, 0.9])
        events = np.array([[rng.random() < density for _ in range(1024 + 24)]
                           for _ in range(trials)])
        got = fanout.add(events[:, :1024], events[:, 1024:], tick)
        counts = [p.add(np.flatnonzero(e), tick) for p, e in zip(plain, events, strict=True)]
        assert got == tuple(sum(c) for c in zip(*counts, strict=True))
        assert fanout.accumulators.tolist() == [p.acc for p in plain]
        drive = fanout.take(tick)
        assert drive.tolist() == [p.acc[tick % 4][:24] for p in plain]
        for p in plain:
            p.acc[tick % 4][:24] = [0] * 24
        clamps += got[1]
    assert (clamps > 0) == saturates


def test_sums_of_other_weights_saturate_too():
    """Weights too small to saturate by themselves meet an accumulator that is full already."""
    image, _, _ = drawn(random.Random(SEED), 1, False)
    small = Image(SHAPE, {"groups_used": 4}, image.weights, image.fanout * 0 + row_of_ones(image),
                  np.zeros(32, np.uint32), image.feedback, image.noise)
    fanout = Fanout(small, 1)
    fanout.adopt(np.full((1, 4, 32), 32767, np.int32))
    events = np.zeros((1, SHAPE.inputs), bool)
    events[0, 0] = True
    words, clamped = fanout.add(events, np.zeros((1, 32), bool), 0)
    assert (words, clamped) == (1, 8) and fanout.accumulators.max() == 32767
    fanout.clear()
    assert fanout.add(events, np.zeros((1, 32), bool), 0) == (1, 0)


def row_of_ones(image):
    """Writes ones into the first word; the descriptor of a row of that word."""
    image.weights[0] = 1
    return np.uint32(SHAPE.mask("enable"))
