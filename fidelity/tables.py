"""What a characterisation found, as tables for a terminal, for Markdown and for HTML."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Table", "summary", "tables"]

#: Rows with more characters are sentences on a terminal.
_WIDE = 110
#: A curve of which chance makes more than this part of its range.
_FLAT = 0.25
_MET = {True: "met", False: "missed", None: "–"}


@dataclass(frozen=True)
class Table:
    """Cells are text; ``notes`` stand below."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def text(self) -> list[str]:
        """For a terminal."""
        if max((sum(map(len, row)) for row in self.rows), default=0) > _WIDE:
            return [self.title, *(line for row in self.rows for line in textwrap.wrap(
                ": ".join(row), _WIDE, initial_indent="- ", subsequent_indent="  "))]
        cells = [self.header, *self.rows]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.header))]
        lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
                 for row in cells]
        lines.insert(1, "  ".join("-" * w for w in widths))
        return [self.title, *lines, *(f"* {note}" for note in self.notes)]

    def markdown(self) -> str:
        """Without the title."""
        rows = [self.header, ("---",) * len(self.header), *self.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
                 for row in rows]
        lines[1] = lines[1].replace(" ", "")
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])

    def html(self) -> str:
        """With the title as a heading."""
        def row(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        return "\n".join([f"<h2>{html.escape(self.title)}</h2>", "<table>", row(self.header, "th"),
                          *(row(cells, "td") for cells in self.rows), "</table>",
                          *(f"<p>{html.escape(note)}</p>" for note in self.notes)])


def tables(results: dict[str, Any]) -> dict[str, Table]:
    """All tables of :meth:`Characterization.results`, by name; those without rows are left out."""
    every = {"paper": _paper(results), "spread": _spread(results), "traces": _traces(results),
             "curves": _curves(results), "exceptions": _exceptions(results),
             "board": _board(results)}
    return {name: table for name, table in every.items() if table.rows}


def summary(results: dict[str, Any]) -> list[tuple[str, str]]:
    """A line for each question."""
    rows = []
    for backend in results["backends"]:
        met = [one["met"] for of in results["paper"].values() for one in of.get(backend, [])
               if one["met"] is not None]
        if met:
            rows.append((f"{backend} against the paper", f"{sum(met)} of {len(met)} bars met"))
    found = [one for one in results["nrmse"]["golden_against_reference"]
             if one["lanes"] is not None]
    if found:
        kept = [one["met"] for one in found if one["met"] is not None]
        rows.append(("golden against reference",
                     f"{sum(kept)} of {len(kept)} mean traces within "
                     f"{results['nrmse']['bar']:.0%}; {len(found) - len(kept)} excepted"))
    board = results["board_against_golden"]
    if board:
        first = next((text for text in board.values() if text), None)
        rows.append(("board against golden", first or f"identical in {len(board)} of "
                     f"{len(board)} experiments: every spike and every tick's digest"))
    return rows


def _number(value: float | None, error: float | None, unit: str) -> str:
    """A value with twice its standard error, as precisely as that allows."""
    if value is None:
        return "–"
    scale = 1e3 if unit == "ms" else 1.0
    value, error = value * scale, None if error is None else 2 * error * scale
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


def _paper(results: dict[str, Any]) -> Table:
    backends = list(results["backends"])
    judged = "golden" if "golden" in backends else next(iter(backends), "")
    rows = []
    for of in results["paper"].values():
        if judged not in of:
            continue
        for k, one in enumerate(of[judged]):
            unit, ranged = one["unit"], one["low"] < one["high"]
            low, high = (_number(one[key], None, unit) for key in ("low", "high"))
            if one["deviation"] is None:
                deviation, bar = "", f"{low} to {high}"
            else:
                deviation = f"{one['deviation']:+.0%}" if one["relative"] \
                    else f"{one['deviation']:+.2f}"
                limit = one["limit"]
                bar = "–" if limit is None else f"{limit:.0%}" if one["relative"] else f"{limit:g}"
            values = [_number(of[b][k]["value"], of[b][k]["error_abs"], unit) if b in of else ""
                      for b in backends]
            rows.append((one["observable"] + (f" ({unit})" if unit else ""), one["setting"],
                         "–" if ranged else low, *values, deviation, bar, _MET[one["met"]]))
    names = tuple(backends)
    return Table("Against the paper", ("observable", "at", "paper", *names, f"{judged}'s deviation",
                                       "bar", "is"), rows,
                 ("± is twice the standard error.",) if rows else ())


def _spread(results: dict[str, Any]) -> Table:
    """Coefficients of variation, of which the paper says nothing."""
    rows = []
    for experiment, name, what, scale, unit in (
            ("refractory", "interval_cv", "interval between spikes", 1e-6, "MOhm"),
            ("stochasticity", "cv_fresh", "latency, no residue", 1.0, "V"),
            ("stochasticity", "cv_jittered", "latency, random residue", 1.0, "V")):
        of = results["experiments"].get(experiment, {}).get("backends", {})
        curves = {b: outcome["curves"][name] for b, outcome in of.items()}
        for k, x in enumerate(next(iter(curves.values()), {"x": []})["x"]):
            rows.append((what, f"{x * scale:g} {unit}", *(
                _number(curves[b]["y"][k], curves[b]["error"][k], "") if b in curves else ""
                for b in results["backends"])))
    return Table("Coefficients of variation", ("of", "at", *results["backends"]), rows)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _traces(results: dict[str, Any]) -> Table:
    rows = []
    for one in results["nrmse"]["golden_against_reference"]:
        if one["lanes"] is not None:
            worst = max(((v, k) for k, v in one["lanes"].items() if v is not None),
                        default=(None, ""))
            rows.append((one["experiment"], one["what"].replace("_V", ""),
                         _percent(one["everywhere"]), _percent(one["chance"]),
                         f"{_percent(worst[0])}, {worst[1]}" if len(one["lanes"]) > 1 else "",
                         _is(one)))
    bar = results["nrmse"]["bar"]
    return Table("Golden model against reference, state over time",
                 ("stimulus of", "state", "NRMSE", "by chance", "worst lane", f"{bar:.0%}"), rows,
                 (f"Means over {results['nrmse']['trials_of_traces']} trials. By chance: the "
                  f"reference against itself with another seed.",) if rows else ())


def _is(one: dict[str, Any]) -> str:
    """Whether the bar is met, and how much of it is excepted."""
    if one["met"] is None:
        return "excepted"
    return _MET[one["met"]] + (", in part excepted" if one["exception"] else "")


def _curves(results: dict[str, Any]) -> Table:
    rows = []
    for one in results["nrmse"]["golden_against_reference"]:
        if one["lanes"] is None:
            flat = one["everywhere"] is None or one["chance"] is not None and one["chance"] > _FLAT
            rows.append((one["experiment"], one["what"],
                         "flat" if flat else _percent(one["everywhere"]),
                         _percent(one["nrmse"]) if one["exception"] else "",
                         _percent(one["chance"])))
    return Table("Golden model against reference, observables",
                 ("experiment", "observable", "NRMSE", "without what is excepted", "by chance"),
                 rows, ("By chance: what the standard errors of both alone would make. Flat: the "
                        "range is none, or that of chance.",) if rows else ())


def _exceptions(results: dict[str, Any]) -> Table:
    grouped: dict[str, list[str]] = {}
    for one in results["nrmse"]["golden_against_reference"]:
        if e := one["exception"]:
            above = "" if e["above"] is None else f" above {e['above'] * 1e-6:g} MOhm"
            grouped.setdefault(e["reason"], []).append(
                f"{one['experiment']}: {one['what'].replace('_V', '')}{above}")
    return Table("Exceptions", ("where", "why"),
                 [("; ".join(where), why) for why, where in grouped.items()])


def _board(results: dict[str, Any]) -> Table:
    rows = []
    board = next((b for b in results["backends"] if b not in ("reference", "golden")), "")
    for experiment, text in results["board_against_golden"].items():
        of = results["experiments"][experiment]["backends"]
        rows.append((experiment, text or "identical", of[board]["hash"], of["golden"]["hash"]))
    return Table(f"{board} board against golden model", ("experiment", "is", f"{board}", "golden"),
                 rows, ("The last columns: hashes of all spikes of all trials and of the digest of "
                        "all state after every tick.",) if rows else ())
