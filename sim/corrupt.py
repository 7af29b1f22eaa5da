"""Bitstreams with one wrong bit, to see that it is found."""

import random
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["flipped"]

# Where icebox has the 16 bits of a logic cell's table: 2 rows a cell, from column 36 on.
_COLUMN = 36
_BITS = (4, 14, 15, 5, 6, 16, 17, 7, 3, 13, 12, 2, 1, 11, 10, 0)


def flipped(asc: Path, folder: Path, rng: random.Random) -> str:
    """Write ``top.bin`` with one bit wrong of one table that is in use; says which."""
    lines = asc.read_text().splitlines()
    tables = []
    for at, line in enumerate(lines):
        if line.startswith(".logic_tile"):
            for cell in range(8):
                places = [(at + 1 + 2 * cell + bit // 10, _COLUMN + bit % 10) for bit in _BITS]
                if len({lines[row][column] for row, column in places}) == 2:
                    tables.append((f"{line[12:]} {cell}", places))
    name, places = rng.choice(tables)
    bit = rng.randrange(16)
    row, column = places[bit]
    old = lines[row][column]
    lines[row] = lines[row][:column] + str(1 - int(old)) + lines[row][column + 1:]
    (folder / "top.asc").write_text("\n".join(lines) + "\n")
    pack = Path(sysconfig.get_path("scripts")) / "yowasp-icepack"
    subprocess.run([sys.executable, str(pack), "top.asc", "top.bin"], cwd=folder, check=True,
                   capture_output=True)
    return f"logic cell {name}, bit {bit}"
