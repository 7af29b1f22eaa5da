"""``ionspike device``: presets, what they do, and devices from measurements."""

import argparse
import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionspike.host.arguments import add_json, add_seed, count, seconds, verb
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.device_facts import coefficient_lines, derived, origins, remarks
from ionspike.host.errors import InputError
from ionspike.host.files import replacing
from ionspike.spec.device import RANGES, Device, presets
from ionspike.spec.ticks import suggested_tick_s

if TYPE_CHECKING:
    from ionspike.fidelity.fit import Fit

__all__ = ["add"]

#: Of parameters whose names do not have one.
_NO_UNIT = {"alpha", "lambda_gap", "gap", "growth_gain", "residue_gain", "alpha_gain", "r_max",
            "sigma1", "residue_noise", "residue_jitter", "spread_growth", "spread_rc", "spread_gap"}
_SAY = {"source": "its source's", "bench": "of the bench", "ours": "ours"}
#: What to measure for a parameter that a fit could not determine.
_MEASURE = {
    "mu_per_V_s": "latency_s at more voltages", "gamma1_per_s": "latency_s at higher voltages",
    "beta_per_s": "relaxation_s after short pulses, or latency_s at lower voltages",
    "gamma2_per_s": "relaxation_s at small fractions, or paired_latency_s over long gaps",
    "alpha": "hold_V, at several ramps", "lambda_gap": "relaxation_s at several fractions",
    "r_max": "relaxation_s or paired_latency_s after long pulses",
    "sigma1": "latency_s at least five times under the same conditions",
    "residue_jitter": "latency_s at least five times at high voltages",
    "r_on_ohm": "on_ohm", "r_off_ohm": "off_ohm"}


def add(verbs: Any) -> None:
    text = "Device presets, what they do, and devices from your measurements; all with --json."
    parser = verbs.add_parser("device", help=text, description=text)
    parts = parser.add_subparsers(metavar="list|show|fit", required=True)
    add_json(verb(parts, "list", _list, "List the device presets."))

    show = verb(parts, "show", _show, "Parameters of a device, whose they are, and what follows "
                "from them.")
    show.add_argument("name", metavar="NAME|FILE.json")
    show.add_argument("--dt", type=seconds, metavar="SECONDS",
                      help="coefficients at this tick; without it, at one that suits the device")
    add_json(show)

    fit = verb(parts, "fit", _fit, "Propose parameters for measurements of a memristor, with "
               "intervals of 95 %%. docs/devices.md says what to measure.")
    fit.add_argument("measurements", metavar="MEASUREMENTS.csv")
    fit.add_argument("--output", metavar="FILE.json", help="write the device, for Device.load and "
                     "Network(device=...)")
    fit.add_argument("--plot", metavar="FILE.png", help="draw measurements and fit")
    fit.add_argument("--bootstrap", type=count, default=500, metavar="N",
                     help="draw the measurements anew so often, for the intervals "
                          "(default %(default)s)")
    add_seed(fit, "of the fit's noise and of the bootstrap (default %(default)s)", 1)
    add_json(fit)


def _list(arguments: argparse.Namespace) -> int:
    rows: list[dict[str, Any]] = []
    for name in presets():
        device = Device.load(name)
        rows.append({"name": name, "title": device.title, "source": device.source,
                     "threshold_V": device.threshold_V(), "tau_filament_s": 1 / device.rate_per_s,
                     "suggested_tick_s": suggested_tick_s(device)})
    lines = table((row["name"], f"{_number(row['suggested_tick_s'], 's'):>7} ticks  {row['title']}")
                  for row in rows)
    emit({"presets": rows}, lines, arguments.json)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    device, whose = Device.load(arguments.name), origins(arguments.name)
    facts = derived(device)
    dt_s = arguments.dt or facts["suggested_tick_s"]
    integers = None if dt_s is None else coefficient_lines(device, dt_s)
    odd = remarks(device, facts)
    values = {name: getattr(device, name) for name in RANGES if name in whose}
    comment = json.loads(Device.text(arguments.name)).get("comment", "")
    lines = [*table([("device", device.name), ("title", device.title), ("source", device.source),
                     *([("comment", comment)] if comment else [])]), "parameters"]
    lines += ["  " + line for line in table(
        (name, f"{_number(value, _unit(name)):<14} {_SAY[whose[name]]}")
        for name, value in values.items())]
    lines += ["what follows", *("  " + line for line in table(_follows(facts)))]
    if integers is not None:
        lines += [f"coefficients at {_number(dt_s, 's')} a tick",
                  *("  " + line for line in table(integers.items()))]
    emit({"name": device.name, "title": device.title, "source": device.source, "comment": comment,
          "parameters": {name: {"value": value, "whose": whose[name]}
                         for name, value in values.items()},
          "figures": device.figures, "derived": facts, "dt_s": dt_s, "coefficients": integers,
          "remarks": odd}, lines, arguments.json)
    for line in odd:
        note(f"{device.name}: {line}")
    return 0


