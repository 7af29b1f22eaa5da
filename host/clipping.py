"""What LIF neurons did not hear of in a run, because it was more than their drives hold."""

from typing import TYPE_CHECKING

import numpy as np

from ionspike.host.drive import drives_V
from ionspike.host.spikes import Spikes
from ionspike.spec import formats as fmt

if TYPE_CHECKING:
    from ionspike.host.network import Network

__all__ = ["INTEGRATES", "clipped_drives"]

#: Tick of a step in which what inputs and neurons send arrives.
INTEGRATES = 1


def clipped_drives(network: "Network", inputs: Spikes, spikes: Spikes, first_tick: int = 0) -> int:
    """Drives at either end of their range in the ticks in which LIF neurons integrate.

    The board does not count them; they follow from what went in and came out.

    Parameters
    ----------
    inputs, spikes : of the run, in ticks.
    first_tick : number of its first.
    """
    lif = network.lif
    assert lif is not None
    neurons = np.flatnonzero(lif.mu)    # all others only keep time
    top, tick, count = ((1 << fmt.G_BITS) - 1) / (1 << fmt.G_FRAC), first_tick, 0
    for drives in drives_V(network, inputs, spikes):
        heard = drives[(INTEGRATES - tick) % lif.ticks_per_step::lif.ticks_per_step][:, neurons]
        count += int(((heard <= 0) | (heard >= top)).sum())
        tick += len(drives)
    return count
