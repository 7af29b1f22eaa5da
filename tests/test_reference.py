"""The float reference against closed forms, and against figures computed elsewhere."""

import numpy as np
import pytest

from ionspike.sim.reference import largest_step_s, simulate
from ionspike.spec.device import Device, DeviceError

DT_S = 2e-4


def table_1(**changes):
    """The paper's Table 1, as transcribed, without noise and without a limit to the residue."""
    return Device(**{
        "name": "table 1", "mu_per_V_s": 150.0, "alpha": 0.01, "beta_per_s": 20.0,
        "gamma1_per_s": 600.0, "gamma2_per_s": 5.0, "r_control_ohm": 250e6, "c_gate_F": 10e-12,
        **changes})


def latency_s(device, volts, ticks=1000, **options):
    drive = np.full((ticks, 1), volts)
    spikes = simulate(device, drive, DT_S, **options).spikes[:, :, 0]
    return np.where(spikes.any(axis=1), (spikes.argmax(axis=1) + 0.5) * DT_S, np.nan)


@pytest.mark.parametrize("volts, expected_s", [(0.6, 77.6e-3), (0.8, 34.9e-3), (1.0, 15.4e-3)])
def test_latencies_are_those_of_an_independent_simulation(volts, expected_s):
    # Of Table 1 without noise; computed by others with other code.
    assert latency_s(table_1(), volts)[0] == pytest.approx(expected_s, rel=0.015)


@pytest.mark.parametrize("mu_per_V_s, expected_s, spread_s", [(150, 173e-3, 20e-3),
                                                              (200, 91e-3, 12e-3)])
def test_first_spikes_with_noise_are_those_of_an_independent_simulation(
        mu_per_V_s, expected_s, spread_s):
    device = table_1(mu_per_V_s=float(mu_per_V_s), sigma1=0.03)
    drive = np.tile(np.repeat([0.8, 0.0], 5), 150)[:, None]
    spikes = simulate(device, drive, DT_S, trials=60, seed=1).spikes[:, :, 0]
    first_s = spikes.argmax(axis=1) * DT_S
    assert spikes.any(axis=1).all()
    # Theirs are the mean and deviation of 20 trials, so that their mean has an error too.
    assert first_s.mean() == pytest.approx(expected_s, abs=4 * spread_s / 20**0.5)
    assert 0.4 * spread_s < first_s.std() < 1.6 * spread_s


def test_threshold_is_that_of_the_quasi_static_filament():
    device = table_1(residue_gain=0.0)
    limit_V = device.threshold_V()
    assert np.isnan(latency_s(device, 0.99 * limit_V)).all()
    assert latency_s(device, 1.01 * limit_V)[0] < 0.1
    residue = table_1(residue_gain=0.0, gamma2_per_s=1e-6)
    limit_V = residue.threshold_V(0.3)
    assert np.isnan(latency_s(residue, 0.99 * limit_V, residue=0.3)).all()
    assert latency_s(residue, 1.01 * limit_V, residue=0.3)[0] < 0.15


def test_filament_residue_and_gate_decay_with_their_time_constants():
    device = table_1(residue_gain=0.0)
    drive = np.zeros((400, 1))
    drive[:25] = 1.5
    run = simulate(device, drive, DT_S, residue=0.2)
    assert run.gate_V[:25, 0].max() > 1.3      # bridged
    # The last tick of the drive ends with a bridged gap, through which the gate loses some charge.
    for values, rate, start in ((run.filament, device.rate_per_s, 25), (run.residue, 5.0, 0),
                                (run.gate_V, 1 / 2.5e-3, 40)):
        expected = np.exp(-rate * DT_S)
        assert values[start + 10, 0] / values[start, 0] == pytest.approx(expected**10, rel=5e-3)


