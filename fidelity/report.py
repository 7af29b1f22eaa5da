"""What a characterisation leaves behind: pictures, JSON, and one page of HTML with all of it."""

import base64
import html
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ionspike.fidelity import figures
from ionspike.fidelity.characterize import Characterization
from ionspike.fidelity.tables import summary, tables

__all__ = ["WHOSE", "page", "pictures", "write"]

#: Which numbers are whose, for every page that shows them.
WHOSE = (
    ("paper", "Zhao et al., Nat. Electron. 8, 1211-1221 (2025), doi:10.1038/s41928-025-01488-x: points "
     "of figures and the protocols, as transcribed by one third party; some are readings off "
     "plots. We have not seen the figures themselves."),
    ("estimated", "The paper's ratio of pulse counts, and the ranges for coefficients of variation: "
     "calculated from points of the paper, and from measurements that its laboratory published of "
     "other devices."),
    ("ours", "Everything else: reference, golden model and board, the parameters under \"ours\" of the "
     "device's file, and the cascade's protocol."))

_STYLE = """body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px; margin: 0.5rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: 0.15rem 0.7rem 0.15rem 0; text-align: left; vertical-align: top }
img { max-width: 100% } code { font-size: 13px }"""


def pictures(found: Characterization) -> Iterator[tuple[str, bytes]]:
    """Name and PNG of each figure that something is known for."""
    for name, figure in _figures(found):
        if found.pace != 1:
            figure.suptitle(f"{found.device.name} in slow motion: 1 s here is {1 / found.pace:g} s",
                            fontsize="medium")
        yield name, figures.png(figure)


def _figures(found: Characterization) -> Iterator[tuple[str, Any]]:
    outcomes = {name: _shown(found, of) for name, of in found.outcomes.items()}
    if outcomes:
        yield "overview", figures.overview(outcomes)
    for name, of in outcomes.items():
        examples = {b: found.examples[b] for b in of if b in found.examples} \
            if name == "refractory" else {}
        yield name, figures.draw(name, of, examples)
    pairs = [(of["golden"], of["reference"]) for of in found.traces.values()
             if {"golden", "reference"} <= set(of)]
    if pairs:
        yield "traces", figures.traces(pairs)


def _shown(found: Characterization, of: dict[str, Any]) -> dict[str, Any]:
    """Without the paper's points where they are of another device."""
    if found.of_paper:
        return of
    return {backend: replace(outcome, curves={
        name: replace(curve, paper=None) for name, curve in outcome.curves.items()})
        for backend, outcome in of.items()}


def write(found: Characterization, folder: Path, as_html: bool) -> list[Path]:
    """Write ``results.json``, a PNG for each figure and, if wanted, ``report.html``.

    The folder may be new, in one that exists.
    """
    folder.mkdir(exist_ok=True)
    results, written = found.results(), []
    images = dict(pictures(found))

    def put(name: str, content: bytes) -> None:
        path = folder / name
        path.write_bytes(content)
        written.append(path)

    put("results.json", to_json(results).encode())
    for name, content in images.items():
        put(f"{name}.png", content)
    if as_html:
        put("report.html", page(results, images).encode())
    return written


def to_json(results: dict[str, Any]) -> str:
    """The same text for the same results."""
    return json.dumps(results, indent=1, allow_nan=False) + "\n"


def page(results: dict[str, Any], images: dict[str, bytes]) -> str:
    """One page of HTML that needs nothing but itself."""
    device, escape = results["device"], html.escape
    title = f"ionspike: fidelity of {device['name']}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(device['title'])}</p>"]
    if results["missing"]:
        parts.append(f"<p><b>Not complete.</b> Missing: {escape(', '.join(results['missing']))}.</p>")
    if results["pace"] != 1:
        parts.append(f"<p>The device is {results['pace']:g} times as fast as the protocols: 1 s here is "
                     f"{1 / results['pace']:g} s of the device.</p>")
    parts.append("<ul>" + "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in summary(results))
                 + "</ul>")
    parts.append("<p>" + "<br>".join(f"<b>{escape(k)}</b>: {escape(v)}" for k, v in WHOSE) + "</p>")
    for name, content in images.items():
        data = base64.b64encode(content).decode()
        parts.append(f'<h2>{escape(name)}</h2><img alt="{escape(name)}" '
                     f'src="data:image/png;base64,{data}">')
    parts += [table.html() for table in tables(results).values()]
    parts.append("<h2>Device</h2><table>" + "".join(
        f"<tr><td><code>{escape(k)}</code></td><td>{escape(str(v))}</td></tr>"
        for k, v in device.items()) + "</table>")
    parts.append("<h2>What ran</h2><table>" + "".join(
        f"<tr><td>{escape(k)}</td><td>{escape(str(v))}</td></tr>" for k, v in (
            *results["backends"].items(), ("seed", results["seed"]),
            *((f"seed and trials, {name}", f"{e['seed']}, {e['trials']}")
              for name, e in results["experiments"].items()),
            *results["versions"].items(), ("seconds", results["wall_s"]))) + "</table>")
    return (f"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{escape(title)}"
            f"</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts)
            + "\n</body></html>\n")