def _follows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("filament", f"{_number(facts['tau_filament_s'], 's')}  1 / (gamma1 + beta)"),
            ("residue", f"{_number(facts['tau_residue_s'], 's')}  1 / gamma2"),
            ("gate", f"{_number(facts['tau_gate_s'], 's')}  Rc Cg"),
            ("threshold", f"{facts['threshold_V']:.3g} V at rest, "
                          f"{facts['threshold_at_r_max_V']:.3g} V with the largest residue"),
            ("rheobase", f"{facts['rheobase_V']:.3g} V, the least constant voltage that ever "
                         f"bridges the gap")]
    rows += [(f"latency at {v} V", "none" if t is None else
              f"{_number(t, 's')}, from rest, without noise") for v, t in facts["latency_s"].items()]
    ticks = facts["ticks_s"]
    return [*rows, ("ticks", "none exists" if ticks is None else
                    f"{_number(ticks[0], 's')} to {_number(ticks[1], 's')}; suggested "
                    f"{_number(facts['suggested_tick_s'], 's')}")]


def _fit(arguments: argparse.Namespace) -> int:
    from ionspike.fidelity import measurements
    from ionspike.fidelity.fit import fit
    output, plot = arguments.output, arguments.plot
    for path, suffix in ((output, ".json"), (plot, ".png")):
        if path is not None and (Path(path).suffix != suffix
                                 or not Path(path).absolute().parent.is_dir()):
            raise InputError(f"{path}: must be a {suffix} in a folder that exists")
    if arguments.bootstrap < 20:
        raise InputError(f"--bootstrap must be 20 or more, not {arguments.bootstrap}")
    groups = measurements.load(arguments.measurements)
    name = re.sub(r"\W+", "_", Path(output or arguments.measurements).stem)
    with Bar("fitting", "rounds") as bar:
        found = fit(groups, name=name, bootstrap=arguments.bootstrap, seed=arguments.seed,
                    progress=bar)
    preset = found.preset(Path(arguments.measurements).name)
    written = [str(path) for path in (output, plot) if path is not None]
    if output is not None:
        with replacing(output) as file:
            file.write((json.dumps(preset, indent=2) + "\n").encode())
    if plot is not None:
        from ionspike.fidelity.fit_picture import draw
        draw(Path(plot), found)
    odd = remarks(found.device, derived(found.device))
    emit({**preset, "estimates": {key: asdict(one) for key, one in found.estimates.items()},
          "rows": [row.to_json() for row in found.rows], "written": written, "remarks": odd},
         _fit_lines(found, written), arguments.json)
    for line in odd:
        note(f"{name}: {line}")
    return 0


def _fit_lines(found: "Fit", written: list[str]) -> list[str]:
    lines = ["parameter           value  interval of 95 %"]
    for name, one in found.estimates.items():
        unit = _unit(name)
        said = (f"{_number(one.low, unit)} to {_number(one.high, unit)}" if one.determined else
                f"not determined, kept; measure {_MEASURE[name]}")
        lines.append(f"{name:<15} {_number(one.value, unit):>9}  {said}")
    d = found.device
    lines += ["", *table([
        ("gate (ours)", f"r_control_ohm {_number(d.r_control_ohm, 'ohm')}, c_gate_F "
                        f"{_number(d.c_gate_F, 'F')}, v_t_V {d.v_t_V:g}"),
        ("misfit", f"sum of squares {found.chi2:.3g}, by chance about {found.freedom}")])]
    if found.widened > 1:
        lines.append(f"{'':13}worse than that, so all intervals are {found.widened:.2f} times as "
                     f"wide")
    worst = sorted(found.rows, key=lambda row: -abs(row.off))[:3]
    lines += [f"{'furthest off':<13}{row.group.name}: {row.measured:.3g}, fitted {row.fitted:.3g} "
              f"({row.off:+.1f} standard errors)" for row in worst if abs(row.off) > 3]
    outliers = sorted(line for row in found.rows for line in row.outliers)
    if outliers:
        lines.append(f"{'outliers':<13}taken to be at the edge of the others: line "
                     f"{', '.join(map(str, outliers))}")
    return lines + ([f"{'written':<13}{', '.join(written)}"] if written else [])


def _unit(name: str) -> str:
    if name in _NO_UNIT:
        return ""
    return {"per_V_s": "/(V s)", "per_s": "/s", "ohm": "ohm", "F": "F", "V": "V",
            "um2": "um2"}[next(end for end in ("per_V_s", "per_s", "ohm", "um2", "F", "V")
                               if name.endswith(end))]


def _number(value: float, unit: str) -> str:
    """With a prefix where the unit takes one."""
    if unit not in ("s", "F", "ohm") or value == 0:
        return f"{value:.4g} {unit}".strip()
    power = min(max(3 * math.floor(math.log10(abs(value)) / 3 + 1e-9), -18), 12)
    prefix = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M",
              9: "G", 12: "T"}[power]
    return f"{value / 10.0 ** power:.4g} {prefix}{unit}"
