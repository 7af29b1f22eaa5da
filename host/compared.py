"""Runs of a board against the golden model."""

from collections.abc import Sequence

import numpy as np

from ionspike.host.compiler import Compiled
from ionspike.host.result import Result
from ionspike.host.seeds import lfsr_state
from ionspike.host.spikes import Spikes

__all__ = ["different"]


def different(compiled: Compiled, items: Sequence[Spikes], seeds: Sequence[int],
              results: Sequence[Result]) -> list[int]:
    """Items whose spikes, final state or LFSR on a board are not those of the golden model.

    Parameters
    ----------
    compiled : what the board was loaded with.
    items : of one length, each run from rest.
    """
    from ionspike.sim.model import Model
    model = Model(compiled.image, np.array([lfsr_state(seed) for seed in seeds], np.uint64))
    slots = compiled.neuron_slots
    spikes = model.run(compiled.to_board(np.stack([item.raster for item in items])))[..., slots]
    state = model.state[:, slots]
    return [k for k, result in enumerate(results)
            if not (np.array_equal(result.spikes.raster, spikes[k])
                    and result.final_state is not None
                    and np.array_equal(result.final_state, state[k])
                    and result.lfsr == int(model.lfsr[k]))]
