"""Parameters of the compact float model: the sets that come with it, and what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ionspike.sim.compact_device import CompactDevice, presets
from ionspike.spec.device import DeviceError

PULSE = CompactDevice.load("pulse")


def test_presets_and_the_ends_of_their_resistance():
    assert presets() == ["dc_asymmetric", "dc_symmetric", "lif", "oscillator", "pulse"]
    for name in presets():
        device = CompactDevice.load(name)
        ends = device.resistance_ohm(np.array([0, 0.4, 0.4]), np.array([0, 0.6, 0.6]),
                                     np.array([1, 1, 2]))
        assert ends == pytest.approx([device.r_off_ohm, device.r_on_ohm, device.r_on_ohm / 4])


@pytest.mark.parametrize("change, message", [
    ({"gamma1_per_s": -1.0}, "gamma1_per_s must be 1e-06 to 1e+12, not -1.0"),
    ({"alpha": math.nan}, "alpha must be 1e-06 to 1, not nan"),
    ({"sigma1": True}, "sigma1 must be 0 to 1000, not True"),
    ({"mu_per_V_s": "100"}, "mu_per_V_s must be 0.001 to 1e+12, not '100'"),
    ({"symmetric": 1}, "symmetric must be true or false, not 1"),
    ({"r_off_ohm": 4e4}, "r_on_ohm must be below r_off_ohm = 40000, not 40000.0"),
])
def test_devices_that_cannot_be(change, message):
    with pytest.raises(DeviceError) as error:
        replace(PULSE, **change)
    assert str(error.value) == "device 'pulse': " + message


def test_files_that_are_no_device(tmp_path):
    content = {"name": "mine", "title": "", "source": "", "parameters": {
        name: getattr(PULSE, name) for name in CompactDevice.__annotations__ if name not in
        ("name", "title", "source", "setup")}, "setup": {"comment": "", "dt_s": 1e-5}}
    path = tmp_path / "mine.json"

    def load(text):
        path.write_text(text)
        return CompactDevice.load(path)

    assert load(json.dumps(content)) == replace(PULSE, name="mine", title="", source="")
    refused = {"{": "not a compact device", "[]": "not a compact device",
               json.dumps(content | {"setup": {"ohm": 1}}): "unknown parameter 'ohm'",
               json.dumps(content | {"parameters": {}}): "parameter 'alpha' is missing",
               json.dumps(content | {"parameters": {"gamma": 1}}): "unknown parameter 'gamma'"}
    for text, message in refused.items():
        with pytest.raises(DeviceError, match=message) as error:
            load(text)
        assert "\n" not in str(error.value)
    for name in ("pulses", tmp_path / "none.json"):
        with pytest.raises(DeviceError, match="no compact device|not a compact device"):
            CompactDevice.load(name)
