"""The network that comes with the package, on digits it has never met."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="not installed: scikit-learn (pip install scikit-learn)")

from ionspike.host import digits
from ionspike.host.demo import load_network
from ionspike.train.evaluate import accuracy


@pytest.fixture(scope="module")
def data():
    return digits.load()


def test_parts_are_disjoint_stratified_and_complete(data):
    assert np.sort(np.concatenate(list(data.parts.values()))).tolist() == list(range(1797))
    assert {name: len(part) for name, part in data.parts.items()} == {
        "test": 359, "validation": 235, "train": 1203}
    for name in data.parts:
        share = np.bincount(data.part(name)[1]) / np.bincount(data.labels)
        assert share.max() - share.min() < 0.01


def test_network_was_trained_on_this_data_and_split(data):
    assert load_network().metadata["data"] == data.digest


@pytest.mark.parametrize("part", ["validation", "test"])
def test_accuracy_is_what_the_file_says(data, part):
    network = load_network()
    noted = network.metadata["accuracy"][part]
    images, labels = data.part(part)
    got = [accuracy(network, images, labels, seed) for seed in noted["lfsr_seeds"][:3]]
    assert [round(a, 6) for a in got] == noted["bit_exact"][:3]
    assert min(noted["bit_exact"]) >= 0.95
