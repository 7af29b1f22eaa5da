"""The neuron's integers as a LIF neuron: :mod:`ionspike.spec.lif` on the golden model of the neuron."""

import numpy as np
import pytest

from ionspike.sim.neuron import Neuron, State
from ionspike.spec import formats as fmt
from ionspike.spec.lif import LifError, lif

UNIT = 4
MARGIN = dict(inhibition=1.0, excitation=2.0, unit=UNIT)


class Cell:
    """LIF neurons on the golden model, their drives given directly."""

    def __init__(self, spec, count=1):
        self.spec = spec
        packed = ((1 << fmt.KG_BITS) - 1) | spec.mu << fmt.KG_BITS \
            | (spec.theta & 0xFF) << fmt.KG_BITS + fmt.MU_BITS
        self.neuron = Neuron(
            {"kf": 0xFFFF, "kr": spec.kr, "kb": spec.kb, "scale": spec.unit << fmt.SCALE_SHIFT,
             "r_max": spec.r_max, "spike_level": 1, "r_noise": 0, "sustained": 0},
            np.full(count, packed, np.uint32),
            np.full(fmt.H_ENTRIES, 1 << fmt.H_FRAC, np.uint16),
            np.zeros(fmt.NOISE_ENTRIES, np.uint16))
        zero = np.zeros((1, count), np.int32)
        self.state = State(zero.copy(), zero + spec.start, zero.copy(), zero != 0)
        self.words = np.zeros((1, count), np.uint16)
        self.neuron.step(self.state, zero, self.words)      # the tick before the first step

    def step(self, weights=0):
        """Spikes of the three ticks, and the membrane, in thresholds, in the tick of the test."""
        fired = []
        for tick, drive in enumerate(self.spec.drives):
            acc = np.full(self.words.shape, -(-drive // self.spec.unit), np.int32)
            fired.append(self.neuron.step(self.state, acc + (weights if tick == 0 else 0),
                                          self.words)[0].copy())
            if tick == 1:
                height = self.spec.threshold - self.spec.rest
                membrane = (self.state.r[0] - self.spec.rest) / height
        return fired, membrane


def units(spec, thresholds):
    return np.round(np.asarray(thresholds) * spec.threshold_drive / spec.unit).astype(int)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("beta", [0.3, 0.8, 0.95])
def test_a_membrane_rests_integrates_fires_and_is_reset(beta, reset):
    spec = lif(beta, reset=reset, **MARGIN)
    cell = Cell(spec)
    for _ in range(50):
        fired, u = cell.step()
        assert not np.any(fired) and abs(u[0]) < 0.02      # it rests
    _, u = cell.step(units(spec, 0.8))
    assert u[0] == pytest.approx(0.8, abs=0.03)            # it takes what arrives
    _, u = cell.step()
    assert u[0] == pytest.approx(0.8 * beta, abs=0.03)     # it leaks
    fired, u = cell.step(units(spec, 1.3 - 0.8 * beta * beta))
    assert [bool(f[0]) for f in fired] == [False, True, False]     # it fires, in the second tick
    _, u = cell.step()
    expected = 0.0 if reset == "zero" else 1.3 * beta - 1
    assert u[0] == pytest.approx(expected, abs=0.04)       # it is reset
    fired, u = cell.step(units(spec, -0.6 - expected * beta))
    assert u[0] == pytest.approx(-0.6, abs=0.05)           # it goes below rest


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.95])
def test_random_inputs_of_1000_steps(beta, reset):
    rng = np.random.default_rng(int(100 * beta))
    spec = lif(beta, reset=reset, **MARGIN)
    count, cell = 64, Cell(spec, 64)
    given = units(spec, np.clip(rng.normal(1 - beta, 0.3, (1000, count)), -0.95, 1.5))
    exact = given * spec.unit / spec.threshold_drive
    v, z, wanted, got = np.zeros(count), np.zeros(count), [], []
    for t in range(len(given)):
        v = beta * v * (1 - z) if reset == "zero" else beta * v - z
        v = v + exact[t]
        z = (v > 1).astype(float)
        fired, _ = cell.step(given[t][None])
        assert not fired[0].any() and not fired[2].any()
        wanted.append(z > 0)
        got.append(fired[1])
    wanted, got = np.array(wanted), np.array(got)
    assert 2000 < wanted.sum() < 0.5 * wanted.size
    # A spike that rounding moves by a step is two differences, and moves those after it.
    assert abs(int(got.sum()) - int(wanted.sum())) <= 0.02 * wanted.sum()
    assert (wanted & got).sum() >= 0.9 * wanted.sum()


def test_drives_and_weights_are_of_one_unit():
    spec = lif(0.9, **MARGIN)
    assert spec.drives[0] % UNIT == spec.drives[2] % UNIT == 0
    assert spec.drives[1] == (1 << fmt.G_BITS) - 1
    assert spec.drives[0] + spec.threshold_drive * 2 <= spec.drives[1] * 1.05


def test_leaks_that_no_bits_are_left_for_are_refused():
    with pytest.raises(LifError, match="beta must be from 0 to below 1, not 1"):
        lif(1.0, **MARGIN)
    with pytest.raises(LifError, match="beta 0.995 leaks too slowly .* up to about 0.9"):
        lif(0.995, **MARGIN)
    with pytest.raises(LifError, match="keeps too little to be reset by subtraction; .* reset to zero"):
        lif(0.0, reset="subtract", **MARGIN)
    for beta in (0.0, 0.05, 0.2, 0.6, 0.97):
        for reset in ("zero", "subtract")[:1 + (beta > 0.15)]:
            spec = lif(beta, reset=reset, **MARGIN)
            assert 0 < spec.kb < 1 << fmt.KB_BITS and 0 < spec.rest < spec.threshold
