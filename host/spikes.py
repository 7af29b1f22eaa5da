"""Spike trains on a raster of ticks, from and to the forms users have them in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ionspike.host import npy
from ionspike.host.errors import InputError
from ionspike.host.files import readable, replacing

__all__ = ["Spikes"]

#: Beyond this a raster is more likely a mistake of units than an experiment.
_MOST_CELLS = 1 << 31
#: Of all arrays of a file, unpacked.
_MOST_BYTES = 1 << 33


@dataclass(frozen=True)
class Spikes:
    """Spikes of ``N`` channels in ``T`` ticks.

    Parameters
    ----------
    raster : bool ``[T, N]``.
    dt_s : seconds per tick.
    merged : events that fell on a spike already there, and so do not show in the raster.

    Raises
    ------
    InputError
        For a raster that is not ``[T, N]``, values other than 0 and 1, or a tick that is no time.
    """

    raster: NDArray[np.bool_]
    dt_s: float
    merged: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "raster", _binary(self.raster))
        object.__setattr__(self, "dt_s", _tick(self.dt_s))

    @property
    def ticks(self) -> int:
        return int(self.raster.shape[0])

    @property
    def width(self) -> int:
        return int(self.raster.shape[1])

    @property
    def count(self) -> int:
        """Number of spikes."""
        return int(np.count_nonzero(self.raster))

    def events(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(tick, index)`` of every spike, in order of tick, then index."""
        tick, index = np.nonzero(self.raster)
        return tick, index

    @classmethod
    def from_raster(cls, raster: ArrayLike, dt_s: float) -> "Spikes":
        """From an array ``[T, N]`` of 0 and 1."""
        return cls(_array(raster, "raster"), dt_s)

    @classmethod
    def from_events(cls, index: ArrayLike, *, width: int, dt_s: float, t_s: ArrayLike | None = None,
                    tick: ArrayLike | None = None, ticks: int | None = None) -> "Spikes":
        """From one entry per event: its channel and its time.

        Parameters
        ----------
        index : channel of each event, 0 to ``width - 1``.
        width : channels.
        dt_s : seconds per tick.
        t_s : time of each event in seconds, rounded down to a tick; or
        tick : its tick.
        ticks : length of the raster; without it, up to the last event.

        Raises
        ------
        InputError
            For times or indices that are negative, not finite or out of range.
        """
        dt_s = _tick(dt_s)
        if (t_s is None) == (tick is None):
            raise InputError("events need either t_s (seconds) or tick, and not both")
        width = _positive(width, "width")
        channel = _integers(index, "event index", width, "channels")
        if t_s is not None:
            seconds = _finite(t_s, "event time t_s")
            with np.errstate(over="ignore"):    # what becomes infinite is refused next
                # The hair added keeps 3 * 0.1 s from falling into the tick before its own.
                when = np.floor(seconds / dt_s + 1e-9)
            when = _integers(when, "event tick", None, "")
        else:
            when = _integers(tick, "event tick", None, "")
        if when.shape != channel.shape:
            raise InputError(f"events: {len(when)} times but {len(channel)} indices")
        last = int(when.max()) + 1 if len(when) else 0
        length = max(last, 1) if ticks is None else _positive(ticks, "ticks")
        if last > length:
            raise InputError(f"event tick {last - 1} is out of range: "
                             f"the raster has {length} ticks of {dt_s:g} s")
        if length * width > _MOST_CELLS:
            raise InputError(f"{length} ticks of {width} channels are too many for one run; "
                             f"is dt_s = {dt_s:g} in seconds?")
        raster = np.zeros((length, width), bool)
        raster[when, channel] = True
        # Not counted in the raster: a few events may be spread over many ticks.
        return cls(raster, dt_s, merged=len(when) - len(np.unique(when * width + channel)))

    @classmethod
    def from_structured(cls, events: NDArray[Any], *, width: int, dt_s: float,
                        polarities: int = 1, ticks: int | None = None) -> "Spikes":
        """From a structured array as tonic makes it: ``t`` in microseconds, ``x``, and ``p``.

        With ``polarities=2`` channel ``p * width / 2 + x`` takes the event, else channel ``x``.
        """
        names = events.dtype.names or ()
        if missing := [name for name in ("t", "x") if name not in names]:
            raise InputError(f"event array has no field {missing[0]!r}; it has "
                             f"{', '.join(names) or 'no fields at all'}")
        if "y" in names and np.any(events["y"]):
            raise InputError("event array has a second dimension y; flatten it into x first")
        index = _finite(events["x"], "event x")
        if polarities == 2:
            if "p" not in names:
                raise InputError("event array has no field 'p', which two polarities need")
            sign = _integers(events["p"], "event p", 2, "polarities")
            half = _positive(width, "width") // 2
            index = sign * half + _integers(index, "event x", half, "channels of a polarity")
        elif polarities != 1:
            raise InputError(f"polarities must be 1 or 2, not {polarities!r}")
        return cls.from_events(index, width=width, dt_s=dt_s, ticks=ticks,
                               t_s=_finite(events["t"], "event t") * 1e-6)

    def save(self, path: str | Path) -> None:
        """To ``.npz`` (with dt_s), ``.npy`` (the raster alone) or ``.h5`` (NIRData)."""
        path = Path(path)
        if path.suffix == ".h5":
            from ionspike.host.nir_data import write_data
            write_data(self, path)
            return
        if path.suffix == ".npy":
            with replacing(path) as file:
                np.save(file, self.raster, allow_pickle=False)
        elif path.suffix == ".npz":
            with replacing(path) as file:
                np.savez_compressed(file, raster=self.raster, dt_s=np.float64(self.dt_s))
        else:
            raise InputError(f"{path}: spikes are written as .npy, .npz or .h5")

    @classmethod
    def load(cls, path: str | Path, *, dt_s: float, width: int | None = None) -> "Spikes":
        """From ``.npy`` or ``.npz``; from ``.h5``, NIRData of one node.

        What is read: a raster ``[T, N]``, alone or as ``raster``; a structured array with ``t``
        and ``x``, alone or as ``events``; or ``index`` with ``t_s`` or ``tick``. ``ticks`` and
        ``width`` may stand beside events.

        Parameters
        ----------
        dt_s : seconds per tick; a ``dt_s`` in the file must agree with it.
        width : channels of whatever it is for; an event array needs it.

        Raises
        ------
        InputError
            For a file that cannot be read, is truncated, or says something else.
        """
        path = Path(path)
        if path.suffix == ".h5":
            from ionspike.host.nir_data import read_data
            return read_data(path, dt_s=dt_s)
        content = _read(path)
        if "dt_s" in content:
            said = content["dt_s"]
            own = float(said.ravel()[0]) if said.size == 1 and said.dtype.kind in "iuf" \
                else float("nan")
            if not np.isclose(own, dt_s, rtol=1e-6):
                raise InputError(f"{path}: its ticks are {own:g} s, {dt_s:g} s were expected")
        try:
            if "raster" in content:
                return cls.from_raster(content["raster"], dt_s)
            if not content.keys() & {"events", "index"}:
                raise InputError(f"holds {', '.join(sorted(content)) or 'nothing'}; spikes are "
                                 f"raster, events, or index with t_s or tick")
            given = content["width"].item() if "width" in content else width
            if given is None:
                raise InputError("an event array needs the number of channels")
            ticks = content["ticks"].item() if "ticks" in content else None
            if "events" in content:
                return cls.from_structured(content["events"], width=given, dt_s=dt_s, ticks=ticks)
            return cls.from_events(content["index"], width=given, dt_s=dt_s, ticks=ticks,
                                   t_s=content.get("t_s"), tick=content.get("tick"))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"{path}: spikes are read from .npy, .npz and .h5 files")
    with readable(path):
        data = path.read_bytes()
    try:
        if not data.startswith(b"PK"):
            array = npy.read(data)
            return {"events" if array.dtype.names else "raster": array}
        return {name.removesuffix(".npy"): npy.read(content)
                for name, content in npy.unzip(data, _MOST_BYTES).items()}
    except ValueError as error:
        raise InputError(f"{path}: not a readable {path.suffix} file, or truncated "
                         f"({error})") from error


