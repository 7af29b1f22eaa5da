"""The demo's own code, on a network that has learnt nothing."""

import json

import numpy as np
import pytest

from ionspike.host import demo
from ionspike.host.cli import main
from ionspike.host.network import Network, Projection


@pytest.fixture
def untrained(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    network = Network.from_float(
        device="zhao2025_ms", dt_s=5e-4, inputs=64, neurons=42, projections=[
            Projection("inputs", rng.normal(0.05, 0.4, (64, 32))),
            Projection("neurons", rng.normal(0.2, 0.3, (32, 10)), target_start=32)],
        outputs=np.arange(32, 42), labels=tuple("0123456789"),
        metadata={"encoder": {"name": "rate", "ticks": 24, "options": {"peak": 0.4}}})
    monkeypatch.setattr(demo, "load_network", lambda: network)
    monkeypatch.chdir(tmp_path)
    return network


def test_demo_shows_what_it_promises(untrained, capsys):
    pytest.importorskip("sklearn")
    arguments = ["demo", "--backend", "golden", "--images", "6", "--output", "a.png", "--seed", "3"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    for part in ("golden model, not hardware", "accuracy", "equal: every spike", "ticks/s",
                 "events/s", "99th percentile", "words", "bytes_out", "seed", "build", "a.png"):
        assert part in said
    with open("a.png", "rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"
    assert main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["images"] == 6 and facts["equal"] and facts["ticks"] == 6 * 24
    assert 0 <= facts["accuracy"] <= 1 and facts["losses"] == {}


def test_demo_fails_where_board_and_model_differ(untrained, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    from ionspike.sim.interpreter import Interpreter
    tick = Interpreter._tick

    def faulty(self, indices):
        tick(self, indices)
        if self.memory.core.tick == 24:
            self.memory.core.state = self.memory.core.state ^ np.uint16(1)

    monkeypatch.setattr(Interpreter, "_tick", faulty)
    assert main(["demo", "--backend", "golden", "--images", "2", "--json"]) == 1
    said, complaint = capsys.readouterr()
    assert json.loads(said)["different"] == [0, 1]
    assert complaint == "ionspike: DIFFERS in 2 runs, first in image 0\n"


def test_a_network_that_does_not_say_how_to_encode(untrained):
    from dataclasses import replace
    with pytest.raises(ValueError, match="do not say how to encode images"):
        demo.encode(replace(untrained, metadata={}), np.zeros((1, 64)))
