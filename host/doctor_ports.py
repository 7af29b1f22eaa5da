"""Whether this user may use the boards' serial ports, how fast they are, and who has them."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ionspike.host.check import Check
from ionspike.host.ports import Candidate

__all__ = ["RULES", "RULES_FILE", "holders", "ports"]

#: Where udev looks for rules of the machine's owner, and ours: who may use a board, and an adapter
#: that passes bytes on after 1 ms instead of 16.
RULES_FILE = "/etc/udev/rules.d/53-ionspike.rules"
RULES = (
    'SUBSYSTEM=="usb", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6010|6014|6015", MODE="0660", '
    'GROUP="plugdev", TAG+="uaccess"',
    'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"',
)
_RULE_FOLDERS = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_WRITE_RULES = (f"printf '%s\\n' {' '.join(repr(rule) for rule in RULES)} | sudo tee {RULES_FILE}; "
                f"sudo udevadm control --reload; then plug the board in anew")


def ports(found: Sequence[Candidate], root: Path = Path("/"), *,
          may: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
          groups: Callable[[], list[int]] = os.getgroups) -> Iterator[Check]:
    """Look at these ports.

    Parameters
    ----------
    root : of ``/dev``, ``/etc``, ``/proc`` and ``/sys``, for tests.
    may, groups : what this user may read and write, and its groups.
    """
    if not found:
        yield Check("boards", "absent", "none on any serial port",
                    "plug one in, or use the virtual board")
    for candidate in found:
        yield Check("board", "ok", str(candidate))
        if os.name == "posix" and not may(_under(root, candidate.port)):
            yield Check("permission", "bad", f"{candidate.port} cannot be opened by this user",
                        "sudo usermod -aG dialout $USER, then log in anew")
        yield from _latency(candidate.port, root)
        yield from _holders(candidate.port, root)
    if sys.platform == "linux":
        yield _dialout(bool(found), groups)
        yield _rule(root)


def _under(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _latency(port: str, root: Path) -> Iterator[Check]:
    timer = root / "sys/bus/usb-serial/devices" / Path(port).name / "latency_timer"
    try:
        ms = int(timer.read_text())
    except (OSError, ValueError):
        return      # no FTDI adapter
    slow = ms > 1
    yield Check("latency timer", "bad" if slow else "ok",
                f"{port}: {ms} ms" + (", which each round trip waits for" if slow else ""),
                f"echo 1 | sudo tee {timer}, until it is unplugged; a udev rule lasts" if slow
                else "")


def _holders(port: str, root: Path) -> Iterator[Check]:
    for pid, command in holders(port, root):
        yield Check("in use", "bad", f"{port} is open in process {pid}: {command}",
                    f"end it, with kill {pid} if need be; or share the board: ionspike serve")


def holders(port: str, root: Path = Path("/")) -> list[tuple[int, str]]:
    """Other processes that have a port open, and their commands.

    Those of other users are seen by root alone.
    """
    target, found = os.path.realpath(_under(root, port)), []
    for process in (root / "proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            files = list((process / "fd").iterdir())
        except OSError:
            continue
        for file in files:
            try:
                if os.path.realpath(file.readlink()) != target:
                    continue
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue    # it has just ended
            found.append((int(process.name), command.decode(errors="replace").strip() or "?"))
            break
    return sorted(found)


def _rule(root: Path) -> Check:
    for folder in _RULE_FOLDERS:
        for file in sorted((root / folder).glob("*.rules")):
            try:
                text = file.read_text(errors="replace")
            except OSError:
                continue
            if any("0403" in line and "6010" in line and not line.lstrip().startswith("#")
                   for line in text.splitlines()):
                return Check("udev rule", "ok", str(file))
    return Check("udev rule", "absent", "none for the boards' USB chips; loading a bitstream needs "
                 "one, or root", _WRITE_RULES)


def _dialout(needed: bool, groups: Callable[[], list[int]]) -> Check:
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