def _tick(dt_s: Any) -> float:
    if isinstance(dt_s, bool) or not isinstance(dt_s, (int, float, np.number)) \
            or not np.isfinite(dt_s) or dt_s <= 0:
        raise InputError(f"dt_s must be a positive number of seconds, not {dt_s!r}")
    return float(dt_s)


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a positive integer, not {value!r}")
    return int(value)


def _array(values: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} is ragged: its rows have different lengths") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers, not {array.dtype}")
    return array


def _finite(values: Any, name: str) -> NDArray[Any]:
    array = _array(values, name)
    if array.dtype == np.float16:
        array = array.astype(np.float64)    # which limits and sums do not overflow
    if array.ndim != 1:
        raise InputError(f"{name} must be one number per event, not shape {array.shape}")
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"{name} must be finite and not negative; entry {at} is {array[at]}")
    return array


def _integers(values: Any, name: str, limit: int | None, what: str) -> NDArray[np.int64]:
    array = _finite(values, name)
    whole = array.astype(np.int64) if array.size == 0 or array.max() < 2.0 ** 62 else None
    if whole is None or (whole != array).any():
        at = int(np.argmax(array >= 2.0 ** 62 if whole is None else whole != array))
        raise InputError(f"{name} must be an integer; entry {at} is {array[at]}")
    if limit is not None and (beyond := whole >= limit).any():
        at = int(np.argmax(beyond))
        raise InputError(f"{name} {whole[at]} is out of range: there are {limit} {what}, "
                         f"0 to {limit - 1}")
    return whole


def _binary(values: Any) -> NDArray[np.bool_]:
    array = _array(values, "raster")
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"raster must have shape [ticks, channels], not {list(array.shape)}")
    if array.dtype != bool:
        bad = (array != 0) & (array != 1)
        if bad.any():
            tick, index = np.argwhere(bad)[0]
            raise InputError(f"raster must hold 0 and 1 only; tick {tick}, channel {index} is "
                             f"{array[tick, index]}")
    return np.ascontiguousarray(array, dtype=bool)
