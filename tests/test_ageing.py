"""Faults, drift and jitter: what they do to neurons, and that every back-end does the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
from nets import DT_S, SHAPE, network, spikes

from ionspike import Board, Network, Spikes
from ionspike.host import ionfile
from ionspike.host.ageing import Faults
from ionspike.host.cli import main
from ionspike.host.compiler import compile
from ionspike.host.devices import Devices
from ionspike.host.errors import InputError
from ionspike.host.jitter import jittered
from ionspike.host.mismatch import RANGES, Mismatch
from ionspike.host.seeds import lfsr_state
from ionspike.sim.model import Model
from ionspike.spec import formats as fmt
from ionspike.spec.device import Device

DEVICE = Device.load("zhao2025_ms").with_(residue_jitter=0.4)
AGED = Faults.draw(20, seed=5, stuck_on=0.1, stuck_off=0.15, drift=0.2, drift_gap=0.02)


@pytest.fixture
def board():
    with Board.open(backend="golden", shape=SHAPE) as opened:
        yield opened


def words_of(compiled):
    """kg, mu and theta of the network's neurons, the last as its byte."""
    words = compiled.image.coefficients[compiled.neuron_slots].astype(int)
    return words & 0xFFF, words >> fmt.KG_BITS & 0xFFF, words >> 24


# ---------------------------------------------------------------------------------------- faults --

def test_the_same_devices_grow_older():
    young, old = (Faults.draw(200, seed=1, stuck_on=a, stuck_off=a, drift=a, drift_gap=a / 5)
                  for a in (0.05, 0.2))
    assert len(young.stuck_on) == len(young.stuck_off) == 10
    assert len(old.stuck_on) == len(old.stuck_off) == 40
    assert set(young.stuck_on) < set(old.stuck_on) and set(young.stuck_off) < set(old.stuck_off)
    assert not set(old.stuck_on) & set(old.stuck_off)
    assert (old.growth < young.growth).all() and (old.gap > young.gap).all()
    assert np.argsort(old.growth).tolist() == np.argsort(young.growth).tolist()
    assert -np.log(old.growth).mean() == pytest.approx(0.2, rel=0.1)
    assert old.gap.mean() == pytest.approx(0.04, rel=0.1)
    again, other = (Faults.draw(200, seed=s, stuck_on=0.2, drift=0.2) for s in (1, 2))
    assert np.array_equal(again.stuck_on, old.stuck_on)
    assert np.array_equal(again.growth, old.growth)
    assert not np.array_equal(other.stuck_on, old.stuck_on)


def test_no_faults_are_none():
    nothing = Faults.draw(20, seed=1)
    assert nothing.drifted == len(nothing.stuck_on) == len(nothing.stuck_off) == 0
    assert compile(network().with_faults(nothing), SHAPE).image.digest() \
        == compile(network(), SHAPE).image.digest()
    everything = Faults.draw(4, seed=1, stuck_on=0.5, stuck_off=0.5, drift=1)
    assert sorted([*everything.stuck_on, *everything.stuck_off]) == [0, 1, 2, 3]
    assert everything.drifted == 0


def test_faults_are_in_the_coefficients():
    sound, aged = (words_of(compile(net, SHAPE)) for net in (network(), network().with_faults(AGED)))
    on, off = AGED.stuck_on, AGED.stuck_off
    assert len(on) == 2 and len(off) == 3
    assert (aged[2][on] == 0x80).all() and (np.delete(aged[2], on) != 0x80).all()
    assert (aged[1][off] == 0).all()
    rest = np.setdiff1d(np.arange(20), [*on, *off])
    assert (aged[1][rest] < sound[1][rest]).all()
    signed = [(theta ^ 0x80) - 0x80 for theta in (sound[2], aged[2])]
    assert (signed[1][rest] >= signed[0][rest]).all() and (signed[1] != signed[0])[rest].any()
    assert np.array_equal(sound[0], aged[0])


@pytest.mark.parametrize("gap", [-0.24, 0.24])
def test_no_drift_becomes_a_device_that_is_stuck_on(gap):
    """Three parts at the end of their ranges together go beyond it, and are counted."""
    mismatch = replace(Mismatch.none(3), gap=np.array([0, gap, gap]))
    faults = Faults(3, gap=[0, 0, gap], growth=[1, 1, 0.01])
    net = Network.dense(np.full((2, 3), 0.5), device=DEVICE.with_(gap=gap / 12), mismatch=mismatch,
                        faults=faults)
    compiled = compile(net, SHAPE)
    theta = (words_of(compiled)[2] ^ 0x80) - 0x80
    assert theta.tolist() == [round(gap / 12 * 512), *[127 if gap > 0 else -127] * 2]
    assert compiled.report.saturated_coefficients == 2
    drawn = Mismatch.draw(2000, seed=1, gap=0.2)
    assert drawn.gap.min() == RANGES["gap"][0] and drawn.gap.max() == RANGES["gap"][1]
    weak = Faults.draw(500, seed=1, drift=5, drift_gap=0.25, spread=2)
    assert weak.growth.min() == RANGES["growth"][0] and weak.gap.max() == RANGES["gap"][1]


