"""The doctor, in rooms that are set up for it."""

import grp
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require_compiler

from ionspike.host import doctor
from ionspike.host.doctor_ports import RULES, RULES_FILE, holders, ports
from ionspike.host.ports import Candidate

BOARD = Candidate("/dev/ttyUSB1", "iCEBreaker", "0403:6010")
REAL = Path(__file__).parent.parent


@pytest.fixture
def root(tmp_path):
    """A machine with a board that is as it should be."""
    for folder in ("dev", "etc/udev/rules.d", "proc", "sys/bus/usb-serial/devices/ttyUSB1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dev/ttyUSB1").touch()
    (tmp_path / "sys/bus/usb-serial/devices/ttyUSB1/latency_timer").write_text("1\n")
    (tmp_path / RULES_FILE.lstrip("/")).write_text("\n".join(RULES))
    return tmp_path


def process(root, pid, *files, command=b"minicom\0-D\0/dev/ttyUSB1\0"):
    (root / f"proc/{pid}/fd").mkdir(parents=True)
    (root / f"proc/{pid}/cmdline").write_bytes(command)
    for k, file in enumerate(files):
        (root / f"proc/{pid}/fd/{k}").symlink_to(file)


def looked(root, **options):
    return {check.name: check for check in ports([BOARD], root, **options)}


def test_nothing_to_mend(root):
    assert {check.name: check.status for check in ports([BOARD], root, may=lambda path: True)
            if check.name != "group dialout"} == {
        "board": "ok", "latency timer": "ok", "udev rule": "ok"}


@pytest.mark.parametrize("ms", [2, 16])
def test_a_slow_adapter(root, ms):
    timer = root / "sys/bus/usb-serial/devices/ttyUSB1/latency_timer"
    timer.write_text(f"{ms}\n")
    check = looked(root)["latency timer"]
    assert check.status == "bad" and f"/dev/ttyUSB1: {ms} ms" in check.found
    assert check.remedy.startswith(f"echo 1 | sudo tee {timer}")
    timer.write_text("what")
    assert "latency timer" not in looked(root)


def test_who_has_the_port(root):
    port = root / "dev/ttyUSB1"
    process(root, 17, root / "dev/null", port)
    process(root, 9, port, port, command=b"")
    process(root, 23, root / "dev/ttyUSB0", "socket:[77]")
    process(root, os.getpid(), port)
    (root / "proc/5").mkdir()
    (root / "proc/self").mkdir()
    assert holders("/dev/ttyUSB1", root) == [(9, "?"), (17, "minicom -D /dev/ttyUSB1")]
    check = looked(root)["in use"]
    assert (check.status, check.found) == (
        "bad", "/dev/ttyUSB1 is open in process 17: minicom -D /dev/ttyUSB1")
    assert "kill 17" in check.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_who_has_a_real_file(tmp_path):
    file = tmp_path / "port"
    file.touch()
    link = tmp_path / "by-id"
    link.symlink_to(file)
    with file.open("w") as held:
        child = subprocess.Popen([sys.executable, "-c", "print('', flush=True); input()"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=held)
    child.stdout.readline()
    try:
        (pid, command), = holders(str(link))
        assert pid == child.pid and "input()" in command
    finally:
        child.communicate(b"\n", timeout=10)


def test_permission(root):
    asked = []
    check = looked(root, may=lambda path: asked.append(path))["permission"]
    assert check.status == "bad" and "dialout" in check.remedy
    assert asked == [root / "dev/ttyUSB1"]


def test_no_rule(root):
    file = root / RULES_FILE.lstrip("/")
    file.write_text("# " + RULES[0])
    check = looked(root)["udev rule"]
    assert check.status == "absent"
    assert all(rule in check.remedy for rule in RULES) and RULES_FILE in check.remedy


def test_the_rule_is_that_of_the_document():
    text = (REAL / "docs/boards.md").read_text()
    assert "\n".join(RULES) in text and RULES_FILE in text


@pytest.mark.parametrize(("needed", "status"), [(True, "bad"), (False, "absent")])
def test_a_user_who_is_not_in_the_group(root, monkeypatch, needed, status):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(grp, "getgrnam", lambda name: type("Group", (), {"gr_gid": 20}))
    found = [BOARD] if needed else []
    checks = {check.name: check for check in ports(found, root, groups=lambda: [4])}
    assert checks["group dialout"].status == status
    checks = {check.name: check for check in ports(found, root, groups=lambda: [20])}
    assert checks["group dialout"].status == "ok"


def test_programs_that_load(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "openFPGALoader"
    program.write_text("#!/bin/sh\necho openFPGALoader v0.13.1\n")
    program.chmod(0o755)
    checks = {check.name: check for check in doctor._loaders()}
    assert checks["openFPGALoader"].found == "openFPGALoader v0.13.1"
    assert checks["iceprog"].status == "absent"
    assert checks["iceprog"].remedy == "sudo apt install fpga-icestorm"


def test_the_virtual_board_is_tried():
    require_compiler()
    check = doctor._virtual(lambda stage: None)
    assert check.status == "ok" and "a round trip takes" in check.found


def test_a_virtual_board_that_fails_is_said(monkeypatch):
    from ionspike.host.board import Board
    from ionspike.host.errors import NoBoardError

    def fail(**options):
        raise NoBoardError("it does not compile")

    monkeypatch.setattr(Board, "open", fail)
    check = doctor._virtual(lambda stage: None)
    assert (check.status, check.found) == ("bad", "it does not compile")
