"""Parsers of foreign bytes: a short run of the fuzzer, and what it has found, one by one."""

import io
import itertools
import json
import random
import runpy
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import require_package
from nets import DT_S, SHAPE, network
from nirs import DT_S as NIR_DT_S
from nirs import chain, lif, linear, spikes

from ionspike.boards import flash
from ionspike.boards.errors import BuildError
from ionspike.boards.table import BOARDS
from ionspike.host import hdf5, ionfile, nir_file, npy
from ionspike.host.board import Board
from ionspike.host.decoder import Segment
from ionspike.host.errors import InputError, NoBoardError
from ionspike.host.link import Link
from ionspike.host.network import Network
from ionspike.host.nir_import import imported
from ionspike.host.spikes import Spikes
from ionspike.sim.compact_device import CompactDevice
from ionspike.sim.golden import GoldenPort
from ionspike.spec.device import Device, DeviceError
from ionspike.spec.strict_json import parse

FUZZ = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "fuzz.py"))
#: A few seconds in all; `python benchmarks/fuzz.py --inputs 1000000` is the long run.
INPUTS = {"frames": 4000, "reports": 2000, "networks": 300, "spikes": 600, "recordings": 500,
          "hello": 600, "devices": 2000, "compact": 2000, "tables": 1000, "builds": 2000,
          "nir": 600, "hdf5": 20, "sounds": 1000, "listings": 1000}
if "digits" in FUZZ["PARSERS"]:     # needs h5py, which is an extra
    INPUTS["digits"] = 20   # each in a process of its own


def test_every_parser_has_a_run():
    assert list(FUZZ["PARSERS"]) == sorted(INPUTS, key=list(FUZZ["PARSERS"]).index)


@pytest.mark.parametrize("name", INPUTS)
def test_parsers_refuse_what_they_do_not_take(name):
    if name == "hdf5":
        require_package("nir", "nir")
    report, = FUZZ["guarded"]([name], INPUTS[name], 1)
    assert list(report.failures.values()) == []
    # What the inputs reached: both ways out.
    assert report.inputs == INPUTS[name] and report.accepted > report.inputs // 50
    assert sum(report.refused.values()) > report.inputs // 50


def test_a_fork_reads_hdf5_as_a_process_of_its_own_does(tmp_path):
    require_package("nir", "nir")
    parser, rng = FUZZ["PARSERS"]["hdf5"](tmp_path), random.Random(3)
    path, forks = tmp_path / "fuzz.nir", FUZZ["Forks"](tmp_path)
    good = parser.seeds[0]
    spoiled = [good[:at] + bytes(40) + good[at + 40:] for at in rng.sample(range(len(good)), 4)]
    answers = set()
    for data in (good, good[:700], *spoiled):
        path.write_bytes(data)
        asked = json.dumps({"names": (), **vars(nir_file.LIMITS)})
        command = [sys.executable, *hdf5._COMMAND, str(path), asked]
        alone = subprocess.run(command, capture_output=True, check=False)
        forked = forks.run(command, timeout=60)
        assert forked.returncode == alone.returncode
        assert _unzipped(forked.stdout) == _unzipped(alone.stdout)
        answers.add(alone.stdout[:200])
    assert len(answers) > 1


def test_zips_are_what_the_library_writes():
    files = {"header.json": b"{}", "a.npy": npy_bytes(np.arange(9)), "empty": b""}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    assert FUZZ["stored"](list(files.items())) == content.getvalue()


def test_a_run_can_be_ended(monkeypatch):
    watch = FUZZ["watch"]

    def make(folder):
        parser, calls = FUZZ["frames"](folder), itertools.count()

        def parse(data):
            watch.ended = next(calls) == len(parser.seeds) + 9
            return parser.parse(data)
        return replace(parser, parse=parse)

    monkeypatch.setitem(FUZZ["PARSERS"], "frames", make)
    monkeypatch.setattr(watch, "ended", False)
    report, = FUZZ["guarded"](["frames", "spikes"], 1000, 1)
    assert (report.parser, report.inputs) == ("frames", 10)


def _unzipped(data):
    """What is in it, for the times in it differ."""
    return FUZZ["unzipped"](data) if data else {}


def test_the_fuzzer_sees_what_it_should(monkeypatch):
    def broken(change):
        def make(folder):
            parser, calls = FUZZ["frames"](folder), itertools.count()
            # Once, after the seeds.
            return replace(parser, parse=lambda data: change(data) if next(calls) == 9
                           else parser.parse(data))
        return make

    def hang(data):
        while True:
            pass

    for change, said in ((lambda data: {}["x"], "KeyError"), (hang, "hangs"),
                         (lambda data: np.ones(5 << 26, np.uint8), "too much memory"),
                         (lambda data: bytearray(1 << 40), "MemoryError")):
        monkeypatch.setitem(FUZZ["PARSERS"], "frames", broken(change))
        report, = FUZZ["guarded"](["frames"], 65, 1)
        assert any(said in failure for failure in report.failures.values()), said


# ---------------------------------------------------------------------------------- what was found --