def test_a_halved_step_changes_latencies_by_half_as_much():
    device = table_1()
    steps = [largest_step_s(device) / k for k in (1, 2, 4, 8)]
    # The residue's path has no ticks, so that it tells more than a spike's tick.
    drive = np.full((170, 1), 0.8)
    residue = [simulate(device, drive, DT_S, step_s=step).residue[-1, 0] for step in steps]
    changes = np.abs(np.diff(residue))
    assert changes[0] < 2e-3 * residue[-1]
    assert (changes[1:] < 0.7 * changes[:-1]).all()
    assert abs(latency_s(device, 0.8, step_s=steps[0]) - latency_s(device, 0.8, step_s=steps[3])
               ) <= 1.5 * DT_S


def test_residue_at_rest_has_the_noise_it_is_said_to_have():
    device = table_1(residue_noise=0.05, gamma2_per_s=50.0)
    run = simulate(device, np.zeros((1000, 40)), DT_S, trials=50, seed=3)
    # Reflected at zero: the mean of half a normal distribution.
    assert run.residue[500:].mean() == pytest.approx(0.05 * (2 / np.pi) ** 0.5, rel=0.06)
    assert not run.spikes.any()


def test_energy_of_charging_and_discharging_the_gate():
    # Without a way past it, a capacitor takes half of what its source gives.
    device = table_1(residue_gain=0.0, r_control_ohm=1e12)
    drive = np.zeros((60, 1))
    drive[:50] = 1.5
    run = simulate(device, drive, DT_S)
    assert run.spikes.sum() == 1
    charge_J = 0.5 * device.c_gate_F * 1.5**2
    before = simulate(device, drive[:50], DT_S)
    assert before.memristor_J[0] == pytest.approx(charge_J, rel=0.05)
    # Then all of it is lost, in the resistor and, as long as it is bridged, in the memristor.
    lost = table_1(residue_gain=0.0)
    drive = np.zeros((400, 1))
    drive[:50] = 1.5
    before, after = (simulate(lost, drive[:n], DT_S) for n in (50, 400))
    gone = after.memristor_J + after.resistor_J - before.memristor_J - before.resistor_J
    assert gone[0] == pytest.approx(0.5 * lost.c_gate_F * before.gate_V[-1, 0] ** 2, rel=0.02)


def test_a_longer_gap_and_less_growth_need_more_voltage():
    longer = table_1(gap=0.1)
    assert latency_s(longer, 1.1)[0] > 1.2 * latency_s(table_1(), 1.1)[0]
    drive = np.full((500, 3), 1.1)
    spikes = simulate(table_1(), drive, DT_S, growth=[0.8, 1.0, 1.2]).spikes[0]
    assert np.all(np.diff(spikes.argmax(axis=0)) < 0)


def test_a_spike_drives_the_next_lane_for_as_long_as_told():
    synapses = np.array([[0.0, 1.5], [0.0, 0.0]])
    drive = np.zeros((120, 2))
    drive[:, 0] = 1.5
    run = simulate(table_1(), drive, DT_S, synapses_V=synapses, delay_ticks=40)
    first = run.spikes[0].argmax(axis=0)
    assert run.spikes[0, :, 1].any() and first[1] > first[0] + 5
    short = simulate(table_1(), drive, DT_S, synapses_V=synapses, delay_ticks=2)
    assert not short.spikes[0, :first[1] + 1, 1].any()


def test_seeds_decide_everything():
    device = table_1(sigma1=0.03)
    drive = np.full((100, 2), 1.0)
    one, again, other = (simulate(device, drive, DT_S, trials=10, seed=s) for s in (1, 1, 2))
    assert (one.spikes == again.spikes).all() and (one.filament == again.filament).all()
    assert (one.filament != other.filament).any()


@pytest.mark.parametrize("options, text", [
    ({"step_s": 1e-3}, r"step_s must be above 0 and up to 2\.02e-05 s for device 'table 1' "
                       r"\(gamma1 \+ beta = 620 /s\), not 0\.001"),
    ({"step_s": 0.0}, "step_s must be above 0"),
    ({"growth": [1.0, 2.0]}, "growth must be 1 positive numbers, one a lane"),
    ({"r_control_ohm": [-1.0]}, "r_control_ohm must be 1 positive numbers, one a lane"),
])
def test_bad_input_is_refused_by_name(options, text):
    with pytest.raises(DeviceError, match=text):
        simulate(table_1(), np.zeros((3, 1)), DT_S, **options)
