import numpy as np
import pytest

from ionspike.sim.neuron import Neuron, State
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")
pytest.importorskip("sklearn", reason="not installed: scikit-learn")

from ionspike.host import digits  # noqa: E402
from ionspike.host.network import Network  # noqa: E402
from ionspike.train.digits import Settings, load_model, train  # noqa: E402
from ionspike.train.evaluate import accuracy  # noqa: E402
from ionspike.train.neuron import Memristors, quantise  # noqa: E402

DT_S = 5e-4
SCALE = 4096


def both(ticks, batch=32, neurons=64, seed=1, **changes):
    """Spikes of golden model and layer under the same drive, without noise."""
    device = Device.load("zhao2025_ms").with_(sigma1=0.0, residue_noise=0.0, **changes)
    c = coefficients(device, DT_S)
    rng = np.random.default_rng(seed)
    strength = rng.integers(20, 400, (1, batch, 1)) * (rng.random((ticks, batch, neurons))
                                                       < rng.random(neurons))
    acc = (strength + rng.integers(-50, 1, strength.shape)).astype(np.int32)
    word = c.kg | c.mu << 12 | (round(device.gap * 512) & 0xFF) << 24
    golden = Neuron(c.registers | {"scale": SCALE}, np.full(neurons, word, np.uint32),
                    np.array(c.feedback, np.uint16), np.array(c.noise, np.uint16))
    state = State(*(np.zeros((batch, neurons), np.int32) for _ in range(3)),
                  on=np.zeros((batch, neurons), bool))
    words = np.zeros((batch, neurons), np.uint16)
    exact = np.stack([golden.step(state, a, words) for a in acc])
    drive = torch.from_numpy(acc * (SCALE * 2.0**-19)).float()
    return exact, Memristors(device, DT_S)(drive).numpy() > 0


@pytest.mark.parametrize("gap", [0.0, -0.05])
def test_layer_follows_the_golden_model(gap):
    exact, floating = both(40, gap=gap)
    assert 0.2 < exact.any(axis=0).mean() < 0.8     # both kinds are there
    assert (exact == floating).all(axis=0).mean() > 0.97


def test_layer_follows_the_golden_model_where_not_every_bridge_is_a_spike():
    exact, floating = both(40, spike_level_V=1.4)
    assert 0.2 < exact.any(axis=0).mean() < both(40)[0].any(axis=0).mean() - 0.02
    assert (exact == floating).all(axis=0).mean() > 0.97


def test_layer_keeps_the_rate_where_rounding_has_moved_single_spikes():
    exact, floating = (spikes.sum(axis=0).astype(float) for spikes in
                       both(200, r_control_ohm=30e6))
    assert exact.mean() > 5
    assert np.abs(exact - floating).mean() < 0.03 * exact.mean()


@pytest.mark.parametrize("changes", [{}, {"sigma1": 0.0}, {"residue_noise": 0.0}])
def test_noise_is_of_the_generator_alone(changes):
    layer = Memristors(Device.load("zhao2025_ms").with_(**changes), DT_S)
    drive = torch.full((60, 20, 5), 0.85)
    first, again, other = (layer(drive, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_gradients_reach_silent_and_overdriven_neurons_and_stay_finite():
    drive = torch.cat([torch.full((40, 1, 1), v) for v in (0.3, 1.0, 2.5)], dim=2)
    drive.requires_grad_()
    Memristors(Device.load("zhao2025_ms"), DT_S)(drive).sum().backward()
    assert drive.grad.isfinite().all() and (drive.grad.abs().sum(0) > 0).all()


def test_weights_become_int8_with_a_straight_gradient():
    weights = torch.tensor([0.26, -0.26, 0.04, 99.0], requires_grad=True)
    quantise(weights, 0.1).sum().backward()
    assert quantise(weights, 0.1).tolist() == pytest.approx([0.3, -0.3, 0.0, 12.7])
    assert weights.grad.tolist() == [1, 1, 1, 0]


def test_weights_of_four_bits_are_the_upper_ones_of_int8():
    weights = torch.tensor([2.6, -0.7, 0.7, 99.0], requires_grad=True)
    quantise(weights, 0.1, 4).sum().backward()
    assert quantise(weights, 0.1, 4).tolist() == pytest.approx([3.2, 0.0, 0.0, 11.2])
    assert weights.grad.tolist() == [1, 1, 1, 0]


@pytest.fixture(scope="module")
def trained():
    """A small network after a few epochs on a third of the images."""
    data = digits.load()
    data.parts["train"] = data.parts["train"][::3]
    settings = Settings(hidden=48, outputs=2, batch=40, rate=0.02)
    torch.set_num_threads(1)
    return data, [train(data, settings, 1, 8)[0] for _ in range(2)]


def test_training_learns_and_the_golden_model_agrees(trained, tmp_path):
    data, (model, _) = trained
    network = model.network({"data": data.digest})
    network.save(tmp_path / "net.ion")
    network = Network.load(tmp_path / "net.ion")
    assert accuracy(network, *data.part("validation"), seed=3) > 0.5
    loaded = load_model(network)
    for got, expected in zip(loaded.weights, model.weights, strict=True):
        step = model.settings.scale_V
        assert torch.allclose(got, quantise(expected, step), atol=step / 100)


def test_training_repeats_by_its_seed(trained):
    _, (one, two) = trained
    assert all(torch.equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))
