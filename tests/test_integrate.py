"""The neuron's integers as an IF neuron: :mod:`ionspike.spec.integrate` on the golden model, to the last bit."""

import numpy as np
import pytest
from test_lif import Cell

from ionspike.spec.integrate import integrate_and_fire
from ionspike.spec.lif import LifError

#: An IF that has just fired ends so many residues lower, if it was less than so many above the threshold.
LOW = 15


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("inhibition, excitation, below, levels", [
    (0.5, 1.2, 0.5, 127), (1, 1.5, 1, 40), (2, 3, 1, 127), (4, 4, 1, 127)])
def test_every_spike_of_integers(inhibition, excitation, below, levels, reset):
    spec = integrate_and_fire(inhibition=inhibition, excitation=excitation, below=below, levels=levels,
                              reset=reset)
    count, cell = 64, Cell(spec, 64)
    height, step = spec.threshold - spec.rest, round(spec.per_drive * spec.unit)
    assert step == spec.per_drive * spec.unit and spec.beta == 1 and spec.still == 0
    rng = np.random.default_rng(7)
    given = np.round(np.clip(rng.normal(0.12, 0.15, (1000, count)), -0.45, 0.45) * height / step)
    v, z, wanted, got = np.zeros(count, int), np.zeros(count, bool), [], []
    for row in given.astype(int):
        # No deeper than what it holds.
        row = np.where(v + row * step < -below * height, 0, row)
        v = v + row * step - (z * height if reset == "subtract" else 0)
        z = v >= height
        fired, u = cell.step(row[None])
        assert not fired[0].any() and not fired[2].any()
        # Nothing is kept above the last residue; what is there is not looked at.
        assert np.array_equal(np.round(u * height)[~z], v[~z])
        wanted.append(z)
        got.append(fired[1])
        if reset == "zero":
            v = np.where(z, np.minimum(v - height - LOW, 0), v)
    assert 4000 < np.sum(wanted) < 0.5 * np.size(wanted)
    assert np.array_equal(wanted, got)


def test_deep_membranes_are_pulled_up_slowly():
    spec = integrate_and_fire(inhibition=0.5, excitation=1.2, below=0.5, levels=127)
    cell, depths = Cell(spec), []
    for t in range(1000):
        _, u = cell.step(-60 if t < 8 else 0)
        depths.append(u[0])
    assert depths[7] < -3 and np.all(np.diff(depths[8:]) >= 0)
    # By no more than a few residues a step, and not to rest: only up to where nothing leaks.
    height = spec.threshold - spec.rest
    assert np.diff(depths[8:]).max() * height <= 9 and depths[-1] < -0.4


def test_sums_that_leave_nothing_are_refused():
    with pytest.raises(LifError, match="an IF with inhibition of 100 and excitation of 200 thresholds a "
                                       "step, .* less than 8 steps"):
        integrate_and_fire(inhibition=100, excitation=200, below=0.5, levels=127)
