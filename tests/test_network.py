"""Networks, their files, and what is refused."""

import re

import numpy as np
import pytest
from nets import network, spikes

from ionspike.host.board import Board
from ionspike.host.errors import InputError
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.seeds import lfsr_state


def same(a, b):
    for name in ("device", "dt_s", "inputs", "neurons", "scale_V", "labels", "metadata"):
        assert getattr(a, name) == getattr(b, name)
    for p, q in zip(a.projections, b.projections, strict=True):
        assert (p.source, p.source_start, p.target_start, p.delay) \
            == (q.source, q.source_start, q.target_start, q.delay)
        assert np.array_equal(p.weights, q.weights) and q.weights.dtype == np.int8
    for name in ("growth", "gap", "rc"):
        assert np.array_equal(getattr(a.mismatch, name), getattr(b.mismatch, name))
    assert np.array_equal(a.outputs, b.outputs)


def test_files_keep_networks(tmp_path):
    net = network(outputs=[3, 4], labels=("a", "b"), metadata={"accuracy": 0.97, "by": "test"},
                  r_control_ohm=np.linspace(1e8, 1e9, 20), state=np.ones((20, 3), np.uint16))
    net.save(tmp_path / "a.ion")
    loaded = Network.load(tmp_path / "a.ion")
    same(net, loaded)
    assert np.array_equal(net.r_control_ohm, loaded.r_control_ohm)
    assert np.array_equal(net.state, loaded.state)
    loaded.save(tmp_path / "b.ion")
    assert (tmp_path / "a.ion").read_bytes() == (tmp_path / "b.ion").read_bytes()


def test_outputs_vote_or_are_counted(tmp_path):
    counts = np.array([[3, 1, 2], [0, 0, 5]])
    of = {"outputs": [3, 4, 5]}
    assert np.array_equal(network(**of).scores(counts), counts)
    named = network(**of, labels=("b", "a", "b"))
    assert named.classes == ("b", "a") and named.scores(counts).tolist() == [[5, 1], [5, 0]]
    votes = np.array([[1, -2], [127, 0], [0, -128]], np.int8)
    voting = network(**of, labels=("a", "b"), votes=votes)
    assert voting.classes == ("a", "b") and voting.scores(counts).tolist() == [[130, -262], [0, -640]]
    voting.save(tmp_path / "a.ion")
    loaded = Network.load(tmp_path / "a.ion")
    same(voting, loaded)
    assert np.array_equal(loaded.votes, votes) and loaded.votes.dtype == np.int8
    with Board.open(backend="golden") as board:
        board.load(voting)
        result = board.run(spikes(rate=0.6), seed=1)
    counts = result.spikes.raster[:, 3:6].sum(axis=0)
    assert counts.any() and result.scores.tolist() == (counts @ votes.astype(int)).tolist()
    assert result.answer == result.scores.argmax()


@pytest.mark.parametrize(("changes", "message"), [
    ({"votes": np.zeros((3, 2), np.int8)}, "votes must be integers from -128 to 127, 2 outputs by 2 labels, "
                                           "not int8 [3, 2]"),
    ({"votes": np.full((2, 2), 128)}, "votes must be integers"),
    ({"votes": np.full((2, 2), np.nan)}, "votes must be integers"),
    ({"votes": np.zeros((2, 0), np.int8), "labels": ()}, "votes need labels, each another"),
    ({"votes": np.zeros((2, 2), np.int8), "labels": ("a", "a")}, "votes need labels, each another")])
def test_votes_that_are_none_are_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        network(**{"outputs": [3, 4], "labels": ("a", "b"), **changes})


def test_every_truncated_or_changed_file_is_refused(tmp_path):
    path = tmp_path / "a.ion"
    network().save(path)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(good), 40):
        path.write_bytes(good[:cut])
        with pytest.raises(InputError) as error:
            Network.load(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)
    survived = 0
    for at in rng.integers(0, len(good), 200):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1:])
        try:
            same(network(), Network.load(path))
            survived += 1       # of fields that nothing depends on, as a date
        except InputError as error:
            assert "\n" not in str(error)
    assert survived < 50


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "a.ion"
    text.write_text("no network")
    with pytest.raises(InputError, match="not a .ion file, or truncated"):
        Network.load(text)
    np.savez(tmp_path / "z.npz", a=1)
    (tmp_path / "z.npz").rename(tmp_path / "z.ion")
    with pytest.raises(InputError, match="it has no ionspike network header"):
        Network.load(tmp_path / "z.ion")
    with pytest.raises(InputError, match="no such file"):
        Network.load(tmp_path / "none.ion")
    with pytest.raises(InputError, match="metadata must be what JSON holds"):
        network(metadata={"a": object()}).save(tmp_path / "b.ion")


