"""What was measured on a diffusive memristor: one value a line, in a CSV file (docs/devices.md)."""

import csv
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ionspike.host.errors import InputError
from ionspike.host.files import readable

__all__ = ["CONDITIONS", "QUANTITIES", "Group", "Quantity", "load", "save"]

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """What can be measured.

    Parameters
    ----------
    conditions : columns that a value of it needs.
    what : in words.
    may_fail : whether an empty value says that it did not happen.
    """

    conditions: tuple[str, ...]
    what: str
    may_fail: bool = False


QUANTITIES: Mapping[str, Quantity] = {
    "latency_s": Quantity(
        ("v_V", "width_s"), "from the step of the voltage to the bridge, from rest", True),
    "paired_latency_s": Quantity(
        ("v_V", "width_s", "gap_s"), "latency of the second of two equal pulses", True),
    "relaxation_s": Quantity(
        ("v_V", "width_s", "fraction"),
        "from the end of the pulse until the conductance falls below a fraction of the bridge's",
        True),
    "threshold_V": Quantity(("ramp_V_per_s",), "voltage at which a ramp from 0 V bridges the gap"),
    "hold_V": Quantity(
        ("ramp_V_per_s", "peak_V"),
        "voltage at which the bridge is lost for good on a ramp up to the peak and down again"),
    "fires": Quantity(("v_V", "width_s"), "whether one pulse from rest bridges the gap: 1 or 0"),
    "on_ohm": Quantity((), "resistance of the bridge"),
    "off_ohm": Quantity((), "resistance of the empty gap"),
}

#: Allowed range of each unit: what is outside is in another unit.
_RANGES = {"s": (1e-12, 1e5), "V": (1e-4, 50.0), "V_per_s": (1e-6, 1e12), "ohm": (1.0, 1e21),
           "fraction": (1e-15, 0.999)}
#: Columns of conditions, and the unit of each.
CONDITIONS: Mapping[str, str] = {
    "v_V": "V", "width_s": "s", "gap_s": "s", "ramp_V_per_s": "V_per_s", "peak_V": "V",
    "fraction": "fraction"}
#: Where the column is empty.
_DEFAULTS = {"fraction": 0.5}
_COLUMNS = ("quantity", "value", *CONDITIONS, "trial")
#: A value so many times the others' of its group, or a latency that much longer than that under
#: less voltage, is in another unit.
_ANOTHER_UNIT, _MUST_NOT_RISE = 300.0, 30.0


@dataclass(frozen=True)
class Group:
    """All values of one quantity under the same conditions.

    Parameters
    ----------
    values : NaN for what did not happen.
    lines : where they stand in the file.
    """

    quantity: str
    conditions: dict[str, float]
    values: F64
    lines: tuple[int, ...] = ()

    @property
    def key(self) -> int:
        """A number of its own."""
        return zlib.crc32(f"{self.quantity} {sorted(self.conditions.items())}".encode())

    @cached_property
    def typical(self) -> float:
        """The median; for what mostly does not happen, the time that it had."""
        there = [value for value in self.values.tolist() if not math.isnan(value)]
        if 2 * len(there) >= len(self.values) and self.quantity != "fires":
            return median(there)
        return self.conditions["width_s"]

    @property
    def name(self) -> str:
        """For people."""
        where = ", ".join(f"{name} {value:.4g}" for name, value in self.conditions.items())
        return f"{self.quantity} ({where})" if where else self.quantity


def load(path: str | Path) -> list[Group]:
    """Groups of values, in the order of the file.

    Raises
    ------
    InputError
        For what is no such file, naming the line, the value and what would be right.
    """
    try:
        with readable(path):
            lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a readable text file: {error}") from error
    try:
        groups = _groups(lines)
        _check(groups)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return groups


def save(path: str | Path, groups: Iterable[Group], comment: str = "") -> None:
    """Write a file that :func:`load` reads."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {line}\n" for line in comment.splitlines())
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for group in groups:
            conditions = [f"{group.conditions[name]:.6g}" if name in group.conditions else ""
                          for name in CONDITIONS]
            for trial, value in enumerate(group.values, 1):
                said = "" if math.isnan(value) else f"{value:.6g}"
                writer.writerow([group.quantity, said, *conditions, trial])


def _groups(lines: list[str]) -> list[Group]:
    rows = _rows(lines)
    first, header = next(rows, (1, []))
    _check_header(first, header)
    found: dict[tuple[str, tuple[tuple[str, float], ...]], list[tuple[int, float]]] = {}
    for number, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"line {number}: {len(cells)} cells, the header has {len(header)}")
        row = dict(zip(header, cells, strict=True))
        name = row["quantity"]
        if name not in QUANTITIES:
            raise InputError(f"line {number}: unknown quantity {name!r}; known are "
                             f"{', '.join(QUANTITIES)}")
        conditions = tuple((column, _condition(number, name, column, row.get(column, "")))
                           for column in QUANTITIES[name].conditions)
        value = _value(number, name, row["value"], dict(conditions))
        found.setdefault((name, conditions), []).append((number, value))
    if not found:
        raise InputError("there are no values")
    return [Group(name, dict(conditions), np.array([value for _, value in values]),
                  tuple(number for number, _ in values))
            for (name, conditions), values in found.items()]


def _rows(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is neither empty nor a comment."""
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                cells = next(csv.reader([line], strict=True))
            except csv.Error as error:
                raise InputError(f"line {number}: {error}") from None
            if any(cell.strip() for cell in cells):
                yield number, [cell.strip() for cell in cells]


