"""Files of networks: a zip of one JSON header and plain NumPy arrays.

The header carries a format version and a SHA-256 over everything else in the file. No pickle is
ever read, and equal networks make equal files.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host import npy
from ionspike.host.ageing import Faults
from ionspike.host.errors import InputError
from ionspike.host.files import readable, replacing
from ionspike.host.lif_cells import LifCells
from ionspike.host.mismatch import Mismatch
from ionspike.spec.device import Device, DeviceError
from ionspike.spec.strict_json import parse, shown

if TYPE_CHECKING:
    from ionspike.host.network import Network

__all__ = ["FORMAT", "VERSION", "dump", "load", "load_bytes", "save"]

FORMAT, VERSION = "ionspike network", 5
#: Version 1 knew no faults, version 2 no LIF neurons, version 3 no votes, version 4 no sustained spikes.
_READS = (1, 2, 3, 4, 5)
_HEADER = "header.json"
#: More than the largest core can hold, many times over; what claims more is no network.
_MOST_BYTES = 1 << 28
_MISMATCH = ("growth", "gap", "rc")
_FAULTS = ("stuck_on", "stuck_off", "growth", "gap")
_LIF = ("kg", "mu", "theta")


def save(network: "Network", path: str | Path) -> None:
    """Write a network."""
    path = Path(path)
    if path.suffix != ".ion":
        raise InputError(f"{path}: networks are written as .ion")
    try:
        content = dump(network)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    with replacing(path) as file:
        file.write(content)


def dump(network: "Network") -> bytes:
    """The bytes of a file.

    Raises
    ------
    InputError
        For metadata that JSON does not hold.
    """
    arrays: dict[str, NDArray[Any]] = {"outputs": network.outputs}
    for name in ("r_control_ohm", "state", "votes"):
        if (value := getattr(network, name)) is not None:
            arrays[name] = value
    if network.mismatch is not None:
        arrays |= {f"mismatch_{name}": getattr(network.mismatch, name) for name in _MISMATCH}
    if network.faults is not None:
        arrays |= {f"faults_{name}": getattr(network.faults, name) for name in _FAULTS}
    if network.lif is not None:
        arrays |= {f"lif_{name}": getattr(network.lif, name) for name in _LIF}
    projections = []
    for k, p in enumerate(network.projections):
        arrays[f"weights_{k}"] = p.weights
        projections.append({"source": p.source, "source_start": p.source_start,
                            "target_start": p.target_start, "delay": p.delay})
    files = {f"{name}.npy": _to_bytes(array) for name, array in sorted(arrays.items())}
    header = {
        "format": FORMAT, "version": VERSION, "device": asdict(network.device),
        "dt_s": network.dt_s, "inputs": network.inputs, "neurons": network.neurons,
        "scale_V": network.scale_V, "projections": projections, "labels": list(network.labels),
        "metadata": network.metadata,
        "lif": None if network.lif is None else network.lif.common()}
    try:
        header["sha256"] = _checksum(header, files)
        text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata must be what JSON holds: {error}") from error
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {_HEADER: text.encode(), **files}.items():
            # A fixed date: equal networks, equal files.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data,
                             zipfile.ZIP_DEFLATED)
    return content.getvalue()


def load(path: str | Path) -> "Network":
    """Read a network.

    Raises
    ------
    InputError
        For a file that does not exist, is truncated or changed, or of another format or version.
    """
    path = Path(path)
    with readable(path):
        content = path.read_bytes()
    return load_bytes(content, str(path))


def load_bytes(content: bytes, where: str) -> "Network":
    """The network in the bytes of a file.

    Parameters
    ----------
    where : they come from, for messages.

    Raises
    ------
    InputError
        For bytes that are truncated or changed, or of another format or version.
    """
    from ionspike.host.network import Network, Projection
    header, files = _read(content, where)
    try:
        arrays = {name.removesuffix(".npy"): npy.read(data) for name, data in files.items()}
        for name, array in arrays.items():
            if array.dtype.kind not in "biuf":
                raise InputError(f"{name} must be numbers, not {array.dtype}")
        projections = tuple(
            Projection(weights=arrays[f"weights_{k}"], **entry)
            for k, entry in enumerate(header["projections"]))
        mismatch = Mismatch(*(arrays[f"mismatch_{name}"] for name in _MISMATCH)) \
            if "mismatch_growth" in arrays else None
        faults = Faults(header["neurons"], *(arrays[f"faults_{name}"] for name in _FAULTS)) \
            if "faults_growth" in arrays else None
        common = header.get("lif")
        lif = None if common is None else LifCells(
            arrays["lif_kg"], arrays["lif_mu"], arrays["lif_theta"], common["registers"],
            common["ticks_per_step"])
        return Network(
            device=Device(**header["device"]), dt_s=header["dt_s"], inputs=header["inputs"],
            neurons=header["neurons"], projections=projections, scale_V=header["scale_V"],
            r_control_ohm=arrays.get("r_control_ohm"), mismatch=mismatch,
            outputs=arrays["outputs"], labels=tuple(header["labels"]),
            state=arrays.get("state"), votes=arrays.get("votes"), metadata=header["metadata"],
            faults=faults, lif=lif)
    except (InputError, DeviceError) as error:
        raise InputError(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: not a network: {type(error).__name__}: {error}") from error


def _read(content: bytes, where: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        files = npy.unzip(content, _MOST_BYTES)
    except ValueError as error:
        raise InputError(f"{where}: not a .ion file, or truncated ({error})") from error
    try:
        header = parse(files.pop(_HEADER))
        found, version, sha = header["format"], header["version"], header.pop("sha256")
    except (KeyError, ValueError) as error:
        raise InputError(f"{where}: not a .ion file: it has no {FORMAT} header") from error
    if found != FORMAT:
        raise InputError(f"{where}: holds {shown(found)}, not {FORMAT!r}")
    if version not in _READS:
        raise InputError(f"{where}: format version {shown(version)}; this ionspike reads up to {VERSION}")
    if (own := _checksum(header, files)) != sha:
        raise InputError(f"{where}: damaged: checksum {own[:12]}, the file says "
                         f"{shown(sha)[1:13]}")
    return header, files


def _checksum(header: dict[str, Any], files: dict[str, bytes]) -> str:
    sha = hashlib.sha256(json.dumps(header, sort_keys=True, allow_nan=False).encode())
    for name, data in sorted(files.items()):
        sha.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return sha.hexdigest()


def _to_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
