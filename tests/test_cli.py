"""The command line: what it says, where it says it, and with which exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from nets import DT_S, network, spikes

from ionspike.host.cli import main
from ionspike.host.network import Network
from ionspike.host.spikes import Spikes

GOLDEN = ("--backend", "golden")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network(outputs=[17, 18, 19], labels="abc", metadata={"accuracy": 0.5}).save("net.ion")
    spikes(150).save("in.npy")
    return tmp_path


@pytest.fixture
def cli(capsys):
    def run(*arguments):
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err
    return run


def test_run_writes_everything(files, cli):
    code, out, err = cli("run", "net.ion", "--input", "in.npy", *GOLDEN, "--seed", "5",
                         "--probe", "0,19", "--digests", "--output", "out.npz", "--json")
    assert code == 0, err
    said = json.loads(out)
    assert (said["backend"], said["is_hardware"], said["seed"], said["ticks"]) \
        == ("golden", False, 5, 150)
    with np.load("out.npz") as saved:
        assert saved["digests"].shape == (150,) and saved["probe_words"].shape == (150, 2, 3)
        assert saved["final_state"].shape == (20, 3)
        assert json.loads(str(saved["summary"]))["counters"] == said["counters"]
    assert Spikes.load("out.npz", dt_s=DT_S).count == said["spikes"] > 0
    assert all(line.startswith("ionspike: warning: ") for line in err.splitlines())


def test_run_speaks_to_people(files, cli):
    code, out, err = cli("run", "net.ion", "--input", "in.npy", *GOLDEN, "--seed", "0x10")
    assert code == 0
    assert "golden model, not hardware" in out and "seed" in out and "16" in out


def test_equal_seeds_give_equal_output(files, cli):
    says = [json.loads(cli("run", "net.ion", "--input", "in.npy", *GOLDEN, "--seed", s, "--json")[1])
            for s in (1, 1, 2)]
    assert says[0]["lfsr"] == says[1]["lfsr"] != says[2]["lfsr"]


def test_event_files_are_run(files, cli):
    np.save("e.npy", np.array([(0, 1), (3000, 2)], [("t", "<i8"), ("x", "<i4")]))
    code, out, _ = cli("run", "net.ion", "--input", "e.npy", *GOLDEN, "--json")
    assert code == 0 and json.loads(out)["ticks"] == 7


def test_info_of_networks_and_boards(files, cli):
    code, out, _ = cli("info", "net.ion", "--json")
    said = json.loads(out)
    assert code == 0 and said["report"]["neurons"][1] == 512 and said["metadata"]["accuracy"] == 0.5
    assert cli("info", "net.ion")[0] == 0
    code, out, _ = cli("info", *GOLDEN, "--json")
    said = json.loads(out)
    assert code == 0 and said["neurons"] == 512 and said["registers"]["control"] == 0
    assert "is_hardware" in cli("info", *GOLDEN)[1]


def test_info_says_how_a_network_answers(files, cli):
    whole = Network.dense(np.full((3, 4), 0.1), labels=("a", "b"), votes=[[1, 0], [0, -2], [3, 4], [0, 0]])
    whole.save("votes.ion")
    for name, expected in (("net.ion", None), ("votes.ion", (4, 2, 4))):
        network, said = Network.load(name), json.loads(cli("info", name, "--json")[1])
        found = said["outputs"], said["classes"], said["votes"]
        assert found == (expected or (len(network.outputs), len(network.classes), 0))


def test_list_and_version(cli):
    code, out, _ = cli("list", "--json")
    assert code == 0 and json.loads(out)["backends"] == ["serial", "virtual", "golden"]
    assert "--backend virtual" in cli("list")[1]
    code, out, _ = cli("--version")
    assert code == 0 and out.startswith("ionspike ")


def test_verify(files, cli):
    code, out, _ = cli("verify", *GOLDEN, "--ticks", "40", "--seed", "1", "--json")
    said = json.loads(out)
    assert code == 0 and said["equal"] and said["ticks"] == 40 and said["spikes"] > 0
    code, out, _ = cli("verify", "net.ion", "--input", "in.npy", *GOLDEN)
    assert code == 0 and "equal: every spike" in out


def test_verify_fails_with_one(files, cli, monkeypatch):
    from ionspike.sim.interpreter import Interpreter
    tick = Interpreter._tick

    def faulty(self, indices):
        if self.memory.core.tick == 20:
            self.memory.core.state = self.memory.core.state ^ np.uint16(0x400)
        tick(self, indices)

    monkeypatch.setattr(Interpreter, "_tick", faulty)
    code, out, err = cli("verify", *GOLDEN, "--ticks", "40", "--json")
    assert code == 1 and json.loads(out)["divergence"]["tick"] == 20
    assert err.startswith("ionspike: first divergence: case 0, tick 20, neuron 0: ")


def test_losses_have_a_code_of_their_own(files, cli, monkeypatch):
    from ionspike.host import board
    advance = board.codec.encode_events

    def late(raster, start=0):
        records = list(advance(raster, start))
        yield from [*records, records[0]]

    monkeypatch.setattr(board.codec, "encode_events", late)
    code, out, err = cli("run", "net.ion", "--input", "in.npy", *GOLDEN, "--json")
    assert code == 4 and err.splitlines()[-1].startswith("ionspike: data were lost or late: late ")
    assert json.loads(out)["losses"]["late"] > 0


def test_doctor(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("IONSPIKE_CACHE", str(tmp_path))
    code, out, _ = cli("doctor", "--quick", "--json")
    said = json.loads(out)
    names = {check["name"] for check in said["checks"]}
    assert {"Python", "amaranth", "pyosys", "C++ compiler", "cache"} <= names
    assert (code == 0) == said["ok"]
    assert all(check["remedy"] for check in said["checks"] if check["status"] == "bad")
    monkeypatch.setenv("CXX", "no-such-compiler")
    code, out, _ = cli("doctor")
    assert code == 3 and "build-essential" in out and "to mend: C++ compiler" in out


def write_bad(name):
    """A file of the badness that its name says."""
    kind, _, suffix = name.partition(".")
    whole = Path("net.ion" if suffix == "ion" else "in.npy").read_bytes()
    match kind:
        case "cut":
            Path(name).write_bytes(whole[:len(whole) // 2])
        case "noise":
            Path(name).write_bytes(bytes(range(256)) * 9)
        case "wide":
            np.save(name, np.ones((5, 13), bool))
        case "grey":
            np.save(name, np.full((5, 12), 0.5))
        case "nan":
            np.savez(name, index=[1], t_s=[np.nan])
        case "beyond":
            np.savez(name, index=[12], tick=[0])
        case "large":
            network(inputs=300).save(name)
        case "folder":
            Path(name).mkdir()


@pytest.mark.parametrize(("net", "given", "message"), [
    ("none.ion", "in.npy", "none.ion: no such file"),
    ("cut.ion", "in.npy", "cut.ion: not a .ion file, or truncated"),
    ("noise.ion", "in.npy", "noise.ion: not a .ion file, or truncated"),
    ("large.ion", "in.npy", "spikes on 12 channels, the network has 300 inputs"),
    ("net.ion", "none.npy", "none.npy: no such file"),
    ("net.ion", "cut.npy", "cut.npy: not a readable .npy file, or truncated"),
    ("net.ion", "folder.npy", "folder.npy: cannot be read (Is a directory)"),
    ("net.ion", "wide.npy", "spikes on 13 channels, the network has 12 inputs"),
    ("net.ion", "grey.npy", "raster must hold 0 and 1 only; tick 0, channel 0 is 0.5"),
    ("net.ion", "nan.npz", "event time t_s must be finite and not negative; entry 0 is nan"),
    ("net.ion", "beyond.npz", "event index 12 is out of range: there are 12 channels, 0 to 11"),
    ("net.ion", "in.csv", "in.csv: spikes are read from .npy, .npz and .h5 files"),
])
def test_bad_input_is_one_line_and_two(files, cli, net, given, message):
    for name in (net, given):
        write_bad(name)
    if net == "large.ion":
        assert cli("info", net) == (2, "", "ionspike: the network has 300 inputs, this board has "
                                           "256\n")
        return
    code, out, err = cli("run", net, "--input", given, *GOLDEN)
    lines = [line for line in err.splitlines() if "warning" not in line]
    assert code == 2 and out == "" and len(lines) == 1
    assert lines[0].startswith("ionspike: ") and message in lines[0]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    ((), 2, "required: VERB"),
    (("fly",), 2, "invalid choice: 'fly'"),
    (("run", "net.ion"), 2, "required: --input"),
    (("run", "net.ion", "--input", "in.npy", "--seed", "x"), 2, "'x' is not an integer"),
    (("run", "net.ion", "--input", "in.npy", "--timeout", "nan"), 2, "'nan' is not a positive"),
    (("run", "net.ion", "--input", "in.npy", "--backend", "gold"), 2, "invalid choice: 'gold'"),
    (("run", "net.ion", "--input", "in.npy", *GOLDEN, "--probe", "1,x"), 2, "--probe takes numbers"),
    (("run", "net.ion", "--input", "in.npy", *GOLDEN, "--probe", "20"), 2,
     "probe 20 is out of range: the network has 20 neurons, 0 to 19"),
    (("run", "net.ion", "--input", "in.npy", *GOLDEN, "--output", "o.txt"), 2,
     "o.txt: results are written as .npz"),
    (("run", "net.ion", "--input", "in.npy", *GOLDEN, "--output", "none/o.npz"), 2,
     "there is no folder none"),
    (("run", "net.ion", "--input", "in.npy", "--port", "/dev/none"), 3,
     "/dev/none: no such port; `ionspike list` shows what there is"),
    (("run", "net.ion", "--input", "in.npy", "--port", "x", *GOLDEN), 2,
     "a golden board has no port"),
    (("info", "--backend", "serial"), 3, "no board found"),
    (("verify", "net.ion", *GOLDEN), 2, "a network and --input go together"),
    (("verify", "--ticks", "0", *GOLDEN), 2, "'0' is not a positive integer"),
    (("demo", "--output", "a.jpg", *GOLDEN), 2, "a.jpg: the picture is a .png"),
])
def test_bad_arguments_are_one_line(files, cli, monkeypatch, arguments, code, message):
    monkeypatch.setattr("ionspike.host.backends.candidates", list)
    got, out, err = cli(*arguments)
    lines = [line for line in err.splitlines() if "warning" not in line]
    assert (got, out, len(lines)) == (code, "", 1)
    assert lines[0].startswith("ionspike: ") and message in lines[0]


@pytest.fixture
def terminal():
    """A pseudo-terminal: the board's end, and the name of the port."""
    import tty
    board, port = os.openpty()
    tty.setraw(port)
    os.set_blocking(board, False)
    yield board, os.ttyname(port)
    for end in (board, port):
        try:
            os.close(end)
        except OSError:
            pass


