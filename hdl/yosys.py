"""Native Yosys from the ``pyosys`` wheel, as a function and as the command ``ionspike-yosys``.

The command answers what Amaranth's platforms and back-ends ask of a Yosys (``YOSYS=ionspike-yosys``).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["YosysError", "main", "run_script"]

_ERROR_LINES = 20

# In a process of its own, because libyosys ends the process on an error.
_CHILD = """
import sys
from pyosys import libyosys
libyosys.run_pass(sys.argv[1], libyosys.Design())
"""


class YosysError(Exception):
    """Yosys refused a script; the message holds the last lines of its log."""


def run_script(script: str, cwd: str | os.PathLike[str], *,
               log: Path | None = None, quiet: bool = True,
               stdout: int | None = subprocess.DEVNULL) -> None:
    """Run Yosys commands, one a line, in the folder ``cwd``."""
    with tempfile.TemporaryDirectory(prefix="ionspike-") as folder:
        path = Path(folder, "script.ys")
        path.write_text(script + "\n")
        log = Path(folder, "log") if log is None else log.absolute()
        tee = f"tee {'-q ' if quiet else ''}-o {log} script {path}"
        child = subprocess.run([sys.executable, "-P", "-c", _CHILD, tee], cwd=cwd, stdout=stdout)
        if status := child.returncode:
            lines = log.read_text(errors="replace").split("\n") if log.exists() else []
            tail = "\n".join(lines[-_ERROR_LINES:]).strip()
            raise YosysError(f"Yosys failed with status {status}: {tail or 'it left no log'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``ionspike-yosys``; the options are those of Yosys."""
    parser = argparse.ArgumentParser("ionspike-yosys", description="Native Yosys from pyosys.")
    parser.add_argument("-V", dest="version", action="store_true", help="print the version")
    parser.add_argument("-q", dest="quiet", action="store_true", help="log to the log file only")
    parser.add_argument("-l", dest="log", type=Path, help="log file")
    parser.add_argument("-s", dest="scripts", action="append", default=[], help="run a script")
    parser.add_argument("-p", dest="commands", action="append", default=[], help="run commands")
    parser.add_argument("files", nargs="*", help="scripts, run first; - for standard input")
    options = parser.parse_args(argv)
    if options.version:
        print(f"Yosys {version('pyosys')} (pyosys)")
        return 0
    try:
        parts = [sys.stdin.read() if name == "-" else Path(name).read_text()
                 for name in (*options.files, *options.scripts)]
        run_script("\n".join([*parts, *options.commands]), os.curdir,
                   log=options.log, quiet=options.quiet, stdout=None)
    except (OSError, YosysError) as error:
        print(f"ionspike-yosys: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