def test_what_vanishes_is_counted():
    slow = DEVICE.with_(mu_per_V_s=0.5)
    net = Network.dense(np.full((2, 3), 0.5), device=slow, faults=Faults(3, [], [0], [1, 0.1, 1]))
    report = compile(net, SHAPE).report
    assert report.saturated_coefficients == 1       # the one that is stuck off has no growth


def test_stuck_neurons_do_what_they_are_stuck_at(board):
    """A ramp of drives, up and down twice: on follows it, off stays silent."""
    net = Network.dense(np.full((16, 3), 0.1), device=DEVICE, faults=Faults(3, stuck_on=[1], stuck_off=[2]))
    up = np.tril(np.ones((16, 16), bool))
    raster = np.concatenate([up, up[::-1], np.zeros((1, 16), bool)] * 2)
    board.load(net)
    result = board.run(Spikes(raster, DT_S), seed=1, probes=[0, 1, 2])
    drive = np.minimum(raster.sum(axis=1) * net.projections[0].weights[0, 0]
                       * net.scale_V, 4095 / 2048)
    gate = result.probes.gate_V
    assert np.abs(gate[:, 1] - drive).max() <= 1 / 2048
    level = result.probes.on[:, 1]
    assert np.array_equal(level, gate[:, 1] >= round(DEVICE.spike_level_V * 2048) / 2048)
    assert result.spikes.raster[:, 1].sum() == 2
    assert not result.spikes.raster[:, 2].any() and not gate[:, 2].any()
    assert result.spikes.raster[:, 0].any() and 0 < gate[:, 0].max()


# ----------------------------------------------------------------------------------- in networks --

def test_files_keep_faults_and_old_ones_have_none(tmp_path, monkeypatch):
    net = network().with_faults(AGED)
    net.save(tmp_path / "a.ion")
    loaded = Network.load(tmp_path / "a.ion")
    for name in ("stuck_on", "stuck_off", "growth", "gap"):
        assert np.array_equal(getattr(loaded.faults, name), getattr(AGED, name))
    assert compile(loaded, SHAPE).image.digest() == compile(net, SHAPE).image.digest()
    assert net.with_faults(None).faults is None
    monkeypatch.setattr(ionfile, "VERSION", 1)
    network().save(tmp_path / "old.ion")
    monkeypatch.undo()
    assert Network.load(tmp_path / "old.ion").faults is None


