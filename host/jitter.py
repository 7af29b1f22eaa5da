"""From cycle to cycle: the residue that a run begins with."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.seeds import lfsr_states
from ionspike.spec import formats as fmt

if TYPE_CHECKING:
    from ionspike.host.network import Network

__all__ = ["jittered"]


def jittered(network: "Network", seed: int) -> NDArray[np.uint16]:
    """Initial state of a run, uint16 ``[neurons, 3]``, see ``wire.STATE``.

    Residues are uniform from 0 to the device's ``residue_jitter``, at most ``r_max``; filament and
    gate are the network's. Neuron n takes output n + 1 of splitmix64 for the seed, of which output
    0 is the LFSR's: residues and noise of a run are independent of each other.

    Raises
    ------
    InputError
        For a device that has no ``residue_jitter``.
    """
    device = network.device
    if not device.residue_jitter:
        raise InputError(f"device {device.name!r} has no residue_jitter, so runs cannot begin with "
                         f"jitter; device.with_(residue_jitter=...) gives it some")
    drawn = (lfsr_states(seed, network.neurons + 1)[1:] >> np.uint64(11)) * 2.0 ** -53
    residue = np.minimum(drawn * device.residue_jitter, device.r_max)
    r = (residue * (1 << fmt.R_FRAC)).astype(np.int64)
    state = np.zeros((network.neurons, 3), np.uint16) if network.state is None \
        else network.state.copy()
    low = (1 << fmt.R_LOW_BITS) - 1
    on, g = state[:, 1] & 0x8000, state[:, 2] & (1 << fmt.G_BITS) - 1
    state[:, 1] = on | (r >> fmt.R_LOW_BITS).astype(np.uint16)
    state[:, 2] = g | ((r & low) << fmt.G_BITS).astype(np.uint16)
    return state
