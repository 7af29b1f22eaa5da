"""The compact float model against what its equations say in closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ionspike.sim.compact import CompactDevice, CompactRun, latency_s, relaxation_s, run
from ionspike.spec.device import DeviceError

SEED = 20251027
PULSE = CompactDevice.load("pulse")
QUIET = replace(PULSE, sigma1=0.0, sigma2=0.0, sigma3=0.0)


def test_filament_decays_freely_and_leaves_residue():
    dt, off = 1e-6, 300
    r = run(QUIET, np.r_[np.ones(off), np.zeros(3000)], dt, 1, SEED, initial_residue=0.1)
    t, rate, beta, gamma2 = np.arange(3000) * dt, 880.0, 80.0, 10.0
    f, residue = (x[off:, 0] for x in (r.filament, r.residue))
    assert f[0] > 0.02 and f[0] + residue[0] < 0.9
    assert f == pytest.approx(f[0] * np.exp(-rate * t), rel=2e-3)
    left = beta * f[0] / (rate - gamma2) * (np.exp(-gamma2 * t) - np.exp(-rate * t))
    assert residue == pytest.approx(residue[0] * np.exp(-gamma2 * t) + left, rel=1e-4)


@pytest.mark.parametrize("residue", [0.0, 0.2, 0.5])
def test_threshold_voltage_falls_with_the_square_of_the_residue(residue):
    device = replace(QUIET, beta_per_s=0.0, gamma2_per_s=0.0)
    gap = 1 + device.alpha - residue
    threshold = device.gamma1_per_s * gap ** 2 / (4 * device.mu_per_V_s)
    below, above = (run(device, np.full(2500, part * threshold), 2e-5, 1, SEED,
                        initial_residue=residue) for part in (0.98, 1.02))
    u = 0.98 * gap ** 2 / 4
    assert below.filament[-1, 0] == pytest.approx((gap - math.sqrt(gap ** 2 - 4 * u)) / 2, rel=1e-2)
    assert above.resistance_ohm[-1, 0] < device.r_on_ohm


def test_area_settles_and_shrinks_as_its_equation_says():
    device = replace(QUIET, r_on_ohm=1e6)
    high, low, dt = 8000, 4000, 1e-4
    r = run(device, np.r_[np.full(high, 2.0), np.zeros(low)], dt, 1, SEED)
    swell = 0.5 * math.log(device.theta_per_V_s * 2.0 / device.gamma3_per_s)
    assert r.area[high, 0] == pytest.approx(1 + swell, rel=1e-4)
    thin = int(np.argmax(r.area[high:, 0] == 1))
    assert thin * dt == pytest.approx((1 - math.exp(-swell)) / device.gamma3_per_s, rel=1e-3)
    # Nothing dissolves before the channel is thin again, and everything afterwards.
    assert len(set(r.filament[high:high + thin + 1, 0])) == 1
    assert r.filament[-1, 0] < 1e-6 < r.residue[-1, 0]


def test_polarity():
    wave = np.sin(np.arange(1500) / 100)
    up, down = (run(QUIET, sign * wave, 1e-5, 1, SEED, 22e3, 0.4) for sign in (1, -1))
    assert up.current_A.tolist() == (-down.current_A).tolist() and up.area.max() > 1
    one_way = replace(QUIET, symmetric=False)
    assert not run(one_way, -np.ones(1500), 1e-5, 1, SEED, 22e3, 0.4).filament.any()
    assert run(one_way, np.ones(1500), 1e-5, 1, SEED, 22e3, 0.4).area.max() > 1


def test_series_resistor_and_compliance():
    r = run(PULSE, np.ones(1000), 1e-5, 5, SEED, 22e3, 0.5)
    assert r.device_V == pytest.approx(r.resistance_ohm / (r.resistance_ohm + 22e3))
    assert r.current_A == pytest.approx(r.device_V / r.resistance_ohm)
    assert r.device_V.min() < 0.7 and r.device_V.max() > 0.99
    limited = run(PULSE, np.ones(1000), 1e-5, 5, SEED, initial_residue=0.5, compliance_A=1e-6)
    assert limited.current_A.max() == pytest.approx(1e-6) and limited.area.max() == 1


def test_capacitor_charges_and_lif_integrates_pulses():
    lif = CompactDevice.load("lif")
    off = replace(lif, mu_per_V_s=1e-3)
    r = run(off, np.ones(1000), 1e-6, 1, SEED, series_ohm=47e3, capacitance_F=4.7e-9)
    t = np.arange(1000) * 1e-6
    assert r.device_V[:, 0] == pytest.approx(1 - np.exp(-t / (47e3 * 4.7e-9)), abs=1e-4)

    pulse = np.r_[np.zeros(35), np.full(5, 2.5)]
    pulses = latency_s(run(lif, np.tile(pulse, 25), trials=10, seed=SEED, **lif.setup), 1e-5) / 40e-6
    assert (pulses > 5).all() and (pulses < 20).all() and np.ptp(pulses) > 0


def test_oscillator_oscillates():
    device = CompactDevice.load("oscillator")
    v = run(device, np.ones(20_000), trials=2, seed=SEED, **device.setup).device_V[2000:]
    rises = ((v[:-1] < 0.3) & (v[1:] >= 0.3)).sum(axis=0)
    assert (rises >= 3).all() and v.min() < 0.1


@pytest.mark.parametrize("dt", [1e-5, 1e-4])
def test_noisy_losses_are_cut_at_zero(dt):
    device = replace(QUIET, sigma2=5.0)
    start = run(device, [0.0, 0.0], dt, 40_000, SEED, initial_residue=0.5)
    loss = -np.diff(start.residue, axis=0)[0] / (0.5 * dt)
    mean, std = 10.0, 10.0 * 5 * 0.5
    density = math.exp(-(mean / std) ** 2 / 2) / math.sqrt(2 * math.pi)
    above = 0.5 * (1 + math.erf(mean / std / math.sqrt(2)))
    assert loss.min() == 0
    assert (loss > 0).mean() == pytest.approx(above, abs=0.01)
    assert loss.mean() == pytest.approx(mean * above + std * density, rel=0.02)


@pytest.mark.parametrize("name, peak_V, measured, spread", [
    ("dc_symmetric", 0.5, 0.275, 0.025), ("dc_asymmetric", 0.2, 0.146, 0.005)])
def test_dc_thresholds_are_near_the_measured_ones(name, peak_V, measured, spread):
    """The authors' own data; their model is near them, not on them."""
    device = CompactDevice.load(name)
    ramp = np.repeat(np.linspace(1e-8, peak_V, 201), 10)
    late = latency_s(run(device, ramp, trials=50, seed=SEED, **device.setup), 1e-8)
    thresholds = np.interp(late / device.setup["dt_s"], np.arange(len(ramp)), ramp)
    assert abs(thresholds.mean() - measured) < 2 * spread
    assert 0.5 * spread < thresholds.std() < 2 * spread


