import numpy as np
import pytest

from ionspike.host.encoders import delta, latency, rate


def test_rate_spikes_as_often_as_the_intensity_asks_and_evenly():
    levels = np.arange(17)
    spikes = rate(levels, 64, peak=0.5)
    assert spikes.shape == (64, 17) and spikes.dtype == bool
    assert (np.abs(spikes.sum(axis=0) - levels * 0.5 * 64 / 16) <= 1).all()
    gaps = np.diff(np.flatnonzero(spikes[:, 5]))
    assert gaps.max() - gaps.min() <= 1


def test_rate_at_peak_one_is_every_tick_and_zero_is_never():
    spikes = rate([[0, 16]], 10, peak=1)
    assert spikes.shape == (1, 10, 2)
    assert spikes[0].sum(axis=0).tolist() == [0, 10]


def test_rate_of_equal_intensities_is_out_of_step():
    assert len(np.unique(rate(np.full(64, 4), 16).T, axis=0)) > 4


def test_rate_known_answer():
    # A change here makes trained networks see other spikes.
    spikes = rate([[3, 8, 12, 16]], 8, peak=0.75)[0]
    assert ["".join("01"[b] for b in column) for column in spikes.T.astype(int)] == KNOWN


KNOWN = ["00000001", "01010010", "01011010", "11101110"]


def test_latency_is_earlier_the_brighter():
    spikes = latency([0, 1, 8, 16], 32)
    assert spikes.sum(axis=0).tolist() == [0, 1, 1, 1]
    assert np.argmax(spikes, axis=0).tolist()[1:] == [30, 16, 0]


@pytest.mark.parametrize("encoder", [rate, latency])
@pytest.mark.parametrize("values", [[17], [-1], [0.5], [float("nan")], 3])
def test_intensities_out_of_range_are_refused(encoder, values):
    with pytest.raises(ValueError, match="whole numbers from 0 to 16"):
        encoder(values, 8)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="ticks must be at least 1, not 0"):
        rate([1], 0)
    with pytest.raises(ValueError, match="peak must be above 0 and up to 1"):
        rate([1], 8, peak=1.5)


def test_delta_follows_a_signal_within_a_step():
    t = np.arange(200)
    x = np.stack([np.sin(t / 15), 0 * t, -t / 100], axis=1)
    spikes = delta(x, 0.1)
    assert spikes.shape == (200, 6)
    level = x[0] + 0.1 * np.cumsum(spikes[:, :3].astype(int) - spikes[:, 3:], axis=0)
    assert np.abs(x - level).max() < 0.1 + 1e-9
    assert spikes.any(axis=0).tolist() == [True, False, False, True, False, True]
    assert not (spikes[:, :3] & spikes[:, 3:]).any()


def test_delta_known_answer_and_catches_up_later():
    assert delta([[0.0], [3.0], [3.0], [3.0], [3.0], [0.5]], 1).astype(int).tolist() == [
        [0, 0], [1, 0], [1, 0], [1, 0], [0, 0], [0, 1]]
    both = delta(np.stack([np.zeros((4, 1)), np.ones((4, 1))]), 0.5)
    assert both.shape == (2, 4, 2) and not both.any()


def test_delta_refuses_what_is_no_signal():
    for values in ([1.0, 2.0], [[float("nan")]], [["a"]]):
        with pytest.raises(ValueError, match="signals must be an array"):
            delta(values, 1)
    for step in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="step must be a finite number above 0"):
            delta([[1.0]], step)
