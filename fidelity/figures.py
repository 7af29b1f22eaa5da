"""Figures of the six properties: paper, reference, golden model and board over one another.

Told apart by marks and lines, not by colours alone, so that they are read as well in grey.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ionspike.fidelity.experiments import DT_S, STAGES, Curve, Outcome
from ionspike.fidelity.traces import STATES, Trace

__all__ = ["FIGURES", "draw", "overview", "png", "save", "traces"]

#: By back-end: outcomes of one experiment.
Outcomes = Mapping[str, Outcome]

_STYLES: dict[str, dict[str, Any]] = {
    "paper": {"color": "#000000", "marker": "*", "markersize": 11, "linestyle": "none",
              "zorder": 5},
    "reference": {"color": "#0072b2", "marker": "o", "markersize": 5, "linestyle": "-",
                  "markerfacecolor": "white", "zorder": 3},
    "golden": {"color": "#d55e00", "marker": "s", "markersize": 7, "linestyle": "--",
               "markerfacecolor": "none", "zorder": 4},
    "board": {"color": "#000000", "marker": "x", "markersize": 4.5, "linestyle": "none",
              "markeredgewidth": 1.0, "zorder": 6}}
_LABELS = {"paper": "paper (transcribed)", "reference": "reference", "golden": "golden model"}
_DASHES = ("-", "--", "-.", ":", (0, (1, 3)))


def _style(backend: str) -> dict[str, Any]:
    return dict(_STYLES.get(backend, _STYLES["board"]))


def label(backend: str) -> str:
    """What a legend calls a back-end."""
    return _LABELS.get(backend, {"virtual": "virtual board", "serial": "board"}.get(
        backend, backend))


def _figure(width: float, height: float, rows: int, columns: int, **options: Any) -> Any:
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _plot(axes: Any, outcomes: Outcomes, name: str, *, x: float = 1.0, y: float = 1.0,
          paper: bool = True, lines: bool = True) -> Curve:
    """One curve of each back-end, and the paper's; ``x`` and ``y`` are factors to units."""
    curve = next(iter(outcomes.values())).curves[name]
    for backend, outcome in outcomes.items():
        one, style = outcome.curves[name], _style(backend)
        if not lines:
            style["linestyle"] = "none"
        # A board's errors are those of the golden model.
        error = None if _style(backend)["linestyle"] == "none" else 2 * one.error * y
        axes.errorbar(one.x * x, one.y * y, yerr=error, elinewidth=0.8, label=label(backend),
                      **style)
    if paper and curve.paper is not None:
        there = np.isfinite(curve.paper)
        axes.plot(curve.x[there] * x, curve.paper[there] * y, label=_LABELS["paper"],
                  **_style("paper"))
    return curve


