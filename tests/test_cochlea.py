"""The cochlea encoder: each of its parts by itself, and the whole against the reference's spikes."""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest
from conftest import lack, require_package

from ionspike.host.audio import Audio
from ionspike.host.bushy_cells import Bushy, BushyCells
from ionspike.host.cochlea import BLOCK, Cochlea, Ear, encode
from ionspike.host.errors import InputError
from ionspike.host.hair_cells import HairCells, Transmitter
from ionspike.host.hankel import hankel
from ionspike.host.membrane import DELAY, HOP, RATE_HZ, Filter, Membrane

ROOT = Path(__file__).parent.parent


def tone(frequency_Hz, seconds=0.4):
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return Audio(0.2 * np.sin(2 * np.pi * frequency_Hz * t), RATE_HZ)


# ----------------------------------------------------------------------------------- membrane --

def test_hankel_functions_are_those_of_the_tables():
    """Abramowitz and Stegun, tables 9.1 and 9.2."""
    for z, order, j, y in ((0.5, 0, 0.9384698072, -0.4445187335), (0.5, 1, 0.2422684577, -1.4714723927),
                           (8.0, 0, 0.1716508071, 0.2235214894), (8.0, 1, 0.2346363469, -0.1580604617),
                           (10.0, 0, -0.2459357645, 0.0556711673), (10.0, 1, 0.0434727462, 0.2490154242)):
        assert hankel(order, np.array([z + 0j]))[0] == pytest.approx(j + 1j * y, abs=1e-7)


def test_hankel_functions_satisfy_their_equations_off_the_axis_and_where_the_series_change():
    z = np.concatenate([r * np.exp(1j * np.linspace(0, 1.5, 20)) for r in (0.01, 1, 5, 8.99, 9.01, 15, 200)])
    h = 1e-4 * z
    slope = (hankel(0, z + h) - hankel(0, z - h)) / (2 * h)
    assert np.abs(slope / -hankel(1, z) - 1).max() < 1e-3
    # The derivative of order 1 is that of order 0 less order 1 / z.
    slope = (hankel(1, z + h) - hankel(1, z - h)) / (2 * h)
    assert np.abs((slope - hankel(0, z) + hankel(1, z) / z) / slope).max() < 1e-3


def test_a_wave_obeys_the_shallow_water_without_mass_and_losses():
    """p'' = -g^2 p, whose solution is then exact."""
    m = Membrane(mass=1e-12, slack=0.0, damping=1e-6)
    w, channels = np.array([2 * np.pi * 500.0]), 1001
    places = m.places_cm(channels)
    pressure = np.array([v[0] * m.impedance(w, x)[0] for v, x in zip(
        m.responses(channels, w / (2 * np.pi)), places, strict=True)])
    g = np.array([m._wave_number(w, x)[0] for x in places])
    step = places[1]
    bent = (pressure[2:] - 2 * pressure[1:-1] + pressure[:-2]) / step**2
    assert np.abs(bent + (g**2 * pressure)[1:-1])[:600].max() < 0.01 * np.abs(bent[:600]).max()


def test_few_places_hear_what_as_many_of_many_hear():
    tones = np.geomspace(100, 10_000, 30)
    many = Membrane().responses(701, tones)
    for channels, at in ((1, [350]), (8, range(0, 701, 100)), (71, range(0, 701, 10))):
        few = Membrane().responses(channels, tones)
        for one, other in zip(few, many[at], strict=True):
            assert np.abs(one - other).max() < 0.01 * np.abs(other).max()


def test_waves_run_backwards_as_in_the_data_sets():
    """A click comes to a place the earlier, the nearer that is to the apex."""
    click = np.zeros(2 * HOP, np.float32)
    click[HOP] = 1
    filter_ = Filter(Membrane(), 70)
    blocks = [list(filter_.feed(block)) for block in click.reshape(2, HOP)]
    late_s = []
    for (_, first), (_, second) in zip(*blocks, strict=True):
        velocity = np.concatenate([first, second], axis=1)
        middle = (velocity**2 * np.arange(velocity.shape[1])).sum(axis=1) / (velocity**2).sum(axis=1)
        late_s += list((middle * HOP / first.shape[1] - HOP - DELAY) / RATE_HZ)
    assert abs(np.array(late_s[:20])).max() < 2e-3
    assert (np.diff(late_s[30:65:5]) < 0).all() and -0.06 < late_s[64] < -0.01


