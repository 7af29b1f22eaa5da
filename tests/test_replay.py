"""Replays are equal where boards are, and name what is not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import require_compiler
from nets import DT_S, SHAPE, network, spikes
from test_recording import parts, write

from ionspike import Board
from ionspike.host.cases import random_case
from ionspike.host.cli import main
from ionspike.host.decoder import Segment
from ionspike.host.errors import BoardError, InputError
from ionspike.host.jitter import jittered
from ionspike.host.link import Link
from ionspike.host.recorder import Kind
from ionspike.host.recording import Recording
from ionspike.host.replay import replay
from ionspike.host.spikes import Spikes
from ionspike.sim.golden import GoldenPort
from ionspike.spec import wire
from ionspike.spec.device import Device
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Report


def golden():
    return Board.open(backend="golden", shape=SHAPE)


def opener(backend):
    assert backend == "golden"
    return golden()


def record(path, board, *runs, **options):
    """A recording of these runs on a board, which is closed."""
    with board, board.record(path):
        compiled = board.load(options.pop("network", network()))
        for k, one in enumerate(runs or [spikes(200)]):
            board.run(one, seed=k, **options)
    return Recording(path), compiled


def again(recording, board=None):
    with board or golden() as opened:
        return replay(recording, opened, opener=opener)


@pytest.mark.parametrize("options", [
    {}, {"probes": [3, 19], "digests": True}, {"final_state": False}, {"jitter": True},
    {"mode": "free-running", "digests": True}])
def test_golden_is_golden(tmp_path, options):
    net = replace(network(), device=Device.load("zhao2025_ms").with_(residue_jitter=0.5))
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(200), spikes(70, seed=1),
                          network=net, **options)
    done = again(recording)
    assert done.equal and done.complete and done.uncompared is None
    assert (done.runs, done.ticks) == (2, 270) and done.spikes > 50 and done.words > 40
    assert not options.get("jitter") or jittered(net, 0).any()


def test_progress_comes_to_its_end(tmp_path):
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(300), spikes(500))
    told = []
    with golden() as board:
        replay(recording, board, progress=lambda *a: told.append(a))
    assert told == sorted(told) and told[-1] == (800, 800)


@pytest.mark.parametrize("seed", range(8))
def test_random_sessions_are_equal(tmp_path, seed):
    """Runs that reset and that go on, probes, memory, in any order."""
    rng = np.random.default_rng(seed)
    with golden() as board, board.record(tmp_path / "a.ionrec"):
        for _ in range(int(rng.integers(1, 3))):
            case = random_case(SHAPE, 40, int(rng.integers(100)))
            compiled = board.load(case.compiled)
            for k in range(int(rng.integers(1, 5))):
                rows = rng.random((int(rng.integers(1, 60)), compiled.network.inputs)) < 0.2
                goes_on = rng.random() < 0.5
                board.run(Spikes(rows, case.spikes.dt_s), reset=not goes_on,
                          seed=None if goes_on and rng.random() < 0.5 else k,
                          digests=bool(rng.random() < 0.5), final_state=bool(rng.random() < 0.7),
                          probes=rng.integers(0, compiled.network.neurons,
                                              rng.integers(0, 4)).tolist())
                if rng.random() < 0.3:
                    board.write(wire.Space.WEIGHTS, int(rng.integers(50)), rng.integers(
                        0, 1 << 16, 4))
                if rng.random() < 0.3:
                    board.state()
    recording = Recording(tmp_path / "a.ionrec")
    done = again(recording)
    assert done.equal and done.runs >= 1 and done.ticks == recording.planned


def test_the_virtual_board_does_what_the_golden_model_did(tmp_path):
    require_compiler()
    from ionspike.hdl.top import CLOCK_HZ, Top
    from ionspike.sim.compile import build
    from ionspike.sim.virtual import DEFAULT_DIVISOR, Model, SimPort
    library = build(Top(SHAPE, baud=CLOCK_HZ // DEFAULT_DIVISOR))

    def virtual():
        port = SimPort(Model(library, DEFAULT_DIVISOR), clock_Hz=CLOCK_HZ)
        # The host's time is that of the simulation, so that nothing is late.
        link = Link(port, clock=lambda: port.cycles / CLOCK_HZ,
                    sleep=lambda seconds: port.run(int(seconds * CLOCK_HZ)))
        return Board(link, backend="virtual", where="test", timeout_s=30.0)

    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(120), spikes(40, seed=1),
                          probes=[4], digests=True)
    assert again(recording, virtual()).equal
    # The other way, free-running: it ticks on after the last event.
    recording, _ = record(tmp_path / "b.ionrec", virtual(), spikes(80), digests=True,
                          mode="free-running", period_s=5e-4)
    done = again(recording)
    assert done.uncompared is None and done.equal and done.ticks >= 80 and done.spikes, done


# ---------------------------------------------------------------------------------- differences --

class Faulty(GoldenPort):
    """A golden board in which a word of state changes once."""

    def __init__(self, tick, change):
        super().__init__(SHAPE)
        run = self.interpreter._tick

        def tampered(indices):
            if self.interpreter.memory.core.tick == tick:
                core = self.interpreter.memory.core
                core.state = change(core.state)
            run(indices)

        self.interpreter._tick = tampered

    def open(self):
        return Board(Link(self), backend="serial", where="test", timeout_s=1.0)


def flip(place, word, bits):
    def change(state):
        state = state.copy()
        state[0, place, word] ^= bits
        return state
    return change


def test_a_fault_is_named_by_tick_neuron_and_field(tmp_path):
    recording, compiled = record(tmp_path / "a.ionrec", golden(), spikes(60), digests=True)
    place = int(compiled.neuron_slots[13])
    found = again(recording, Faulty(20, flip(place, 2, 0x100)).open()).divergence
    assert (found.case, found.tick, found.neuron, found.field) == (0, 20, 13, "g")
    assert str(found).startswith("run 0, tick 20, neuron 13: g is 0x")
    assert " in the recording, 0x" in str(found) and str(found).endswith("on the board at test")
    # The other way: only the digest is in the recording, and no board here has its state.
    recording, _ = record(tmp_path / "b.ionrec", Faulty(20, flip(place, 2, 0x100)).open(),
                          spikes(60), digests=True)
    found = again(recording).divergence
    assert (found.tick, found.neuron, found.field) == (20, None, "digest")


def test_a_fault_of_a_probed_neuron_is_named_from_the_probe(tmp_path):
    port = Faulty(33, flip(0, 0, 0x2000))
    recording, compiled = record(tmp_path / "a.ionrec", port.open(), spikes(60), probes=[5, 0])
    assert compiled.neuron_slots[0] == 0
    found = again(recording).divergence
    assert (found.tick, found.neuron, found.field) == (33, 0, "f")


def test_a_fault_without_digests_shows_at_the_end(tmp_path):
    recording, compiled = record(tmp_path / "a.ionrec", golden(), spikes(60))
    place = int(compiled.neuron_slots[7])
    found = again(recording, Faulty(59, flip(place, 0, 0x10)).open()).divergence
    assert (found.tick, found.neuron) == (59, 7) and found.field in ("f", "r_high", "r_low")


def doctor(path, recording, change):
    """The recording with its answers changed, all checksums right."""
    return Recording(write(path, [
        (kind, change(payload) if kind == Kind.RECEIVED else payload)
        for kind, payload in parts(recording.path)]))


def test_a_doctored_spike_is_caught(tmp_path):
    recording, compiled = record(tmp_path / "a.ionrec", golden(), spikes(200))
    *_, run = recording.turns()
    # The second list of spikes with one spike, which is moved to the next place.
    k = [k for k, data in enumerate(run.answers.lists) if len(data) == 2 and data[0] < 15][1]
    tick, old = run.answers.list_ticks[k], run.answers.lists[k]
    report = bytes([Report.SPIKES, tick & 0xFF]) + old

    def change(payload):
        assert payload.count(report) <= 1
        return payload.replace(report, report[:2] + bytes([old[0] + 1]) + report[3:])

    found = again(doctor(tmp_path / "b.ionrec", recording, change)).divergence
    neuron = int(np.flatnonzero(compiled.neuron_slots == old[0])[0])
    assert (found.tick, found.neuron, found.field, found.board, found.model) \
        == (tick, neuron, "spike", 0, 1)


def test_doctored_words_are_named(tmp_path):
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(50), digests=True)
    *_, run = recording.turns()
    at = 2 * (wire.register("words_low").offset - wire.register("lfsr_0").offset)
    status = bytes(run.answers.reads[0])

    def change(payload):
        return payload.replace(status, status[:at] + bytes([status[at] ^ 4]) + status[at + 1:])

    found = again(doctor(tmp_path / "b.ionrec", recording, change)).divergence
    assert (found.tick, found.neuron, found.field) == (49, None, "words_low")
    digest = run.answers.digests[30]
    found = again(doctor(tmp_path / "c.ionrec", recording, lambda payload: payload.replace(
        digest, digest[:5] + bytes([digest[5] ^ 1])))).divergence
    assert (found.tick, found.field) == (30, "lfsr, low word")


def test_late_events_of_free_running_are_not_compared(tmp_path, monkeypatch):
    with golden() as board, board.record(tmp_path / "a.ionrec"):
        board.load(network())
        board.run(spikes(50), seed=1, mode="free-running")
        monkeypatch.setattr("ionspike.sim.interpreter.Interpreter._distance",
                            lambda self, stamp: -1 if stamp == 30 else stamp
                            - self.memory.core.tick)
        raster = spikes(50).raster.copy()
        raster[31] = True
        board.run(Spikes(raster, DT_S), seed=1, mode="free-running")
    monkeypatch.undo()
    done = again(Recording(tmp_path / "a.ionrec"))
    assert done.equal and done.runs == 1 and done.ticks == 50
    assert done.uncompared.startswith("run 1 is free-running and ")
    assert "of its events came late: a board does not say in which ticks" in done.uncompared


def test_other_shapes_are_refused(tmp_path):
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(20))
    with Board.open(backend="golden", shape=CoreShape(neurons=64, inputs=24, words=256)) as board:
        with pytest.raises(InputError, match="recorded on a core of CoreShape.neurons=48, .* this "
                                             "board is of CoreShape.neurons=64"):
            replay(recording, board)


def test_answers_that_do_not_fit_are_named(tmp_path):
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(50))
    turns = list(recording.turns())
    turns[-1] = replace(turns[-1], answers=replace(turns[-1].answers, reads=[]))
    recording.turns = lambda: iter(turns)
    with pytest.raises(InputError, match="a.ionrec: .* run 0: [0-9]+ reads, 0 answers of their length"):
        again(recording)
    turns[-1] = replace(turns[-1], answers=Segment(start=0, last=5, tick=50, list_ticks=[3],
                                                   lists=[b"\xfd\xff"]))
    with pytest.raises(InputError, match="a.ionrec: .* run 0: the board says neuron 253 fired"):
        again(recording)


def test_commands_that_nobody_answered_are_not_run(tmp_path):
    """One stamp would be ten seconds of the golden model."""
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(50))
    turns = list(recording.turns())
    far = bytes([wire.Op.EVENTS, 0x20, 0x7F, 3, 0xFF])
    turns[-1] = replace(turns[-1], commands=[*turns[-1].commands, far])
    recording.turns = lambda: iter(turns)
    with golden() as board:
        with pytest.raises(InputError, match="a.ionrec: .* run 0 has commands up to tick 32545, "
                                             "answers up to tick 50"):
            replay(recording, board)
        assert board.registers()["tick_low"] == 0


def test_memories_that_no_compiler_makes_are_named(tmp_path):
    recording, _ = record(tmp_path / "a.ionrec", golden(), spikes(50))
    turns = list(recording.turns())
    # A row of weights that goes on beyond the last group of neurons.
    at = wire.address(wire.Space.FANOUT).to_bytes(3, "little")
    beyond = bytes([wire.Op.WRITE]) + at + b"\x02" + b"\xff" * 4
    turns[0] = replace(turns[0], commands=[*turns[0].commands, beyond])
    recording.turns = lambda: iter(turns)
    for _ in range(2):
        with pytest.raises(BoardError, match="golden model cannot run what was written to it: fan-out "
                                             "of source 0: words "):
            again(recording)


# --------------------------------------------------------------------------------------- command --

@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network().save("net.ion")
    spikes(150).save("in.npy")

    def run(*arguments):
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()
    return run


RECORD = ("run", "net.ion", "--input", "in.npy", "--backend", "golden", "--seed", "5")


def test_command_line(cli):
    code, out, err = cli(*RECORD, "--record", "a.ionrec", "--digests", "--json")
    said = json.loads(out)
    assert code == 0 and said["recording"]["path"] == "a.ionrec", err
    code, out, err = cli("replay", "a.ionrec", "--json")
    again = json.loads(out)
    assert (code, err) == (0, "") and again["equal"] and again["ticks"] == 150
    assert again["spikes"] == said["spikes"] and again["recording"]["backend"] == "golden"
    assert "equal: all that was recorded" in cli("replay", "a.ionrec", "--against", "golden")[1]
    code, out, err = cli(*RECORD, "--record", "a.ionrec")
    assert code == 2 and "a.ionrec: exists" in err and out == ""
    code, out, err = cli(*RECORD, "--record", "a.ionrec", "--force")
    assert code == 0 and "ionspike replay a.ionrec" in out
    assert cli(*RECORD, "--force")[0] == 2


def test_command_line_of_a_cut_and_of_a_different_recording(cli, tmp_path, monkeypatch):
    cli(*RECORD, "--record", "a.ionrec")
    found = parts(tmp_path / "a.ionrec")
    k = max(k for k, (kind, _) in enumerate(found) if kind == Kind.RECEIVED)
    write(tmp_path / "cut.ionrec", [*found[:k], (Kind.RECEIVED, found[k][1][:200])])
    code, out, err = cli("replay", "cut.ionrec", "--json")
    said = json.loads(out)
    assert code == 0 and said["equal"] and not said["complete"] and 0 < said["ticks"] < 150
    assert "equal up to the last complete tick" in cli("replay", "cut.ionrec")[1]
    assert err == (f"ionspike: the recording was cut short: {said['ticks']} complete ticks were "
                   f"compared\n")
    from ionspike.sim.interpreter import Interpreter
    tick = Interpreter._tick

    def faulty(self, indices):
        if self.memory.core.tick == 149:
            self.memory.core.state = self.memory.core.state ^ np.uint16(0x400)
        tick(self, indices)

    monkeypatch.setattr(Interpreter, "_tick", faulty)
    code, out, err = cli("replay", "a.ionrec", "--json")
    assert code == 1 and json.loads(out)["divergence"]["tick"] == 149
    assert err.startswith("ionspike: first divergence: run 0, tick 149, neuron ")


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (("none.ionrec",), 2, "none.ionrec: no such file"),
    (("net.ion",), 2, "net.ion: not a recording: begins with 50 4b"),
    (("empty",), 2, "empty: is empty"),
    (("a.ionrec", "--against", "/dev/none"), 3, "/dev/none: no such port"),
    (("a.ionrec", "--against", "board"), 3, "no board found"),
    (("a.ionrec", "--timeout", "0"), 2, "'0' is not a positive"),
    ((), 2, "required: FILE.ionrec"),
])
def test_bad_arguments_are_one_line(cli, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.setattr("ionspike.host.backends.candidates", list)
    (tmp_path / "empty").touch()
    if "a.ionrec" in arguments:
        cli(*RECORD, "--record", "a.ionrec")
    got, out, err = cli("replay", *arguments)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("ionspike: ") and message in err
