"""``ionspike device``: what it says of presets and of files, and what it refuses."""

import json

import pytest

from ionspike.host.cli import main
from ionspike.spec.device import Device, presets

HEADER = "quantity,value,v_V,width_s,gap_s,ramp_V_per_s,peak_V,fraction,trial\n"
#: What a fit needs at least.
TWO = "latency_s,0.02,0.7,1,,,,,1\nlatency_s,0.004,1.0,1,,,,,1\n"


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main([str(a) for a in ("device", *arguments)])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()
    return run


def test_list_has_every_preset(cli):
    code, out, err = cli("list", "--json")
    assert (code, err) == (0, "")
    assert [row["name"] for row in json.loads(out)["presets"]] == presets()
    assert all(name in cli("list")[1] for name in presets())


def test_show_says_whose_each_number_is(cli):
    code, out, _ = cli("show", "zhao2025_ms", "--json")
    said = json.loads(out)
    assert code == 0 and said["parameters"]["mu_per_V_s"] == {"value": 150.0, "whose": "source"}
    assert said["parameters"]["growth_gain"]["whose"] == "ours"
    device = Device.load("zhao2025_ms")
    assert said["derived"]["threshold_V"] == pytest.approx(device.threshold_V())
    # A latency is longer the closer the voltage is to the threshold, and there is none below.
    found = said["derived"]["latency_s"]
    assert found["0.5"] is None or found["0.5"] > found["1"] > found["1.5"] > found["2"]
    code, out, _ = cli("show", "zhao2025_ms", "--dt", "0.001")
    assert code == 0 and "coefficients at 1 ms a tick" in out


def test_show_wonders_about_units(cli):
    content = json.loads(Device.text("zhao2025_ms"))
    content["parameters"]["mu_per_V_s"] = 1e-3 * content["parameters"]["mu_per_V_s"]
    with open("slow.json", "w", encoding="utf-8") as file:
        json.dump(content, file)
    code, _, err = cli("show", "slow.json")
    assert code == 0 and "it never fires. Is mu_per_V_s in the same unit of time as gamma1" in err


@pytest.mark.parametrize(("arguments", "message"), [
    (("show", "zhao2025ms"), "no device preset named 'zhao2025ms'; there are wang_spice, "),
    (("show", "none.json"), "device file none.json cannot be read"),
    (("show", "zhao2025_ms", "--dt", "1"), "leaves nothing of a filament from tick to tick; ticks "
                                           "up to"),
    (("show", "zhao2025_ms", "--dt", "fast"), "'fast' is not a positive number of seconds"),
    (("fit", "none.csv"), "none.csv: no such file"),
    (("fit", "good.csv", "--output", "no/where.json"), "must be a .json in a folder that exists"),
    (("fit", "good.csv", "--plot", "plot.pdf"), "must be a .png in a folder that exists"),
    (("fit", "good.csv", "--bootstrap", "3"), "--bootstrap must be 20 or more, not 3"),
])
def test_bad_arguments_are_one_line_and_two(cli, arguments, message):
    with open("good.csv", "w", encoding="utf-8") as file:
        file.write(HEADER + TWO)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "") and err.count("\n") == 1 and message in err, err


@pytest.mark.parametrize(("text", "message"), [
    ("", "line 1: column 'quantity' is missing"),
    (HEADER, "there are no values"),
    ("quantity;value;v_V\n", "line 1: cells are separated by ';'; commas are needed"),
    ("quantity,v_V\n", "line 1: column 'value' is missing"),
    ("quantity,value,value\n", "line 1: a column is there twice"),
    ("quantity,value,width_ms\n", "line 1: unknown column 'width_ms'; known are quantity, value, "),
    (HEADER + "speed,1,,,,,,,\n", "line 2: unknown quantity 'speed'; known are latency_s, "),
    (HEADER + "latency_s,0.02,0.7,1\n", "line 2: 4 cells, the header has 9"),
    (HEADER + "latency_s,0.02,0.7,,,,,,\n", "line 2: latency_s needs width_s, which is empty"),
    (HEADER + "latency_s,soon,0.7,1,,,,,\n", "line 2: latency_s = 'soon' is not a number"),
    (HEADER + "latency_s,0.02,700,1,,,,,\n", "v_V = 700 is outside 0.0001 to 50 V; is it in mV?"),
    (HEADER + "latency_s,20,0.7,1,,,,,\n", "latency_s = 20 is beyond width_s = 1; is it in ms?"),
    (HEADER + "latency_s,-1,0.7,1,,,,,\n", "latency_s = -1 is outside 1e-12 to 100000 s"),
    (HEADER + "latency_s,nan,0.7,1,,,,,\n", "latency_s = nan is outside"),
    (HEADER + "fires,2,0.7,1,,,,,\n", "fires must be 0 or 1, not '2'"),
    (HEADER + "on_ohm,,,,,,,,\n", "on_ohm needs a value, which is empty"),
    (HEADER + 'latency_s,"0.02,0.7\n', "line 2: "),
    (HEADER + TWO.splitlines()[0] + "\n", "a fit needs latency_s at two voltages at least; there "
                                          "are 1"),
    (HEADER + TWO.replace("0.004", "0.9"), "more voltage is quicker: wrong unit?"),
    (HEADER + TWO + "on_ohm,1e6,,,,,,,\noff_ohm,1e3,,,,,,,\n", "off_ohm = 1000 must be above "
                                                               "on_ohm = 1e+06"),
    (b"\xff\xfe\x00", "not a readable text file"),
])
def test_bad_measurements_are_one_line_and_two(cli, text, message):
    with open("values.csv", "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    code, out, err = cli("fit", "values.csv")
    assert (code, out) == (2, "") and err.count("\n") == 1, err
    assert err.startswith("ionspike: values.csv: ") and message in err, err
