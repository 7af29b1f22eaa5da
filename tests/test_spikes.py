"""Spikes from and to the forms users have them in, and what is refused."""

import numpy as np
import pytest

from ionspike.host.errors import InputError
from ionspike.host.spikes import Spikes

EVENTS = np.array([(0, 1, 1), (999, 0, 0), (1000, 3, 1), (1000, 3, 1)],
                  dtype=[("t", "<i8"), ("x", "<i4"), ("p", "<i4")])


def test_events_and_raster_are_the_same():
    raster = np.zeros((4, 3), int)
    raster[[0, 0, 3], [0, 2, 1]] = 1
    spikes = Spikes.from_raster(raster, 1e-3)
    assert (spikes.ticks, spikes.width, spikes.count) == (4, 3, 3)
    tick, index = spikes.events()
    assert list(zip(tick, index, strict=True)) == [(0, 0), (0, 2), (3, 1)]
    again = Spikes.from_events(index, tick=tick, width=3, dt_s=1e-3)
    assert np.array_equal(again.raster, spikes.raster)
    seconds = Spikes.from_events(index, t_s=tick * 1e-3, width=3, dt_s=1e-3, ticks=9)
    assert seconds.ticks == 9 and np.array_equal(seconds.raster[:4], spikes.raster)


def test_decimal_times_fall_into_their_own_tick():
    spikes = Spikes.from_events(np.zeros(1000, int), t_s=np.arange(1000) * 0.1, width=1, dt_s=0.1)
    assert spikes.raster.all() and spikes.merged == 0


def test_events_of_one_tick_merge_and_are_counted():
    spikes = Spikes.from_structured(EVENTS, width=4, dt_s=1e-3)
    assert spikes.merged == 1
    assert list(zip(*spikes.events(), strict=True)) == [(0, 0), (0, 1), (1, 3)]


def test_polarities_are_channels_of_their_own():
    spikes = Spikes.from_structured(EVENTS, width=8, dt_s=1e-3, polarities=2)
    assert list(zip(*spikes.events(), strict=True)) == [(0, 0), (0, 5), (1, 7)]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_files_keep_spikes(tmp_path, name):
    raster = np.random.default_rng(1).random((20, 5)) < 0.2
    Spikes(raster, 5e-4).save(tmp_path / name)
    loaded = Spikes.load(tmp_path / name, dt_s=5e-4)
    assert np.array_equal(loaded.raster, raster) and loaded.dt_s == 5e-4


def test_event_files(tmp_path):
    np.save(tmp_path / "e.npy", EVENTS)
    np.savez(tmp_path / "i.npz", index=[0, 2], t_s=[0.0, 0.002], ticks=5)
    assert Spikes.load(tmp_path / "e.npy", dt_s=1e-3, width=4).count == 3
    loaded = Spikes.load(tmp_path / "i.npz", dt_s=1e-3, width=3)
    assert (loaded.ticks, loaded.count) == (5, 2)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Spikes.from_raster([[0, 2]], 1e-3),
     "raster must hold 0 and 1 only; tick 0, channel 1 is 2"),
    (lambda: Spikes.from_raster([[0, float("nan")]], 1e-3),
     "raster must hold 0 and 1 only; tick 0, channel 1 is nan"),
    (lambda: Spikes.from_raster([0, 1], 1e-3),
     "raster must have shape [ticks, channels], not [2]"),
    (lambda: Spikes.from_raster(np.zeros((0, 4)), 1e-3),
     "raster must have shape [ticks, channels], not [0, 4]"),
    (lambda: Spikes.from_raster([[0, 1], [1]], 1e-3),
     "raster is ragged: its rows have different lengths"),
    (lambda: Spikes.from_raster([["a"]], 1e-3), "raster must be numbers, not <U1"),
    (lambda: Spikes.from_raster([[1]], 0), "dt_s must be a positive number of seconds, not 0"),
    (lambda: Spikes.from_raster([[1]], float("inf")),
     "dt_s must be a positive number of seconds, not inf"),
    (lambda: Spikes.from_events([4], tick=[0], width=4, dt_s=1e-3),
     "event index 4 is out of range: there are 4 channels, 0 to 3"),
    (lambda: Spikes.from_events([-1], tick=[0], width=4, dt_s=1e-3),
     "event index must be finite and not negative; entry 0 is -1"),
    (lambda: Spikes.from_events([0, 0.5], tick=[0, 0], width=4, dt_s=1e-3),
     "event index must be an integer; entry 1 is 0.5"),
    (lambda: Spikes.from_events([0], t_s=[float("nan")], width=4, dt_s=1e-3),
     "event time t_s must be finite and not negative; entry 0 is nan"),
    (lambda: Spikes.from_events([0], t_s=[1e300], width=4, dt_s=1e-3),
     "event tick must be an integer; entry 0 is 1e+303"),
    (lambda: Spikes.from_events([0], t_s=[1e9], width=4, dt_s=1e-3),
     "1000000000001 ticks of 4 channels are too many for one run; is dt_s = 0.001 in seconds?"),
    (lambda: Spikes.from_events([0, 1], tick=[0], width=4, dt_s=1e-3),
     "events: 1 times but 2 indices"),
    (lambda: Spikes.from_events([0], width=4, dt_s=1e-3),
     "events need either t_s (seconds) or tick, and not both"),
    (lambda: Spikes.from_events([0], tick=[7], ticks=7, width=4, dt_s=1e-3),
     "event tick 7 is out of range: the raster has 7 ticks of 0.001 s"),
    (lambda: Spikes.from_structured(EVENTS[["t", "p"]], width=4, dt_s=1e-3),
     "event array has no field 'x'; it has t, p"),
])
def test_bad_values_are_named(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


def test_bad_files_are_named(tmp_path):
    good = tmp_path / "good.npy"
    np.save(good, np.eye(50, dtype=bool))
    cut = tmp_path / "cut.npy"
    cut.write_bytes(good.read_bytes()[:-100])
    np.savez(tmp_path / "good.npz", raster=np.eye(50, dtype=bool), dt_s=1e-3)
    cut_z = tmp_path / "cut.npz"
    cut_z.write_bytes((tmp_path / "good.npz").read_bytes()[:-100])
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([{}], object), allow_pickle=True)
    empty = tmp_path / "empty.npy"
    empty.touch()
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=1)
    for name, part in [("cut.npy", "truncated"), ("cut.npz", "truncated"),
                       ("pickled.npy", "not a readable .npy file"), ("empty.npy", "truncated"),
                       ("text.npz", "not a readable .npz file"), ("none.npy", "no such file"),
                       ("other.npz", "holds a; spikes are raster, events, or index with t_s"),
                       ("good.csv", "spikes are read from .npy, .npz and .h5 files")]:
        with pytest.raises(InputError) as error:
            Spikes.load(tmp_path / name, dt_s=1e-3)
        assert str(tmp_path / name) in str(error.value) and part in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"its ticks are 0\.001 s, 0\.002 s were expected"):
        Spikes.load(tmp_path / "good.npz", dt_s=2e-3)