def test_a_later_version_is_named(tmp_path, monkeypatch):
    from ionspike.host import ionfile
    monkeypatch.setattr(ionfile, "VERSION", 6)
    network().save(tmp_path / "a.ion")
    monkeypatch.undo()
    with pytest.raises(InputError, match="format version 6; this ionspike reads up to 5"):
        Network.load(tmp_path / "a.ion")


def test_volts_become_the_nearest_steps():
    weights = np.array([[0.5, -1.0, 0.0, 0.25]])
    net = Network.dense(weights)
    assert np.abs(net.projections[0].weights * net.scale_V - weights).max() <= net.scale_V / 2
    assert abs(int(net.projections[0].weights.min())) in (126, 127)
    assert net.metadata["clipped_weights"] == 0
    clipped = Network.dense(weights, max_V=0.5)
    assert clipped.metadata["clipped_weights"] == 1
    assert clipped.projections[0].weights.min() == -127


def test_spreads_repeat():
    a, b = (Mismatch.draw(500, seed=3, growth=0.1, gap=0.02, rc=0.2) for _ in range(2))
    assert np.array_equal(a.growth, b.growth) and np.array_equal(a.rc, b.rc)
    assert 0.08 < np.log(a.growth).std() < 0.12 and 0.015 < a.gap.std() < 0.025


def test_seeds_are_spread_and_never_zero():
    states = {lfsr_state(seed) for seed in range(-500, 500)}
    assert len(states) == 1000 and 0 not in states
    # Published first outputs of splitmix64 for the seeds 0 and 1234567.
    assert lfsr_state(0) == 0xE220A8397B1DCDAF
    assert lfsr_state(1234567) == 6457827717110365317
    with pytest.raises(ValueError, match="seed must be an integer, not 0.5"):
        lfsr_state(0.5)


GOOD = {"device": "zhao2025_ms", "dt_s": 5e-4, "inputs": 2, "neurons": 3, "scale_V": 2.0 ** -10,
        "projections": ()}
ONES = np.ones((2, 3), np.int8)


@pytest.mark.parametrize(("change", "message"), [
    ({"projections": [Projection("inputs", ONES * 1.5)]},
     "projection 0: weight [0, 0] = 1.5 is no integer from -128 to 127; "
     "Network.from_float quantises volts"),
    ({"projections": [Projection("inputs", ONES.astype(int) * 200)]},
     "projection 0: weight [0, 0] = 200 is no integer from -128 to 127; "
     "Network.from_float quantises volts"),
    ({"projections": [Projection("inputs", ONES, target_start=1)]},
     "projection 0: targets 1 to 3 leave the network's 3 neurons"),
    ({"projections": [Projection("inputs", ONES, source_start=1)]},
     "projection 0: sources 1 to 2 leave the network's 2 inputs"),
    ({"scale_V": 1.0}, "scale_V must be a multiple of 1.907e-06 V up to 0.0625 V, not 1.0"),
    ({"scale_V": float("nan")}, "scale_V must be a multiple of 1.907e-06 V up to 0.0625 V, not nan"),
    ({"dt_s": -1}, "dt_s must be a positive number of seconds, not -1"),
    ({"neurons": 0}, "neurons must be a positive integer, not 0"),
    ({"outputs": [3]}, "outputs must be indices of neurons, 0 to 2"),
    ({"labels": ("a",)}, "1 labels for 3 outputs"),
    ({"r_control_ohm": [1, 2, float("inf")]},
     "r_control_ohm must be 3 positive numbers, one a neuron"),
    ({"mismatch": Mismatch.none(4)}, "mismatch is of 4 neurons, the network has 3"),
    ({"state": np.zeros((3, 3))}, "state must be uint16 [3, 3], not float64 [3, 3]"),
])
def test_bad_networks_are_named(change, message):
    with pytest.raises(InputError) as error:
        Network(**(GOOD | change))
    assert str(error.value) == message


@pytest.mark.parametrize(("arguments", "message"), [
    (("inputs", [[float("nan")]]), "weight [0, 0] is nan, not a finite number"),
    (("inputs", [1.0]), "weights must be numbers of shape [sources, targets], not float64 [1]"),
    (("outputs", [[1]]), "source of a projection must be 'inputs' or 'neurons', not 'outputs'"),
    (("inputs", [[1]], -1), "source_start must be an integer from 0 on, not -1"),
    (("inputs", [[1]], 0, 0, 0.5), "delay must be an integer from 0 on, not 0.5"),
])
def test_bad_projections_are_named(arguments, message):
    with pytest.raises(InputError) as error:
        Projection(*arguments)
    assert str(error.value) == message


def test_bad_mismatch_is_named():
    with pytest.raises(InputError, match="mismatch gap of neuron 1 must be -0.248 to 0.248, not 1"):
        Mismatch(np.ones(2), np.array([0, 1.0]), np.ones(2))
    with pytest.raises(InputError, match="spread of rc must be 0 to 1, not nan"):
        Mismatch.draw(3, seed=1, rc=float("nan"))
