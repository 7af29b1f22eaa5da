"""From a NIR file or graph to a network for a core."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.host.errors import InputError
from ionspike.host.hdf5 import Tree
from ionspike.host.lif_float import FloatRun, simulate
from ionspike.host.lif_network import Mapped, map_lif
from ionspike.host.network import Network
from ionspike.host.nir_file import read_nir
from ionspike.host.nir_graph import Graph
from ionspike.host.nir_memristor import from_tree, holds_memristors
from ionspike.host.spikes import Spikes
from ionspike.spec import formats as fmt
from ionspike.spec.lif import Reset
from ionspike.spec.shape import DEFAULT_SHAPE

__all__ = ["Imported", "SAMPLE_RATE", "SAMPLE_STEPS", "imported", "random_sample"]

#: The sample, where none is given.
SAMPLE_STEPS, SAMPLE_RATE = 500, 0.1


@dataclass(frozen=True)
class Imported:
    """What came of a graph.

    Parameters
    ----------
    network : for a core.
    graph, mapped, sample, floats : of LIF neurons: the graph, how it was mapped, the inputs that
        weights were scaled for, and the graph on them in floating point; None for our own neurons.
    reset : of the neurons after a spike.
    """

    network: Network
    graph: Graph | None = None
    mapped: Mapped | None = None
    sample: NDArray[np.bool_] | None = None
    floats: FloatRun | None = None
    reset: Reset = "zero"


def imported(given: "str | Path | Tree | Any", *, dt_s: float | None, reset: Reset = "zero",
             sample: "ArrayLike | Spikes | None" = None, seed: int = 1,
             delay_slots: int = DEFAULT_SHAPE.delay_slots, bits: int = fmt.WEIGHT_BITS) -> Imported:
    """A network from a NIR file, a ``nir.NIRGraph`` or what its ``to_dict`` gives.

    Parameters
    ----------
    dt_s : seconds per step; not for our own neurons, whose tick is in the file.
    sample : inputs that are typical, ``[steps, inputs]``; without it, random ones of ``seed``.
    delay_slots : of the core it is for.
    bits : of a weight, 2 to 8.

    Raises
    ------
    InputError
        For what cannot be imported, by name and with the nearest thing that could be.
    """
    if not 2 <= bits <= fmt.WEIGHT_BITS:
        raise InputError(f"bits must be 2 to {fmt.WEIGHT_BITS}, not {bits}")
    where = f"{given}: " if isinstance(given, (str, Path)) else ""
    root = read_nir(given) if isinstance(given, (str, Path)) \
        else given if isinstance(given, dict) else given.to_dict()
    try:
        if holds_memristors(root):
            return Imported(from_tree(root))
        graph = Graph.of(root)
        if dt_s is None:
            raise InputError("a NIR file does not say how long a step is: give dt (--dt), which is "
                             "1e-4 s for files of snnTorch")
        raster = random_sample(graph.width, seed) if sample is None \
            else sample.raster if isinstance(sample, Spikes) else Spikes.from_raster(sample, dt_s).raster
        if raster.shape[1] != graph.width:
            raise InputError(f"the sample has {raster.shape[1]} channels, the graph {graph.width}")
        floats = simulate(graph, raster, dt_s, reset=reset, membranes=tuple(
            name for name, layer in graph.layers.items() if layer.kind == "LI"))
        metadata = {"source": Path(given).name} if isinstance(given, (str, Path)) else {}
        mapped = map_lif(graph, floats, dt_s, reset=reset, delay_slots=delay_slots, bits=bits,
                         metadata=metadata)
    except InputError as error:
        raise InputError(f"{where}{error}") from error
    return Imported(mapped.network, graph, mapped, raster, floats, reset)


def random_sample(width: int, seed: int) -> NDArray[np.bool_]:
    """Inputs that fire in a tenth of the steps, ``[SAMPLE_STEPS, width]``."""
    return np.random.default_rng(seed).random((SAMPLE_STEPS, width)) < SAMPLE_RATE
