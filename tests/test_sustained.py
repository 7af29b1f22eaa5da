"""Neurons that fire in every tick in which they conduct."""

from dataclasses import replace

import numpy as np
import pytest
from nets import DT_S, SHAPE, network, spikes

from ionspike import Board, Network, Spikes
from ionspike.host.estimate import estimate
from ionspike.host.link import Link
from ionspike.host.network import Projection
from ionspike.sim.golden import GoldenPort
from ionspike.sim.reference import simulate
from ionspike.spec import wire
from ionspike.spec.device import Device, DeviceError

DEVICE = Device.load("zhao2025_ms").with_(r_control_ohm=300e6, figures={})


def alone(sustained):
    """Neurons that reach no others."""
    rng = np.random.default_rng(3)
    return Network.from_float(
        device=DEVICE.with_(sustained=sustained), dt_s=DT_S, inputs=12, neurons=20,
        projections=[Projection("inputs", rng.normal(0.4, 0.4, (12, 20)))])


def begun(raster):
    return raster & ~np.concatenate([np.zeros_like(raster[:1]), raster[:-1]])


@pytest.fixture
def board():
    with Board.open(backend="golden", shape=SHAPE) as board:
        yield board


@pytest.fixture
def both(board):
    results = []
    for sustained in (False, True):
        board.load(alone(sustained))
        results.append(board.run(spikes(), seed=1))
    return results


def test_where_nobody_hears_it_only_the_spikes_last(both):
    once, lasting = (result.spikes.raster for result in both)
    assert np.array_equal(begun(lasting), once)
    assert lasting.sum() > 3 * once.sum() > 100
    assert np.array_equal(*(result.final_state for result in both))


def test_a_spike_lasts_for_as_long_as_the_resistor_holds_the_gate(board):
    pulse = Spikes(np.repeat(np.arange(120)[:, None] < 20, 12, axis=1), DT_S)
    strong = Network.from_float(
        device=DEVICE.with_(sustained=True), dt_s=DT_S, inputs=12, neurons=20,
        projections=[Projection("inputs", np.full((12, 20), 0.3))])

    def after(ohm):
        """Ticks that each gate is above the level once its drive is over, and what it had then in volts."""
        board.load(replace(strong, r_control_ohm=np.full(20, ohm)))
        raster = board.run(pulse, seed=1).spikes.raster
        assert raster[19].any() and not raster[-1].any()
        words = board.run(Spikes(pulse.raster[:20], DT_S), seed=1).final_state
        return raster[20:].sum(axis=0), (words[:, 2] & 0xFFF) / 2048

    for ohm in (100e6, 400e6, 1.6e9):
        ticks, gate_V = after(ohm)
        of_its_own = np.log(np.maximum(gate_V, 0.01) / DEVICE.spike_level_V) * ohm * DEVICE.c_gate_F / DT_S
        assert np.abs(ticks - np.floor(of_its_own.clip(0))).max() <= 1 and ticks.any()
    assert not after(1e3)[0].any()


def test_others_hear_all_of_it(board):
    counts = []
    for sustained in (False, True):
        net = network()
        board.load(replace(net, device=net.device.with_(sustained=sustained, r_control_ohm=300e6)))
        counts.append(board.run(spikes(), seed=1).spikes.raster[:, :5].sum())
    assert counts[1] > 2 * counts[0] > 0


def test_energy_is_that_of_what_begins(both):
    once, lasting = both
    assert lasting.estimate.chip_J == pytest.approx(once.estimate.chip_J, rel=1e-12)
    assert lasting.estimate.spikes == once.estimate.spikes == once.spikes.count
    # A gate that is charged to begin with has begun before.
    state = np.zeros((20, 3), np.uint16)
    state[:, 1], state[:, 2] = 0x8000, 3000
    found = estimate(lasting.network, lasting.inputs, lasting.spikes, state)
    first = lasting.spikes.raster[0]
    assert found.spikes == once.spikes.count - first.sum()


def test_a_network_that_was_loaded_before_leaves_nothing(board, both):
    board.load(alone(True))
    board.run(spikes(), seed=1)
    board.load(alone(False))
    assert np.array_equal(board.run(spikes(), seed=1).spikes.raster, both[0].spikes.raster)
    assert board.registers()["sustained"] == 0


def test_digests_of_other_networks_are_what_they_were(board):
    plain, sustained = (board.load(alone(which)).image for which in (False, True))
    registers = {name: value for name, value in plain.registers.items() if name != "sustained"}
    assert replace(plain, registers=registers).digest() == plain.digest() != sustained.digest()


def test_files_keep_it(tmp_path):
    net = alone(True)
    net.save(tmp_path / "a.ion")
    assert Network.load(tmp_path / "a.ion").device == net.device and net.device.sustained
    pytest.importorskip("nir", reason="not installed: nir (pip install nir)")
    from ionspike.host.nir_file import read_nir
    from ionspike.host.nir_memristor import export, from_tree
    export(net, tmp_path / "a.nir")
    assert from_tree(read_nir(tmp_path / "a.nir")).device.sustained


@pytest.mark.parametrize("value", [1, "yes", None])
def test_it_is_true_or_false(value):
    with pytest.raises(DeviceError, match="sustained must be true or false, not"):
        DEVICE.with_(sustained=value)


def test_a_board_of_the_version_before_refuses_it():
    class Older(GoldenPort):
        def __init__(self):
            super().__init__()
            self.link.hello = replace(self.link.hello, minor=2, digest=wire.digests()[2])

    assert wire.digests()[2] == 0xF40E99F4      # what the contract of 1.2 was
    with Board(Link(Older()), backend="golden", where="test") as board:
        board.load(alone(False))
        assert board.run(spikes(), seed=1).spikes.count and "sustained" not in board.registers()
        with pytest.raises(ValueError, match=r"sustained = 1 is of protocol 1\.3, and this board speaks 1\.2: "
                                             r"flash it anew"):
            board.load(alone(True))


def test_the_reference_has_it_too():
    drive = np.where(np.arange(200) % 50 < 20, 1.2, 0.0)[:, None]
    once, lasting = (simulate(DEVICE.with_(sustained=which), drive, 5e-4, seed=2).spikes[0]
                     for which in (False, True))
    assert np.array_equal(begun(lasting) & ~once, np.zeros_like(once)) and once.sum() >= 3
    assert lasting.sum() > 3 * once.sum()
