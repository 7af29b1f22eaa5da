"""Rows of weights of four bits: half the memory, the same sums."""

from dataclasses import replace

import numpy as np
import pytest
from nets import SHAPE, coarse, spikes

from ionspike import Board, Network
from ionspike.host.compiler import compile
from ionspike.host.errors import InputError
from ionspike.host.link import Link
from ionspike.host.narrow import UNIT, pack, unpack
from ionspike.host.network import Projection
from ionspike.sim.golden import GoldenPort
from ionspike.sim.synapse import Fanout, rows
from ionspike.spec import wire


@pytest.mark.parametrize("groups", [1, 2, 5, 64])
@pytest.mark.parametrize("lanes", [8, 16])
def test_nothing_is_lost(groups, lanes):
    weights = (np.random.default_rng(groups).integers(-8, 8, (groups, lanes)) * UNIT).astype(np.int8)
    words = pack(weights)
    assert words.shape == (-(-groups // 2), lanes) and words.dtype == np.int8
    assert np.array_equal(unpack(words, groups), weights)


@pytest.mark.parametrize("weight", [1, -1, 8, 127, -127])
def test_what_four_bits_do_not_hold_is_not_packed(weight):
    assert pack(np.array([[0, 16, weight, -128]], np.int8)) is None


def test_a_byte_is_two_groups():
    assert pack(np.array([[0x10], [-0x20]], np.int8)).view(np.uint8).tolist() == [[0xE1]]


def test_networks_that_fit_are_stored_as_ever():
    small = replace(coarse(), projections=coarse().projections[:1])
    assert compile(small, SHAPE).image.digest() == compile(small, SHAPE, narrow=False).image.digest()
    assert compile(small, SHAPE).report.narrow == 0


def test_others_take_half_the_words():
    wide = replace(SHAPE, words=512)
    compiled, before = compile(coarse(), SHAPE), compile(coarse(), wide)
    assert before.report.words == (44 * 6, 512) and before.report.narrow == 0
    assert compiled.report.words == (44 * 3, 256) and compiled.report.narrow == 44
    assert "44 rows of 4 bits" in compiled.report.lines()[2]
    # A group is a clock as before.
    assert compiled.report.clocks_busiest == before.report.clocks_busiest
    for source in range(SHAPE.sources):
        for row, other in zip(rows(compiled.image, source), rows(before.image, source), strict=True):
            assert np.array_equal(row.weights(compiled.image), other.weights(before.image))


def test_rows_of_eight_bits_stay_as_they_are():
    report = compile(coarse(fine=3), SHAPE).report
    assert report.narrow == 41 and report.words[0] == 3 * 6 + 41 * 3
    with pytest.raises(InputError, match="the network needs 264 words of 8 weights, this board has 128$"):
        compile(coarse(), replace(SHAPE, words=128))


def test_sums_are_those_of_a_larger_memory():
    small, large = (compile(coarse(fine=2), shape) for shape in (SHAPE, replace(SHAPE, words=512)))
    models = [Fanout(compiled.image, 1) for compiled in (small, large)]
    rng = np.random.default_rng(4)
    for tick in range(40):
        inputs, spikes = rng.random((1, 24)) < 0.5, rng.random((1, 48)) < 0.3
        assert models[0].add(inputs, spikes, tick) == models[1].add(inputs, spikes, tick)
        assert np.array_equal(models[0].accumulators, models[1].accumulators)
        assert np.array_equal(*(model.take(tick) for model in models))


def test_weights_in_volts_are_rounded_to_four_bits():
    weights = np.array([[0.7, -0.7, 0.31, 0.04]])
    given = {"device": "zhao2025_ms", "dt_s": 5e-4, "inputs": 1, "neurons": 4,
             "projections": [Projection("inputs", weights)]}
    net = Network.from_float(**given, bits=4)
    assert net.projections[0].weights.tolist() == [[7 * UNIT, -7 * UNIT, 3 * UNIT, 0]]
    assert net.projections[0].weights * net.scale_V == pytest.approx(weights, abs=0.052)
    clipped = Network.from_float(**given, bits=4, max_V=0.35)
    assert clipped.metadata["clipped_weights"] == 2 and clipped.projections[0].weights[0, 0] == 7 * UNIT
    with pytest.raises(InputError, match="bits must be 8 or 4, not 6"):
        Network.from_float(**given, bits=6)


class Older(GoldenPort):
    def __init__(self):
        super().__init__(SHAPE)
        self.link.hello = replace(self.link.hello, minor=3, digest=wire.digests()[3])


def test_a_board_of_the_version_before_says_what_would_help():
    with Board(Link(Older()), backend="golden", where="test") as board:
        with pytest.raises(InputError, match=r"the network needs 264 words of 8 weights, this board has 256; with "
                                             r"rows of 4 bits, which boards have that are flashed anew"):
            board.load(coarse())
        with pytest.raises(InputError, match=r"44 rows are of 4 bits, which are of protocol 1\.4, and this board "
                                             r"speaks 1\.3: flash it anew"):
            board.load(compile(coarse(), SHAPE))
        small = replace(coarse(), projections=coarse().projections[:1])
        board.load(small)
        assert board.run(spikes(inputs=20), seed=1).spikes.count