def test_faults_are_told(board, tmp_path, capsys, monkeypatch):
    board.load(network().with_faults(AGED))
    result = board.run(spikes(), seed=1)
    assert result.network.faults is AGED
    assert result.summary()["faults"] == {
        "stuck_on": AGED.stuck_on.tolist(), "stuck_off": AGED.stuck_off.tolist(), "drifted": 15,
        "mean_growth": round(AGED.growth.mean(), 6), "mean_gap": round(AGED.gap.mean(), 6)}
    monkeypatch.chdir(tmp_path)
    network().with_faults(AGED).save("a.ion")
    assert main(["info", "a.ion"]) == 0
    assert "2 of 20 devices stuck on, 3 stuck off, 15 drifted" in capsys.readouterr().out
    assert main(["info", "a.ion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"]["drifted"] == 15
    spikes(50).save("in.npy")
    assert main(["run", "a.ion", "--input", "in.npy", "--backend", "golden"]) == 0
    assert "2 of 20 devices stuck on" in capsys.readouterr().out


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Faults(3, stuck_on=[3]), "stuck_on: there is no neuron 3, only 0 to 2"),
    (lambda: Faults(3, stuck_off=[-1]), "stuck_off: there is no neuron -1, only 0 to 2"),
    (lambda: Faults(3, stuck_on=[0.5]), "stuck_on must be a list of indices of neurons, not [0.5]"),
    (lambda: Faults(3, [1, 2], [0, 2]), "neuron 2 is stuck both on and off"),
    (lambda: Faults(3, growth=[1, 1]), "drift of growth must have shape [3], not [2]"),
    (lambda: Faults(3, gap=[0, np.nan, 0]),
     "drift of gap of neuron 1 must be -0.248 to 0.248, not nan"),
    (lambda: Faults(0), "neurons must be a positive integer, not 0"),
    (lambda: Faults.draw(3, seed=1, drift=-1), "drift must be 0 to 5, not -1"),
    (lambda: Faults.draw(3, seed=1, stuck_on=0.6, stuck_off=0.6),
     "stuck_on and stuck_off are 1.2 of the devices together, more than there are"),
    (lambda: network().with_faults(Faults(3)), "faults is of 3 neurons, the network has 20"),
])
def test_bad_faults_are_named(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


def test_mismatch_of_a_preset_is_its_spread():
    spread = DEVICE.with_(spread_growth=0.2, spread_rc=0.1, spread_gap=0.03)
    drawn = Mismatch.of_device(spread, 4000, seed=3)
    assert np.log(drawn.growth).std() == pytest.approx(0.2, rel=0.05)
    assert np.log(drawn.rc).std() == pytest.approx(0.1, rel=0.05)
    assert drawn.gap.std() == pytest.approx(0.03, rel=0.05)
    assert np.array_equal(drawn.gap, Mismatch.of_device(spread, 4000, seed=3).gap)
    alike = Mismatch.of_device(DEVICE.with_(spread_growth=0, spread_rc=0, spread_gap=0), 5, seed=3)
    for name in ("growth", "gap", "rc"):
        assert np.array_equal(getattr(alike, name), getattr(Mismatch.none(5), name))
    assert Mismatch.draw(100_000, seed=1, growth=1.0, rc=1.0).growth.max() <= 100


def test_mismatch_and_faults_go_together():
    devices = Devices.of(replace(network(), r_control_ohm=np.full(20, 1e8)).with_faults(AGED))
    mismatch = network().mismatch
    expected = mismatch.growth * AGED.growth
    expected[AGED.stuck_off] = 0
    assert np.array_equal(devices.growth, expected)
    assert np.allclose(devices.gap, DEVICE.gap + mismatch.gap + AGED.gap)
    assert np.allclose(devices.r_control_ohm, 1e8 * mismatch.rc)
    assert np.flatnonzero(devices.stuck_on).tolist() == AGED.stuck_on.tolist()


# ---------------------------------------------------------------------------------------- jitter --

def jittery(**options):
    return replace(network(**options), device=DEVICE)


def residues(words):
    return ((words[:, 1] & 0x7FFF).astype(int) << 4 | words[:, 2] >> 12) / (1 << fmt.R_FRAC)


def test_residues_to_begin_with_are_uniform_and_of_the_seed():
    net = Network.dense(np.ones((1, 2000)), device=DEVICE)
    drawn = residues(jittered(net, 3)) / 0.4
    assert 0 <= drawn.min() < drawn.max() < 1
    assert np.histogram(drawn, 10, (0, 1))[0].min() > 140
    assert np.array_equal(jittered(net, 3), jittered(net, 3))
    assert abs(np.corrcoef(drawn, residues(jittered(net, 4)))[0, 1]) < 0.1
    # As much as a residue can be, and no more.
    limited = replace(net, device=DEVICE.with_(residue_jitter=0.9, r_max=0.3))
    assert residues(jittered(limited, 3)).max() == pytest.approx(0.3, abs=1e-5)


def test_jitter_keeps_the_rest_of_the_initial_state():
    state = np.random.default_rng(0).integers(0, 1 << 16, (20, 3)).astype(np.uint16)
    drawn = jittered(jittery(state=state), 1)
    assert np.array_equal(drawn[:, 0], state[:, 0])
    assert np.array_equal(drawn[:, 1] & 0x8000, state[:, 1] & 0x8000)
    assert np.array_equal(drawn[:, 2] & 0xFFF, state[:, 2] & 0xFFF)
    assert np.array_equal(residues(drawn), residues(jittered(jittery(), 1)))


def test_runs_with_jitter_are_the_model_begun_so(board):
    compiled = board.load(jittery().with_faults(AGED))
    items = [spikes(150, seed=k) for k in range(3)]
    results = board.run_many(items, seeds=[7, -8, 9], jitter=True)
    for item, result in zip(items, results, strict=True):
        model = Model(compiled.image, [lfsr_state(result.seed)])
        model.state = compiled.placed(jittered(compiled.network, result.seed))[None]
        fired = model.run(compiled.to_board(item.raster)[None])[0, :, compiled.neuron_slots].T
        assert fired.any() and np.array_equal(result.spikes.raster, fired)
        assert np.array_equal(result.final_state, model.state[0, compiled.neuron_slots])
        assert result.lfsr == int(model.lfsr[0])
        assert result.jitter and result.summary()["jitter"]
        assert 0.05 < residues(result.initial_state).mean() < 0.35
    # A run without it begins from the network's state again.
    plain = board.run(items[0], seed=7)
    assert not plain.jitter and not plain.initial_state.any()
    assert not np.array_equal(plain.spikes.raster, results[0].spikes.raster)
    assert board.run(items[0], reset=False).initial_state is None


def test_jitter_that_cannot_be_is_refused(board):
    board.load(jittery())
    with pytest.raises(InputError, match="jitter is of residues to begin with: it needs reset"):
        board.run(spikes(), jitter=True, reset=False)
    board.load(replace(network(), device=DEVICE.with_(residue_jitter=0.0)))
    with pytest.raises(InputError, match="device 'zhao2025_ms' has no residue_jitter"):
        board.run(spikes(), jitter=True)


def test_jitter_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jittery().save("a.ion")
    spikes(100).save("in.npy")
    command = ["run", "a.ion", "--input", "in.npy", "--backend", "golden", "--seed", "4", "--jitter"]
    assert main([*command, "--output", "out.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jitter"] is True
    with np.load("out.npz") as saved:
        assert np.array_equal(saved["initial_state"], jittered(jittery(), 4))
    assert main(command) == 0
    assert "residues drawn from 0 to 0.4" in capsys.readouterr().out