def npy_bytes(array, **changes):
    buffer = io.BytesIO()
    np.save(buffer, array)
    data = buffer.getvalue()
    for old, new in changes.values():
        assert old in data
        data = data.replace(old, new)
    return data


@pytest.mark.parametrize(("data", "message"), [
    (npy_bytes(np.zeros((10, 12)), a=(b"(10, 12)", b"(1<<40,)")), "no array: "),
    (npy_bytes(np.zeros((10, 10), bool), a=(b"(10, 10), }     ", b"(2147483648,), }")),
     "2147483648 numbers of 1 bytes are promised, 100 bytes are there"),
    (npy_bytes(np.zeros((10, 10), bool), a=(b"(10, 10), }", b"(((((((((((")), "no array: "),
    (npy_bytes(np.zeros((10, 10), bool), a=(b"|b1", b"|O1")), "no array: |Python objects"),
    (npy_bytes(np.zeros(4, bool), a=(b"(4,), }  ", b"(-4,), } ")), "no array: "),
])
def test_headers_of_arrays_promise_no_more_than_there_is(data, message):
    with pytest.raises(ValueError, match=message):
        npy.read(data)


def test_files_of_a_zip_are_packed_as_numpy_does():
    """A kilobyte of bzip2 can be a gigabyte."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("raster.npy", bytes(1 << 22))
    assert len(content.getvalue()) < 400
    with pytest.raises(ValueError, match="'raster.npy' is neither stored nor deflated"):
        npy.unzip(content.getvalue(), 1 << 30)
    with pytest.raises(ValueError, match="4194304 bytes unpacked; 1024 are the most"):
        npy.unzip(content.getvalue(), 1024)


@pytest.mark.parametrize(("text", "message"), [
    ("[" * 100_000, "nested too deeply"), ('{"a":' * 100_000, "nested too deeply"),
    ("NaN", "NaN is not a number"), ('{"a": 1e999}', "Out of range float"),
    ('{"a": ' + "9" * 5000 + "}", "limit"), ('{"a": "\\ud800"}', "surrogates"),
    ("[]", "holds a list, not an object"), (b"\xff", "codec can't decode"), ("", "Expecting value"),
])
def test_json_is_one_object_of_what_can_be_written_again(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


PRESET = json.loads(Device.text("zhao2025_ms"))


@pytest.mark.parametrize(("change", "message"), [
    ({"name": []}, r"name of a device must be a line of up to 100 characters, not \[\]"),
    ({"name": "a\nb"}, "must be a line"), ({"title": 5}, "title of a device must be"),
    ({"parameters": {**PRESET["parameters"], "alpha": 10 ** 400}}, "alpha must be 1e-06 to 1, not 1"),
    ({"ours": {**PRESET["ours"], "figures": 5}}, "figures must be parameters by figure, not 5"),
    ({"ours": {**PRESET["ours"], "figures": {"a": {"growth": 10 ** 400}}}}, "figure 'a': "),
    ({"ours": {**PRESET["ours"], "figures": {"a": {"x" * 9000: 1}}}},
     "figure 'a': unknown parameter 'xxx"),
    ({"ours": {"x" * 9000: 1}}, "unknown parameter 'xxx"),
])
def test_devices_of_odd_values_are_refused(tmp_path, change, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(PRESET | change))
    with pytest.raises(DeviceError, match=message) as error:
        Device.load(path)
    assert len(str(error.value)) < 1500 and "\n" not in str(error.value)
    path.write_text("[" * 100_000)
    for kind in (Device, CompactDevice):
        with pytest.raises(DeviceError, match="nested too deeply"):
            kind.load(path)


@pytest.mark.parametrize(("array", "message"), [
    ({"dt_s": "x"}, "its ticks are nan s"), ({"dt_s": [DT_S, DT_S]}, "its ticks are nan s"),
    ({"dt_s": 1j}, "its ticks are nan s"), ({"width": "x"}, "width must be a positive integer"),
    ({"index": np.array([np.inf], "f2")}, "event index must be finite"),
    ({"index": np.array([6e4], "f2")}, "event index 60000 is out of range"),
])
def test_spike_files_of_odd_arrays_are_refused(tmp_path, array, message):
    with np.errstate(all="ignore"):
        np.savez(tmp_path / "a.npz", **{"index": [1], "tick": [1], **array})
    with pytest.raises(InputError, match=message):
        Spikes.load(tmp_path / "a.npz", dt_s=DT_S, width=6)


def test_times_beyond_all_ticks_are_refused():
    with pytest.raises(InputError, match="event tick must be finite and not negative; entry 0 is inf"):
        Spikes.from_events([0], t_s=[1e308], width=1, dt_s=DT_S)


def test_few_events_over_many_ticks_cost_little(tmp_path):
    np.savez(tmp_path / "a.npz", index=[1, 1], tick=[3, 3], ticks=1 << 27, width=12)
    found = Spikes.load(tmp_path / "a.npz", dt_s=DT_S)
    assert (found.ticks, found.merged) == (1 << 27, 1)


def changed_network(**changes):
    """A `.ion` file with other values in its header, its checksum right."""
    with zipfile.ZipFile(io.BytesIO(ionfile.dump(network()))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(files.pop("header.json"))
    header.pop("sha256")
    for name, value in changes.items():
        if name in header:
            header[name] = value
        else:
            files[f"{name}.npy"] = npy_bytes(value)
    header["sha256"] = ionfile._checksum(header, files)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in {"header.json": json.dumps(header).encode(), **files}.items():
            archive.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(("changes", "message"), [
    ({"outputs": np.array([np.nan])}, "outputs must be indices of neurons"),
    ({"outputs": np.array([1j])}, "outputs must be numbers, not complex128"),
    ({"mismatch_gap": np.zeros(20, complex)}, "mismatch_gap must be numbers, not complex128"),
    ({"weights_0": np.array([["a"]])}, "weights_0 must be numbers, not <U1"),
    ({"version": "a\nb"}, r"format version 'a\\nb'; this ionspike reads up to 5"),
    ({"metadata": 5}, "metadata must be a dict"),
    ({"metadata": {"clipped_weights": "x"}}, "metadata must be a dict, clipped_weights a number"),
    ({"labels": [1] * 20}, "labels must be words"), ({"dt_s": 10 ** 400}, "not a network"),
    ({"faults_stuck_on": np.array([[0], [9]]), "faults_stuck_off": np.zeros(0),
      "faults_growth": np.ones(20), "faults_gap": np.zeros(20)},
     r"stuck_on must be a list of indices of neurons, not array\(\[\[0\], \[9\]\]\)"),
])
def test_networks_of_odd_values_are_refused(changes, message):
    with pytest.raises(InputError, match=message) as error:
        ionfile.load_bytes(changed_network(**changes), "a.ion")
    assert str(error.value).startswith("a.ion: ") and "\n" not in str(error.value)
    assert isinstance(ionfile.load_bytes(changed_network(), "a.ion"), Network)


@pytest.mark.parametrize(("changes", "message"), [
    ({"board": 5}, "board is 5; build anew"), ({"build": None}, "build is None; build anew"),
    ({"bitstream": "../top.bit"}, "is no file of that folder"),
    ({"bitstream": "x" * 5000}, "bitstream is 'xxx"), ({"bitstream": "a\0b"}, "bitstream is 'a"),
    ({"bitstream": 7}, "bitstream is 7"), ({"note": [1]}, r"note is \[1\]"),
])
def test_builds_of_odd_values_are_refused(tmp_path, changes, message):
    facts = BOARDS["icebreaker"]
    (tmp_path / "top.bit").write_bytes(b"bits")
    said = {"board": "icebreaker", "bitstream": "top.bit", "build": "00c0ffee"}
    (tmp_path / "build.json").write_text(json.dumps(said))
    assert flash.built(facts, tmp_path) == said
    (tmp_path / "build.json").write_text(json.dumps(said | changes))
    with pytest.raises(BuildError, match=message):
        flash.built(facts, tmp_path)
    for text in ("[]", "5", "[" * 100_000):
        (tmp_path / "build.json").write_text(text)
        with pytest.raises(BuildError, match="holds no build"):
            flash.built(facts, tmp_path)


@pytest.mark.parametrize(("changes", "message"), [
    ({"neurons": 0}, "is a core that there cannot be: neurons must be 8 to 2040, not 0"),
    ({"lanes": 9}, "lanes must be a power of two, not 9"),
    ({"clock_hz": 0}, "says that its clock is 0 Hz"),
])
def test_boards_that_cannot_be_are_refused(changes, message):
    port = GoldenPort(SHAPE)
    port.link.hello = replace(port.link.hello, **changes)
    with pytest.raises(NoBoardError, match=message):
        Board(Link(port), backend="golden", where="test", timeout_s=0.3)


def test_nir_neurons_that_hear_nothing_never_fire():
    """r of 0 makes nothing of any weight, and nothing can be told of one."""
    resistance = np.array([0.0, 10.0, 0.0, 10.0])
    found = imported(chain(linear(4, 8), lif(4, r=resistance)), dt_s=NIR_DT_S, sample=spikes())
    weights, = (c.weights for c in found.mapped.graph.connections)
    assert not weights[:, resistance == 0].any() and weights[:, resistance > 0].any()
    assert not found.network.projections[0].weights[:, resistance == 0].any()


def test_nir_membranes_that_leak_less_than_a_float_can_say_are_refused():
    with pytest.raises(InputError, match=r"LIF with tau 9.01e\+11 s in steps of 0.0001 s: beta must be"):
        imported(chain(linear(4, 8), lif(4, tau=np.full(4, 1e165))), dt_s=NIR_DT_S, sample=spikes())


def test_a_board_that_ticked_on_for_long_costs_no_memory():
    segment = Segment(start=0, tick=1 << 40, list_ticks=[3, 1 << 39], lists=[b"\5\xff", b"\6\xff"])
    raster = segment.raster(48, 10)
    assert raster.shape == (10, 48) and np.argwhere(raster).tolist() == [[3, 5]]
