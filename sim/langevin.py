"""Single-cluster Langevin-thermal model of a diffusive memristor, for comparison.

Everything is dimensionless, as in the source: the cluster's position is in halves of the gap, the
electrodes at -1 and 1; time, temperature, voltage and resistance have no SI scale.

Equations and constants: S. Saveliev, Pascal programs, doi 10.5281/zenodo.15497230, the stochastic
one, with one cluster; they belong to Midya et al., Nat. Commun. 16, 7289 (2025). That program asks
its user for kappa, T_b, V_ext, r0 and c_T: the defaults here do not come from it.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.sim import checks
from ionspike.spec.device import DeviceError

__all__ = ["LangevinDevice", "LangevinRun", "run"]

F64 = NDArray[np.float64]

_WHERE = "langevin device"
_RANGES = {"kappa": (1e-6, 1e6), "t_bath": (0.0, 100.0), "r0": (0.0, 1e9), "c_t": (0.0, 1e6),
           "lambda_gap": (0.01, 10.0), "tau_c": (1e-6, 1e9)}

#: Steepest slope of the force, of the well at 0.8: what makes the model stiff.
_STIFFEST = 180 * math.sqrt(2 / math.e) / 0.1
#: Largest part of the fastest time constant that a step may be (ours).
_STEP = 0.5


@dataclass(frozen=True)
class LangevinDevice:
    """One cluster of silver between two electrodes, a load resistor and a capacitor.

    Parameters
    ----------
    kappa : cooling rate. Default: of the deterministic variant ``single_neuron_v4.cpp`` in
        github.com/Thead12/MPhys-Project-Non-Linear-Dynamics-of-Memristive-devices-for-Neuromorphic-computing.
    t_bath : temperature of the surroundings, T_b. Default: ours, by trial: no spike within 100
        time units at V_ext = 1, irregular ones from about V_ext = 2.
    r0 : load resistor, in units of the device's least resistance. Default: of the same variant.
    c_t : heating, c_T. Default: of the same variant.
    lambda_gap : tunnelling length, in halves of the gap. Default: the source's.
    tau_c : time constant of load resistor and capacitor. Default: the source's.

    Raises
    ------
    DeviceError
        For a value that is not finite or outside its range.
    """

    kappa: float = 0.9
    t_bath: float = 0.05
    r0: float = 500.0
    c_t: float = 0.18
    lambda_gap: float = 0.12
    tau_c: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            checks.number(_WHERE, field.name, getattr(self, field.name), *_RANGES[field.name])

    def resistance(self, position: F64) -> F64:
        """``r(x) = cosh(x / lambda)``, elementwise."""
        return np.cosh(position / self.lambda_gap)

    def force(self, position: F64, voltage: F64) -> F64:
        """``-((x - 0.1)^2 + 0.1) - 180 exp(-(x - 0.8)^2 / 0.01) + 0.2 sqrt(10) V``, elementwise."""
        return (-((position - 0.1) ** 2 + 0.1) - 180 * np.exp(-(position - 0.8) ** 2 / 0.01)
                + 0.2 * math.sqrt(10) * voltage)


@dataclass(frozen=True)
class LangevinRun:
    """What :func:`run` recorded; ``time`` is ``[rows]``, all else ``[rows, trials]``, no units."""

    time: F64
    position: F64
    temperature: F64
    voltage: F64
    resistance: F64

    @property
    def current(self) -> F64:
        """``V / r``."""
        return self.voltage / self.resistance


def run(device: LangevinDevice, v_ext: ArrayLike, steps: int, dt: float, trials: int, seed: int,
        every: int = 1) -> LangevinRun:
    """Euler-Maruyama, ``steps`` of ``dt``, of all trials at once::

        dx = force(x, V) dt + sqrt(2 T dt) N(0, 1),  reflected into -1 to 1
        dT = (c_T V^2 / r - kappa (T - T_b)) dt
        dV = (V_ext - (1 + r0 / r) V) dt / tau_c

    from ``x = -0.999, T = T_b, V = 0``. The source puts a cluster that has left just inside the
    electrode; it is reflected here, because that leaves no surplus of clusters at the electrodes.

    Parameters
    ----------
    v_ext : driving voltage, a number or ``[steps]``.
    dt : time step; the source's is 1e-5.
    every : a row is recorded before step 0 and each ``every`` steps from there.

    Raises
    ------
    DeviceError
        For a value out of range, or a ``dt`` too large for the fastest rate.
    """
    steps = checks.whole(_WHERE, "steps", steps, 1, 10**9)
    every = checks.whole(_WHERE, "every", every, 1, 10**9)
    trials = checks.whole(_WHERE, "trials", trials, 1, 10**6)
    seed = checks.whole(_WHERE, "seed", seed, 0, 2**64 - 1)
    drive = checks.array(_WHERE, "v_ext", v_ext, -1e3, 1e3, "a number or [steps]", 0, 1, size=steps)
    rows = -(-steps // every)
    checks.whole(_WHERE, "rows times trials", rows * trials, 1, 5 * 10**7)
    checks.number(_WHERE, "dt", dt, 1e-12, 1.0)
    name, fastest = max((("the force's slope", _STIFFEST), ("kappa", device.kappa),
                         ("(1 + r0) / tau_c", (1 + device.r0) / device.tau_c)),
                        key=lambda rate: rate[1])
    if dt > _STEP / fastest:
        raise DeviceError(f"{_WHERE}: dt must be up to {_STEP / fastest:g} for {name} of "
                          f"{fastest:g}, not {dt!r}")

    rng = np.random.default_rng(seed)
    drive = np.broadcast_to(drive, steps)
    x, temperature, v = (np.full(trials, start) for start in (-0.999, float(device.t_bath), 0.0))
    record = np.empty((4, rows, trials))
    for step in range(steps):
        r = device.resistance(x)
        if step % every == 0:
            record[:, step // every] = x, temperature, v, r
        kick = np.sqrt(2 * dt * temperature) * rng.standard_normal(trials)
        heat = device.c_t * v * v / r - device.kappa * (temperature - device.t_bath)
        x = x + device.force(x, v) * dt + kick
        x = np.abs(1 - np.abs(1 - x) + 1) - 1
        x = np.minimum(x, 1)            # for kicks longer than the gap
        temperature = temperature + heat * dt
        v = v + (drive[step] - (1 + device.r0 / r) * v) * (dt / device.tau_c)
    return LangevinRun(np.arange(rows, dtype=np.float64) * (every * dt), *record)
