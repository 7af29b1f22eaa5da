"""Delays longer than a core's accumulators reach: neurons that pass a spike on."""

import numpy as np

from ionspike.host.errors import InputError
from ionspike.host.network import Projection
from ionspike.spec import formats as fmt

__all__ = ["relayed"]

_MOST_RELAYS = 2040
_WEIGHT_TOP = (1 << fmt.WEIGHT_BITS - 1) - 1


def relayed(projection: Projection, longest: int, first: int) -> tuple[list[Projection], int]:
    """A projection as several whose delays a core has.

    A relay is a neuron that fires in the tick in which one weight of 127 drives it; its own spike
    takes a tick more, so each adds 1 to 1 + longest. Each source that has synapses has its own line of
    relays. They pass on no spikes of two ticks in a row.

    Parameters
    ----------
    longest : delay of a projection in ticks.
    first : number of the first relay.

    Returns
    -------
    The projections, and how many relays they need.

    Raises
    ------
    InputError
        For a delay that takes more neurons than any core has.
    """
    if projection.delay <= longest:
        return [projection], 0
    used = np.flatnonzero(projection.weights.any(axis=1))
    if not len(used):
        return [], 0
    hops = -(-(projection.delay - longest) // (longest + 1))
    rest = projection.delay
    found, count = [], len(used)
    if hops * count > _MOST_RELAYS:
        raise InputError(f"a delay of {projection.delay:,} ticks of {count} sources takes "
                         f"{hops * count:,} neurons that pass spikes on; no core has more than "
                         f"{_MOST_RELAYS:,}")
    pick = np.zeros((len(projection.weights), count), np.int8)
    pick[used, np.arange(count)] = _WEIGHT_TOP
    source, start, weights = projection.source, projection.source_start, pick
    for hop in range(hops):
        # What the hops after this one can still wait, at most.
        later = (hops - hop) * (longest + 1)
        delay = max(0, rest - later)
        found.append(Projection(source, weights, start, first + hop * count, delay))
        rest -= delay + 1
        source, start, weights = "neurons", first + hop * count, np.diag(
            np.full(count, _WEIGHT_TOP, np.int8))
    found.append(Projection("neurons", projection.weights[used], start, projection.target_start, rest))
    return found, hops * count
