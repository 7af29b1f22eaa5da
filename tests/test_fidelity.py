"""The experiments, what they run on, and how their outcomes are compared and shown."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import require_compiler
from nets import SHAPE

from ionspike.fidelity import characterize as characterization
from ionspike.fidelity import errors, report
from ionspike.fidelity.characterize import Characterization, at_paper_pace, characterize
from ionspike.fidelity.document import render
from ionspike.fidelity.experiments import (
    EXPERIMENTS,
    Curve,
    Outcome,
    cascade,
    stochasticity,
    threshold,
)
from ionspike.fidelity.figures import logistic
from ionspike.fidelity.rigs import BoardRig, GoldenRig, ReferenceRig
from ionspike.fidelity.stimulus import Chain, Response, Stimulus, pulse_train, ticks_of
from ionspike.fidelity.tables import tables
from ionspike.fidelity.traces import STATES, Trace, example, trace
from ionspike.fidelity.workers import Workers
from ionspike.host import verb_characterize
from ionspike.host.board import Board
from ionspike.host.cli import main
from ionspike.host.errors import InputError
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device

DEVICE = Device.load("zhao2025_ms")


#: Of long pulse trains, enough to see what they show.
SHORTER = {"refractory": {"pulses": 200}, "integration": {"most": 350}}


@pytest.fixture(scope="module")
def golden():
    """All experiments on the golden model, with few trials."""
    outcomes = {name: {"golden": experiment(GoldenRig(), DEVICE, trials=24,
                                            **SHORTER.get(name, {}))}
                for name, experiment in EXPERIMENTS.items()}
    return Characterization(DEVICE, 1.0, 1, 1.0, tuple(EXPERIMENTS),
                            {"golden": {"is_hardware": False}}, outcomes,
                            examples={"golden": example(GoldenRig(), DEVICE, 1)})


def outcome(found, experiment):
    return {name: curve.y for name, curve in found.outcomes[experiment]["golden"].curves.items()}


# -------------------------------------------------------------------------------- experiments --

def test_the_golden_model_shows_the_six_properties(golden):
    pulses = outcome(golden, "integration")["pulses"]
    assert (np.diff(pulses) > 0).all() and pulses[-1] > 1.4 * pulses[0]
    fires = outcome(golden, "threshold")["fires"]
    assert fires[0] == 0 and fires[-1] == 1 and (np.diff(fires) > -0.15).all()
    stages = outcome(golden, "cascade")
    reached = np.array([stages[f"stage_{k}"] for k in range(1, 5)])
    assert (reached[0] == 1).all() and (reached[:, 0] == [1, 0, 0, 0]).all()
    assert (np.diff(reached, axis=0) <= 0).all() and (reached[:, -1] > 0.4).all()
    assert (np.diff(stages["arrival"]) > 1e-3).all()
    sooner = outcome(golden, "plasticity")["sooner"]
    assert (np.diff(sooner) < 3e-4).all() and sooner[0] > 2e-3 > abs(sooner[-1])
    interval = outcome(golden, "refractory")["interval"]
    assert interval[0] > 1e-3 and (np.diff(interval) > 0).all() and interval[-1] > 5e-3
    spread = outcome(golden, "stochasticity")
    assert (spread["cv_jittered"] > spread["cv_fresh"]).all()
    assert (spread["cv_jittered"] > 2 * spread["cv_fresh"])[:2].all()
    assert (spread["latency_jittered"] < spread["latency_fresh"]).all()
    assert (np.diff(spread["latency_fresh"]) < 0).all()


STIMULUS = Stimulus(np.tile(pulse_train(5, 5, 12)[:, None], (1, 3)), np.array([0.8, 1.25, 1.95]),
                    2e-4, r_control_ohm=np.array([5e7, 2.5e8, 1e9]))
CHAINED = Stimulus(np.tile(pulse_train(40, 40, 1)[:, None], (1, 3)) & [True, False, False],
                   np.ones(3), 1e-3, chain=Chain(1.95, 4))


@pytest.mark.parametrize("stimulus", [STIMULUS, replace(STIMULUS, jitter=True), CHAINED],
                         ids=["fresh", "jittered", "chained"])
def test_the_model_is_what_a_board_gives(stimulus):
    # More trials than there are neurons for, so that there are passes.
    model = GoldenRig(SHAPE).respond(DEVICE, stimulus, 20, 3, traces=True)
    with Board.open(backend="golden", shape=SHAPE) as board:
        rig = BoardRig(board)
        again = rig.respond(DEVICE, stimulus, 20, 3, traces=True)
    assert len(model.seeds) > 1 and model.seeds == again.seeds and model.spikes.any()
    assert np.array_equal(model.spikes, again.spikes)
    assert np.array_equal(model.digests, again.digests)
    assert all(again.counters[name] == count for name, count in model.counters.items())
    assert errors.difference(Outcome("x", {}, {}, {"a": model}),
                             Outcome("x", {}, {}, {"a": again})) is None


@pytest.mark.parametrize("rig", [GoldenRig(SHAPE), ReferenceRig()], ids=lambda rig: rig.name)
def test_rigs_agree_in_shape_and_seeds_decide(rig):
    one, again, other = (rig.respond(DEVICE, STIMULUS, 9, seed, traces=True) for seed in (1, 1, 2))
    assert one.spikes.shape == (9, STIMULUS.ticks, 3)
    assert all(getattr(one, state).shape == (STIMULUS.ticks, 3) for state in STATES)
    assert (one.spikes == again.spikes).all() and (one.filament == again.filament).all()
    assert (one.filament != other.filament).any()
    # A fast drive fires, a slow one does not within these 24 ms.
    assert one.spikes[..., 2].any() and not one.spikes[..., 0].any()


def test_a_chain_passes_spikes_on_in_order():
    for rig in (GoldenRig(SHAPE), ReferenceRig()):
        spikes = rig.respond(DEVICE, CHAINED, 12, 1).spikes
        first = np.where(spikes.any(axis=1), spikes.argmax(axis=1), 1000)
        assert (first[:, 0] < first[:, 1]).all() and (first[:, 1] < 1000).any()


def test_residues_begin_the_same_on_every_rig():
    stimulus = replace(STIMULUS, pulses=STIMULUS.pulses[:1] & False, jitter=True)
    start = [rig.respond(DEVICE, stimulus, 16, 5, traces=True).residue[0]
             for rig in (GoldenRig(SHAPE), ReferenceRig())]
    assert start[0] == pytest.approx(start[1], abs=0.01) and (start[0] > 0.05).all()


def test_the_virtual_board_is_the_golden_model_in_a_short_experiment():
    require_compiler()
    with Board.open(backend="virtual", shape=SHAPE) as board:
        found = characterize(DEVICE, experiments=["threshold"], models=["golden"], board=board,
                             trials_scale=0.02, processes=0)
    assert found.differences == {"threshold": None} and not found.losses
    results = found.results()
    assert results["backends"]["virtual"]["is_hardware"] is False
    of = results["experiments"]["threshold"]["backends"]
    assert of["virtual"]["hash"] == of["golden"]["hash"]


@pytest.mark.parametrize(("stimulus", "text"), [
    (replace(STIMULUS, volts=np.array([0.8, 0.81, 1.0])), "pulses of 0.81 V cannot be made"),
    (replace(STIMULUS, volts=np.array([0.8, 2.5, 3.5])), "pulses of 3.5 V cannot be made"),
    (Stimulus(np.ones((2, 30), bool), np.ones(30), 2e-4), "30 lanes do not fit a board of 48 "),
    (replace(CHAINED, chain=Chain(1.0, 5)), "pulses of 5 ticks need as many delay slots; this "),
])
def test_a_stimulus_that_does_not_suit_a_board_is_refused(stimulus, text):
    with pytest.raises(InputError, match=text):
        GoldenRig(SHAPE).respond(DEVICE, stimulus, 4, 1)


def test_times_that_are_no_ticks_are_refused():
    with pytest.raises(InputError, match="a pulse of 0.0003 s is no whole number of ticks of "):
        ticks_of(3e-4, 2e-4, "a pulse")


# ------------------------------------------------------------------------------------- errors --

def curve(y, error=0.0, x=(1.0, 2.0, 3.0), paper=None, name="interval"):
    return Curve(name, "x", "y", np.array(x), np.array(y, float), np.full(len(x), error),
                 None if paper is None else np.array(paper, float))


def test_nrmse_is_the_root_mean_square_over_the_range():
    assert errors.nrmse(np.array([1.0, 2.0, 3.5]), np.array([1.0, 2.0, 3.0])) \
        == pytest.approx(0.5 / 3**0.5 / 2)
    assert errors.nrmse(np.array([1.0, np.nan]), np.array([0.0, 5.0])) != 0
    assert np.isnan(errors.nrmse(np.ones(3), np.ones(3)))


def test_what_chance_would_do_is_told():
    one = errors.compare_curve("threshold", curve([0, 0.5, 1], 0.03, name="fires"),
                               curve([0, 0.5, 0.9], 0.04, name="fires"))
    assert one.chance == pytest.approx(0.05 / 0.9) and one.met is False
    assert one.nrmse == one.everywhere == pytest.approx(0.1 / 3**0.5 / 0.9)


def test_an_excepted_curve_does_not_count_and_is_shown_all_the_same(monkeypatch):
    monkeypatch.setattr(errors, "EXCEPTIONS", (
        errors.ExceptionFrom("refractory", "interval", "it latches"),))
    ohm = (1e8, 2e8, 1e9)
    one = errors.compare_curve("refractory", curve([2, 3, 9], x=ohm), curve([2, 3, 5], x=ohm))
    assert np.isnan(one.nrmse) and one.met is None and one.everywhere > 0.5
    assert one.exception is not None and one.exception.reason == "it latches"
    other = errors.compare_curve("refractory", curve([2, 3, 9], x=ohm, name="interval_cv"),
                                 curve([2, 3, 5], x=ohm, name="interval_cv"))
    assert other.nrmse == other.everywhere > 0.5 and other.met is False


def test_traces_are_compared_state_by_state():
    def make(offset):
        t = np.linspace(0, 1, 50)[:, None] * [1.0, 2.0]
        return Trace("threshold", ("a", "b"), 1e-3, t + offset, t, t)

    f, r, gate = errors.compare_trace(make(0.02), make(0.0), make(0.01))
    assert f.nrmse == pytest.approx(0.01) and f.chance == pytest.approx(0.005) and f.met
    assert f.lanes == pytest.approx({"a": 0.02, "b": 0.01})
    assert (r.nrmse, r.what, gate.what) == (0, "residue", "gate_V")


def test_deviations_from_the_paper_have_their_bars():
    found = errors.against_paper(Outcome("refractory", {
        "interval": curve([2.3, 5.0, 7.0], 0.1, (1e8, 2.5e8, 5e8), [2.0, 4.0, np.nan])}))
    assert [d.setting for d in found] == ["100 MOhm", "250 MOhm"]
    assert [d.deviation for d in found] == pytest.approx([0.15, 0.25])
    assert [d.error for d in found] == pytest.approx([0.05, 0.025])
    assert [d.met for d in found] == [found[0].deviation <= 0.15, False]
    near, = errors.against_paper(Outcome("threshold", {
        "fires": curve([0.7], x=(0.9,), paper=[0.76], name="fires")}))
    assert near.deviation == pytest.approx(-0.06) and near.met
    points = errors.against_paper(Outcome("integration", {
        "pulses": curve([100, 190], 1.0, (4e-4, 1.2e-3), [140, 260], "pulses")}))
    assert [p.met for p in points] == [None, None, True]
    assert points[-1].value == pytest.approx(1.9)
    ranged, = errors.against_paper(Outcome("stochasticity", {
        "cv_fresh": curve([0.15, 0.3], x=(0.9, 1.5), name="cv_fresh")}))
    assert ranged.met and (ranged.low, ranged.high) == (0.1, 0.2)


def test_the_first_difference_of_a_board_is_named():
    spikes, digests = np.zeros((4, 9, 2), bool), np.zeros((2, 9), np.uint32)
    want = Response(spikes, digests=digests, seeds=(1, 2))
    other_spikes, other_digests = spikes.copy(), digests.copy()
    other_spikes[3, 6, 1] = other_spikes[0, 8, 0] = True
    other_digests[1, 7] = 5
    got = Response(other_spikes, digests=other_digests, seeds=(1, 2))

    def first(got):
        return str(errors.difference(Outcome("x", {}, {}, {"long": got}),
                                     Outcome("x", {}, {}, {"long": want})))

    assert first(want) == "None"
    assert first(got) == "long, tick 6, trial 3, lane 1: spike differs"
    assert first(replace(got, spikes=spikes)) \
        == "long, tick 7, pass 1: digest of all state differs"
    assert "what was run differs" in first(replace(want, seeds=(1, 3)))


def test_a_logistic_is_found_again():
    volts = np.linspace(0.75, 1.05, 13)
    middle, slope = logistic(curve(1 / (1 + np.exp(-(volts - 0.87) / 0.034)), x=volts))
    assert (middle, slope) == pytest.approx((0.87, 0.034))
    assert logistic(curve([0, 1, 1])) is None


# ------------------------------------------------------------------------------ characterising --

def test_results_do_not_depend_on_the_number_of_processes():
    def run(processes):
        found = characterize(DEVICE, experiments=["threshold"], trials_scale=0.05, seed=7,
                             processes=processes).results()
        return {k: v for k, v in found.items() if k not in ("wall_s", "seconds")}

    here, there = run(0), run(2)
    assert here == there and here["seed"] == 7
    assert {a["what"] for a in here["nrmse"]["golden_against_reference"]} == {"fires", *STATES}
    json.dumps(here, allow_nan=False)


def test_a_worker_hands_on_what_is_wrong_and_stops_when_told():
    workers = Workers(characterization._run, ["no task", "nor this"], 1, lambda *_: None)
    try:
        with pytest.raises(AttributeError, match="'str' object has no attribute 'backend'"):
            workers.wait()
    finally:
        workers.close()


def test_a_device_of_another_pace_is_the_same_in_slow_motion():
    fast = DEVICE.with_(
        name="fast", mu_per_V_s=DEVICE.mu_per_V_s * 1e5, beta_per_s=DEVICE.beta_per_s * 1e5,
        gamma1_per_s=DEVICE.gamma1_per_s * 1e5, gamma2_per_s=DEVICE.gamma2_per_s * 1e5,
        c_gate_F=DEVICE.c_gate_F / 1e5, figures={"4a": {"gamma2_per_s": 6e5}})
    slow, pace = at_paper_pace(fast)
    assert pace == 1e5 and at_paper_pace(DEVICE) == (DEVICE, 1)
    assert coefficients(slow, 2e-4) == coefficients(DEVICE, 2e-4)
    assert slow.figures["4a"]["gamma2_per_s"] == pytest.approx(6)
    found = characterize(fast, experiments=["threshold"], models=["golden"], trials_scale=0.02,
                         processes=0)
    assert found.pace == 1e5 and not found.of_paper and found.results()["paper"] == {}


def test_traces_are_means_over_trials():
    one = trace("threshold", GoldenRig(SHAPE), DEVICE, 1, trials=6)
    assert one.filament.shape == (150, 1) and one.time_s[-1] == pytest.approx(30e-3)
    assert one.filament[70] > one.filament[140] >= 0


def test_a_report_needs_nothing_but_itself(golden, tmp_path):
    written = report.write(golden, tmp_path, True)
    assert [path.name for path in written] == [
        "results.json", "overview.png", *(f"{name}.png" for name in EXPERIMENTS), "report.html"]
    page = (tmp_path / "report.html").read_text()
    assert re.findall(r"(?:src|href)=\"(?!data:image/png;base64,)|<script|<link|@import|url\(",
                      page) == []
    assert page.count("data:image/png;base64,") == 7
    for part in ("as transcribed by one third party", "estimated", "ours", "seed",
                 "second latency shorter by", "growth_gain", "golden"):
        assert part in page
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["device"]["hash"] == characterization.device_hash(DEVICE)
    of = results["experiments"]["threshold"]["backends"]["golden"]
    assert of["seeds"]["threshold"][0] == 2 and of["curves"]["fires"]["paper"][1] == 0.05


def test_tables_go_between_the_markers_of_a_page(golden):
    results = golden.results()
    page = "top\n<!-- paper -->\nformer\n<!-- end -->\nmiddle\n<!-- traces -->\n<!-- end -->\nend\n"
    made = render(page, results)
    assert made.startswith("top\n<!-- paper -->\n| observable |") and "former" not in made
    assert "<!-- traces -->\nNothing: it was not run.\n<!-- end -->\nend\n" in made
    assert render(made, results) == made
    table = tables(results)["paper"]
    assert len(table.rows) == 22 and {len(row) for row in table.rows} == {len(table.header)}


# --------------------------------------------------------------------------------- command line --

@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(characterization, "_PROCESSES", 0)

    def run(*arguments):
        try:
            code = main(["characterize", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err
    return run


SHORT = ("--backend", "golden", "--experiment", "threshold", "--trials-scale", "0.02")


def test_the_command_says_and_writes_what_it_found(cli):
    code, out, err = cli(*SHORT, "--html", "--output", "here")
    assert (code, err) == (0, "")
    for part in ("zhao2025_ms", "golden against the paper", "probability of firing", "0.9 V",
                 "written to here: results.json, overview.png, threshold.png, report.html"):
        assert part in out
    assert sorted(path.name for path in Path("here").iterdir()) == [
        "overview.png", "report.html", "results.json", "threshold.png"]
    code, out, _ = cli(*SHORT, "--seed", "5", "--json")
    said = json.loads(out)
    assert code == 0 and said["seed"] == 5 and said["device"]["name"] == "zhao2025_ms"
    assert said["board_against_golden"] == {} and said["missing"] == []


def test_ctrl_c_keeps_what_is_there(cli, monkeypatch):
    def stop(self, backend, what, done, of):
        if what == "threshold":
            raise KeyboardInterrupt

    monkeypatch.setattr(verb_characterize._Bars, "__call__", stop)
    code, out, err = cli(*SHORT, "--experiment", "cascade", "--output", "part")
    assert code == 130 and out == ""
    assert err.splitlines() == [
        "ionspike: not complete, without threshold on golden (outcome); what there is, is in part",
        "ionspike: interrupted"]
    saved = json.loads(Path("part/results.json").read_text())
    assert list(saved["experiments"]) == ["cascade"] and saved["missing"]


def test_a_board_that_differs_is_exit_code_one(cli, monkeypatch):
    opened = Board.open
    monkeypatch.setattr(Board, "open", lambda port, backend, **rest: pose(opened(
        backend="golden", shape=SHAPE)))

    def pose(board):
        board.backend = "virtual"
        return board

    equal = cli(*SHORT, "--backend", "virtual")
    assert equal[0] == 0 and "identical in 1 of 1 experiments" in equal[1]
    from ionspike.sim.interpreter import Interpreter
    tick = Interpreter._tick

    def faulty(self, indices):
        tick(self, indices)
        if self.memory.core.tick == 20:
            self.memory.core.state = self.memory.core.state ^ np.uint16(1)

    monkeypatch.setattr(Interpreter, "_tick", faulty)
    code, _, err = cli(*SHORT, "--backend", "virtual")
    assert code == 1 and err == ("ionspike: the board differs from the golden model: threshold: "
                                 "threshold, tick 20, pass 0: digest of all state differs\n")


def device_file(name, **changes):
    values = {"mu_per_V_s": 150.0, "alpha": 0.01, "beta_per_s": 20.0, "gamma1_per_s": 600.0,
              "gamma2_per_s": 5.0, "r_control_ohm": 250e6, "c_gate_F": 10e-12, **changes}
    Path(name).write_text(json.dumps({"name": "mine", "title": "", "source": "", "parameters": {
        key: value for key, value in values.items() if value is not None}}))


@pytest.mark.parametrize(("arguments", "message"), [
    (("--device", "zhao2025ms"), "no device preset named 'zhao2025ms', perhaps 'zhao2025_ms'; "),
    (("--device", "none.json"), "device file none.json cannot be read"),
    (("--device", "cold.json"), "mu_per_V_s must be 0.001 to 1e+12, not -1"),
    (("--device", "slow.json"), "experiment integration: device 'mine' at dt_s = 0.0002: 1 - a_r = 2e-10 vanishes; "),
    (("--device", "leaky.json"), "1 - a_g = 2e-08 vanishes; Rc Cg is "),
    (("--device", "part.json"), "parameter 'alpha' is missing"),
    (("--experiment", "refactory"), "no experiment named 'refactory', perhaps 'refractory'; "),
    (("--backend", "silver"), "invalid choice: 'silver'"),
    (("--backend", "golden", "--port", "x"), "the port 'x' is of a board, and no back-end that"),
    (("--backend", "virtual", "--backend", "serial"), "one board at a time, not virtual and serial"),
    (("--trials-scale", "0"), "'0' is not a factor above 0"),
    (("--trials-scale", "nan"), "'nan' is not a factor above 0"),
    (("--seed", "-1", *SHORT), "seed is from 0 to 2**48 - 1, not -1"),
    (("--seed", "x"), "'x' is not an integer"),
    (("--output", "no/where"), "no/where: results go into a folder, which may be new, of a folder"),
    (("--output", "cold.json"), "cold.json: results go into a folder"),
])
def test_bad_input_is_one_line_and_two(cli, arguments, message):
    device_file("cold.json", mu_per_V_s=-1.0)
    device_file("slow.json", gamma2_per_s=1e-6)
    device_file("leaky.json", r_control_ohm=1e15)
    device_file("part.json", alpha=None)
    more = () if "--backend" in arguments else ("--backend", "golden")
    code, out, err = cli(*arguments, *more)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("ionspike: ") and message in err


def test_experiments_give_equal_outcomes_for_equal_seeds():
    for experiment in (threshold, cascade, stochasticity):
        one, again = (experiment(GoldenRig(SHAPE), DEVICE, seed=3, trials=4) for _ in range(2))
        for name, response in one.responses.items():
            assert np.array_equal(response.spikes, again.responses[name].spikes)
