"""A recording through cochlea, network and board: the demo's own code, on a network that has learnt nothing."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import lack, require_compiler, require_package
from test_audio import TONE, write

from ionspike.host import demo_speech
from ionspike.host.audio import Audio, load
from ionspike.host.board import Board
from ionspike.host.cli import main
from ionspike.host.cochlea import CHANNELS
from ionspike.host.frame import Frame, with_bias
from ionspike.host.network import Network, Projection
from ionspike.host.shd import STEP_S
from ionspike.host.spikes import Spikes
from ionspike.train.evaluate import different, read
from ionspike.train.events import Events

FRAME = {"ticks": 20, "bin_s": 0.01, "group": 35}
SOUND = np.resize(TONE, 9600)       # 0.2 s


def untrained(bias=0, metadata=None, gain=1.5):
    """20 inputs of 35 channels, 16 hidden neurons, one output for each of 20 classes."""
    rng = np.random.default_rng(5)
    return Network.from_float(
        device="zhao2025_ms", dt_s=1e-3, inputs=20 + bias, neurons=36, projections=[
            Projection("inputs", gain * np.concatenate([rng.normal(0.3, 0.3, (20, 16)),
                                                        np.full((bias, 16), 0.02)])),
            Projection("neurons", gain * rng.normal(0.4, 0.3, (16, 20)), target_start=16)],
        outputs=np.arange(16, 36), labels=tuple(str(k) for k in range(20)),
        metadata={"frame": FRAME, **({"bias": bias} if bias else {}), **(metadata or {})})


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write("a.wav", SOUND)
    untrained(1).save("net.ion")
    return tmp_path


ARGUMENTS = ["demo", "speech", "a.wav", "--network", "net.ion", "--output", "a.png", "--seed", "3"]
GOLDEN = [*ARGUMENTS, "--backend", "golden"]


def test_a_recording_goes_in_and_a_digit_comes_out_without_torch(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(GOLDEN) == 0
    said = capsys.readouterr().out
    for part in ("golden model, not hardware", "21 inputs, 36 memristor neurons", "0.200 s at 48,000 Hz", "all of it",
                 "of 700 channels", "read as ", "equal: every spike", "seed", "a.png"):
        assert part in said
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert main([*GOLDEN, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    answer = int(np.argmax(facts["scores"]))
    assert max(facts["scores"]) > 0 and len(facts["scores"]) == 20
    assert (facts["answer"], facts["digit"], facts["language"]) == (
        str(answer), answer % 10, ("English", "German")[answer // 10])
    assert (facts["ticks"], facts["network"]["bias"], facts["equal"], facts["losses"]) == (20, 1, True, {})
    assert facts["left_out"] == {"after": 0, "input": 0}
    assert facts["input_spikes"][0] <= facts["cochlea_spikes"] + 20 and facts["views"] == [0]
    assert main([*GOLDEN, "--json"]) == 0       # equal seeds, equal spikes
    again = json.loads(capsys.readouterr().out)
    assert again["scores"] == facts["scores"] and again["image_digest"] == facts["image_digest"]


def test_a_word_is_heard_wherever_it_is_in_the_recording(folder, capsys):
    quiet = np.zeros(48_000)
    write("late.wav", np.concatenate([quiet, SOUND, quiet, quiet]))
    assert main([*GOLDEN[:2], "late.wav", *GOLDEN[3:], "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["word_s"] == pytest.approx([0.97, 1.325], abs=0.03) and facts["seconds"] == pytest.approx(3.2)
    assert facts["left_out"]["input"] == 0 < facts["input_spikes"][0]
    assert main([*GOLDEN[:2], "late.wav", *GOLDEN[3:]]) == 0
    assert " s of it\n" in capsys.readouterr().out


@pytest.mark.parametrize("bias", [0, 1])
def test_the_demo_sees_and_answers_what_training_and_evaluation_would(bias):
    network = untrained(bias)
    sounding = demo_speech.encoded(Audio(SOUND, 48_000), network, seed=3)
    step, channel = sounding.spikes.events()
    events = Events("one", CHANNELS, sounding.spikes.dt_s, step.astype(np.uint16), channel.astype(np.uint16),
                    np.array([0, len(step)]), np.array([0]), ("a",))
    raster = events.encode(np.array([0]), Frame(**FRAME))
    assert 0.05 < raster.mean() < 0.95
    seen, = sounding.inputs
    assert np.array_equal(raster[0], seen.raster[:, :20])
    assert seen.raster[:, 20:].all() and seen.width == 20 + bias
    with Board.open(backend="golden") as board:
        heard = demo_speech.run(board, network, sounding, seed=3)
    assert sounding.spikes.dt_s == STEP_S
    assert heard.equal and heard.scores.any()
    assert heard.answer == read(network, raster, seed=3)[0]


def test_views_are_runs_of_their_own_whose_scores_are_added(folder, capsys):
    network = untrained(1, {"frame": {**FRAME, "views": [0, -35, 70]}})
    frame = Frame.of(network)
    sounding = demo_speech.encoded(Audio(SOUND, 48_000), network, seed=3)
    step, channel = sounding.spikes.events()
    events = Events("one", CHANNELS, sounding.spikes.dt_s, step.astype(np.uint16), channel.astype(np.uint16),
                    np.array([0, len(step)]), np.array([0]), ("a",))
    raster = events.views(np.array([0]), frame)
    assert np.array_equal(raster[:, 0], [view.raster[:, :20] for view in sounding.inputs])
    # A group has 35 channels.
    assert np.array_equal(raster[1, 0, :, :-1], raster[0, 0, :, 1:]) and raster[1, 0, :, -1].sum() == 0
    assert np.array_equal(raster[2, 0, :, 2:], raster[0, 0, :, :-2])
    with Board.open(backend="golden") as board:
        heard = demo_speech.run(board, network, sounding, seed=3)
        board.load(network)
        single = [board.run(view, seed=3 + k).scores for k, view in enumerate(sounding.inputs)]
    assert heard.equal and np.array_equal(heard.scores, np.sum(single, axis=0))
    assert not np.array_equal(heard.scores, 3 * single[0])
    assert heard.answer == read(network, raster, seed=3)[0]
    assert heard.summed("counters")["words"] == sum(each.counters["words"] for each in heard.results) > 0
    network.save("net.ion")
    assert main(GOLDEN) == 0
    assert "3 times, moved up by 0, -35, 70 channels" in capsys.readouterr().out


def test_evaluation_and_board_get_the_same_bias():
    network = untrained(1)
    rng = np.random.default_rng(2)
    raster = rng.random((12, 20, 20)) < rng.uniform(0.02, 0.9, (12, 1, 20))
    items = [Spikes(with_bias(network, item), network.dt_s) for item in raster]
    with Board.open(backend="golden") as board:
        board.load(network)
        answers = [result.answer for result in board.run_many(items, seeds=range(4, 16))]
        assert len(set(answers)) > 3 and read(network, raster, seed=4).tolist() == answers
        assert different(board, network, raster, seed=4) == []


def test_on_the_virtual_board_the_spikes_are_the_golden_models(folder, capsys):
    require_compiler()
    answers = []
    for arguments in ([*ARGUMENTS, "--backend", "virtual", "--json"], [*GOLDEN, "--json"]):
        assert main(arguments) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0]["backend"] == "virtual" and not answers[0]["is_hardware"]
    assert answers[0]["equal"] and answers[0]["scores"] == answers[1]["scores"]


def test_what_comes_after_the_last_tick_is_told(folder, capsys):
    untrained(1, {"frame": {**FRAME, "ticks": 5}}).save("net.ion")
    assert main([*GOLDEN, "--json"]) == 0
    said, complaint = capsys.readouterr()
    late = json.loads(said)["left_out"]["after"]
    assert late > 10 and f"ionspike: {late:,} of " in complaint
    assert "come after the 0.05 s that the network hears" in complaint


def test_no_spikes_are_no_answer_and_equal_counts_a_tie(folder, capsys):
    untrained(1, gain=0.0).save("net.ion")
    assert main([*GOLDEN, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["answer"], facts["digit"], facts["tied"]) == (None, None, [])
    assert main(GOLDEN) == 0
    assert "no answer, for no output fired" in capsys.readouterr().out
    heard = demo_speech.Heard((replace_counts([0, 2, 1, 2]),), tuple("abcd"), np.array([0, 2, 1, 2]), True)
    assert heard.answer == 1 and heard.tied == [3]
    assert demo_speech.spoken(tuple("abcd"), 1) is None
    assert demo_speech.spoken(tuple(map(str, range(20))), 17) == (7, "German")


def test_neurons_may_vote_and_scores_be_negative(folder, capsys):
    net, rng = untrained(1), np.random.default_rng(3)
    names = tuple(str(k) for k in range(20))
    replace(net, outputs=np.arange(36), labels=names,
            votes=rng.integers(-127, 0, (36, 20)).astype(np.int8)).save("net.ion")
    assert main([*GOLDEN, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert max(facts["scores"]) < 0 and facts["answer"] == names[np.argmax(facts["scores"])]
    assert main(GOLDEN) == 0
    assert "votes" in (said := capsys.readouterr().out) and "output spikes" not in said


def test_names_are_drawn_as_they_are(folder, capsys):
    odd = "a$x_{$b"     # which matplotlib would take for mathematics
    Path("a.wav").rename(f"{odd}.wav")
    replace(untrained(1), labels=tuple(f"{odd}{k // 2}" for k in range(20))).save("net.ion")
    assert main([*(f"{odd}.wav" if word == "a.wav" else word for word in GOLDEN), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["scores"]) == 10 and facts["digit"] is None and facts["answer"] in facts["classes"]
    assert main(["encode", f"{odd}.wav", "--output", "a.npz", "--picture", "b.png", "--channels", "9"]) == 0


def replace_counts(counts):
    return type("Result", (), {"output_counts": np.array(counts)})()


def test_the_demo_fails_where_board_and_model_differ(folder, capsys, monkeypatch):
    from ionspike.sim.interpreter import Interpreter
    tick = Interpreter._tick

    def faulty(self, indices):
        tick(self, indices)
        if self.memory.core.tick == 20:
            self.memory.core.state = self.memory.core.state ^ np.uint16(1)

    monkeypatch.setattr(Interpreter, "_tick", faulty)
    assert main([*GOLDEN, "--json"]) == 1
    said, complaint = capsys.readouterr()
    assert not json.loads(said)["equal"] and complaint == "ionspike: DIFFERS\n"


BAD = {"stereo.wav": (SOUND, 48_000, 2), "silent.wav": (0 * SOUND, 48_000, 1),
       "slow.wav": (SOUND, 7_999, 1), "clipped.wav": (np.sign(SOUND), 48_000, 1),
       "long.wav": (np.resize(TONE, 600 * 8_000 + 1), 8_000, 1)}


@pytest.mark.parametrize(("arguments", "message"), [
    (["stereo.wav"], "stereo.wav: it has 2 channels, one is read; make it mono"),
    (["silent.wav"], "silent.wav: sound is silent"),
    (["slow.wav"], "slow.wav: sampling rate 7999 Hz: 8,000 to 192,000 Hz"),
    (["clipped.wav"], "clipped.wav: sound is clipped"),
    (["long.wav"], "long.wav: sound lasts 600 s; 600 s are the most"),
    (["none.wav"], "none.wav: no such file"),
    ([], "demo speech takes one recording, FILE.wav, and no --images"),
    (["a.wav", "--images", "3"], "demo speech takes one recording"),
    (["a.wav", "--output", "a.gif"], "a.gif: the picture is a .png"),
    (["a.wav", "--seed", "-1"], "seed must be an integer from 0 up, not -1"),
    (["a.wav", "--network", "none.ion"], "none.ion: no such file"),
    (["a.wav", "--network", "unsaid.ion"], "the network's metadata do not say how events become"),
    (["a.wav", "--network", "group.ion"], "events fill 700 inputs, the network has 21, 1 of them"),
    (["a.wav", "--network", "unnamed.ion"], "the network does not name the classes")])
def test_what_cannot_be_used_ends_in_one_line(folder, capsys, arguments, message):
    for name in BAD.keys() & set(arguments):
        write(name, BAD[name][0], *BAD[name][1:])
    net = untrained(1)
    replace(net, metadata={}).save("unsaid.ion")
    replace(net, metadata={"frame": {**FRAME, "group": 1}, "bias": 1}).save("group.ion")
    replace(net, labels=()).save("unnamed.ion")
    named = [] if "--network" in arguments else ["--network", "net.ion"]
    assert main(["demo", "speech", *arguments, *named, "--backend", "golden"]) == 2
    said, complaint = capsys.readouterr()
    assert said == "" and complaint.count("\n") == 1, complaint
    assert complaint.startswith(f"ionspike: {message}"), complaint
    assert not Path("ionspike-demo.png").exists()


def test_without_a_network_the_demo_says_how_to_give_one(folder, capsys, monkeypatch):
    monkeypatch.setattr(demo_speech, "files", lambda package: folder)
    assert main(["demo", "speech", "a.wav", "--backend", "golden"]) == 2
    assert capsys.readouterr().err == (
        "ionspike: no trained network of spoken digits comes with this version: --network FILE.ion "
        "names one, `ionspike train speech` makes one\n")
    untrained(1).save("speech.ion")
    assert main(["demo", "speech", "a.wav", "--backend", "golden", "--json"]) == 0


@pytest.mark.parametrize("arguments", [["digits", "a.wav"], ["--network", "net.ion"]])
def test_digits_take_no_recording(folder, capsys, arguments):
    assert main(["demo", *arguments, "--backend", "golden"]) == 2
    assert capsys.readouterr().err.startswith("ionspike: a recording and --network are for `ionspike demo speech`")


def test_the_inputs_are_near_those_of_the_data_that_networks_are_trained_on():
    require_package("soundfile", "audio")
    folder = Path(os.environ.get("IONSPIKE_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    path = folder / "cochlea_reference_english_00_0_3.flac"
    if not path.is_file():
        lack(f"no {path.name} in {folder}: set IONSPIKE_DATA")
    frame = Frame(100, 0.01, 10)
    network = replace(untrained(), inputs=70, projections=(), metadata={"frame": vars(frame)})
    sounding = [demo_speech.encoded(load(path), network, seed=seed) for seed in (1, 2)]
    t_s, channel = np.load(path.with_suffix(".npz"))["arr_0"]

    def counted(t_s, channel):
        return frame.counted(0, frame.ticks_of(t_s / 0.01), frame.groups_of(channel, CHANNELS), CHANNELS, 1)[0]

    ours, again = (counted(step * STEP_S, channel) for step, channel in (each.spikes.events() for each in sounding))
    assert np.array_equal(ours > 0, sounding[0].inputs[0].raster)
    theirs = counted(t_s, channel)
    assert 0.05 < (theirs > 0).mean() < 0.5

    def near(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    # As near as two draws of the nerve fibres' noise are, and nearer than with another time.
    assert near(ours, theirs) > 0.97 * near(ours, again)
    assert near(ours, theirs) > max(near(np.roll(ours, by, 0), theirs) for by in (-2, 2)) + 0.01