def test_residue_makes_most_of_the_spread_of_latencies():
    cv = []
    for residue in (0.4, (0.3, 0.5)):
        late = latency_s(run(PULSE, np.ones(2000), 1e-5, 200, SEED, 22e3, residue), 1e-6)
        assert not np.isnan(late).any()
        cv.append(late.std() / late.mean())
    assert 0.1 < cv[0] < 0.2 and 0.5 < cv[1] < 0.8


def test_halving_the_step_halves_the_error():
    def after_2_ms(dt):
        r = run(QUIET, np.ones(round(2e-3 / dt) + 1), dt, 1, SEED, 22e3, 0.4)
        return r.filament[-1, 0], r.residue[-1, 0]

    exact = 2 * np.array(after_2_ms(1.25e-6)) - after_2_ms(2.5e-6)
    errors = [np.abs(after_2_ms(dt) - exact) for dt in (4e-5, 2e-5, 1e-5)]
    assert (errors[-1] < 0.01 * exact).all()
    for long, short in zip(errors, errors[1:], strict=False):
        assert long / short == pytest.approx([2, 2], rel=0.1)


def test_equal_seeds_equal_runs():
    a, b, c = (run(PULSE, np.ones(300), 1e-5, 3, seed, 22e3, (0.3, 0.5)) for seed in (1, 1, 2))
    assert a.current_A.tolist() == b.current_A.tolist()
    assert (a.current_A[0] != c.current_A[0]).all() and len(set(a.residue[0])) == 3


def test_latency_and_relaxation_of_a_record():
    current = np.array([[0, 0, 5], [2, 0, 5], [-6, 0, 5], [6, 0, 5], [1, 0, 5]]) / 1e6
    record = CompactRun(0.5, *[np.zeros((5, 3))] * 5, current)
    assert str(latency_s(record, 5e-6).tolist()) == "[1.0, nan, 0.0]"
    assert str(relaxation_s(record, 1.0, 5e-6).tolist()) == "[1.0, nan, nan]"
    assert str(latency_s(record, [1e-6, 1e-6, 9e-6]).tolist()) == "[0.5, nan, nan]"


@pytest.mark.parametrize("change, message", [
    ({"dt_s": 1e-3}, "dt_s must be up to 0.000284091 for gamma1_per_s + beta_per_s of 880 per s, "
                     "not 0.001"),
    ({"source_V": [500.0], "dt_s": 1e-4}, "dt_s must be up to 5e-05 for theta_per_V_s times the "
                                          "largest source_V of 5000 per s, not 0.0001"),
    ({"dt_s": 0}, "dt_s must be 1e-15 to 10, not 0"),
    ({"source_V": [1.0, math.inf]}, "source_V must be a list of volts of -1000 to 1000, not inf"),
    ({"source_V": [[1.0]]}, "source_V must be a list of volts of -1000 to 1000, "
                            "not an array [1, 1]"),
    ({"source_V": "one"}, "source_V must be a list of volts of -1000 to 1000, not str"),
    ({"trials": 0}, "trials must be a whole number of 1 to 1000000, not 0"),
    ({"seed": 1.5}, "seed must be a whole number of 0 to 18446744073709551615, not 1.5"),
    ({"initial_residue": (0.3, 1.5)}, "initial_residue must be a number or a pair of 0 to 1, "
                                      "not 1.5"),
    ({"series_ohm": -1.0}, "series_ohm must be 0 to 1e+18, not -1.0"),
    ({"capacitance_F": 1e-9}, "series_ohm must be above 0 with a capacitor, not 0"),
    ({"compliance_A": 0.0}, "compliance_A must be 1e-15 to 1000, not 0.0"),
    ({"series_ohm": 1e3, "capacitance_F": 1e-9, "compliance_A": 1e-6},
     "compliance_A must be None with a capacitor, not 1e-06"),
])
def test_runs_that_cannot_be(change, message):
    with pytest.raises(DeviceError) as error:
        run(PULSE, **{"source_V": [1.0], "dt_s": 1e-5, "trials": 1, "seed": 1} | change)
    assert str(error.value) == "device 'pulse': " + message