def _legend(axes: Any, **options: Any) -> None:
    """Each label once."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), frameon=False, fontsize="small", **options)


def _ticks(axis: Any, values: Iterable[float]) -> None:
    low, high = sorted(axis.get_view_interval())
    values = [value for value in values if low <= value <= high]
    axis.set_ticks(values, labels=[f"{float(f'{value:.3g}'):g}" for value in values])
    axis.set_minor_locator(_null())


def _null() -> Any:
    from matplotlib.ticker import NullLocator
    return NullLocator()


# -------------------------------------------------------------------- one panel for each property --

def _integration(axes: Any, outcomes: Outcomes) -> None:
    _plot(axes, outcomes, "pulses", x=1e3)
    axes.set(xlabel="gap between pulses (ms)", ylabel="pulses to the first spike", ylim=(0, None))


def _threshold(axes: Any, outcomes: Outcomes, fit: bool = True) -> None:
    curve = _plot(axes, outcomes, "fires", lines=not fit)
    if fit:
        for backend, outcome in outcomes.items():
            one = outcome.curves["fires"]
            if _style(backend)["linestyle"] != "none" and (found := logistic(one)) is not None:
                volts = np.linspace(one.x[0], one.x[-1], 200)
                style = _style(backend) | {"marker": None}
                axes.plot(volts, 1 / (1 + np.exp(-(volts - found[0]) / found[1])), **style,
                          label=f"logistic, {found[0]:.3f} V, {1e3 * found[1]:.0f} mV")
    axes.set(xlabel="height of one pulse of 15 ms (V)", ylabel="probability of firing",
             ylim=(-0.05, 1.05), xlim=(curve.x[0] - 0.02, curve.x[-1] + 0.02))


def _cascade(axes: Any, outcomes: Outcomes) -> None:
    _plot(axes, outcomes, f"stage_{STAGES}")
    axes.set(xlabel="height of the pulses between neurons (V)",
             ylabel=f"probability that neuron {STAGES} fires", ylim=(-0.05, 1.05))


def _plasticity(axes: Any, outcomes: Outcomes) -> None:
    curve = _plot(axes, outcomes, "sooner", x=1e3, y=1e3)
    axes.axhline(0, color="0.7", linewidth=0.8)
    axes.set(xlabel="gap between two pulses (ms)", ylabel="second fires sooner by (ms)",
             xscale="log")
    _ticks(axes.xaxis, 1e3 * curve.x)


def _refractory(axes: Any, outcomes: Outcomes) -> None:
    curve = _plot(axes, outcomes, "interval", x=1e-6, y=1e3)
    axes.axhline(2, color="0.7", linewidth=0.8)
    axes.set(xlabel="control resistor (M\u2126)", ylabel="interval between spikes (ms)",
             xscale="log", yscale="log")
    _ticks(axes.xaxis, 1e-6 * curve.x)
    _ticks(axes.yaxis, (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500))


def _stochasticity(axes: Any, outcomes: Outcomes) -> None:
    for name, text in (("jittered", "random residue"), ("fresh", "no residue")):
        curve = _plot(axes, outcomes, f"cv_{name}")
        axes.annotate(text, (curve.x[-2], curve.y[-2]), xytext=(4, 8),
                      textcoords="offset points", fontsize="small")
    axes.set(xlabel="height of the pulse (V)", ylabel="latency's coefficient of variation",
             ylim=(0, None))


def logistic(curve: Curve) -> tuple[float, float] | None:
    """Middle and slope in volts of the logistic that fits probabilities best, or None."""
    between = (curve.y > 0) & (curve.y < 1)
    if between.sum() < 2:
        return None
    # Weighted straight line through the log-odds, the weights those of binomial numbers.
    odds = np.log(curve.y[between] / (1 - curve.y[between]))
    weight = np.sqrt(curve.y[between] * (1 - curve.y[between]))
    slope, at_zero = np.polyfit(curve.x[between], odds, 1, w=weight)
    return (float(-at_zero / slope), float(1 / slope)) if slope > 0 else None


_PANELS: dict[str, Callable[[Any, Outcomes], None]] = {
    "integration": _integration, "threshold": lambda axes, of: _threshold(axes, of, fit=False),
    "cascade": _cascade, "plasticity": _plasticity, "refractory": _refractory,
    "stochasticity": _stochasticity}


def overview(outcomes: Mapping[str, Outcomes]) -> Any:
    """All properties at a glance, ``[experiment][backend]``."""
    columns = min(3, len(outcomes))
    rows = -(-len(outcomes) // columns)
    figure, axes = _figure(3.5 * columns + 0.5, 3 * rows + 0.4, rows, columns)
    handles: dict[str, Any] = {}
    for panel, (name, of) in zip(axes.flat, outcomes.items(), strict=False):
        _PANELS[name](panel, of)
        panel.set_title(name, fontsize="medium", fontweight="bold")
    for panel in axes.flat[len(outcomes):]:
        panel.set_visible(False)
    known = any(curve.paper is not None for of in outcomes.values()
                for outcome in of.values() for curve in outcome.curves.values())
    for backend in (*["paper"] * known, *dict.fromkeys(b for of in outcomes.values() for b in of)):
        style = _style(backend)
        style.pop("zorder")
        handles[label(backend)] = _line(style)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center",
                  ncols=len(handles), frameon=False)
    return figure


def _line(style: dict[str, Any]) -> Any:
    from matplotlib.lines import Line2D
    return Line2D([], [], **style)


# ------------------------------------------------------------------- one figure for each property --

def _draw_integration(outcomes: Outcomes, examples: Mapping[str, Trace]) -> Any:
    figure, ((axes, ratio),) = _figure(9, 4, 1, 2)
    _integration(axes, outcomes)
    _legend(axes)
    for backend, outcome in outcomes.items():
        one = outcome.curves["pulses"]
        ratio.plot(1e3 * one.x, one.y / one.y[0], label=label(backend), **_style(backend))
    if one.paper is not None:
        ratio.plot(1e3 * one.x, one.paper / one.paper[0], label=_LABELS["paper"],
                   **_style("paper"))
    ratio.set(xlabel="gap between pulses (ms)", ylabel="pulses over those at the shortest gap")
    return figure


def _draw_threshold(outcomes: Outcomes, examples: Mapping[str, Trace]) -> Any:
    figure, ((axes,),) = _figure(6, 4, 1, 1)
    _threshold(axes, outcomes)
    _legend(axes)
    return figure


def _draw_cascade(outcomes: Outcomes, examples: Mapping[str, Trace]) -> Any:
    figure, panels = _figure(10, 6, 2, STAGES - 1, height_ratios=(1, 1))
    for panel, stage in zip(panels[0], range(2, STAGES + 1), strict=True):
        _plot(panel, outcomes, f"stage_{stage}")
        panel.set(xlabel="height of the pulses (V)", ylim=(-0.05, 1.05), title=f"neuron {stage}")
    panels[0][0].set_ylabel("probability of firing")
    _legend(panels[0][-1])
    grid = panels[1][0].get_gridspec()
    for panel in panels[1]:
        panel.remove()
    when = figure.add_subplot(grid[1, :])
    _plot(when, outcomes, "arrival", y=1e3)
    when.set(xlabel="neuron of the chain, pulses of 1.95 V", ylabel="first spike (ms)",
             ylim=(0, None))
    _ticks(when.xaxis, range(1, STAGES + 1))
    return figure


def _draw_plasticity(outcomes: Outcomes, examples: Mapping[str, Trace]) -> Any:
    figure, ((sooner, latency),) = _figure(9, 4, 1, 2)
    _plasticity(sooner, outcomes)
    _legend(sooner)
    for backend, outcome in outcomes.items():
        one, style = outcome.curves["latency"], _style(backend)
        error = None if style["linestyle"] == "none" else 2e3 * one.error[1:]
        latency.errorbar(1e3 * one.x[1:], 1e3 * one.y[1:], yerr=error, elinewidth=0.8, **style,
                         label=f"second pulse, {label(backend)}")
        if style["linestyle"] != "none":
            latency.axhline(1e3 * one.y[0], color=style["color"], linestyle=style["linestyle"],
                            linewidth=0.8, label=f"first pulse, {label(backend)}")
    latency.set(xlabel="gap between two pulses (ms)", ylabel="latency (ms)", xscale="log",
                ylim=(0, None))
    _ticks(latency.xaxis, 1e3 * one.x[1:])
    _legend(latency)
    return figure


def _draw_refractory(outcomes: Outcomes, examples: Mapping[str, Trace]) -> Any:
    some = next(iter(examples.values()), None)
    rows = 1 + (0 if some is None else len(some.lanes))
    figure, panels = _figure(9, 3.6 + 1.5 * (rows - 1), rows, 2,
                             height_ratios=(2.2, *[1] * (rows - 1)))
    axes, cv = panels[0]
    _refractory(axes, outcomes)
    _legend(axes)
    curve = _plot(cv, outcomes, "interval_cv", x=1e-6)
    cv.set(xlabel="control resistor (M\u2126)", ylabel="interval's coefficient of variation",
           xscale="log", ylim=(0, None))
    _ticks(cv.xaxis, 1e-6 * curve.x)
    for k in range(rows - 1):
        for column, panel in enumerate(panels[1 + k]):
            if column >= len(examples):
                panel.set_visible(False)
                continue
            backend, trace = list(examples.items())[column]
            panel.plot(1e3 * trace.time_s, trace.gate_V[:, k], color="0.0", linewidth=0.8)
            panel.set(ylim=(0, 0.9), xlim=(0, 1e3 * trace.time_s[-1]))
            panel.set_title(f"one neuron, {trace.lanes[k].replace('Ohm', chr(0x2126))}, "
                            f"{label(backend)}", fontsize="small")
            if column == 0:
                panel.set_ylabel("gate (V)")
            if k == rows - 2:
                panel.set_xlabel("time (ms)")
    return figure


def _draw_stochasticity(outcomes: Outcomes, examples: Mapping[str, Trace]) -> Any:
    figure, panels = _figure(10, 6.4, 2, 2)
    for panel, name in zip(panels[0], ("fresh", "jittered"), strict=True):
        samples = {backend: 1e3 * outcome.samples[f"latency at 0.9 V, {name}"]
                   for backend, outcome in outcomes.items()}
        top = max(np.nanmax(s) if np.isfinite(s).any() else 1.0 for s in samples.values())
        # Whole ticks, or some bins would be of more of them than others.
        tick_ms = 1e3 * DT_S
        width = tick_ms * np.ceil(top / 30 / tick_ms)
        bins = tick_ms / 2 + width * np.arange(np.ceil(top / width) + 1)
        for backend, values in samples.items():
            style, kept = _style(backend), values[np.isfinite(values)]
            counts = 100 * np.histogram(kept, bins)[0] / max(1, len(kept))
            if style["linestyle"] == "none":
                some = counts > 0
                panel.plot(((bins[1:] + bins[:-1]) / 2)[some], counts[some],
                           label=label(backend), **style)
            else:
                panel.stairs(counts, bins, color=style["color"], linestyle=style["linestyle"],
                             linewidth=1.5, label=label(backend))
        residue = "a random residue" if name == "jittered" else "no residue"
        panel.set(xlabel="latency at 0.9 V (ms)", ylabel="trials (%)",
                  title=f"from {residue}", xlim=(0, None))
        _legend(panel)
    _stochasticity(panels[1][0], outcomes)
    _legend(panels[1][0])
    for name, text in (("jittered", "random residue"), ("fresh", "no residue")):
        curve = _plot(panels[1][1], outcomes, f"latency_{name}", y=1e3)
        panels[1][1].annotate(text, (curve.x[2], 1e3 * curve.y[2]), xytext=(6, 6),
                              textcoords="offset points", fontsize="small")
    panels[1][1].set(xlabel="height of the pulse (V)", ylabel="mean latency (ms)", ylim=(0, None))
    return figure


#: By experiment: how outcomes of all back-ends, and single neurons, become a figure.
FIGURES: Mapping[str, Callable[[Outcomes, Mapping[str, Trace]], Any]] = {
    "integration": _draw_integration, "threshold": _draw_threshold, "cascade": _draw_cascade,
    "plasticity": _draw_plasticity, "refractory": _draw_refractory,
    "stochasticity": _draw_stochasticity}


def draw(experiment: str, outcomes: Outcomes, examples: Mapping[str, Trace] | None = None) -> Any:
    """The figure of one experiment."""
    return FIGURES[experiment](outcomes, examples or {})


#: Of pulse trains, the part where they begin to fire; by experiment.
_WINDOWS_MS = {"integration": (170, 200), "refractory": (85, 115)}
#: By back-end, and whether it is the first lane.
_TRACE_STYLES: dict[tuple[str, bool], dict[str, Any]] = {
    ("reference", True): {"color": "#6cb2e2", "linewidth": 2.6},
    ("reference", False): {"color": "#b9b9b9", "linewidth": 2.6},
    ("golden", True): {"color": "#8a2f00", "linewidth": 1.1, "linestyle": "--"},
    ("golden", False): {"color": "#000000", "linewidth": 1.1, "linestyle": ":"}}


def traces(pairs: Sequence[tuple[Trace, Trace]]) -> Any:
    """Golden model over reference: a row for each state, a column for each experiment."""
    figure, panels = _figure(3.1 * len(pairs), 6.2, len(STATES), len(pairs), sharex="col")
    for column, (golden, reference) in enumerate(pairs):
        for row, state in enumerate(STATES):
            axes = panels[row][column]
            for backend, trace in (("reference", reference), ("golden", golden)):
                values = getattr(trace, state)
                # The first lane and the last tell enough.
                for k in dict.fromkeys((0, values.shape[1] - 1)):
                    axes.plot(1e3 * trace.time_s, values[:, k], **_TRACE_STYLES[backend, k == 0],
                              label=f"{label(backend)}, {trace.lanes[k]}".replace("Ohm", "\u2126"))
            axes.set_xlim(*_WINDOWS_MS.get(golden.experiment, (0, 1e3 * golden.time_s[-1])))
            if column == 0:
                axes.set_ylabel({"filament": "filament", "residue": "residue",
                                 "gate_V": "gate (V)"}[state])
        panels[0][column].set_title(golden.experiment, fontsize="medium", fontweight="bold")
        panels[-1][column].set_xlabel("time (ms)")
        panels[-1][column].legend(frameon=False, fontsize="x-small", loc="upper center",
                                  bbox_to_anchor=(0.5, -0.28))
    return figure


def png(figure: Any) -> bytes:
    """The same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Any, path: Path) -> None:
    """Write a PNG."""
    path.write_bytes(png(figure))
