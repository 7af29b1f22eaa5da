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
from ionspike.host.membrane import HOP, RATE_HZ, Filter, Membrane

ROOT = Path(__file__).parent.parent


def tone(frequency_Hz, seconds=0.4):
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return Audio(0.2 * np.sin(2 * np.pi * frequency_Hz * t), RATE_HZ)


# ----------------------------------------------------------------------------------- membrane --

def test_wave_numbers_satisfy_the_equation_and_die_out():
    m = Membrane()
    w = 2 * np.pi * np.geomspace(50, 5000, 50)
    for x in (0.0, 0.5, 1.0):
        k = m._wave_number(w, x, None)
        push = 2 * m.density * w ** 2 / (m.stiffness * np.exp(-m.slope * x) + 1j * w * m.damping
                                         * np.exp(-m.slope * x / 2) - w ** 2 * m.mass)
        assert np.abs(k * np.tanh(k * m.height) - push).max() < 1e-6 * np.abs(push).max()
        assert (k.real > 0).all() and (k.imag < 0).all()


def test_a_long_wave_is_that_of_the_long_wave_approximation():
    m = Membrane()
    w = np.array([2 * np.pi * 30])
    k = m._wave_number(w, 0.0, None)
    speed = np.sqrt(m.stiffness * m.height / (2 * m.density))
    assert k.real[0] == pytest.approx(w[0] / speed, rel=1e-3)


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
    assert during[near].mean() > 0.9 and near[during].mean() > 0.6
    assert tick[near & during].min() < 230      # the onset is not late


def test_places_have_the_gain_that_the_tilt_says():
    assert Ear(tilt=(0.0,)).gains(7) == pytest.approx(0.12)
    assert Ear(gain=2.0, tilt=(1.0, 0.0)).gains(4) == pytest.approx(2 * np.exp([-0.75, -0.25, 0.25, 0.75]))
    own, flat = (ear.gains(700) for ear in (Ear(), Ear(tilt=(0.0,))))
    loud = (own > flat).nonzero()[0]
    # One stretch of places, those of 0.7 to 15 kHz, is made louder.
    assert np.array_equal(loud, np.arange(loud[0], loud[-1] + 1)) and 40 < loud[0] < 80 and 430 < loud[-1] < 500
    counts = [encode(tone(hertz, 0.2), seed=1, ear=ear).count for hertz in (2500, 150) for ear in (Ear(), Ear(tilt=(0.0,)))]
    assert counts[0] > counts[1] > 100 and 100 < counts[2] < counts[3]


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
    padded[:len(sound)] = sound / np.sqrt(np.mean(sound ** 2, dtype=np.float64))
    found = [cochlea.feed(block) for block in padded.reshape(4, BLOCK)]
    t_s = np.concatenate([t for t, _ in found])
    whole = encode(Audio(sound, RATE_HZ), seed=4, channels=70, dt_s=1e-4)
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
    assert found["reference"] > 0.85 and found["median"] > 0.7
    assert found["two_runs_of_ours"] > 0.9 and 0.7 < found["reference_spikes"] < 1.4
