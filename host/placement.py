"""Where sources, neurons and fan-out rows of a network go in a core."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.narrow import pack
from ionspike.host.network import Network
from ionspike.spec.shape import CoreShape

__all__ = ["Placement", "place"]

#: Alignment of populations to groups, and how many all-zero groups make a row two rows. Splitting
#: saves words and costs sources, alignment saves words and costs neurons: the first that fits.
_PLANS = ((True, 4), (True, None), (True, 1), (False, 4), (False, None), (False, 1))

#: ``(delay, first group, int8 weights of whole groups)``
Row = tuple[int, int, bytes]


@dataclass(frozen=True)
class Placement:
    """Physical places of a network.

    Parameters
    ----------
    inputs, neurons : physical index of each.
    input_rows, neuron_rows : rows of each; the k-th is the descriptor k places on.
    lanes : weights in a group.
    narrow : whether rows of weights that four bits hold are stored so.
    """

    inputs: NDArray[np.int64]
    neurons: NDArray[np.int64]
    input_rows: list[list[Row]]
    neuron_rows: list[list[Row]]
    lanes: int
    narrow: bool = False

    @property
    def words(self) -> int:
        """Of the weight memory: equal rows share theirs."""
        distinct = {self.stored(row[2])[0] for rows in (*self.input_rows, *self.neuron_rows) for row in rows}
        return sum(map(len, distinct)) // self.lanes

    def stored(self, weights: bytes) -> tuple[bytes, bool]:
        """What the weight memory holds of a row, and whether these are weights of four bits."""
        if self.narrow and len(weights) > self.lanes:
            packed = pack(np.frombuffer(weights, np.int8).reshape(-1, self.lanes))
            if packed is not None:
                return packed.tobytes(), True
        return weights, False


def place(network: Network, shape: CoreShape, narrow: bool = True) -> Placement:
    """Place a network, or say which resource is short.

    Parameters
    ----------
    narrow : whether the board knows rows of four bits, which are for networks that do not fit without.

    Raises
    ------
    InputError
        Naming what the network needs and what the core has.
    """
    for name in ("inputs", "neurons"):
        if (needs := getattr(network, name)) > (has := getattr(shape, name)):
            raise InputError(f"the network has {needs} {name}, this board has {has}")
    for k, projection in enumerate(network.projections):
        if projection.delay >= shape.delay_slots:
            raise InputError(f"projection {k}: a delay of {projection.delay} ticks; this board's "
                             f"{shape.delay_slots} accumulator slots reach "
                             f"{shape.delay_slots - 1}")
    shortage, large = None, []
    for aligned, gap in _PLANS:
        try:
            found = _attempt(network, shape, aligned, gap)
        except InputError as error:
            shortage = error
            continue
        if (needs := found.words) <= shape.words:
            return found
        large.append(found)
        shortage = InputError(f"the network needs {needs} words of {shape.lanes} weights, "
                              f"this board has {shape.words}")
    for found in large:
        if (halved := replace(found, narrow=True)).words <= shape.words:
            if narrow:
                return halved
            raise InputError(f"{shortage}; with rows of 4 bits, which boards have that are flashed anew "
                             f"(`ionspike flash`), it needs {halved.words}")
    assert shortage is not None
    raise shortage


def _attempt(network: Network, shape: CoreShape, aligned: bool, gap: int | None) -> Placement:
    starts = {p.target_start for p in network.projections} if aligned else set()
    chains = np.ones(network.neurons, np.int64)
    while True:
        neurons = np.zeros(network.neurons, np.int64)
        at = 0
        for n, chain in enumerate(chains.tolist()):
            if n in starts:
                at = -(-at // shape.lanes) * shape.lanes
            neurons[n], at = at, at + chain
        if at > shape.neurons:
            raise InputError(f"the network's {network.neurons} neurons take {at} places, because "
                             f"{int((chains > 1).sum())} of them need more than one fan-out row; "
                             f"this board has {shape.neurons}")
        rows = _rows(network, "neurons", network.neurons, neurons, shape, gap)
        needed = np.maximum(chains, [len(r) for r in rows])
        # Rows depend on places and places on rows; chains only grow, so this ends.
        if (needed == chains).all():
            break
        chains = needed
    input_rows = _rows(network, "inputs", network.inputs, neurons, shape, gap)
    counts = np.array([max(1, len(r)) for r in input_rows])
    if (at := int(counts.sum())) > shape.inputs:
        raise InputError(f"the network's {network.inputs} inputs take {at} places, because "
                         f"{int((counts > 1).sum())} of them need more than one fan-out row; "
                         f"this board has {shape.inputs}")
    return Placement(np.cumsum(counts) - counts, neurons, input_rows, rows, shape.lanes)


def _rows(network: Network, source: str, sources: int, neurons: NDArray[np.int64],
          shape: CoreShape, gap: int | None) -> list[list[Row]]:
    layers = _layers(network, source, sources, neurons, shape)
    rows: list[list[Row]] = [[] for _ in range(sources)]
    for delay, matrix in layers:
        grouped = matrix.reshape(sources, shape.groups, shape.lanes)
        used = (grouped != 0).max(axis=2)
        for n in np.flatnonzero(used.max(axis=1)):
            groups = np.flatnonzero(used[n])
            widest = shape.groups if gap is None else gap
            jumps = np.flatnonzero(np.diff(groups) > widest) + 1
            for low, high in pairwise([0, *jumps, len(groups)]):
                first, last = groups[low], groups[high - 1]
                rows[n].append((delay, int(first), grouped[n, first:last + 1].tobytes()))
    return rows


def _layers(network: Network, source: str, sources: int, neurons: NDArray[np.int64],
            shape: CoreShape) -> list[tuple[int, NDArray[np.int8]]]:
    """Projections on physical targets; those of one delay together where their sums fit."""
    layers: list[tuple[int, NDArray[np.int16]]] = []
    for p in network.projections:
        if p.source != source:
            continue
        matrix = np.zeros((sources, shape.neurons), np.int16)
        targets = neurons[p.target_start:p.target_start + p.weights.shape[1]]
        matrix[p.source_start:p.source_start + p.weights.shape[0], targets] = p.weights
        for delay, other in layers:
            total = other + matrix
            if delay == p.delay and total.min() >= -128 and total.max() <= 127:
                other[:] = total
                break
        else:
            layers.append((p.delay, matrix))
    return [(delay, matrix.astype(np.int8)) for delay, matrix in layers]
