"""Compiler launcher that keeps the objects of a simulator's run-time library between builds.

Verilator compiles its library anew for every design, which takes longer than a small design does.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__: list[str] = []


def main(folder: Path, library: Path, command: list[str]) -> int:
    """Run a compiler's ``command``, or take its object from ``folder`` if it is the library's."""
    source = Path(command[-1])
    if not source.is_relative_to(library):
        return subprocess.call(command)
    result = Path(command[command.index("-o") + 1])
    kept = folder / hashlib.sha256("\0".join(command).encode()).hexdigest()
    if not kept.exists():
        if status := subprocess.call(command):
            return status
        # Copied under another name first, so that no other build ever sees half of it.
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
            part.write(result.read_bytes())
        os.replace(part.name, kept)
    shutil.copyfile(kept, result)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
