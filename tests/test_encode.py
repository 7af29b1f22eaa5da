"""The verb, from a recording to spikes that a network runs on."""

import json

import numpy as np
from test_audio import TONE, write

from ionspike.host.cli import main
from ionspike.host.network import Network
from ionspike.host.spikes import Spikes


def test_a_recording_becomes_spikes_that_a_network_runs_on(tmp_path, capsys):
    sound = write(tmp_path / "a.wav", np.resize(TONE, 9600))
    output, picture = tmp_path / "a.npz", tmp_path / "a.png"
    assert main(["encode", str(sound), "--output", str(output), "--channels", "16", "--tick",
                 "5e-4", "--picture", str(picture), "--seed", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    spikes = Spikes.load(output, dt_s=5e-4, width=16)
    assert (said["ticks"], said["channels"], said["seed"]) == (400, 16, 3)
    assert said["spikes"] == spikes.count > 10
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert said["window"] is True
    assert main(["encode", str(sound), "--output", str(output), "--channels", "16", "--tick",
                 "5e-4", "--seed", "3", "--no-window", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["window"] is False
    # A window is quiet at first and at last.
    ends = np.r_[0:60, 340:400]
    faded, whole = (int(each.raster[ends].sum()) for each in (spikes, Spikes.load(output, dt_s=5e-4, width=16)))
    assert faded < 0.5 * whole
    Network.dense(np.full((16, 4), 0.4)).save(tmp_path / "net.ion")
    assert main(["run", str(tmp_path / "net.ion"), "--input", str(output), "--backend", "golden",
                 "--seed", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ticks"] == 400


def test_what_cannot_be_used_ends_in_one_line(tmp_path, capsys):
    sound = str(write(tmp_path / "a.wav", TONE))
    silent = str(write(tmp_path / "s.wav", 0 * TONE))
    for arguments, message in (
            ([sound, "--output", "x.txt"], "x.txt: the spikes are a .npz"),
            ([sound, "--output", str(tmp_path / "no" / "x.npz")], "in a folder that exists"),
            ([sound, "--output", str(tmp_path / "x.npz"), "--picture", "x.gif"], "a .png in"),
            ([sound, "--output", str(tmp_path / "x.npz"), "--channels", "701"],
             "channels must be 1 to 700, not 701"),
            ([sound, "--output", str(tmp_path / "x.npz"), "--seed", "-1"], "seed must be"),
            ([silent, "--output", str(tmp_path / "x.npz")], "s.wav: sound is silent")):
        assert main(["encode", *arguments]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()
