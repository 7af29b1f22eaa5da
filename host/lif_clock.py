"""The network of a core's LIF neurons, with those that give all of them the constant drives of a step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.lif_cells import LifCells
from ionspike.host.network import Network, Projection
from ionspike.host.relays import tapped
from ionspike.spec import formats as fmt
from ionspike.spec.device import Device
from ionspike.spec.lif import TICKS_PER_STEP

__all__ = ["Cells", "timed"]

Ints = NDArray[np.int64]

_V_TOP = (1 << fmt.G_BITS) - 1

#: Neurons of these networks are no devices; networks name one.
_NO_DEVICE = Device(name="none: LIF neurons", mu_per_V_s=1.0, alpha=1.0, beta_per_s=0.0,
                    gamma1_per_s=1.0, gamma2_per_s=1.0, r_control_ohm=1.0, c_gate_F=1e-3)


@dataclass(frozen=True)
class Cells:
    """Neurons of a graph as a core has them, ``[neurons]`` each.

    Parameters
    ----------
    mu, theta : their coefficients; ``kg`` is as large as it gets.
    start : residue before the first tick.
    drives : ``[3, neurons]``, constant drives of the three ticks, in steps of a weight.
    """

    mu: Ints
    theta: Ints
    start: Ints
    drives: Ints


def timed(cells: Cells, registers: dict[str, int], unit: int, taps: list[list[Projection]], *,
          inputs: int, dt_s: float, longest: int, outputs: Ints, metadata: dict[str, Any]) -> tuple[Network, int]:
    """The network with the neurons that make the constant drives of the three ticks, and how many pass on
    spikes.

    Those of a tick fire in the one before it, all at once, and make those of the next tick fire; all
    are memristors that are stuck on, which fire in the tick in which they are driven. Starters fire
    in the first tick of all, once, in place of those that make it integrate.

    Parameters
    ----------
    registers : ``kr, kb, r_max``.
    unit : drive of a weight of 1.
    taps : projections, those of one line of relays together; see :func:`tapped`.
    dt_s : seconds per step.
    longest : delay of a projection in ticks.
    """
    count = len(cells.mu)
    rows = [max(1, -(-int(np.abs(amount).max()) // fmt.WEIGHT_MAX)) for amount in cells.drives]
    starts = np.cumsum([count, rows[0], *rows]).tolist()
    starters, phases, total = starts[0], starts[1:4], starts[4]
    clocks = total
    projections = []
    for each in taps:
        several, relays = tapped(each, longest, total)
        projections += several
        total += relays
    for first, number, amount in ((phases[0], rows[0], cells.drives[0]),
                                  (phases[1], rows[1], cells.drives[1]),
                                  (phases[2], rows[2], cells.drives[2]),
                                  (starters, rows[0], cells.drives[0])):
        # As even as can be: rows that are equal share their memory.
        shares = np.array([(amount * (k + 1)) // number - (amount * k) // number
                           for k in range(number)])
        projections.append(Projection("neurons", shares.astype(np.int8), first, 0))
    for source, phase in ((starters, 1), (phases[0], 1), (phases[1], 2), (phases[2], 0)):
        projections.append(Projection(
            "neurons", np.full((1, rows[phase]), fmt.WEIGHT_MAX, np.int8), source, phases[phase]))
    kg, mu = np.full(total, (1 << fmt.KG_BITS) - 1), np.zeros(total, np.int64)
    theta = np.full(total, fmt.THETA_STUCK)
    mu[:count], theta[:count] = cells.mu, cells.theta
    state = np.zeros((total, 3), np.uint16)
    state[:count, 1] = cells.start >> fmt.R_LOW_BITS
    state[:count, 2] = (cells.start & (1 << fmt.R_LOW_BITS) - 1) << fmt.G_BITS
    kg[starters:phases[0]], theta[starters:phases[0]] = 0, 0
    state[starters:phases[0], 2] = _V_TOP
    network = Network(
        device=_NO_DEVICE, dt_s=dt_s / TICKS_PER_STEP, inputs=inputs, neurons=total,
        projections=tuple(projections), scale_V=unit * 2.0 ** -fmt.G_FRAC,
        outputs=outputs, state=state, metadata=metadata,
        lif=LifCells(kg, mu, theta, {"kf": (1 << fmt.KF_BITS) - 1, **registers,
                                     "spike_level": fmt.WEIGHT_MAX * unit}, TICKS_PER_STEP))
    return network, total - clocks
