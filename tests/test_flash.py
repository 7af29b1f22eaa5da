"""`ionspike flash`, with stand-ins that record how they are called. No board is anywhere here."""

import hashlib
import json

import pytest

from ionspike.boards.table import BOARDS
from ionspike.host import verb_flash
from ionspike.host.cli import main
from ionspike.host.errors import NoBoardError


@pytest.fixture
def ionspike(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()

    def run(*arguments):
        try:
            code = main([str(word) for word in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()
    return run


@pytest.fixture
def tool(tmp_path):
    """A stand-in that writes its arguments to a file and ends as told."""
    def make(name, status=0, says=""):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\" > {tmp_path}/called\n"
                        f"echo '{says}' >&2\nexit {status}\n")
        path.chmod(0o755)
    return make


@pytest.fixture
def built(tmp_path):
    def make(board, bitstream="top.bin", build="00c0ffee"):
        folder = tmp_path / "build" / board
        folder.mkdir(parents=True)
        (folder / bitstream).write_bytes(b"bits")
        (folder / "build.json").write_text(json.dumps({
            "board": board, "bitstream": bitstream, "build": build,
            "sha256": hashlib.sha256(b"bits").hexdigest()}))
        return folder
    return make


class Answers:
    """A board as far as `flash` asks it."""

    where = "/dev/ttyUSB1"

    def __init__(self, build):
        self.build = build

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def answers(monkeypatch):
    def make(build, after=0):
        failures = iter([True] * after)

        def open_(port, backend, timeout_s):
            assert backend == "serial"
            if build is None or next(failures, False):
                raise NoBoardError("/dev/ttyUSB1: no answer within 1 s")
            return Answers(build)
        monkeypatch.setattr(verb_flash.Board, "open", open_)
    return make


@pytest.mark.parametrize("board, name, words", [
    ("icebreaker", "iceprog", ["{}"]),
    ("icebreaker", "openFPGALoader", ["-b", "ice40_generic", "{}"]),
    ("ulx3s_85f", "openFPGALoader", ["-b", "ulx3s", "{}"]),
    ("ulx3s_85f", "dfu-util", ["-a", "0", "-D", "{}"]),
    ("ecpix5", "ecpprog", ["-S", "{}"]),
    ("tang_nano_9k", "openFPGALoader", ["-b", "tangnano9k", "{}"]),
])
def test_the_tool_is_called_as_it_wants(ionspike, tool, built, answers, tmp_path, board, name, words):
    built(board)
    tool(name)
    answers("00c0ffee", after=1)
    code, out, err = ionspike("flash", board, "--json")
    assert code == 0, err
    said = json.loads(out)
    called = (tmp_path / "called").read_text().splitlines()
    assert called == said["command"] == [
        str(tmp_path / "bin" / name), *(w.format(f"build/{board}/top.bin") for w in words)]
    assert (said["build"], said["where"]) == ("00c0ffee", "/dev/ttyUSB1")


def test_the_first_of_several_tools_is_taken(ionspike, tool, built, answers, tmp_path):
    built("icebreaker")
    tool("openFPGALoader")
    tool("iceprog")
    answers("00c0ffee")
    assert ionspike("flash", "icebreaker")[0] == 0
    assert (tmp_path / "called").read_text().startswith(str(tmp_path / "bin" / "iceprog"))


@pytest.mark.parametrize("board", BOARDS)
def test_without_a_tool_the_remedy_is_named(ionspike, built, board):
    built(board)
    code, out, err = ionspike("flash", board)
    assert (code, out) == (3, "") and err.count("\n") == 1
    assert f"install {BOARDS[board].flash[0][0]}" in err


def test_a_tool_that_fails_is_believed(ionspike, tool, built):
    built("icebreaker")
    tool("iceprog", 2, "Cannot find iCE FTDI USB device.")
    code, _, err = ionspike("flash", "icebreaker")
    assert code == 3 and err.count("\n") == 1
    assert "iceprog failed with status 2: Cannot find iCE FTDI USB device.; is the board" in err


def test_a_board_that_does_not_answer_is_no_success(ionspike, tool, built, answers):
    built("icebreaker")
    tool("iceprog")
    answers(None)
    code, out, err = ionspike("flash", "icebreaker", "--timeout", "0.3")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1] == ("ionspike: loaded, but no answer: /dev/ttyUSB1: no answer "
                                    "within 1 s")


def test_a_board_with_another_build_is_no_success(ionspike, tool, built, answers):
    built("icebreaker")
    tool("iceprog")
    answers("deadbeef")
    code, out, err = ionspike("flash", "icebreaker")
    assert (code, out) == (2, "")
    assert "answers as build deadbeef, 00c0ffee was loaded" in err


def test_what_was_not_built_is_not_loaded(ionspike, tool, built, tmp_path):
    tool("iceprog")
    assert "build/icebreaker holds no build; `ionspike build icebreaker`" in ionspike(
        "flash", "icebreaker")[2]
    folder = built("icebreaker")
    assert "was built for icebreaker, not hx8k_evn" in ionspike(
        "flash", "hx8k_evn", "--build", folder)[2]
    (folder / "top.bin").write_bytes(b"other bits")
    code, _, err = ionspike("flash", "icebreaker")
    assert code == 2 and "is not what was built" in err
    assert not (tmp_path / "called").exists()
