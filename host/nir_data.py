"""Spikes in NIR's data files: NIRData, HDF5 as ``nir.write_data`` writes it."""

from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.errors import InputError
from ionspike.host.hdf5 import Tree
from ionspike.host.nir_file import read_hdf5
from ionspike.host.spikes import Spikes
from ionspike.spec.strict_json import shown

__all__ = ["read_data", "write_data"]

#: What one step may differ from another by: rounding of 32-bit times.
_SAME = 1e-6


def read_data(path: str | Path, *, dt_s: float, node: str | None = None,
              sample: int = 0) -> Spikes:
    """The spikes of one node, from events (``EventData``) or a raster (``TimeGriddedData``).

    Parameters
    ----------
    dt_s : seconds per step; events are rounded down to one.
    node : whose; without it, the only one there is.
    sample : which of the file's.

    Raises
    ------
    InputError
        For a file that cannot be read or holds something else, several nodes of which none is named,
        and events outside the channels or the time that the file gives.
    """
    tree = read_hdf5(path)
    try:
        if tree.get("@__type__") != "NIRGraphData" or not isinstance(tree.get("nodes"), dict):
            raise InputError("it holds no NIRGraphData")
        found = _spikes(tree["nodes"])
        if node is None and len(found) != 1:
            raise InputError(f"spikes of {len(found)} nodes: {', '.join(map(shown, sorted(found)))}; "
                             f"one has to be named")
        if (name := next(iter(found)) if node is None else node) not in found:
            raise InputError(f"no spikes of {shown(node)}; there are "
                             f"{', '.join(map(shown, sorted(found)))}")
        return _read(found[name], dt_s, sample)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_data(spikes: Spikes, path: str | Path, *, node: str = "input") -> None:
    """Write spikes as events of one node.

    Raises
    ------
    InputError
        Without the package ``nir``.
    """
    try:
        import nir
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: writing it needs the package {error.name}; "
                         f"pip install -e '.[nir]' brings it") from None
    tick, index = spikes.events()
    # In the middle of the step, so that rounding down gives it again.
    events = nir.EventData(index[None], (tick[None] + 0.5) * spikes.dt_s, spikes.width,
                           spikes.ticks * spikes.dt_s)
    nir.write_data(str(path), nir.NIRGraphData({node: nir.NIRNodeData({"spikes": events})}))


def _spikes(nodes: Tree, prefix: str = "") -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    for name, node in nodes.items():
        if not isinstance(node, dict):
            continue
        if isinstance(inner := node.get("nodes"), dict):
            found |= _spikes(inner, f"{prefix}{name}/")
        elif isinstance(seen := node.get("observables"), dict) and isinstance(
                seen.get("spikes"), dict):
            found[prefix + name] = seen["spikes"]
    return found


def _read(data: Tree, dt_s: float, sample: int) -> Spikes:
    kind = data.get("@__type__")
    if kind == "TimeGriddedData":
        raster = _array(data, "data")
        if raster.ndim != 3 or not 0 <= sample < len(raster):
            raise InputError(f"data has shape {list(raster.shape)}; it must be [samples, steps, "
                             f"channels], with a sample {sample}")
        own = _number(data, "dt")
        if abs(own / dt_s - 1) > _SAME:
            raise InputError(f"its steps are {own:g} s, {dt_s:g} s were expected")
        return Spikes.from_raster(raster[sample], dt_s)
    if kind != "EventData":
        raise InputError(f"spikes are EventData or TimeGriddedData, not {shown(kind)}")
    index, times = _array(data, "idx"), _array(data, "time")
    if index.ndim != 2 or index.shape != times.shape or not 0 <= sample < len(index):
        raise InputError(f"idx and time have shapes {list(index.shape)} and {list(times.shape)}; they "
                         f"must be [samples, events], with a sample {sample}")
    there = index[sample] != -1     # what fills the rows of shorter samples
    width, steps = _number(data, "n_neurons"), _number(data, "t_max") / dt_s
    if not 1 <= width < 1 << 31 or not 0 < steps < 1 << 31:
        raise InputError(f"n_neurons is {width:g} and t_max {steps * dt_s:g} s")
    return Spikes.from_events(index[sample][there], width=int(width), dt_s=dt_s,
                              t_s=times[sample][there], ticks=max(1, round(steps)))


def _array(data: Tree, name: str) -> Any:
    if not isinstance(array := data.get(name), np.ndarray) or array.dtype.kind not in "biuf":
        raise InputError(f"spikes have no array {name!r}")
    return array


def _number(data: Tree, name: str) -> float:
    try:
        value = float(data[f"@{name}"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"spikes have no number {name!r}") from None
    if not np.isfinite(value):
        raise InputError(f"{name} is {value}")
    return value