def test_a_silent_port_is_one_line_and_three(files, cli, terminal):
    _, port = terminal
    begun = time.monotonic()
    code, out, err = cli("run", "net.ion", "--input", "in.npy", "--port", port, "--timeout", "0.3")
    assert code == 3 and out == "" and err.count("\n") == 1
    assert f"ionspike: {port}: no answer within 0.15 s" in err and "(nor at 115,200 baud)" in err
    assert time.monotonic() - begun < 5


def test_a_port_that_speaks_something_else_is_named(files, cli, terminal):
    board, port = terminal
    os.write(board, b"GPS $GPGGA,123519,4807.038,N\r\n")
    os.set_blocking(board, True)
    code, _, err = cli("info", "--port", port, "--timeout", "0.3")
    assert code == 3 and err.count("\n") == 1


def test_ctrl_c_is_130_and_leaves_no_traceback(files):
    np.save("long.npy", np.ones((500_000, 12), bool))
    process = subprocess.Popen(
        [sys.executable, "-c", "from ionspike.host.cli import main; raise SystemExit(main())",
         "run", "net.ion", "--input", "long.npy", *GOLDEN],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(8)     # it has begun, on a busy machine too
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err and out == ""
    assert err.splitlines()[-1] == "ionspike: interrupted"


def test_a_reader_that_leaves_is_no_error(files):
    done = subprocess.run(
        f"{sys.executable} -c 'from ionspike.host.cli import main; raise SystemExit(main())' "
        f"info --backend golden | head -1", shell=True, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.count("\n") == 1
