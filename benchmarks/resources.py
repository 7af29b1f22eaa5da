"""What a core takes of each board's chip, and how fast it is: writes docs/resources.md.

    python benchmarks/resources.py [--boards NAME,...] [--seeds N] [--sizes]

Builds one after the other, some minutes each, and keeps what it found in docs/resources.json, so
that boards can be done one at a time. Needs the `boards` and `gowin` extras.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from ionspike.boards.build import build
from ionspike.boards.errors import BuildError, ToolError
from ionspike.boards.table import BOARDS
from ionspike.spec.shape import CoreShape

DOCS = Path(__file__).parent.parent / "docs"
FOUND = DOCS / "resources.json"
#: Cells by what they are, as the three nextpnr call them.
LOGIC = ("ICESTORM_LC", "TRELLIS_COMB", "LUT4")
RAM = ("ICESTORM_RAM", "DP16KD", "BSRAM")
DSP = ("ICESTORM_DSP", "MULT18X18D", "MULT9X9", "MULT18X18", "DSP")
#: Measured by benchmarks/core.py, in bursts: synaptic operations of each lane and clock.
SOP_PER_LANE = 1.0


def sizes(board: str) -> list[CoreShape]:
    """The default first, then smaller ones."""
    shape = BOARDS[board].shape
    return [shape, replace(shape, neurons=shape.neurons // 2, inputs=shape.inputs // 2),
            replace(shape, neurons=shape.neurons // 4, inputs=shape.inputs // 4)]


def measure(board: str, shape: CoreShape, seeds: int) -> dict:
    facts, begun = BOARDS[board], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = build(facts, shape, Path(folder, "build"), seeds=seeds, allow_slow=True,
                         say=lambda line: print(f"{board}: {line}", flush=True))
        except ToolError as error:
            raise SystemExit(f"{board}: {error}") from None
        except BuildError as error:
            said = {"error": str(error)}
    keep = ("used", "fmax_Hz", "checked_Hz", "seed", "tried", "path", "sha256", "build", "error")
    return {"board": board, "shape": asdict(shape), "clock_Hz": facts.clock_Hz,
            "wall_s": round(time.monotonic() - begun), **{k: said[k] for k in keep if k in said}}


def cell(row: dict, names: tuple[str, ...]) -> str:
    counts = [row["used"][name] for name in names if name in row["used"]]
    return " + ".join(f"{used:,} of {room:,}" for used, room in counts) or "0"


def render(rows: list[dict]) -> str:
    """The table of our own figures."""
    lines = ["| board | neurons | synapses | logic | block RAM | DSP | Fmax | checked | clock | SOP/s |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        shape = CoreShape(**row["shape"])
        head = f"| `{row['board']}` | {shape.neurons:,} | {shape.words * shape.lanes:,} "
        if "error" in row:
            lines.append(f"{head}| does not fit: {row['error'].split(': ', 1)[-1].split(';')[0]} "
                         f"| | | | | {row['clock_Hz'] / 1e6:g} MHz | |")
            continue
        missed = "" if row["checked_Hz"] >= row["clock_Hz"] else " (missed)"
        lines.append(
            f"{head}| {cell(row, LOGIC)} | {cell(row, RAM)} | {cell(row, DSP)} "
            f"| {min(row['fmax_Hz'].values()) / 1e6:.1f} MHz "
            f"| {row['checked_Hz'] / 1e6:.1f} MHz{missed} | {row['clock_Hz'] / 1e6:g} MHz "
            f"| {row['clock_Hz'] * shape.lanes * SOP_PER_LANE / 1e6:,.0f} M |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", help="names with commas between (default: all)")
    parser.add_argument("--seeds", type=int, default=1, help="placement seeds to try")
    parser.add_argument("--sizes", action="store_true", help="smaller cores too")
    parser.add_argument("--render", action="store_true", help="build nothing, write the page anew")
    arguments = parser.parse_args()
    rows = json.loads(FOUND.read_text()) if FOUND.exists() else []
    names = [name for name, facts in BOARDS.items() if facts.family != "xilinx"]
    for board in [] if arguments.render else (arguments.boards or ",".join(names)).split(","):
        for shape in sizes(board)[:None if arguments.sizes else 1]:
            row = measure(board, shape, arguments.seeds)
            rows = [old for old in rows
                    if (old["board"], old["shape"]) != (board, row["shape"])] + [row]
            rows.sort(key=lambda row: (names.index(row["board"]), -row["shape"]["neurons"]))
            FOUND.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    page = DOCS / "resources.md"
    head, begin, rest = page.read_text().partition("<!-- begin -->\n")
    page.write_text(head + begin + render(rows) + "\n<!-- end -->" + rest.partition("<!-- end -->")[2])


if __name__ == "__main__":
    main()
