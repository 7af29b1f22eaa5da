"""Events to the inputs of a network: the one way of training, evaluation and demo."""

from dataclasses import replace

import numpy as np
import pytest
from nets import network

from ionspike.host.errors import InputError
from ionspike.host.frame import Frame, with_bias

FRAME = {"ticks": 100, "bin_s": 0.01, "group": 3}


def test_an_event_is_in_the_tick_and_the_group_that_it_falls_in():
    frame = Frame(3, 0.01, 2)
    tick = np.array([0.0, 0.999, 1 - 1e-9, 2.5, 3.0, -0.5, 2.0, 1.0, 7.0])
    channel = np.array([0, 1, 2, 4, 0, 0, 5, 6, 6])
    assert [tuple(at) for at in np.argwhere(frame.rasters(tick, channel, 7)[0, 0])] == [
        (0, 0), (1, 1), (2, 2)]
    assert frame.inputs(7) == 3
    assert frame.left_out(tick, channel, 7) == {"after": 2, "input": 1}
    two = frame.rasters(tick[:4], channel[:4], 7, item=np.array([0, 1, 1, 0]), items=2)[0]
    assert two.shape == (2, 3, 3) and [tuple(at) for at in np.argwhere(two)] == [
        (0, 0, 0), (0, 2, 2), (1, 0, 0), (1, 1, 1)]


def test_levels_are_inputs_of_their_own_that_want_more_events():
    frame = Frame(2, 0.01, 2, first=1, levels=(1, 3))
    # Channels 1, 2 and 3, 4 and 5, 6; channel 0 is below the first, 7 fills no group.
    assert (frame.groups(8), frame.inputs(8)) == (3, 6) and frame.inputs(1) == frame.inputs(0) == 0
    tick = np.array([0, 0, 0, 0, 1, 1, 1, 1.5, 1.5, 0, 2])
    channel = np.array([1, 2, 2, 3, 5, 6, 0, 7, 0.4, 5.9, 3])
    raster = frame.rasters(tick, channel, 8)[0, 0]
    assert np.array_equal(raster, [[1, 1, 1, 1, 0, 0], [0, 0, 1, 0, 0, 0]])
    assert frame.left_out(tick, channel, 8) == {"after": 1, "input": 3}
    three = np.array([1.0, 1.2, 1.4])
    assert frame.rasters(three, np.full(3, 4), 8)[0, 0].tolist() == [[0] * 6, [0, 1, 0, 0, 1, 0]]
    assert not frame.rasters(np.zeros(0), np.zeros(0), 8).any()


def test_views_are_moved_by_channels():
    frame = Frame(2, 0.01, 2, views=(0, 2, -1))
    seen = frame.rasters(np.array([0, 1]), np.array([1, 2]), 6)[:, 0]
    assert [tuple(at) for at in np.argwhere(seen)] == [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2), (2, 0, 0),
                                                       (2, 1, 0)]
    for views in ([], [0, 0], [0.5], [True], list(range(17)), [20_000], 3, "0"):
        with pytest.raises(InputError, match="views must (be up to 16 numbers of channels|differ in their channels)"):
            Frame(2, 0.01, 2, views=views)


def test_paces_are_of_each_view():
    frame = Frame(4, 0.01, 2, views=(0, 0, 2), paces=(1, 0.5, 2.0))
    seen = frame.rasters(np.array([0, 1.5]), np.array([1, 2]), 6)[:, 0]
    assert [tuple(at) for at in np.argwhere(seen)] == [(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 3, 1), (2, 0, 1), (2, 0, 2)]
    for paces in ([1.0], [1, 1, 0.5], [1, 0.5, 20], [1, 0.5, "2"], [True, 0.5, 2], 3, [1, float("nan"), 2]):
        with pytest.raises(InputError, match=r"paces must be none or one of each view, 3, from 0\.1 to 10|"
                                             r"views must differ in their channels or paces, not \(0, 0, 2\) at"):
            Frame(4, 0.01, 2, views=(0, 0, 2), paces=paces)


def test_a_network_says_its_frame():
    said = network(metadata={"frame": {**FRAME, "more": 1}})
    assert Frame.of(said) == Frame(**FRAME)
    levels = {**FRAME, "first": 7, "levels": [1, 4]}
    assert Frame.of(replace(said, metadata={"frame": levels})) == Frame(100, 0.01, 3, 7, (1, 4))
    for frame, message in ((None, "do not say how events become its inputs"), ({}, "do not say"),
                           ({**FRAME, "ticks": 0}, "frame: ticks must be 1 to 10000, not 0"),
                           ({**FRAME, "ticks": 10.0}, "ticks must be 1 to 10000, not 10.0"),
                           ({**FRAME, "bin_s": np.nan}, "bin_s must be 1e-06 to 10, not nan"),
                           ({**FRAME, "group": True}, "group must be 1 to 10000, not True"),
                           ({**FRAME, "first": -1}, "first must be 0 to 10000, not -1"),
                           ({**FRAME, "levels": []}, r"levels must be up to 16 ascending numbers of events, not \(\)"),
                           ({**FRAME, "levels": [2, 2]}, r"levels must be .* not \(2, 2\)"),
                           ({**FRAME, "levels": [0]}, "levels must be"), ({**FRAME, "levels": 3}, "levels must be .* not 3"),
                           ({**FRAME, "levels": [1, "x" * 900]}, "levels must be"),
                           ({**FRAME, "levels": [True]}, "levels must be"),
                           ({**FRAME, "group": "x" * 900}, "group must be .* not 'x+...")):
        with pytest.raises(InputError, match=message) as raised:
            Frame.of(replace(said, metadata={"frame": frame}))
        assert len(str(raised.value)) < 200


@pytest.mark.parametrize("bias", [0, 1, 3])
def test_a_bias_fires_in_every_tick_of_the_last_inputs(bias):
    net = network(inputs=12, metadata={"bias": bias} if bias else {})
    raster = np.random.default_rng(1).random((2, 5, 12 - bias)) < 0.5
    found = with_bias(net, raster)
    assert np.array_equal(found[..., :12 - bias], raster) and found.shape == (2, 5, 12)
    assert found[..., 12 - bias:].all()
    with pytest.raises(InputError, match=f"events fill 13 inputs, the network has 12"
                       f"{f', {bias} of them for a bias' if bias else '$'}"):
        with_bias(net, np.zeros((5, 13), bool))


@pytest.mark.parametrize("bias", [-1, 12, True, 1.0, "1", None])
def test_a_bias_that_is_none_is_refused(bias):
    with pytest.raises(InputError, match="bias must be 0 to 11 of its inputs, not "):
        with_bias(network(metadata={"bias": bias}), np.zeros((5, 12), bool))
