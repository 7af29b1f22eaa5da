import gzip
import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import require_compiler, require_package

from ionspike.host import cli
from ionspike.host.board import Board
from ionspike.host.compiler import compile
from ionspike.host.errors import InputError
from ionspike.host.frame import Frame, with_bias
from ionspike.host.network import Network
from ionspike.host.spikes import Spikes
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device
from ionspike.spec.shape import DEFAULT_SHAPE

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")

from ionspike.train import arrays, braille, checkpoint, speech  # noqa: E402
from ionspike.train.augmentation import Augmentation  # noqa: E402
from ionspike.train.evaluate import different, read, shape_for  # noqa: E402
from ionspike.train.events import Events  # noqa: E402
from ionspike.train.loop import train  # noqa: E402
from ionspike.train.properties import PROPERTIES, without  # noqa: E402
from ionspike.train.settings import FILE, Settings  # noqa: E402
from ionspike.train.training import Training, accuracy  # noqa: E402

TINY = Settings(hidden=(16,), outputs=2, ticks=25, bin_s=1e-3, batch=24, rate=0.03, warm_up=0.05,
                drop=0.05, time_stretch=0.05)


def data(name):
    """A file of the shared data, or a visible skip."""
    folder = Path(os.environ.get("IONSPIKE_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    if not (folder / name).is_file():
        pytest.skip(f"no {name} in {folder}: set IONSPIKE_DATA")
    return folder / name


def rasters(items=144, seed=3):
    """Three classes: which third of twelve channels is lively; groups 0 to 5."""
    rng = np.random.default_rng(seed)
    labels = np.arange(items) % 3
    lively = np.arange(12) // 4 == labels[:, None]
    spikes = rng.random((items, 25, 12)) < np.where(lively, 0.5, 0.08)[:, None]
    return spikes, labels, np.arange(items) // 3 % 6


def events():
    spikes, labels, groups = rasters()
    return Events.of_raster("thirds", spikes, 1e-3, labels, ("left", "middle", "right"), groups)


def trained(settings=TINY, seed=1, epochs=8, **options):
    training = Training(settings, events(), seed, native=False)
    chosen, held_out = training.events.split((5,))
    losses = train(training, chosen, epochs, **options)
    return training, held_out, losses


@pytest.fixture(scope="module")
def once():
    torch.set_num_threads(1)
    return trained()


# --------------------------------------------------------------------------------------- data --

def test_events_come_back_as_the_raster_they_were_made_of():
    spikes, _, _ = rasters()
    chosen = np.array([7, 2, 99])
    assert np.array_equal(events().encode(chosen, Frame(25, 1e-3, 1)), spikes[chosen])
    coarse = events().encode(chosen, Frame(6, 4e-3, 5))
    expected = spikes[chosen][:, :24, :10].reshape(3, 6, 4, 2, 5).any(axis=(2, 4))
    assert np.array_equal(coarse, expected)
    assert events().late(chosen, Frame(6, 4e-3, 5)) == spikes[chosen][:, 24:].sum() > 0


def test_augmentation_moves_stretches_and_drops():
    one = Events.of_raster("one", np.eye(20, dtype=bool)[None].repeat(200, 0), 1e-3,
                           np.zeros(200, np.int64), ("a", "b"))
    frame, all_of_it, rng = Frame(40, 1e-3, 1), np.arange(200), np.random.default_rng(1)
    moved = one.encode(all_of_it, frame, Augmentation(shift=4), rng)
    first = moved[:, 10].argmax(axis=1)
    assert set(first - 10) == set(range(-4, 5))
    slowed = one.encode(all_of_it, frame, Augmentation(time_stretch=0.5), rng)
    last = slowed.any(axis=2).cumsum(axis=1).argmax(axis=1)
    assert 9 <= last.min() < 12 and 25 < last.max() <= 28
    dropped = one.encode(all_of_it, frame, Augmentation(drop=0.3), rng)
    assert dropped.any(axis=1).mean() == pytest.approx(0.7, abs=0.03)
    delayed = one.encode(all_of_it, frame, Augmentation(late=3), rng)
    assert set(delayed[:, :, 10].argmax(axis=1) - 10) == set(range(-3, 3))
    thinned = one.encode(all_of_it, frame, Augmentation(thin=0.5), rng).sum(axis=(1, 2))
    assert thinned.mean() == pytest.approx(15, abs=0.5) and thinned.std() > 2.5 and thinned.max() <= 20
    again = [one.encode(all_of_it, frame, Augmentation(3, 0.1, 0.1, 2, 0.1, 0.2, 0.5), np.random.default_rng(4))
             for _ in range(2)]
    assert np.array_equal(*again)


def test_items_are_blended_with_others_of_their_class():
    # The first class has channels 0 to 9 early, or 10 to 19 late; the second has 20 to 29.
    raster = np.zeros((60, 40, 30), bool)
    raster[:20, 5:15, :10] = raster[20:40, 15:25, 10:20] = raster[40:, 10:20, 20:] = True
    items = Events.of_raster("pairs", raster, 1e-3, np.repeat([0, 1], [40, 20]), ("a", "b"))
    frame, all_of_it, rng = Frame(40, 1e-3, 1), np.arange(60), np.random.default_rng(1)
    blended = items.encode(all_of_it, frame, Augmentation(blend=1.0), rng)
    low, high = blended[:40, :, :10].sum((1, 2)), blended[:40, :, 10:20].sum((1, 2))
    both = (low > 0) & (high > 0)
    assert 0.3 < both.mean() < 0.7      # else the other was one of its own kind
    assert (low + high)[both].mean() == pytest.approx(100, abs=8)
    assert 20 < min(low[both].min(), high[both].min()) and max(low[both].max(), high[both].max()) < 80
    # The other's events come when the item's own do, and no class takes from another.
    assert set(np.flatnonzero(blended[:20].any(axis=(0, 2)))) == set(range(5, 15))
    assert set(np.flatnonzero(blended[20:40].any(axis=(0, 2)))) == set(range(15, 25))
    assert not blended[:40, :, 20:].any() and not blended[40:, :, :20].any()
    assert np.array_equal(items.encode(all_of_it, frame, Augmentation(), rng), raster)


def test_split_holds_out_whole_groups_or_a_fifth_of_each_class():
    training, held_out = events().split((2, 5))
    assert set(events().groups[held_out]) == {2, 5} and not set(training) & set(held_out)
    plain = Events.of_raster("plain", *rasters()[:1], 1e-3, rasters()[1], ("a", "b", "c"))
    training, held_out = plain.split(())
    assert np.bincount(plain.labels[held_out]).tolist() == [10, 10, 10] and len(training) == 114
    training, held_out = events().split(None)
    assert training.tolist() == list(range(144)) and len(held_out) == 0


def write_speech(path, items=6, last=2600, **changes):
    """Random items in the SHD-like layout; returns their (step, channel) pairs."""
    rng = np.random.default_rng(2)
    pairs, counts, deltas = [], np.zeros((items, 700), np.uint16), []
    for k in range(items):
        channel = np.sort(rng.integers(0, 700, 300))
        at = rng.integers(0, last, 300)
        order = np.lexsort((at, channel))
        at, channel = at[order], channel[order]
        before = np.concatenate([[0], np.where(np.diff(channel) == 0, at[:-1], 0)])
        deltas.append(at - before)
        counts[k] = np.bincount(channel, minlength=700)
        pairs.append((at, channel))
    delta = np.concatenate(deltas)
    content = {"counts": counts, "delta_lo": (delta & 255).astype(np.uint8),
               "delta_hi": (delta >> 8).astype(np.uint8), "offset": np.arange(items + 1) * 300,
               "label": np.arange(items, dtype=np.uint8), "speaker": np.arange(items, dtype=np.uint8),
               "tick_s": np.array(0.0005)}
    np.savez(path, **{**content, **changes})
    return pairs


def test_speech_reads_the_times_that_were_written(tmp_path):
    pairs = write_speech(tmp_path / "s.npz")
    found = speech.load(tmp_path / "s.npz")
    for k, (at, channel) in enumerate(pairs):
        part = slice(found.offset[k], found.offset[k + 1])
        assert found.at[part].tolist() == at.tolist()
        assert found.channel[part].tolist() == channel.tolist()


@pytest.mark.parametrize("changes, message", [
    ({"offset": np.arange(7) * 299}, "offset does not fit counts"),
    ({"label": np.full(6, 20, np.uint8)}, "label 20; there are 20 classes"),
    ({"delta_lo": np.zeros(1800, np.float64)}, "not in the layout"),
    ({"counts": np.zeros((0, 700), np.uint16)}, "not in the layout"),
    ({"speaker": np.full(6, -1)}, "speaker must be 6 whole numbers"),
    ({"tick_s": np.array(np.nan)}, "not in the layout")])
def test_speech_of_another_layout_is_refused(tmp_path, changes, message):
    write_speech(tmp_path / "s.npz", **changes)
    with pytest.raises(InputError, match=message):
        speech.load(tmp_path / "s.npz")


def write_shd(path, pairs, kind="f8", units=None, **changes):
    """The same (step, channel) pairs as SHD lays them out, in the order of time."""
    require_package("h5py", "audio")
    import h5py
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (len(pairs),), h5py.vlen_dtype(np.dtype(kind)))
        unit = file.create_dataset("spikes/units", (len(pairs),), h5py.vlen_dtype(np.dtype("i4")))
        for k, (at, channel) in enumerate(pairs):
            order = np.lexsort((channel, at))
            times[k], unit[k] = (at[order] * 5e-4).astype(kind), channel[order]
        content = {"labels": np.arange(len(pairs), dtype=np.uint8),
                   "extra/speaker": np.arange(len(pairs), dtype=np.uint8), **changes}
        for name, values in content.items():
            if values is not None:
                file[name] = values
    return path


@pytest.mark.parametrize("kind, last", [("f8", 2600), ("f4", 2600), ("f2", 1000)])
def test_events_are_the_same_from_both_layouts(tmp_path, kind, last):
    pairs = write_speech(tmp_path / "s.npz", last=last)
    one = speech.load(tmp_path / "s.npz")
    other = speech.load(write_shd(tmp_path / "s.h5", pairs, kind))
    for field in fields(Events):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
        assert type(getattr(one, field.name)) is type(getattr(other, field.name))
    assert one.digest == other.digest and len(one.at) == 1800


@pytest.mark.parametrize("pairs, changes, message", [
    ([], {}, "holds no utterances"),
    ([(3, 4), (65536, 0)], {}, "utterance 1 has a spike at 32.768 s; 0 to 32.7675 s are read"),
    ([(-1, 4)], {}, "utterance 0 has a spike at -0.0005 s"),
    ([(np.nan, 4)], {}, "utterance 0 has a spike at nan s"),
    ([(3, 700)], {}, "utterance 0 has unit 700; there are 700, 0 to 699"),
    ([(3, -1)], {}, "utterance 0 has unit -1"),
    ([(3, 4)], {"labels": [20]}, "label 20; there are 20 classes"),
    ([(3, 4)], {"labels": [-1]}, "labels must be 1 whole numbers from 0 on"),
    ([(3, 4)], {"labels": None}, "has no array labels"),
    ([(3, 4)], {"extra/speaker": [1, 2]}, "extra/speaker has 2 entries of int64, 1 integers")])
def test_shd_that_cannot_be_learnt_from_is_refused(tmp_path, pairs, changes, message):
    path = write_shd(tmp_path / "s.h5", [(np.array([at]), np.array([unit])) for at, unit in pairs],
                     **changes)
    with pytest.raises(InputError, match=message) as raised:
        speech.load(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_speakers_may_be_missing(tmp_path):
    path = write_shd(tmp_path / "s.h5", [(np.array([1]), np.array([2]))] * 20,
                     **{"extra/speaker": None})
    assert speech.load(path).groups is None


def test_the_shared_data_are_read():
    found = speech.load(data(speech.FILES[0]))
    assert len(found) == 8160 and found.channels == 700 and len(found.at) == 46_704_073
    training, held_out = found.split(speech.HELD_OUT)
    assert not set(found.groups[training]) & set(speech.HELD_OUT) and len(held_out) == 1729
    share = found.encode(np.arange(500), Frame(100, 0.01, 5)).mean()
    assert share == pytest.approx(0.14, abs=0.03)   # "14 % of bins not empty"


def test_the_shared_braille_data_are_read():
    found = braille.load(data(braille.FILES[0]))
    assert len(found) == 1350 and len(found.classes) == 27 and found.channels == 48
    share = found.encode(np.arange(1350), Frame(77, 1e-3, 1)).mean()
    assert 0.01 < share < 0.2


@pytest.mark.parametrize("content, message", [
    ({"spikes": np.ones((4, 5))}, "no array 'labels'"),
    ({"spikes": np.full((4, 5, 2), 2), "labels": np.arange(4)}, "spikes must be 0 or 1"),
    ({"spikes": np.full((4, 5, 2), np.nan), "labels": np.arange(4)}, "spikes must be 0 or 1"),
    ({"spikes": np.ones((4, 5)), "labels": np.arange(4)}, r"not float64 \[4, 5\]"),
    ({"spikes": np.ones((4, 5, 2)), "labels": np.arange(3)}, "labels must be 4 whole numbers"),
    ({"spikes": np.ones((4, 5, 2)), "labels": np.zeros(4, int)}, "labels go up to 0"),
    ({"spikes": np.ones((4, 5, 2)), "labels": np.arange(4) * 9}, "labels go up to 27"),
    ({"spikes": np.ones((4, 5, 2)), "labels": np.arange(4), "step_s": 0.0}, "step_s must be"),
    ({"spikes": np.array([None]), "labels": np.arange(4)}, "Python objects")])
def test_files_that_cannot_be_learnt_from_are_refused(tmp_path, content, message):
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(InputError, match=message):
        arrays.load(tmp_path / "x.npz")


# --------------------------------------------------------------------------------- properties --

@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_can_be_left_out_and_the_board_gets_that_device(name):
    device = Device.load("zhao2025_ms").with_(r_control_ohm=TINY.r_control_ohm)
    settings = Settings(**{**TINY.to_json(), "missing": name})
    had, has = coefficients(device, TINY.dt_s), coefficients(settings.memristor, TINY.dt_s)
    changed = {field for field in had.registers if getattr(had, field) != getattr(has, field)}
    changed |= {field for field in ("kg", "mu", "feedback", "noise")
                if getattr(had, field) != getattr(has, field)}
    expected = {"integration": {"kf", "mu", "feedback"}, "threshold": {"mu", "feedback"},
                "cascade": set(), "plasticity": {"kb", "r_noise"}, "refractory": {"kg"},
                "stochasticity": {"noise", "r_noise"}}
    assert changed == expected[name]
    training = Training(settings, events(), 1, native=False)
    network = training.made({})
    image = compile(network, DEFAULT_SHAPE).image
    assert {k: image.registers[k] for k in has.registers} == has.registers
    assert all(p.source == "inputs" for p in network.projections) == (name == "cascade")
    noisy = training.generator(0) is not None
    assert noisy == (name != "stochasticity")


def test_what_the_properties_are():
    device = Device.load("zhao2025_ms")
    flat = without(device, "threshold")
    assert flat.threshold_V() == pytest.approx(device.threshold_V(), rel=0.01)
    h = coefficients(flat, 2e-4).feedback
    assert max(h) < 2.2 * min(h) and max(coefficients(device, 2e-4).feedback) > 15 * 256
    assert coefficients(without(device, "integration"), 1e-3).kf < coefficients(device, 1e-3).kf / 10
    assert without(device, "plasticity").rate_per_s == pytest.approx(device.rate_per_s)
    assert coefficients(without(device, "refractory"), 1e-3).kg == 4095
    with pytest.raises(InputError, match="no property is called 'speed'; there are integration"):
        without(device, "speed")


# ----------------------------------------------------------------------------------- training --

def test_training_learns_and_the_golden_model_agrees(once, tmp_path):
    training, held_out, losses = once
    assert losses[-1] < 0.7 * losses[0]
    assert accuracy(training, held_out) > 0.8
    training.made({}).save(tmp_path / "net.ion")
    network = Network.load(tmp_path / "net.ion")
    found = read(network, training.events.encode(held_out, TINY.frame), seed=1)
    assert (found == training.events.labels[held_out]).mean() > 0.8


def test_hidden_neurons_vote_where_there_are_no_outputs(tmp_path):
    training, held_out, losses = trained(replace(TINY, outputs=0), epochs=12)
    assert losses[-1] < 0.7 * losses[0]
    training.made({}).save(tmp_path / "net.ion")
    network = Network.load(tmp_path / "net.ion")
    assert network.neurons == 16 and network.outputs.tolist() == list(range(16))
    assert network.labels == ("left", "middle", "right") and np.abs(network.votes).max() == 127
    raster, labels = training.events.encode(held_out, TINY.frame), training.events.labels[held_out]
    right = (read(network, raster, seed=1) == labels).mean()
    assert right > 0.8 and abs(accuracy(training, held_out) - right) < 0.2
    # The scores that training sees are those of the votes, but for their step.
    training.eval()
    spikes = training.spikes(held_out, None, training.generator(0))
    counts = spikes[0].detach().sum(0).numpy().astype(int)
    assert training.scores(spikes).detach().numpy() == pytest.approx(
        network.scores(counts) * training.votes()[1], rel=1e-4, abs=1e-4)
    with Board.open(backend="golden") as board:
        assert different(board, network, raster[:3], 1) == []


def test_sustained_spikes_delays_and_views_reach_the_board(tmp_path):
    settings = replace(TINY, hidden=(12, 12), outputs=0, sustained=1, delay=2, r_control_ohm=5e7, views=(0, -1, 1),
                       paces=(1, 1, 0.9))
    training, held_out, losses = trained(settings, epochs=12)
    assert losses[-1] < 0.7 * losses[0]
    training.made({}).save(tmp_path / "net.ion")
    network = Network.load(tmp_path / "net.ion")
    assert network.device.sustained and {p.delay for p in network.projections} == {0, 1, 2}
    raster, labels = training.events.views(held_out, settings.frame), training.events.labels[held_out]
    assert raster.shape == (3, 24, 25, 12) and np.array_equal(raster[1, ..., :-1], raster[0, ..., 1:])
    right = (read(network, raster, seed=1) == labels).mean()
    assert right > 0.8 and abs(accuracy(training, held_out) - right) < 0.2
    # Views are runs of their own, with noise of their own, and their scores are added.
    with Board.open(backend="golden") as board:
        board.load(network)
        runs = board.run_many([Spikes(item, network.dt_s) for item in with_bias(network, raster[:, 0])],
                              seeds=[1, 25, 49])
        assert runs[0].spikes.raster.sum() > 1.5 * (runs[0].spikes.raster[1:] & ~runs[0].spikes.raster[:-1]).sum()
        scores = np.sum([run.scores for run in runs], axis=0)
        assert read(network, raster, seed=1)[0] == np.argmax(scores)
        assert different(board, network, raster[:, :2], 1) == []
    require_compiler()
    with Board.open(backend="virtual") as board:
        assert different(board, network, raster[:, :1], 1) == []


def test_voters_that_do_not_reach_one_another_are_one_layer():
    settings = replace(TINY, hidden=(16, 8), outputs=0)
    assert Training(settings, events(), 1, native=False).made({}).neurons == 24
    alone = Training(replace(settings, missing="cascade"), events(), 1, native=False).made({})
    assert alone.neurons == 16 and all(p.source == "inputs" for p in alone.projections)
    with pytest.raises(InputError, match="without outputs the hidden layers vote, and there is none"):
        replace(settings, hidden=())


def test_board_and_golden_model_agree_on_every_item(once):
    training, held_out, _ = once
    network = training.made({})
    raster = training.events.encode(held_out[:3], TINY.frame)
    with Board.open(backend="golden") as board:
        assert different(board, network, raster, 1) == []
    require_compiler()
    with Board.open(backend="virtual") as board:
        assert different(board, network, raster[:2], 1) == []
    with pytest.MonkeyPatch.context() as patch, Board.open(backend="golden") as board:
        run_many = board.run_many
        patch.setattr(board, "run_many", lambda items, seeds: run_many(items, seeds=[9, *seeds[1:]]))
        assert different(board, network, raster, 1) == [0]


def test_equal_seeds_train_equal_networks_and_others_do_not(once):
    training, _, losses = once
    again, _, same = trained()
    other, _, _ = trained(seed=2, epochs=1)
    assert losses == same
    for a, b in zip(training.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(training.network.layers[0].weights, other.network.layers[0].weights)


def test_a_training_that_goes_on_is_the_one_that_was_never_interrupted(once, tmp_path):
    whole, _, losses = once
    keep = tmp_path / "x.checkpoint"

    class Interrupted(Exception):
        pass

    def stop(epoch, _):
        if epoch == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        trained(keep=keep, said=stop)
    resumed, _, same = trained(keep=keep, resume=True)
    assert same == losses
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(InputError, match="is of other settings, seed, epochs or data"):
        trained(keep=keep, resume=True, seed=2)


def test_training_under_mismatch_draws_other_devices_every_batch():
    settings = Settings(**{**TINY.to_json(), "spread_growth": 0.2, "spread_rc": 0.2,
                           "spread_gap": 0.03, "missing": "stochasticity", "drop": 0.0,
                           "time_stretch": 0.0})
    training = Training(settings, events(), 1, native=False)
    chosen = np.arange(24)
    one, other = (training.spikes(chosen, np.random.default_rng(s), None) for s in (1, 2))
    alike = [training.spikes(chosen, None, None) for _ in range(2)]
    assert all(map(torch.equal, *alike))
    assert not any(map(torch.equal, one, other)) and not any(map(torch.equal, one, alike[0]))


class Trap:
    def __reduce__(self):
        return os.system, ("echo a pickle was run > trap",)


def test_checkpoints_never_run_code_and_damage_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": checkpoint.FORMAT, "trap": Trap()}, "trap.checkpoint")
    Path("noise.checkpoint").write_bytes(bytes(range(256)) * 4)
    Path("empty.checkpoint").write_bytes(b"")
    checkpoint.save(Path("good.checkpoint"), {"losses": [1.0]})
    Path("cut.checkpoint").write_bytes(Path("good.checkpoint").read_bytes()[:300])
    for name in ("trap", "noise", "empty", "cut"):
        with pytest.raises(InputError, match="not a checkpoint"):
            checkpoint.load(Path(f"{name}.checkpoint"), "cpu")
    assert not Path("trap").exists()
    assert checkpoint.load(Path("good.checkpoint"), "cpu")["losses"] == [1.0]


# ---------------------------------------------------------------------------------------- CLI --

def file_of_thirds(path, **more):
    spikes, labels, groups = rasters()
    np.savez(path, spikes=spikes, labels=labels, groups=groups, step_s=1e-3, **more)


SMALL = ["--set", "hidden=16", "--set", "outputs=2", "--set", "ticks=25", "--set", "batch=24", "--set",
         "rate=0.03"]


def run(*arguments):
    return cli.main(["train", *arguments])


def test_train_verb_writes_a_network_that_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file_of_thirds("thirds.npz")
    assert run("thirds.npz", *SMALL, "--epochs", "8", "--seed", "1", "--hold-out", "5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    network = Network.load("thirds.ion")
    assert told["items"] == {"training": 120, "validation": 24} and told["output"] == "thirds.ion"
    assert (told["neurons"], told["synapses"]) == (network.neurons, network.synapses)
    assert network.metadata["accuracy"]["validation"]["bit_exact"] == [
        round(a, 6) for a in told["bit_exact"]]
    assert min(told["bit_exact"]) > 0.6 and not Path("thirds.checkpoint").exists()
    assert run("thirds.npz", *SMALL, "--epochs", "8", "--seed", "1", "--hold-out", "5",
               "--output", "again.ion") == 0
    assert "bit-exact" in capsys.readouterr().out
    assert Path("again.ion").read_bytes() == Path("thirds.ion").read_bytes()


def test_train_verb_learns_from_all_items_and_then_measures_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file_of_thirds("thirds.npz")
    every = [*SMALL, "--epochs", "2", "--seed", "1", "--hold-out", "none", "--set", "teacher=1"]
    assert run("thirds.npz", *every, "--json") == 0
    told, network = json.loads(capsys.readouterr().out), Network.load("thirds.ion")
    assert told["items"] == {"training": 144, "validation": 0} and network.metadata["held_out"] is None
    assert (told["held_out"], told["float"], told["teacher"], told["bit_exact"]) == (None, None, None, [])
    assert "accuracy" not in network.metadata
    assert run("thirds.npz", *every, "--force") == 0
    captured = capsys.readouterr()
    assert "nothing: all items were learnt from" in captured.out and "144 items to train on, 0 held out" in captured.out
    assert "epoch 2 of 2: loss" in captured.err and "held out" not in captured.err


def test_train_verb_says_how_good_the_teacher_was(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file_of_thirds("thirds.npz")
    taught = [*SMALL, "--epochs", "2", "--seed", "1", "--hold-out", "5", "--set", "teacher=3"]
    assert run("thirds.npz", *taught, "--json") == 0
    told, network = json.loads(capsys.readouterr().out), Network.load("thirds.ion")
    assert told["teacher"] > 0.9 and told["settings"]["teacher"] == 3
    assert network.metadata["accuracy"]["validation"]["teacher"] == round(told["teacher"], 6)
    assert run("thirds.npz", *taught, "--output", "again.ion") == 0
    assert "of what was held out, 3 epochs; thrown away" in capsys.readouterr().out
    assert Path("again.ion").read_bytes() == Path("thirds.ion").read_bytes()


@pytest.mark.parametrize("name", ["shd_train.h5", "shd_train.h5.gz", None])
def test_speech_is_trained_from_what_the_folder_or_the_option_names(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IONSPIKE_DATA", str(tmp_path))
    rng = np.random.default_rng(1)
    pairs = [(rng.integers(0, 300, 80), rng.integers(0, 35, 80) + 35 * k) for k in range(20)] * 2
    path = write_shd(tmp_path / (name or "mine.h5"), pairs, labels=np.arange(40) % 20,
                     **{"extra/speaker": np.repeat([3, 1, 9], [20, 10, 10])})
    if name == "shd_train.h5.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    option = [] if name else ["--data", "mine.h5"]
    assert run("speech", *option, *SMALL, "--set", "batch=20", "--set", "group=35", "--epochs", "1",
               "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["held_out"], told["items"]) == ([1, 9], {"training": 20, "validation": 20})


def test_only_the_heidelberg_digits_are_said_to_be_theirs(tmp_path):
    for name, changes, found in (
            ("hd_spikes_train.npz", {}, ("SHD-like digits", "CC BY 4.0 (data: Cramer et al., Heidelberg Digits, "
                                         "doi 10.1109/TNNLS.2020.3044364)")),
            ("own.npz", {}, ("own", "")), ("own.npz", {"licence": np.array("")}, ("own", "")),
            ("own.npz", {"licence": np.array("CC BY-SA 4.0 (A. Speaker)")}, ("own", "CC BY-SA 4.0 (A. Speaker)"))):
        write_speech(tmp_path / name, **changes)
        events = speech.load(tmp_path / name)
        assert (events.name, events.licence) == found
    for licence in (np.array(["CC0"]), np.array(4), np.array("a\nb"), np.array("x" * 1001)):
        write_speech(tmp_path / "own.npz", licence=licence)
        with pytest.raises(InputError, match="own.npz: licence must be one line of up to 1000 characters"):
            speech.load(tmp_path / "own.npz")


def test_speech_is_learnt_from_other_utterances_beside_but_not_of_speakers_held_out(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, speakers in (("digits.npz", [3, 1, 4]), ("voices.npz", [3, 1, 9])):
        write_speech(name, items=60, label=np.arange(60) % 20, speaker=np.repeat(speakers, 20))
    write_speech("unknown.npz", items=20, label=np.arange(20), speaker=np.full(20, 1))
    small = [*SMALL, "--set", "batch=20", "--set", "group=35", "--set", "teacher=0", "--epochs", "1", "--hold-out", "1"]
    both = [*small, "--data", "digits.npz", "--also", "voices.npz"]
    assert run("speech", *both, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["items"], told["beside"]) == ({"training": 80, "validation": 20}, 40)
    assert run("speech", *both, "--output", "again.ion") == 0
    assert "80 items to train on, 40 of them from voices.npz, 20 held out (groups 1)" in capsys.readouterr().out
    assert Path("again.ion").read_bytes() == Path("speech.ion").read_bytes()
    assert run("speech", *small, "--data", "digits.npz", "--output", "alone.ion", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["beside"] == 0 and alone["data_digest"] != told["data_digest"]
    write_speech("more.npz", items=20, label=np.arange(20), speaker=np.full(20, 200), licence=np.array("CC0 (A)"))
    assert run("speech", *both, "--also", "more.npz", "--output", "more.ion") == 0
    assert "100 items to train on, 60 of them from voices.npz, more.npz, 20 held out" in capsys.readouterr().out
    assert Network.load("more.ion").metadata["licence"] == "digits: not told; voices: not told; CC0 (A)"
    one, two = speech.load(Path("digits.npz")), speech.load(Path("voices.npz"))
    joined, more = one.joined(two, (1,))
    assert more.tolist() == [*range(60, 80), *range(100, 120)] and set(joined.groups[more]) == {3, 9}
    assert np.array_equal(joined.encode(np.array([5, 65]), TINY.frame), np.concatenate(
        [one.encode(np.array([5]), TINY.frame), two.encode(np.array([5]), TINY.frame)]))
    for arguments, message in (
            (["speech", *small, "--data", "digits.npz", "--also", "unknown.npz"],
             "all 20 utterances beside are of groups that are held out"),
            (["speech", *small, "--data", "digits.npz", "--also", "nothing.npz"], "nothing.npz: no such file"),
            (["digits.npz", "--also", "voices.npz"], "--also is for speech, not digits.npz")):
        assert run(*arguments, "--output", "x.ion") == cli.USAGE
        error = capsys.readouterr().err
        assert error.startswith(f"ionspike: {message}") and error.count("\n") == 1, error
    joined, more = one.joined(replace(two, groups=None), None)
    assert more.tolist() == list(range(60, 120)) and joined.groups is None
    assert set(one.joined(two, None)[0].groups) == {1, 3, 4, 9}
    for other in (replace(two, groups=None), replace(two, step_s=1e-3), replace(two, channels=70)):
        with pytest.raises(InputError, match="what is learnt from beside could be of|cannot be learnt beside"):
            one.joined(other, (1,))


@pytest.mark.parametrize("arguments, message", [
    (["nowhere.npz"], "nowhere.npz: no such file"),
    (["noise.npz"], "noise.npz: not an .npz file, or damaged"),
    (["thirds.npz", "--output", "x.txt"], "x.txt: a network is an .ion file"),
    (["thirds.npz", "--hold-out", "9"], "thirds has no group 9; there are 0, 1, 2, 3, 4, 5"),
    (["thirds.npz", "--hold-out", "a"], "--hold-out takes numbers of groups"),
    (["thirds.npz", "--set", "speed=3"], "settings are NAME=VALUE, not 'speed=3'; names are hidden"),
    (["thirds.npz", "--set", "rate=fast"], "rate is 0.01 or the like, not 'fast'"),
    (["thirds.npz", "--set", "rate=nan"], "rate must be 1e-06 to 1, not nan"),
    (["thirds.npz", "--set", "hidden=0"], "hidden must be up to 8 sizes from 1 to 2040"),
    (["thirds.npz", "--set", "views=1,1"], "views must differ in their channels or paces, not (1, 1)"),
    (["thirds.npz", "--set", "paces=1,2"], "paces must be none or one of each view, 1, from 0.1 to 10, not (1.0, 2.0)"),
    (["thirds.npz", "--set", "views=a"], "views is [0] or the like, not 'a'"),
    (["thirds.npz", "--set", "sustained=2"], "sustained must be 0 to 1, not 2"),
    (["thirds.npz", "--set", "bits=6"], "bits must be 8 or 4, not 6"),
    (["thirds.npz", "--set", "delay=16"], "delay must be 0 to 15, not 16"),
    (["thirds.npz", "--set", "device=gold"], "no device preset named 'gold'"),
    (["thirds.npz", "--set", "group=13"], "group = 13 channels of 12 leaves no input"),
    (["thirds.npz", "--set", "batch=500"], "114 items to train on are less than a batch of 500"),
    (["thirds.npz", "--without", "speed"], "no property is called 'speed'"),
    (["thirds.npz", "--data", "x.npz"], "--data says where speech or braille lie"),
    (["thirds.npz", "--set", "batch=24", "--resume"], "thirds.checkpoint: no checkpoint is there to go on from"),
    (["thirds.npz", "--output", "left.ion"], "left.checkpoint: is there from a training that has not"),
    (["thirds.npz", "--output", "left.ion", "--set", "batch=24", "--resume"], "left.checkpoint: not a checkpoint"),
    (["speech"], "speech needs hd_spikes_train.npz or shd_train.h5 or shd_train.h5.gz: give it by --data"),
    (["braille", "--data", "thirds.npz"], "thirds.npz: has no array 'taxel'")])
def test_bad_input_is_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IONSPIKE_DATA", raising=False)
    file_of_thirds("thirds.npz")
    Path("noise.npz").write_bytes(b"PK\x03\x04 and so on")
    Path("left.checkpoint").write_bytes(b"")
    assert run(*arguments) == cli.USAGE
    error = capsys.readouterr().err
    assert error.startswith(f"ionspike: {message}") and error.count("\n") == 1, error


def test_without_torch_the_verb_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert run("digits") == cli.USAGE
    assert "training needs torch: pip install 'ionspike[train]'" in capsys.readouterr().err


def test_a_core_is_found_for_networks_that_the_default_one_does_not_hold(once):
    def of(hidden, inputs):
        model = Training(Settings(**{**FILE.to_json(), "hidden": hidden, "outputs": 1}),
                         Events.of_raster("x", np.ones((2, 2, inputs), bool), 1e-3, np.arange(2),
                                          ("a", "b")), 1, native=False)
        return model.made({})

    assert shape_for(of((160, 160), 233)) == DEFAULT_SHAPE
    larger = shape_for(of((256, 256), 200))
    assert larger.words * larger.lanes == 262_144
    assert shape_for(of((300, 300), 200)).words * larger.lanes == 524_288
    with pytest.raises(InputError, match="words of 16 weights"):
        shape_for(of((500, 500), 200))
