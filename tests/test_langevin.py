"""The Langevin-thermal float model against what its equations say in closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ionspike.sim.langevin import LangevinDevice, run
from ionspike.spec.device import DeviceError

SEED = 20251027
#: A circuit ten times as fast as the source's, so that a test of spikes is short.
FAST = LangevinDevice(r0=50.0, tau_c=3.0, t_bath=0.02)


def spikes(result):
    """Per trial: rises of the conductance to 0.3, each after it was below 0.02."""
    counts = []
    for conductance in (1 / result.resistance).T:
        on = count = 0
        for value in conductance[(conductance > 0.3) | (conductance < 0.02)]:
            count += value > 0.3 and not on
            on = value > 0.3
        counts.append(int(count))
    return counts


def test_voltage_charges_to_what_the_divider_leaves():
    device = LangevinDevice(t_bath=0.0, c_t=0.0, tau_c=5.0, r0=5000.0)
    r = run(device, 1.0, 20_000, 3e-4, 1, SEED, every=100)
    divider = 1 + device.r0 / math.cosh(1 / device.lambda_gap)
    assert r.position[-1, 0] == pytest.approx(-1, abs=1e-3)
    assert r.voltage[:, 0] == pytest.approx(
        (1 - np.exp(-r.time * divider / device.tau_c)) / divider, rel=0.02, abs=1e-3)
    assert r.current[-1, 0] == r.voltage[-1, 0] / r.resistance[-1, 0]


def test_cluster_rests_where_the_forces_balance():
    device = LangevinDevice(t_bath=0.0, c_t=0.0, tau_c=0.1, r0=0.0)
    x = run(device, 4.0, 10_000, 3e-4, 1, SEED, every=1000).position[-1, 0]
    field = 0.2 * math.sqrt(10) * 4.0
    assert 0.5 < x < 0.7
    assert 180 * math.exp(-(x - 0.8) ** 2 / 0.01) + (x - 0.1) ** 2 + 0.1 == pytest.approx(field, rel=1e-3)


def test_current_heats_and_the_bath_cools():
    device = LangevinDevice(kappa=50.0, c_t=2e3, r0=0.0, tau_c=0.1, t_bath=0.02)
    r = run(device, 1.0, 4000, 3e-4, 4, SEED)
    assert r.temperature[0].tolist() == [0.02] * 4
    # On average, as the temperature follows a noisy power with a delay.
    power = (r.voltage ** 2 / r.resistance)[2000:].mean(axis=0)
    warmth = (r.temperature - 0.02)[2000:].mean(axis=0)
    assert warmth == pytest.approx(device.c_t / device.kappa * power, rel=0.05)
    assert warmth.min() > 0.02


def test_positions_at_rest_are_those_of_boltzmann():
    device = LangevinDevice(t_bath=0.05, c_t=0.0)
    r = run(device, 0.0, 4000, 2.5e-4, 1500, SEED, every=100)
    grid = np.linspace(-1, 1, 20_001)
    energy = -np.cumsum(device.force(grid, np.zeros(1))) * (grid[1] - grid[0])
    density = np.exp(-(energy - energy.min()) / device.t_bath)
    mean = (grid * density).sum() / density.sum()
    settled = r.position[20:]
    assert settled.mean() + 1 == pytest.approx(mean + 1, rel=0.05)
    assert (settled < -0.9).mean() == pytest.approx(density[grid < -0.9].sum() / density.sum(),
                                                    abs=0.02)


def test_stays_off_at_a_low_voltage_and_spikes_at_a_high_one():
    """Voltages and circuit found by trial; they are not the paper's."""
    low, high = (run(FAST, v, steps, 3e-4, 8, SEED, every=20)
                 for v, steps in ((0.5, 15_000), (4.0, 30_000)))
    assert spikes(low) == [0] * 8 and low.position.max() < 0
    assert min(spikes(high)) >= 1 and max(spikes(high)) >= 2
    # The load takes the voltage away from a conducting device: that ends the spike.
    conducts = high.resistance < 3
    assert high.voltage[conducts].mean() < 0.7 * high.voltage[~conducts].max()
    assert high.temperature.max() > 2 * FAST.t_bath


