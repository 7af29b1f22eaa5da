"""A fit finds the parameters of what made the measurements, within its own intervals."""

from pathlib import Path

import pytest

from ionspike.fidelity import fit, measurements, synthetic
from ionspike.spec.device import Device

SLOW = Path(__file__).parents[1] / "examples" / "slow_material.json"


@pytest.mark.parametrize(("name", "seed", "hidden"), [
    # Alpha is not told by such measurements, and said not to be.
    ("zhao2025_table1", 1, ["alpha"]),
    (str(SLOW), 2, []),
])
def test_fit_finds_what_made_the_measurements(tmp_path, name, seed, hidden):
    truth = Device.load(name)
    measurements.save(tmp_path / "values.csv",
                      synthetic.measure(truth, synthetic.plan(truth), 40, seed))
    found = fit.fit(measurements.load(tmp_path / "values.csv"), bootstrap=200, seed=1)
    assert found.undetermined == hidden
    for name, one in found.estimates.items():
        assert one.low <= getattr(truth, name) <= one.high, name
    for name in ("mu_per_V_s", "gamma1_per_s", "beta_per_s", "gamma2_per_s", "lambda_gap", "r_max",
                 "r_on_ohm", "r_off_ohm"):
        assert found.estimates[name].value == pytest.approx(getattr(truth, name), rel=0.1), name
        # And they are not wide because nothing is known.
        assert found.estimates[name].high < 1.5 * found.estimates[name].low, name