def _check_header(number: int, header: list[str]) -> None:
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"line {number}: cells are separated by ';'; commas are needed, and "
                         f"points in the numbers")
    for column in header:
        if column not in _COLUMNS:
            meant = [known for known in CONDITIONS if known.split("_")[0] == column.split("_")[0]]
            hint = f"; did you mean {meant[0]!r}, in that unit?" if meant else ""
            raise InputError(f"line {number}: unknown column {column!r}; known are "
                             f"{', '.join(_COLUMNS)}{hint}")
    if missing := [column for column in ("quantity", "value") if column not in header]:
        raise InputError(f"line {number}: column {missing[0]!r} is missing")
    if len(set(header)) < len(header):
        raise InputError(f"line {number}: a column is there twice")


def _number(line: int, name: str, text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"line {line}: {name} = {text!r} is not a number") from None
    low, high = _RANGES[unit]
    if not low <= value <= high:
        smaller = {"s": "ms", "V": "mV"}.get(unit)
        hint = f"; is it in {smaller}?" if smaller and low <= value / 1000 <= high else ""
        shown = {"V_per_s": " V/s", "fraction": ""}.get(unit, f" {unit}")
        raise InputError(f"line {line}: {name} = {text} is outside {low:g} to {high:g}{shown}{hint}")
    return value


def _condition(line: int, quantity: str, column: str, text: str) -> float:
    if not text and column in _DEFAULTS:
        return _DEFAULTS[column]
    if not text:
        raise InputError(f"line {line}: {quantity} needs {column}, which is empty")
    return _number(line, column, text, CONDITIONS[column])


def _value(line: int, quantity: str, text: str, conditions: dict[str, float]) -> float:
    if not text:
        if not QUANTITIES[quantity].may_fail:
            raise InputError(f"line {line}: {quantity} needs a value, which is empty")
        return math.nan
    if quantity == "fires":
        if text not in ("0", "1"):
            raise InputError(f"line {line}: fires must be 0 or 1, not {text!r}")
        return float(text)
    value = _number(line, quantity, text, quantity.rpartition("_")[2])
    limit = {"latency_s": "width_s", "paired_latency_s": "width_s", "hold_V": "peak_V"}.get(quantity)
    if limit is not None and value > conditions[limit] * (1 + 1e-6):
        unit = "mV" if quantity == "hold_V" else "ms"
        raise InputError(f"line {line}: {quantity} = {text} is beyond {limit} = "
                         f"{conditions[limit]:g}; is it in {unit}? (what did not happen is left "
                         f"empty)")
    return value


def _check(groups: list[Group]) -> None:
    """What only shows beside other values."""
    for group in groups:
        there = [(value, line) for value, line in zip(group.values.tolist(), group.lines, strict=True)
                 if not math.isnan(value)]
        if group.quantity == "fires" or len(there) < 4:
            continue
        middle = median(value for value, _ in there)
        largest, line = max(there, key=itemgetter(0))
        if largest > _ANOTHER_UNIT * middle:
            raise InputError(f"line {line}: {group.quantity} = {largest:g}, but "
                             f"the others under the same conditions are about {middle:.3g}; is it "
                             f"in another unit?")
    latency = sorted((g for g in groups if g.quantity == "latency_s"),
                     key=lambda g: g.conditions["v_V"])
    for below, above in zip(latency, latency[1:], strict=False):
        if above.typical > _MUST_NOT_RISE * below.typical:
            raise InputError(
                f"line {above.lines[0]}: latency_s is about {above.typical:.3g} at "
                f"{above.conditions['v_V']:g} V, but {below.typical:.3g} at "
                f"{below.conditions['v_V']:g} V; more voltage is quicker: wrong unit?")
    volts = {g.conditions["v_V"] for g in latency if not np.isnan(g.values).all()}
    if len(volts) < 2:
        raise InputError(f"a fit needs latency_s at two voltages at least; there are "
                         f"{len(volts)}")
    ohms = {g.quantity: g.typical for g in groups if g.quantity in ("on_ohm", "off_ohm")}
    if len(ohms) == 2 and ohms["off_ohm"] <= ohms["on_ohm"]:
        raise InputError(f"off_ohm = {ohms['off_ohm']:g} must be above on_ohm = "
                         f"{ohms['on_ohm']:g}")
