"""A fit as a picture: what was measured beside what the fitted device does. Read as well in grey."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ionspike.fidelity.fit import Fit, Row

__all__ = ["draw"]

_MARKERS, _SHADES = "osD^v", ("0.0", "0.4", "0.6", "0.2", "0.5")
_DASHES = ("-", "--", "-.", ":", (0, (1, 3)))


@dataclass(frozen=True)
class _Panel:
    """Rows of some quantities over one condition, a series for each of the other conditions."""

    title: str
    quantities: tuple[str, ...]
    over: str
    x: str
    y: str
    series: Callable[[Row], str]
    log_x: bool = False


def _of(*names: str) -> Callable[[Row], str]:
    units = {"v_V": "V", "width_s": "s pulses", "peak_V": "V peak"}
    return lambda row: ", ".join(f"{row.group.conditions[name]:.3g} {units[name]}" for name in names)


_PANELS = (
    _Panel("Latency", ("latency_s",), "v_V", "voltage (V)", "latency (s)", lambda row: "from rest"),
    _Panel("Second of two pulses", ("paired_latency_s",), "gap_s", "gap between pulses (s)",
           "latency (s)", _of("v_V", "width_s"), log_x=True),
    _Panel("Relaxation", ("relaxation_s",), "fraction", "conductance left (part of the bridge's)",
           "time after the pulse (s)", _of("v_V", "width_s"), log_x=True),
    _Panel("Ramps", ("threshold_V", "hold_V"), "ramp_V_per_s", "ramp (V/s)", "voltage (V)",
           lambda row: row.group.quantity.removesuffix("_V"), log_x=True),
    _Panel("One pulse fires", ("fires",), "v_V", "voltage (V)", "part that fires",
           _of("width_s")))


def draw(path: Path, fit: Fit) -> None:
    """Write a PNG."""
    import matplotlib
    from matplotlib.figure import Figure
    panels = [panel for panel in _PANELS
              if any(row.group.quantity in panel.quantities for row in fit.rows)]
    spreads = [row for row in fit.rows if not np.isnan(row.spread)]
    count = len(panels) + bool(spreads)
    rows = -(-count // 3)
    figure = Figure(figsize=(11, 3.4 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, 3, squeeze=False).ravel()
    for panel, one in zip(panels, axes, strict=False):
        _panel(one, panel, fit.rows)
    if spreads:
        _spreads(axes[len(panels)], spreads)
    for one in axes[count:]:
        one.set_axis_off()
    figure.suptitle(f"{fit.device.name}: measured (filled, 95 % error bars) and fitted (open, lines)")
    with matplotlib.rc_context({"svg.hashsalt": "ionspike"}):
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})


def _panel(axes: Any, panel: _Panel, rows: Sequence[Row]) -> None:
    own = [row for row in rows if row.group.quantity in panel.quantities]
    names = list(dict.fromkeys(panel.series(row) for row in own))
    shares = panel.quantities == ("fires",)
    for k, name in enumerate(names):
        series = sorted((row for row in own if panel.series(row) == name),
                        key=lambda row: row.group.conditions[panel.over])
        x = np.array([row.group.conditions[panel.over] for row in series])
        y = np.array([row.measured for row in series])
        error = 1.96 * np.array([row.error for row in series])
        bars = [np.minimum(error, y), np.minimum(error, 1 - y)] if shares else \
            [y - y * np.exp(-error), y * np.exp(error) - y]
        marker, shade = _MARKERS[k % len(_MARKERS)], _SHADES[k % len(_SHADES)]
        axes.errorbar(x, y, yerr=bars, linestyle="none", marker=marker, markersize=4, color=shade,
                      capsize=3, label=name)
        axes.plot(x, [row.fitted for row in series], linestyle=_DASHES[k % len(_DASHES)],
                  marker=marker, markersize=9, markerfacecolor="none", color=shade, linewidth=1)
    if panel.log_x:
        axes.set_xscale("log")
        _few_numbers(axes.xaxis)
    if shares:
        axes.set_ylim(-0.05, 1.05)
    else:
        axes.set_yscale("log")
        _few_numbers(axes.yaxis)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)


def _few_numbers(axis: Any) -> None:
    """Plain numbers at 1, 2 and 5 where there are few decades; powers of ten where there are many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if high < 300 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _spreads(axes: Any, rows: Sequence[Row]) -> None:
    for k, quantity in enumerate(dict.fromkeys(row.group.quantity for row in rows)):
        own = [row for row in rows if row.group.quantity == quantity]
        axes.plot([row.fitted_spread for row in own], [row.spread for row in own],
                  linestyle="none", marker=_MARKERS[k % len(_MARKERS)], markersize=6,
                  markerfacecolor="none" if k % 2 else _SHADES[k % len(_SHADES)],
                  color=_SHADES[k % len(_SHADES)], label=quantity)
    both = [value for row in rows for value in (row.spread, row.fitted_spread)]
    ends = [min(both) / 1.3, max(both) * 1.3]
    axes.plot(ends, ends, color="0.7", linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title("Scatter (s.d. of the logarithm)")
    axes.set_xlabel("fitted")
    axes.set_ylabel("measured")
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
