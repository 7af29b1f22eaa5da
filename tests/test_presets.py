import pytest

from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device, DeviceError, presets

#: Seconds per tick that suit a preset.
TICK_S = {"zhao2025_ms": 5e-4, "zhao2025_table1": 5e-4, "zhao2025_65nm": 5e-4,
          "zhao2025_3nm": 5e-9}


def test_every_preset_has_coefficients_at_its_tick():
    assert set(TICK_S) <= set(presets())
    for name, dt_s in TICK_S.items():
        device = Device.load(name)
        assert device.name == name and device.source
        assert all(value > 0 for value in (coefficients(device, dt_s).mu, device.threshold_V()))


def test_the_projection_is_the_chip_a_hundred_thousand_times_as_fast():
    slow, fast = Device.load("zhao2025_65nm"), Device.load("zhao2025_3nm")
    for rate in ("mu_per_V_s", "beta_per_s", "gamma1_per_s", "gamma2_per_s"):
        assert getattr(fast, rate) == pytest.approx(1e5 * getattr(slow, rate))
    one, other = (coefficients(d, dt) for d, dt in ((slow, 5e-4), (fast, 5e-9)))
    assert (one.kf, one.kr, one.kb, one.mu, one.feedback) == (
        other.kf, other.kr, other.kb, other.mu, other.feedback)
    # Attojoules for the gate, where the chip's takes picojoules.
    assert fast.c_gate_F * 0.8**2 == pytest.approx(2.65e-18, rel=0.01)
    assert slow.c_gate_F * 0.8**2 == pytest.approx(6.4e-12)


@pytest.mark.parametrize("name, changes, dt_s, text", [
    ("zhao2025_ms", {}, 1e-9, r"at dt_s = 1e-09: 1 - a_f = .* vanishes; its format holds"),
    ("zhao2025_ms", {}, 0.1, r"gamma1 \+ beta = .* leaves nothing of a filament from tick to tick; "
                             r"ticks up to 0\.0111 s do"),
    ("zhao2025_3nm", {}, 5e-4, r"gamma1 \+ beta = 6\.2e\+07 /s leaves nothing of a filament"),
    ("zhao2025_ms", {"r_control_ohm": 1e15}, 5e-4, r"1 - a_g = .* vanishes; Rc Cg is 1e\+04 s, this "
                                                  r"tick serves up to 2\.048 s"),
    ("zhao2025_ms", {"growth_gain": 100.0}, 5e-4, r"G = .* saturates; its format holds"),
])
def test_ticks_that_do_not_suit_a_device_are_refused_with_value_and_range(name, changes, dt_s, text):
    with pytest.raises(DeviceError, match=text):
        coefficients(Device.load(name).with_(**changes), dt_s)


@pytest.mark.parametrize("changes, text", [
    ({"gamma1_per_s": -600.0}, "gamma1_per_s must be 1e-06 to 1e\\+12, not -600.0"),
    ({"c_gate_F": 10.0}, "c_gate_F must be 1e-21 to 0.001, not 10.0"),
    ({"r_off_ohm": 1e5}, "r_off_ohm must be above r_on_ohm = 1e\\+06, not 100000.0"),
    ({"figures": {"3b": {"mu": 3.0}}}, "figure '3b'"),
])
def test_unphysical_parameters_are_refused_by_name(changes, text):
    with pytest.raises(DeviceError, match=text):
        Device.load("zhao2025_ms").with_(**changes)
