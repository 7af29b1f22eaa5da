"""Qualifying a line, on the golden model and on the virtual board."""

import json
import random

import pytest
from conftest import require_compiler

from ionspike.host.board import Board
from ionspike.host.cli import main
from ionspike.host.framing import pack
from ionspike.host.loopback import PATTERNS, SIZES, loopback, pattern
from ionspike.spec.wire import BAUD, Kind

GOLDEN = ("--backend", "golden", "--seconds", "0.2")


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("size", SIZES)
def test_patterns_have_their_size_and_fit_a_frame(name, size):
    data = pattern(name, size, random.Random(1))
    assert len(data) == size
    assert len(pack(Kind.DATA, 0, data)) <= size + 8


def test_the_worst_case_of_cobs_has_zeros_at_all_distances():
    data = pattern("cobs", SIZES[-1], random.Random(1))
    assert {len(run) for run in data.split(b"\0")} >= set(range(20))


def test_a_clean_line(capsys):
    assert main(["loopback", *GOLDEN, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    rate, = said["rates"]
    assert (said["whole"], said["safe_baud"], rate["baud"]) == (True, BAUD, BAUD)
    assert rate["sent"] > 0 == rate["lost"] == rate["altered"] and len(rate["cases"]) == 25
    assert 0 < rate["round_trip_s"] <= rate["round_trip_p99_s"]
    assert main(["loopback", *GOLDEN]) == 0
    assert "highest safe rate  3,000,000 baud" in capsys.readouterr().out


def test_a_bad_line_is_whole_but_not_safe(capsys):
    assert main(["loopback", *GOLDEN, "--faults", "3e-4", "--baud", "115200", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    slow, built = said["rates"]
    assert (slow["baud"], slow["tried"], built["tried"]) == (115200, False, True)
    assert slow["why"] == "the line has no rate to change"
    assert said["whole"] and said["safe_baud"] is None and not built["lost"]
    assert built["host"]["resent"] or built["board"]["resent"]


def test_what_is_lost_has_code_four(capsys, monkeypatch):
    echo = Board.echo

    def lossy(board, payloads):
        echoes, seconds = echo(board, payloads)
        return ([b"?" + echoes[0][1:], *echoes[1:-1]] if len(echoes) > 1 else echoes), seconds

    monkeypatch.setattr(Board, "echo", lossy)
    assert main(["loopback", *GOLDEN, "--json"]) == 4
    out, err = capsys.readouterr()
    rate, = json.loads(out)["rates"]
    assert rate["lost"] and rate["altered"] and err.count("\n") == 1
    assert f"{rate['lost']} of {rate['sent']} echoes lost, {rate['altered']} altered" in err


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (("/dev/none",), 3, "/dev/none: no such port"),
    (("x", "--port", "y"), 2, "two ports: x and --port y; give one"),
    (("--baud", "fast"), 2, "'fast' is not a positive integer"),
    ((*GOLDEN, "--baud", "7000000"), 2, "7000000 baud cannot be made from 24000000 Hz"),
    (("--seconds", "0"), 2, "'0' is not a positive number of seconds"),
    ((*GOLDEN, "--faults", "x"), 2, "not 'x'"),
])
def test_bad_arguments_are_one_line(capsys, arguments, code, message):
    try:
        got = main(["loopback", *arguments])
    except SystemExit as stop:
        got = stop.code
    out, err = capsys.readouterr()
    assert (got, out, err.count("\n")) == (code, "", 1) and message in err


def test_the_virtual_board_is_measured_in_its_own_time_at_every_rate():
    require_compiler()
    with Board.open(backend="virtual", timeout_s=60) as board:
        done = loopback(board, seconds=0.1, bauds=[1_000_000, 3_000_000])
    assert [rate.baud for rate in done.rates] == [1_000_000, 3_000_000, 6_000_000]
    for rate in done.rates:
        assert rate.safe and rate.clock == "simulated"
        assert 0.2 < rate.share < 0.95
    assert done.safe_baud == 6_000_000
