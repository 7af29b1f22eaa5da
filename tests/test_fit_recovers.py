import pytest

from ionspike.fidelity import fit, measurements, synthetic
from ionspike.spec.device import Device


def test_fit_finds_what_made_the_measurements(tmp_path):
    truth = Device.load("zhao2025_table1")
    groups = list(synthetic.measure(truth, synthetic.plan(truth), 20, 1))
    measurements.save(tmp_path / "values.csv", groups)
    found = fit.fit(measurements.load(tmp_path / "values.csv"), bootstrap=20, seed=1).estimates
    # Alpha is not told by such measurements, and said not to be.
    assert not found["alpha"].determined
    for name in ("mu_per_V_s", "gamma1_per_s", "beta_per_s", "gamma2_per_s", "lambda_gap", "r_max",
                 "r_on_ohm", "r_off_ohm"):
        assert found[name].determined and found[name].low < found[name].value < found[name].high
        assert found[name].value == pytest.approx(getattr(truth, name), rel=0.15), name
