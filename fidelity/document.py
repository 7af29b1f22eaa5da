"""Makes docs/fidelity.md and its figures anew: ``python -m ionspike.fidelity.document``.

Everything runs: reference, golden model and the virtual board, with all trials. Only what stands
between markers of the page is written; ``--render`` writes that from the results of the last run.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from ionspike.fidelity.characterize import Characterization, characterize
from ionspike.fidelity.report import WHOSE, pictures, to_json
from ionspike.fidelity.tables import summary, tables
from ionspike.host.board import Board
from ionspike.spec.device import Device

__all__ = ["COMMAND", "RESULTS", "main", "render"]

COMMAND = "python -m ionspike.fidelity.document"
DOCS = Path(__file__).parent.parent / "docs"
PAGE, FOLDER = DOCS / "fidelity.md", DOCS / "fidelity"
RESULTS = FOLDER / "results.json"

_PART = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(page: str, results: dict[str, Any]) -> str:
    """The page with what stands between its markers made from these results."""
    every = tables(results)
    parts = {name: table.markdown() for name, table in every.items()}
    parts["summary"] = "\n".join(["| question | answer |", "|---|---|", *(
        f"| {question} | {answer} |" for question, answer in summary(results))])
    parts["whose"] = "\n".join(["| mark | which numbers |", "|---|---|", *(
        f"| *{mark}* | {text} |" for mark, text in WHOSE)])
    parts["run"] = _run(results)

    def part(match: re.Match[str]) -> str:
        return f"{match[1]}{parts.get(match[2], 'Nothing: it was not run.')}\n{match[3]}"

    return _PART.sub(part, page)


def _run(results: dict[str, Any]) -> str:
    device, versions = results["device"], results["versions"]
    rows = [("device", f"`{device['name']}`, parameters' hash `{device['hash']}`")]
    for name, about in results["backends"].items():
        build = f", build `{about['build']}`" if "build" in about else ""
        where = {of["backends"][name]["where"] for of in results["experiments"].values()
                 if name in of["backends"]}
        rows.append((name, "; ".join(sorted(where)) + build))
    rows += [(f"trials, seed of {name}", f"{of['trials']}, {of['seed']}")
             for name, of in results["experiments"].items()]
    rows += [("versions", ", ".join(f"{name} {text}" for name, text in versions.items())),
             ("seconds in all", f"{results['wall_s']:.0f}")]
    return "\n".join(["| what | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows)])


def main() -> int:
    """Run everything, or render only; returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", action="store_true", help="run nothing")
    if not parser.parse_args().render:
        with Board.open(backend="virtual", progress=_say) as board:
            found = characterize(Device.load("zhao2025_ms"), board=board, progress=_percent)
        _keep(found)
        for name, different in found.differences.items():
            if different is not None:
                _say(f"the board differs from the golden model: {name}: {different}")
                return 1
    results = json.loads(RESULTS.read_text("utf-8"))
    PAGE.write_text(render(PAGE.read_text("utf-8"), results), "utf-8")
    for question, answer in summary(results):
        print(f"{question}: {answer}")
    return 0


def _keep(found: Characterization) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, content in pictures(found):
        (FOLDER / f"{name}.png").write_bytes(content)
    RESULTS.write_text(to_json(found.results()), "utf-8")


def _percent(backend: str, what: str, done: int, of: int) -> None:
    if done == of:
        _say(f"{what} on {backend}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
