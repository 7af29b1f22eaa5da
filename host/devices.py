"""What the device of each neuron is: the network's, its mismatch and its faults taken together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ionspike.host.network import Network

__all__ = ["Devices"]


@dataclass(frozen=True)
class Devices:
    """One entry a neuron.

    Parameters
    ----------
    growth : factor on the device's growth ``mu``; 0 for those that are stuck off.
    gap : by how much the gap is longer than 1.
    r_control_ohm : control resistor, times what the refractory time constant deviates by.
    stuck_on : whether the memristor conducts for good.
    """

    growth: NDArray[np.float64]
    gap: NDArray[np.float64]
    r_control_ohm: NDArray[np.float64]
    stuck_on: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.growth)

    @classmethod
    def of(cls, network: "Network") -> "Devices":
        """Those of a network."""
        count, device = network.neurons, network.device
        growth, gap = np.ones(count), np.full(count, device.gap)
        ohm = np.full(count, device.r_control_ohm) if network.r_control_ohm is None \
            else network.r_control_ohm
        stuck_on = np.zeros(count, bool)
        if (mismatch := network.mismatch) is not None:
            growth, gap, ohm = growth * mismatch.growth, gap + mismatch.gap, ohm * mismatch.rc
        if (faults := network.faults) is not None:
            growth, gap = growth * faults.growth, gap + faults.gap
            growth[faults.stuck_off] = 0.0
            stuck_on[faults.stuck_on] = True
        return cls(growth, gap, ohm, stuck_on)
