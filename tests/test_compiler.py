"""Placement, fan-out rows and coefficients; what does not fit is named."""

from dataclasses import replace

import numpy as np
import pytest
from nets import DT_S, SHAPE, network, spikes

from ionspike.host.compiler import compile
from ionspike.host.errors import InputError
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.seeds import lfsr_state
from ionspike.sim.model import Model
from ionspike.spec import formats as fmt
from ionspike.spec.device import Device
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape


def plain(projections, inputs=8, neurons=8, **options):
    return Network(device="zhao2025_ms", dt_s=DT_S, inputs=inputs, neurons=neurons,
                   projections=projections, scale_V=2.0 ** -10, **options)


def arriving(compiled, source_spikes, ticks):
    """What each neuron of the network gets in each tick, from the image alone."""
    model = Model(compiled.image, [1])
    raster = compiled.to_board(source_spikes)
    sums = np.zeros((ticks, compiled.network.neurons), int)
    quiet = np.zeros((1, compiled.image.neurons), bool)
    for t in range(ticks):
        model.fanout.add(raster[None, t], quiet, t)
        sums[t] = model.fanout.take(t)[0][compiled.neuron_slots]
    return sums


def expected(net, source_spikes, ticks):
    sums = np.zeros((ticks + 16, net.neurons), int)
    for p in net.projections:
        if p.source == "inputs":
            rows, columns = p.weights.shape
            part = source_spikes[:, p.source_start:p.source_start + rows].astype(int)
            sums[p.delay:p.delay + len(part), p.target_start:p.target_start + columns] \
                += part @ p.weights.astype(int)
    return sums[:ticks]


def test_synapses_arrive_where_and_when_they_should():
    reached = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        neurons, inputs = int(rng.integers(1, 33)), int(rng.integers(1, 7))
        projections = []
        for _ in range(int(rng.integers(1, 4))):
            targets = int(rng.integers(1, neurons + 1))
            weights = rng.integers(-128, 128, (inputs, targets)).astype(np.int8)
            weights[rng.random(weights.shape) < 0.5] = 0
            projections.append(Projection(
                "inputs", weights, 0, int(rng.integers(0, neurons - targets + 1)),
                int(rng.integers(0, 4))))
        net = plain(projections, inputs, neurons)
        compiled = compile(net, SHAPE)
        fired = rng.random((16, inputs)) < 0.5
        fired[12:] = False
        assert np.array_equal(arriving(compiled, fired, 16), expected(net, fired, 16))
        reached |= {compiled.report.chained > 0, compiled.report.neurons[0] > neurons + 7}
    assert reached == {True, False}


def test_recurrent_chains_keep_skipped_places_silent():
    net = network()
    compiled = compile(net, SHAPE)
    assert compiled.report.chained == 0
    again = Projection("neurons", np.full((20, 3), 40, np.int8), target_start=10, delay=1)
    net = replace(net, projections=(*net.projections, again))
    compiled = compile(net, SHAPE)
    # The projections of one source and other delays are rows of their own.
    assert compiled.report.chained == 20
    assert np.array_equal(np.diff(compiled.neuron_slots)[:8], [2] * 8)
    model = Model(compiled.image, [lfsr_state(1)])
    fired = model.run(compiled.to_board(spikes(400).raster)[None])[0]
    skipped = np.setdiff1d(np.arange(compiled.image.neurons), compiled.neuron_slots)
    assert fired[:, compiled.neuron_slots].any() and not fired[:, skipped].any()


def test_populations_begin_at_groups_where_there_is_room():
    half = np.ones((4, 5), np.int8)
    net = plain([Projection("inputs", half), Projection("inputs", half, target_start=5)],
                4, 10)
    compiled = compile(net, SHAPE)
    assert compiled.neuron_slots.tolist() == [0, 1, 2, 3, 4, 8, 9, 10, 11, 12]
    full = plain([Projection("inputs", np.ones((4, 5), np.int8)),
                  Projection("inputs", np.ones((4, 43), np.int8), target_start=5)], 4, 48)
    assert compile(full, SHAPE).neuron_slots.tolist() == list(range(48))


def test_rows_leave_out_empty_groups_and_equal_ones_share_words():
    weights = np.zeros((8, 48), np.int8)
    weights[:, 17] = 5
    compiled = compile(plain([Projection("inputs", weights)], 8, 48), SHAPE)
    assert compiled.report.words == (1, 256)
    weights[3, 41] = 1
    compiled = compile(plain([Projection("inputs", weights)], 8, 48), SHAPE)
    assert compiled.report.words[0] == 1 + 4


