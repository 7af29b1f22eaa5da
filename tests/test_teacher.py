from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")

from test_training import TINY, events, trained  # noqa: E402

from ionspike.host.errors import InputError  # noqa: E402
from ionspike.host.frame import Frame  # noqa: E402
from ionspike.train.augmentation import Augmentation  # noqa: E402
from ionspike.train.teacher import Teacher, apart  # noqa: E402
from ionspike.train.training import Training, teacher_accuracy  # noqa: E402

TAUGHT = replace(TINY, teacher=3)
CHANGED = Augmentation(2, 0.1, 0.1, 2, 0.3, 0.2, 0.5)


@pytest.fixture(scope="module")
def taught():
    torch.set_num_threads(1)
    return trained(TAUGHT, epochs=4)


def test_counts_are_of_the_events_that_the_inputs_show():
    one, chosen, frame = events(), np.arange(40), Frame(12, 2e-3, 3, levels=(1, 2, 4))
    plain, counts = one.counted(chosen, frame)
    assert np.array_equal(plain, one.encode(chosen, frame)) and counts.shape == (40, 12, 4)
    assert np.array_equal(plain, np.concatenate([counts >= level for level in (1, 2, 4)], -1))
    raster, counts = one.counted(chosen, frame, CHANGED, np.random.default_rng(3))
    assert np.array_equal(raster, one.encode(chosen, frame, CHANGED, np.random.default_rng(3)))
    # Inputs that are silent in an item are only so for the network.
    assert 0.5 < raster.sum() / sum((counts >= level).sum() for level in (1, 2, 4)) < 0.9
    assert np.array_equal(Frame(12, 2e-3, 3).shown(counts), counts > 0)


def test_how_far_scores_are_from_the_teachers():
    rng = np.random.default_rng(1)
    scores, taught = rng.normal(0, 3, (2, 7, 5))

    def log_of_shares(x):
        return x / 2 - np.log(np.exp(x / 2).sum(-1, keepdims=True))

    p, q = log_of_shares(taught), log_of_shares(scores)
    expected = 4 * (np.exp(p) * (p - q)).sum(-1).mean()
    found = apart(torch.from_numpy(scores), torch.from_numpy(taught))
    assert float(found) == pytest.approx(expected) and expected > 0.1
    assert float(apart(torch.from_numpy(taught + 5), torch.from_numpy(taught))) == pytest.approx(0, abs=1e-12)


def test_a_teacher_learns_and_has_a_seed(taught):
    training, held_out, _ = taught
    assert teacher_accuracy(training, held_out) > 0.9
    counts = torch.from_numpy(np.random.default_rng(2).integers(0, 4, (6, 25, 12)).astype(np.float32))
    state = torch.random.get_rng_state()
    same, other = (Teacher(12, 3, seed) for seed in (4, 5))
    assert same(counts).shape == (6, 3)
    one, again, another = (Teacher(12, 3, 4)(counts, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, another)
    assert not torch.equal(same.eval()(counts), other.eval()(counts))
    assert torch.equal(same(counts, 1), same(counts, 2))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(1, 1), (3, 100), (90, 1), (8, 7)])
def test_items_of_any_size_are_read(shape):
    assert Teacher(shape[1], 4, 1).eval()(torch.ones(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("outputs", [0, 2])
def test_the_network_learns_what_the_teacher_says(outputs, monkeypatch):
    """Of one that takes each class for the next, it learns the next."""
    def told(self, counts, seed=0):
        right = counts.unflatten(-1, (3, 4)).sum((1, 3)).argmax(-1)
        return 8.0 * torch.nn.functional.one_hot((right + 1) % 3, 3)

    training = Training(replace(TAUGHT, outputs=outputs), events(), 1, native=False)
    monkeypatch.setattr(Teacher, "forward", told)
    from ionspike.train import loop
    monkeypatch.setattr(loop, "_courses", lambda *given, courses=loop._courses: courses(*given)[1:])
    chosen, held_out = training.events.split((5,))
    loop.train(training, chosen, 8)
    training.eval()
    found = training.scores(training.spikes(held_out, None, training.generator(0))).argmax(-1).numpy()
    assert np.mean(found == (events().labels[held_out] + 1) % 3) > 0.8


def test_its_network_needs_no_teacher(taught):
    training, _, losses = taught
    network = training.made({})
    assert len(losses) == 4 and network.neurons == 22
    plain = Training(TINY, events(), 1, native=False)
    assert plain.teacher is None and training.teacher is not None
    # The network begins as it would without.
    first = Training(TAUGHT, events(), 1, native=False)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, first.state_dict()[name]), name


@pytest.mark.parametrize("after", [7, 26])
def test_a_taught_training_goes_on_from_either_part(taught, tmp_path, after):
    whole, _, losses = taught
    keep, steps = tmp_path / "x.checkpoint", []

    class Interrupted(Exception):
        pass

    def stop(done, total):
        steps.append(done)
        assert total == 5 * (3 + 4)
        if done == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        trained(TAUGHT, epochs=4, keep=keep, progress=stop)
    assert steps == list(range(1, after + 1))
    said = []
    resumed, _, same = trained(TAUGHT, epochs=4, keep=keep, resume=True, said=lambda *each: said.append(each))
    assert same == losses and said[-1] == (4, losses[-1]) and all(len(each) == 2 for each in said)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    with pytest.raises(InputError, match="is of other settings, seed, epochs or data"):
        trained(replace(TAUGHT, teacher=4), epochs=4, keep=keep, resume=True)
