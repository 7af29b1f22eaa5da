"""Delays longer than a core's accumulators reach: neurons that pass a spike on."""

from collections.abc import Sequence

import numpy as np

from ionspike.host.errors import InputError
from ionspike.host.network import Projection
from ionspike.spec import formats as fmt

__all__ = ["relayed", "tapped"]

_MOST_RELAYS = 2040


def relayed(projection: Projection, longest: int, first: int) -> tuple[list[Projection], int]:
    """A projection as several whose delays a core has: :func:`tapped` with one of them."""
    return tapped([projection], longest, first)


def tapped(taps: Sequence[Projection], longest: int, first: int) -> tuple[list[Projection], int]:
    """Projections of the same sources to the same neurons, each later than the one before it, as several
    whose delays a core has.

    A relay is a neuron that fires in the tick in which one weight of 127 drives it; its own spike
    takes a tick more, so each adds 1 to 1 + longest. Each source that has synapses has its own line of
    relays, from which all projections are taken. They pass on no spikes of two ticks in a row.

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
        For delays that take more neurons than any core has.
    """
    used = np.flatnonzero(np.any([tap.weights.any(axis=1) for tap in taps], axis=0))
    found: list[Projection] = []
    source, start, rows, passed, hops = taps[0].source, taps[0].source_start, None, 0, 0
    for tap in taps:
        if not tap.weights.any():
            continue
        while tap.delay - passed > longest:
            if (hops + 1) * len(used) > _MOST_RELAYS:
                raise InputError(
                    f"a delay of {tap.delay:,} ticks of {len(used)} sources takes "
                    f"{-(-(tap.delay - longest) // (longest + 1)) * len(used):,} neurons that pass spikes "
                    f"on; no core has more than {_MOST_RELAYS:,}")
            delay = min(longest, tap.delay - passed - 1)
            pick = np.diag(np.full(len(used), fmt.WEIGHT_MAX, np.int8))
            if rows is None:
                pick = np.zeros((len(tap.weights), len(used)), np.int8)
                pick[used, np.arange(len(used))] = fmt.WEIGHT_MAX
            found.append(Projection(source, pick, start, first + hops * len(used), delay))
            source, start, rows = "neurons", first + hops * len(used), used
            passed, hops = passed + delay + 1, hops + 1
        found.append(Projection(source, tap.weights if rows is None else tap.weights[rows], start,
                                tap.target_start, tap.delay - passed))
    return found, hops * len(used)