def test_places_hear_lower_tones_toward_the_apex():
    tones = np.geomspace(100, 16_000, 60)
    heard = np.abs(Membrane().responses(70, tones))
    best = np.argmax(heard, axis=0)
    assert (np.diff(best) <= 0).all() and best[0] > 60 and best[-1] < 5
    # Symmetry: half the frequency is heard 2 ln 2 / alpha further on.
    shift = 2 * np.log(2) / Membrane().slope / (Membrane().length / 70)
    octave = np.argmin(np.abs(tones - 2 * tones[20]))
    assert best[20] - best[octave] == pytest.approx(shift, abs=1.5)


def test_filter_in_blocks_is_the_filter_of_the_whole():
    sound = np.random.default_rng(3).normal(size=3 * HOP).astype(np.float32)
    filter_ = Filter(Membrane(), 20)
    blocks = [list(filter_.feed(block)) for block in sound.reshape(3, HOP)]
    late = Filter(Membrane(), 20)
    list(late.feed(sound[HOP:2 * HOP]))
    for (channels, mine), (again, other) in zip(blocks[2], late.feed(sound[2 * HOP:]), strict=True):
        assert channels == again and np.array_equal(mine, other)
    assert {HOP // mine.shape[1] for _, mine in blocks[0]} == {1, 2, 4}


# ------------------------------------------------------------------------- hair and bushy cells --

def test_hair_cells_rest_and_return_to_rest():
    t = Transmitter()
    rest = t.permeability(np.zeros((1, 1), np.float32))[0, 0]
    cells = HairCells(t, 1, 1e-4)
    quiet = cells.feed(np.full((5000, 1), rest, np.float32))
    assert np.ptp(quiet) < 0.01 * quiet[0, 0]
    loud = cells.feed(np.full((2000, 1), 20 * rest, np.float32))[:, 0]
    assert loud.max() > 5 * quiet[0, 0] and loud[-1] < 0.5 * loud.max()     # adapts
    again = cells.feed(np.full((60_000, 1), rest, np.float32))[:, 0]
    assert again.min() < 0.5 * quiet[0, 0] and again[-1] == pytest.approx(quiet[0, 0], rel=0.02)


def test_hair_cells_are_meddis_equations():
    """Against the equations in double precision and steps a hundred times shorter."""
    t, dt_s = Transmitter(), 1 / 6000
    rng = np.random.default_rng(5)
    k = rng.uniform(20, 600, 300)
    q, c, w = (float(part[0]) for part in (HairCells(t, 1, dt_s)._q, HairCells(t, 1, dt_s)._c,
                                           HairCells(t, 1, dt_s)._w))
    exact = []
    for now in k:
        exact.append(t.h * c)
        for _ in range(100):
            dq = t.y * (1 - q) + t.x * w - now * q
            dc = now * q - (t.l + t.r) * c
            dw = t.r * c - t.x * w
            q, c, w = q + dq * dt_s / 100, c + dc * dt_s / 100, w + dw * dt_s / 100
    found = HairCells(t, 1, dt_s).feed(k.astype(np.float32)[:, None])[:, 0]
    assert np.corrcoef(found, exact)[0, 1] > 0.99
    assert found.mean() == pytest.approx(np.mean(exact), rel=0.05)


def test_bushy_cells_rest_after_a_spike_and_carry_on_between_blocks():
    bushy, dt_s = Bushy(weight=1.0, refractory_s=2e-3), 1e-3 / 6
    rate = np.random.default_rng(1).uniform(0, 400, (600, 5)).astype(np.float32)
    step, channel = BushyCells(bushy, 5, dt_s, 7).feed(rate)
    assert len(step) > 50
    for n in range(5):
        assert np.diff(step[channel == n]).min() >= 12
    halves = BushyCells(bushy, 5, dt_s, 7)
    parts = [halves.feed(rate[:300]), halves.feed(rate[300:])]
    assert np.array_equal(np.concatenate([part[0] for part in parts]), step)
    assert BushyCells(bushy, 5, dt_s, 7).feed(0 * rate)[0].size == 0


def test_no_fibre_spikes_twice_within_the_refractory_period():
    dt_s, fibres = 1e-3 / 6, 40
    cells = BushyCells(Bushy(fibres=fibres, weight=0.0), 50, dt_s, 3)
    rate = np.full((1200, 50), 800.0, np.float32)
    drawn = []
    for each in rate:
        before = cells._spent.copy()
        cells.feed(each[None])
        drawn.append(cells._spent[(cells._step - 1) % cells._rest].copy())
        assert ((before.sum(axis=0) <= fibres) & (cells._free + cells._spent.sum(axis=0) == fibres)).all()
    per_s = np.mean(drawn[12:]) / fibres / dt_s
    # A fibre that may spike does so 800 times a second, and pauses for six steps after each.
    chance = 1 - np.exp(-800 * dt_s)
    assert per_s == pytest.approx(chance / (1 + 5 * chance) / dt_s, rel=0.02)


# ------------------------------------------------------------------------------------ the whole --

def test_a_tone_is_heard_at_its_place_while_it_lasts():
    quiet = np.zeros(RATE_HZ // 5)
    sound = np.concatenate([quiet, tone(1000).samples, quiet])
    spikes = encode(Audio(sound, RATE_HZ), seed=1, channels=140)
    assert spikes.ticks == 800 and spikes.width == 140
    tick, channel = spikes.events()
    best = np.argmax(np.abs(Membrane().responses(140, np.array([1000.0])))[:, 0])
    during = (tick >= 200) & (tick < 600)
    near = abs(channel - best) < 12
    # All others spike now and then by themselves, as nerve fibres do.
    assert during[near].mean() > 0.9 and near[during].mean() > 0.5
    assert tick[near & during].min() < 230      # the onset is not late


def test_a_window_fades_the_recording_in_and_out():
    faded, whole = (encode(tone(1000), seed=1, channels=140, window=window) for window in (True, False))
    tick, channel = whole.events()
    place = np.bincount(channel).argmax()
    middle, ends = ([int(spikes.raster[span, place - 10:place + 11].sum()) for spikes in (faded, whole)]
                    for span in (slice(150, 250), [*range(40), *range(360, 400)]))
    assert ends[0] < 0.1 * ends[1] and middle[0] > 0.7 * middle[1] > 5
    assert tick.min() < 20


def test_the_last_tick_is_the_sounds_own():
    for samples in (9600, 9601, 9624, 34_824):      # 0.7255 s: a spike within a hair of its end
        sound = np.resize(tone(300).samples, samples)
        spikes = encode(Audio(sound, RATE_HZ), seed=1, channels=70, dt_s=1e-4)
        assert spikes.ticks == int(np.ceil(samples / 4.8 - 1e-6))
    with pytest.raises(InputError, match="dt_s must be a positive number"):
        encode(tone(300), seed=1, channels=70, dt_s=0)


def test_equal_seeds_equal_spikes_and_another_seed_others():
    first, again, other = (encode(tone(500, 0.2), seed=s, channels=70) for s in (1, 1, 2))
    assert np.array_equal(first.raster, again.raster)
    assert not np.array_equal(first.raster, other.raster)


def test_loudness_and_rate_do_not_matter_much():
    first = encode(tone(500), seed=1, channels=70)
    louder = encode(Audio(2 * tone(500).samples, RATE_HZ), seed=1, channels=70)
    assert np.array_equal(first.raster, louder.raster)
    t = np.arange(6400) / 16_000
    slower = encode(Audio(0.2 * np.sin(2 * np.pi * 500 * t), 16_000), seed=1, channels=70)
    assert slower.ticks == first.ticks and slower.count == pytest.approx(first.count, rel=0.1)


def test_live_blocks_are_the_recording():
    sound = tone(700, 0.5).samples
    cochlea = Cochlea(70, seed=4)
    padded = np.zeros(4 * BLOCK, np.float32)
    padded[:len(sound)] = sound * (Ear().level / np.sqrt(np.mean(sound ** 2, dtype=np.float64)))
    found = [cochlea.feed(block) for block in padded.reshape(4, BLOCK)]
    t_s = np.concatenate([t for t, _ in found])
    whole = encode(Audio(sound, RATE_HZ), seed=4, channels=70, dt_s=1e-4, window=False)
    heard = (t_s >= 0) & (t_s < 0.5)
    assert heard.sum() == whole.count + whole.merged > 50


@pytest.mark.parametrize(("channels", "seed", "message"), [
    (0, 1, "channels must be 1 to 700, not 0"), (701, 1, "not 701"), (True + 0.5, 1, "not 1.5"),
    (70, -1, "seed must be an integer from 0 up, not -1")])
def test_settings_out_of_range_are_refused(channels, seed, message):
    with pytest.raises(InputError, match=message):
        Cochlea(channels, seed=seed)


def test_the_reference_encoder_is_met():
    data = Path(os.environ.get("IONSPIKE_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "cochlea_reference_english_00_0_3.npz").is_file():
        lack("no recordings with the reference's spikes; IONSPIKE_DATA names their folder")
    require_package("soundfile", "audio")
    bench = runpy.run_path(str(ROOT / "benchmarks" / "cochlea.py"))
    found = bench["measure"](2)
    assert found["reference"] > 0.9 and found["median"] > 0.85
    assert found["two_runs_of_ours"] > 0.9 and 0.7 < found["reference_spikes"] < 1.4