def test_sums_beyond_int8_keep_their_rows():
    ones = np.full((2, 8), 100, np.int8)
    net = plain([Projection("inputs", ones), Projection("inputs", ones)], 2)
    compiled = compile(net, SHAPE)
    assert compiled.report.chained == 2
    fired = np.ones((1, 2), bool)
    assert arriving(compiled, fired, 1).tolist() == [[400] * 8]


def test_mismatch_is_in_the_coefficients():
    mismatch = Mismatch(np.array([1, 2, 100.0]), np.array([0, -0.125, 0.248]),
                        np.array([1, 0.5, 2]))
    net = Network.dense(np.full((2, 3), 0.5), mismatch=mismatch)
    compiled = compile(net, SHAPE)
    words = compiled.image.coefficients[compiled.neuron_slots].astype(int)
    kg, mu, theta = words & 0xFFF, words >> 12 & 0xFFF, words >> 24
    assert mu[1] == pytest.approx(2 * mu[0], abs=1) and mu[2] == 4095
    assert theta.tolist() == [0, 256 - 64, 127]
    decay = 1 - kg / 4096
    assert np.log(decay[1]) == pytest.approx(2 * np.log(decay[0]), rel=0.01)
    assert np.log(decay[2]) == pytest.approx(np.log(decay[0]) / 2, rel=0.01)
    assert compiled.report.saturated_coefficients == 1
    assert "1 neurons have a coefficient that saturates its format" in compiled.report.warnings


def test_gaps_add_up_and_are_never_so_short_that_a_device_is_stuck_on():
    mismatch = Mismatch(np.ones(3), np.array([0.0, 0.1, -0.248]), np.ones(3))
    net = Network.dense(np.full((2, 3), 0.5), mismatch=mismatch,
                        device=Device.load("zhao2025_ms").with_(gap=-0.125))
    compiled = compile(net, SHAPE)
    theta = (compiled.image.coefficients[compiled.neuron_slots] >> 24).astype(np.int8)
    assert theta.tolist() == [-64, -13, fmt.THETA_STUCK + 1]
    assert compiled.report.saturated_coefficients == 1


def test_report_warns_of_what_can_be_known():
    weights = np.full((16, 4), 127, np.int8)
    weights[:, 3] = 0
    net = plain([Projection("inputs", weights)] * 20, 16, 4)
    report = compile(net, CoreShape(inputs=512, words=1024)).report
    assert report.largest_sum == 16 * 20 * 127
    assert any("saturate at 32,767" in text for text in report.warnings)
    assert any(text.startswith("1 neurons cannot fire") for text in report.warnings)
    assert report.clocks_busiest - report.clocks_idle == 16 * 20
    assert all(isinstance(line, str) for line in report.lines())


@pytest.mark.parametrize(("net", "message"), [
    (plain((), inputs=25), "the network has 25 inputs, this board has 24"),
    (plain((), neurons=49), "the network has 49 neurons, this board has 48"),
    (plain([Projection("inputs", np.ones((8, 8), np.int8), delay=4)]),
     "projection 0: a delay of 4 ticks; this board's 4 accumulator slots reach 3"),
    (plain([Projection("neurons", np.random.default_rng(0).integers(1, 99, (48, 48))
                       .astype(np.int8))], 24, 48),
     "the network needs 288 words of 8 weights, this board has 256"),
    (plain([Projection("inputs", np.ones((20, 8), np.int8), delay=d) for d in (0, 1)], 20),
     "the network's 20 inputs take 40 places, because 20 of them need more than one fan-out row; "
     "this board has 24"),
    (plain([Projection("neurons", np.ones((30, 8), np.int8), delay=d) for d in (0, 1)], 8, 30),
     "the network's 30 neurons take 60 places, because 30 of them need more than one fan-out row; "
     "this board has 48"),
])
def test_what_does_not_fit_is_named(net, message):
    with pytest.raises(InputError) as error:
        compile(net, SHAPE)
    assert str(error.value) == message


def test_largest_network_of_the_default_core():
    weights = np.random.default_rng(0).integers(1, 100, (256, 512)).astype(np.int8)
    report = compile(plain([Projection("inputs", weights)], 256, 512), DEFAULT_SHAPE).report
    assert report.words == (16384, 16384) and report.neurons == (512, 512)
