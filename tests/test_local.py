"""Features that are looked for everywhere along the channels."""

from dataclasses import replace

import numpy as np
import pytest

from ionspike.host.errors import InputError
from ionspike.host.placement import place
from ionspike.spec.shape import DEFAULT_SHAPE

torch = pytest.importorskip("torch", reason="not installed: torch (pip install torch)")

from test_recurrent import exported, golden, recurrent, stimulus  # noqa: E402

from ionspike.train.events import Events  # noqa: E402
from ionspike.train.layer import BIAS_INPUTS  # noqa: E402
from ionspike.train.local import Local  # noqa: E402
from ionspike.train.places import Places  # noqa: E402
from ionspike.train.settings import SPEECH  # noqa: E402
from ionspike.train.training import Training  # noqa: E402

PLACES = Places(groups=6, levels=2, features=8, width=3, stride=2)


def layer(places, seed=1):
    """With gains, biases, means and variances of its own for each feature."""
    generator = torch.Generator().manual_seed(seed)
    made = Local(places, 0.1, 0.8, 0.8, 0.5, 0.05, 4096 * 2.0**-19, generator=generator)
    with torch.no_grad():
        for values in (made.gain, made.bias, made.mean, made.variance):
            values += torch.rand(values.shape, generator=generator)
    return made.eval()


def unrolled(made):
    """Weights ``[inputs, neurons]`` in volts, of the blocks that a core gets."""
    p = made.places
    weights = torch.zeros(p.levels * p.groups, p.neurons)
    for block in made.blocks():
        rows, columns = block.weights.shape
        part = weights[block.source:block.source + rows, block.target:block.target + columns]
        assert not part.any(), "no weight is given twice"
        part += block.weights
    return weights


@pytest.mark.parametrize("places", [
    PLACES, Places(100, 2, 16, 15, 5), Places(7, 1, 3, 4, 3), Places(5, 3, 2, 11, 1), Places(9, 1, 1, 1, 4),
    Places(4, 1, 2, 3, 9)], ids=str)
def test_the_blocks_of_a_core_are_what_was_trained(places):
    made = layer(places)
    x = stimulus(ticks=5, batch=3, inputs=places.levels * places.groups)
    bias = made.of_neurons(made.folded()[1])
    assert bias.shape == (BIAS_INPUTS, places.neurons)
    drive = made.drive(x)
    assert drive.std() > 0.1 and torch.allclose(drive, x @ unrolled(made) + bias.sum(0), atol=1e-5)


def test_a_place_reaches_itself_and_those_beside_it():
    made = layer(Places(20, 1, 4, 3, 4))
    own = made.own().detach().unflatten(0, (5, 4)).unflatten(-1, (5, 4)).transpose(1, 2)
    assert torch.equal(own[0, 0], own[2, 2]) and torch.equal(own[0, 1], own[3, 4]) and torch.equal(own[1, 0], own[4, 3])
    assert not torch.equal(own[0, 1], own[1, 0]) and not torch.equal(own[0, 1], own[0, 0])
    for near in (0, 1):
        assert own.diagonal(near).any()
    assert not any(own.diagonal(far).any() for far in (-4, -3, -2, 2, 3, 4))
    assert torch.equal(own[0, 1], torch.round(made.recurrent[:, 2] / made.scale_V) * made.scale_V)


def test_what_is_heard_a_place_higher_is_the_same_there():
    made = layer(PLACES)
    x = stimulus(inputs=12)
    higher = torch.zeros_like(x)
    for level in (slice(0, 6), slice(6, 12)):
        higher[..., level][..., PLACES.stride:] = x[..., level][..., :-PLACES.stride]
    low, high = made.drive(x), made.drive(higher)
    # Place 1 of what is lower, and place 2, which both see all of their groups.
    assert torch.equal(high[..., 16:24], low[..., 8:16]) and not torch.equal(high[..., 16:24], low[..., 16:24])


def test_a_features_drive_is_normalised_over_places_while_it_learns():
    made = layer(PLACES).train()
    drive = made.drive(stimulus(batch=64)).flatten(0, 1).unflatten(-1, (PLACES.count, PLACES.features))
    assert torch.allclose(drive.mean((0, 1)), made.bias, atol=1e-4)
    assert torch.allclose(drive.transpose(0, 1).flatten(0, 1).std(0), made.gain, rtol=1e-2)
    mean = made.mean.clone()
    made.settled = True
    made.drive(stimulus())
    assert torch.equal(made.mean, mean)


def test_a_core_stores_equal_rows_once():
    # Three places of 16 features for each of 5 groups, 2 levels and 16 neurons, fewer at both ends; and biases.
    places = Places(100, 2, 16, 15, 5)
    network = exported(recurrent(hidden=(), outputs=0, inputs=200, places=places))
    assert network.synapses > 20_000
    assert place(network, DEFAULT_SHAPE).words / DEFAULT_SHAPE.lanes < 450


def test_the_network_of_speech_fits_an_iCE40UP5K():
    made = Training(SPEECH, events(), 1).made({})
    assert (made.neurons, made.inputs) == (504, 202)
    placement = place(made, DEFAULT_SHAPE)
    assert max(map(len, placement.neuron_rows)) == 1, "one row each, or neurons would take two places"


def events():
    """Of 20 classes on 700 channels."""
    rng = np.random.default_rng(1)
    return Events.of_raster("noise", rng.random((20, 100, 700)) < 0.1, 1e-2, np.arange(20),
                            tuple(str(k) for k in range(20)))


def test_golden_model_has_the_same_kg_and_growth_at_each_place():
    model, x = recurrent(places=PLACES, sigma1=0.0, residue_noise=0.0), stimulus(batch=64)
    network = exported(model)
    assert network.neurons == 24 + 24 + 16 + 8
    first = np.argsort(model.order)[:PLACES.neurons]
    assert first.tolist() == [*range(8), *range(56, 72)]
    for values in (network.r_control_ohm[first], network.mismatch.growth[first]):
        by_place = values.reshape(PLACES.count, PLACES.features)
        assert (by_place == by_place[0]).all() and len(np.unique(by_place[0])) > 4
    exact, _ = golden(network, x)
    together = model(x).detach().numpy() > 0
    assert 0.02 < exact[..., first].mean() < 0.4
    assert (exact[..., first] == together[..., :PLACES.neurons]).mean() > 0.99


def test_settings_make_one_before_the_hidden_layers():
    assert SPEECH.features and replace(SPEECH, missing="cascade").layers == ()
    assert replace(SPEECH, missing="cascade").places(100) == Places(100, 2, 16, 15, 5)
    assert replace(SPEECH, features=0).places(100) is None
    # What may not reach other neurons does not reach outputs.
    assert replace(SPEECH, missing="cascade", outputs=2).places(100) is None
    assert replace(SPEECH, hidden=(), features=8).layers == ()
    with pytest.raises(InputError, match="the hidden layers vote, and there is none"):
        replace(SPEECH, hidden=(), features=0)