def test_relaxes_when_the_voltage_goes():
    on, off = 14_000, 24_000
    device = replace(FAST, t_bath=0.05)
    r = run(device, np.repeat([4.0, 0.0], [on, off]), on + off, 3e-4, 16, SEED, every=20)
    driven, free = np.split(r.position, [on // 20])
    switched = driven.max(axis=0) > 0
    # Where the force is least, a cluster stays for as long as the noise will have it.
    assert switched.sum() >= 8 and (free[-50:].mean(axis=0) < -0.85).sum() >= 12
    assert r.voltage[-1].max() < 0.2 < r.voltage.max()
    assert r.temperature[-1] == pytest.approx(np.full(16, device.t_bath), rel=0.05)


def test_shorter_steps_agree_better():
    """Without noise: when the cluster leaves the electrode behind."""
    quiet = LangevinDevice(r0=5.0, tau_c=0.5, t_bath=0.0, c_t=0.0)

    def passes(dt):
        r = run(quiet, 4.0, round(1.1 / dt), dt, 1, SEED)
        after = int(np.argmax(r.position[:, 0] > -0.5))
        return np.interp(-0.5, r.position[after - 1:after + 1, 0], r.time[after - 1:after + 1])

    times = [passes(dt) for dt in (3.2e-4, 1.6e-4, 8e-5)]
    assert abs(times[2] - times[1]) < 0.6 * abs(times[1] - times[0]) < 1e-3 * times[0]


def test_equal_seeds_equal_runs_and_rows_are_thinned():
    a, b, c = (run(FAST, 4.0, 100, 1e-4, 3, seed) for seed in (1, 1, 2))
    assert a.position.tolist() == b.position.tolist() != c.position.tolist()
    assert a.position.shape == (100, 3) and len(set(a.position[1])) == 3
    thin = run(FAST, np.full(100, 4.0), 100, 1e-4, 3, 1, every=30)
    assert thin.position.tolist() == a.position[::30].tolist()
    assert thin.time == pytest.approx([0, 3e-3, 6e-3, 9e-3])


def test_devices_that_cannot_be():
    for change, message in (({"kappa": 0}, "kappa must be 1e-06 to 1e+06, not 0"),
                            ({"t_bath": math.nan}, "t_bath must be 0 to 100, not nan"),
                            ({"r0": None}, "r0 must be 0 to 1e+09, not None")):
        with pytest.raises(DeviceError) as error:
            LangevinDevice(**change)
        assert str(error.value) == "langevin device: " + message


@pytest.mark.parametrize("change, message", [
    ({"dt": 1e-3}, "dt must be up to 0.000323839 for the force's slope of 1543.97, not 0.001"),
    ({"device": LangevinDevice(r0=1e6), "dt": 1e-4},
     "dt must be up to 1.5e-05 for (1 + r0) / tau_c of 33333.4, not 0.0001"),
    ({"dt": 0.0}, "dt must be 1e-12 to 1, not 0.0"),
    ({"v_ext": [1.0, 2.0]}, "v_ext must be a number or [steps] of -1000 to 1000, not an array [2]"),
    ({"v_ext": math.nan}, "v_ext must be a number or [steps] of -1000 to 1000, not nan"),
    ({"steps": 0}, "steps must be a whole number of 1 to 1000000000, not 0"),
    ({"trials": 10**6, "steps": 100}, "rows times trials must be a whole number of 1 to 50000000, "
                                      "not 100000000"),
    ({"every": 0.5}, "every must be a whole number of 1 to 1000000000, not 0.5"),
    ({"seed": -1}, "seed must be a whole number of 0 to 18446744073709551615, not -1"),
])
def test_runs_that_cannot_be(change, message):
    with pytest.raises(DeviceError) as error:
        run(**{"device": FAST, "v_ext": 1.0, "steps": 3, "dt": 1e-4, "trials": 1, "seed": 1} | change)
    assert str(error.value) == "langevin device: " + message
