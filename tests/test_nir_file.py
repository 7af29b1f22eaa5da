"""NIR's files: our own neuron there and back, spikes, and files that are damaged or meant ill."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import require_package
from nets import DT_S, SHAPE, network, spikes
from nirs import two_layers

from ionspike.host import hdf5, ionfile, nir_file
from ionspike.host.ageing import Faults
from ionspike.host.compiler import compile
from ionspike.host.errors import InputError
from ionspike.host.network import Network
from ionspike.host.nir_data import read_data
from ionspike.host.nir_file import read_hdf5, read_nir
from ionspike.host.spikes import Spikes


@pytest.fixture(autouse=True)
def nir():
    require_package("nir", "nir")
    import nir
    return nir


@pytest.fixture
def h5py():
    import h5py
    return h5py


# --------------------------------------------------------------------------------- our own neuron --

def variants():
    state = np.random.default_rng(1).integers(0, 4096, (20, 3)).astype(np.uint16)
    yield network()
    yield network(outputs=np.array([19, 3]), labels=("a", "b"), state=state, metadata={"from": [1, "x"]})
    yield network(outputs=np.array([19, 3]), labels=("a", "b", "c"),
                  votes=np.array([[1, 0, -128], [2, 3, 127]], np.int8))
    yield replace(network(), projections=tuple(replace(p, delay=1) for p in network().projections))
    yield network(outputs=np.zeros(0, int), r_control_ohm=np.linspace(1e8, 4e8, 20))
    yield network().with_faults(Faults(20, stuck_on=[3], stuck_off=[4, 5]))
    yield Network.dense(np.random.default_rng(2).uniform(0, 0.3, (6, 4)), device="zhao2025_ms")


def test_networks_of_memristors_come_back_as_they_went(tmp_path):
    for k, net in enumerate(variants()):
        net.save(tmp_path / f"{k}.nir")
        back = Network.from_nir(tmp_path / f"{k}.nir")
        assert ionfile.dump(back) == ionfile.dump(net)
        assert compile(back, SHAPE).image.digest() == compile(net, SHAPE).image.digest()


def test_other_readers_are_told_that_it_is_no_node_of_theirs(nir, tmp_path):
    network().save(tmp_path / "net.nir")
    with pytest.raises(AssertionError):     # without a word
        nir.read(tmp_path / "net.nir")


def test_what_is_no_network_of_memristors_is_named(tmp_path):
    network().save(tmp_path / "net.nir")

    def changed(message, **nodes):
        root = read_nir(tmp_path / "net.nir")
        for name, change in nodes.items():
            if change is None:
                del root["nodes"][name]
            else:
                root["nodes"][name] = root["nodes"].get(name, {}) | change
        with pytest.raises(InputError, match=message) as raised:
            Network.from_nir(root)
        assert "\n" not in str(raised.value)

    weight = read_nir(tmp_path / "net.nir")["nodes"]["weights_0"]["weight"]
    changed("dt_s must be numbers, not 'soon'", neurons={"dt_s": "soon"})
    changed("unknown|unexpected", neurons={"device": '{"name": "x", "mu": 1}'})
    changed("must be 0.01 to 100", neurons={"mismatch_growth": np.full(20, 1e9)})
    changed("state must be uint16", neurons={"state": np.zeros((20, 3))})
    changed("weights must be multiples of scale_V", weights_0={"weight": weight * 1.01})
    changed("weights must be multiples of scale_V = 1e-310 V", neurons={"scale_V": 1e-310})
    changed("votes must be integers", neurons={"votes": np.zeros((20, 2))})
    changed(r"weight \[0, 0\] is nan", weights_0={"weight": weight * np.nan})
    changed("not all in the block", weights_1={"metadata": {"block": np.array([0, 9, 20, 5])}})
    changed("not all in the block", weights_1={"metadata": {"block": np.array([0, -5, 20, 5])}})
    changed("must be one whole number of ticks", delay_1={"delay": np.full(20, DT_S / 2)})
    changed("node 'x' is 'LIF'; beside a Memristor1M1T1R", x={"type": "LIF"})
    changed("2 nodes are Input", x={"type": "Input", "shape": np.array([3])})
    changed("an edge names what is not there", weights_0=None)


def test_lif_networks_are_not_exported(tmp_path):
    net = Network.from_nir(two_layers(), dt_s=1e-4)
    with pytest.raises(InputError, match="was imported from a NIR file"):
        net.save(tmp_path / "net.nir")
    assert not (tmp_path / "net.nir").exists()


# ----------------------------------------------------------------------------------------- spikes --

def test_spikes_come_back_and_nir_reads_them_too(nir, tmp_path):
    given = spikes(100)
    given.save(tmp_path / "x.h5")
    assert np.array_equal(Spikes.load(tmp_path / "x.h5", dt_s=DT_S).raster, given.raster)
    (events,) = nir.read_data(tmp_path / "x.h5").nodes["input"].observables.values()
    assert np.array_equal(events.to_time_gridded(DT_S).data[0], given.raster)
    # In the middle of a step, where no rounding of a reader's makes it another.
    assert np.allclose(events.time / DT_S % 1, 0.5)


def test_rasters_samples_and_nodes(nir, tmp_path):
    data = np.random.default_rng(0).random((2, 30, 4)) < 0.3
    grid = nir.TimeGriddedData(data, DT_S)
    nir.write_data(tmp_path / "x.h5", nir.NIRGraphData({
        "a": nir.NIRNodeData({"spikes": grid}), "b": nir.NIRNodeData({"spikes": grid.to_event(60)})}))
    for node in "ab":       # rows of events are filled up with -1
        for sample in (0, 1):
            got = read_data(tmp_path / "x.h5", dt_s=DT_S, node=node, sample=sample)
            assert np.array_equal(got.raster, data[sample])
    for options, message in (({}, "spikes of 2 nodes: 'a', 'b'; one has to be named"),
                             ({"node": "c"}, "no spikes of 'c'; there are 'a', 'b'"),
                             ({"node": "a", "sample": 2}, "with a sample 2")):
        with pytest.raises(InputError, match=message):
            read_data(tmp_path / "x.h5", dt_s=DT_S, **options)
    with pytest.raises(InputError, match="its steps are 0.0005 s, 0.001 s were expected"):
        read_data(tmp_path / "x.h5", dt_s=1e-3, node="a")


def test_events_out_of_range_are_named(nir, tmp_path):
    def events(index, time):
        data = nir.EventData(np.array([index]), np.array([time]), 4, 10 * DT_S)
        nir.write_data(tmp_path / "x.h5", nir.NIRGraphData({"a": nir.NIRNodeData({"spikes": data})}))
        return Spikes.load(tmp_path / "x.h5", dt_s=DT_S)

    assert events([0, 3], [0.0, 9 * DT_S]).events()[1].tolist() == [0, 3]
    for index, time, message in (([4], [0.0], "event index 4 is out of range"),
                                 ([-2], [0.0], "must be finite and not negative"),
                                 ([0], [1.0], "out of range: the raster has 10 ticks"),
                                 ([0], [np.nan], "must be finite")):
        with pytest.raises(InputError, match=message):
            events(index, time)


# ------------------------------------------------------------------------------- damaged and hostile --

def refused(path, message):
    with pytest.raises(InputError, match=message) as raised:
        read_hdf5(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_files_that_are_none(tmp_path):
    refused(tmp_path / "none.nir", "no such file")
    refused(tmp_path, "cannot be read|networks are up to")
    (tmp_path / "text.nir").write_text("no HDF5")
    refused(tmp_path / "text.nir", "not a readable HDF5 file, or damaged")
    network().save(tmp_path / "net.nir")
    data = (tmp_path / "net.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(data[:len(data) // 2])
    refused(tmp_path / "cut.nir", "truncated")


def test_graphs_that_are_none(h5py, tmp_path):
    path = tmp_path / "x.nir"
    with h5py.File(path, "w") as file:
        file["version"] = "1"
    with pytest.raises(InputError, match="holds no NIR graph: there is no group 'node'"):
        read_nir(path)


def test_what_leads_out_of_the_file_is_refused(h5py, tmp_path):
    path = tmp_path / "x.nir"
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(4)

    def holding(put, message):
        with h5py.File(path, "w") as file:
            put(file)
        refused(path, message)

    holding(lambda f: f.__setitem__("x", h5py.ExternalLink(str(other), "secret")), "'x' is a link")
    holding(lambda f: f.__setitem__("x", h5py.SoftLink("/x")), "'x' is a link")
    holding(lambda f: f.create_dataset("x", (4,), "i8", external=[(str(other), 0, 32)]),
            "'x' is kept in another file")
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(str(other), "secret", (4,))
    holding(lambda f: f.create_virtual_dataset("x", layout), "'x' is kept in another file")


def test_what_unpacks_without_end_is_refused(h5py, tmp_path, monkeypatch):
    path = tmp_path / "x.nir"

    def holding(put, message):
        with h5py.File(path, "w") as file:
            put(file)
        assert path.stat().st_size < 16 << 20
        refused(path, message)

    def loop(file):
        file.create_group("a")["b"] = file

    def entries(file):
        for k in range(20_001):
            file.create_group(str(k))

    holding(lambda f: f.create_dataset("x", (1 << 40,), "f8", chunks=(1 << 16,), compression=9),
            "more than the 268,435,456 bytes")
    holding(loop, "more than 12 deep")
    holding(entries, "more than the 20,000 entries")
    holding(lambda f: f.create_dataset("x", data=np.zeros(3, "c16")), "complex128, not numbers")
    holding(lambda f: f.create_dataset("x", data=h5py.Empty("f8")), "'x' is empty")
    holding(lambda f: f.create_dataset("x", data=f.ref, dtype=h5py.ref_dtype), "not numbers")


def test_a_library_that_crashes_or_hangs_is_one_line(tmp_path, monkeypatch):
    network().save(tmp_path / "net.nir")
    monkeypatch.setattr(hdf5, "_COMMAND", ["-c", "import os; os.abort()"])
    refused(tmp_path / "net.nir", "damaged: the HDF5 library ended with code -6")
    monkeypatch.setattr(hdf5, "_COMMAND", ["-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(nir_file, "LIMITS", replace(nir_file.LIMITS, wall_s=0.5))
    refused(tmp_path / "net.nir", "had not read it after 0.5 s")


def test_every_file_of_a_flipped_byte_is_read_or_refused(tmp_path):
    net = network()
    net.save(tmp_path / "net.nir")
    data = bytearray((tmp_path / "net.nir").read_bytes())
    rng, outcomes = np.random.default_rng(5), set()
    for _ in range(12):
        spoilt = bytearray(data)
        for at in rng.integers(0, len(data), 8):
            spoilt[at] ^= int(rng.integers(1, 256))
        (tmp_path / "bad.nir").write_bytes(spoilt)
        try:
            Network.from_nir(tmp_path / "bad.nir")
            outcomes.add("read")
        except InputError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert "refused" in outcomes


def test_h5py_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    network().save(tmp_path / "net.nir")
    monkeypatch.setattr(hdf5, "find_spec", lambda name: None)
    refused(tmp_path / "net.nir", r"needs h5py; pip install -e '.\[nir\]' brings it")
