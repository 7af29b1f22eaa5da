"""Another rate of the line: asked for, not got, left behind; on a terminal and in simulated time."""

import random
import time

import pytest
import serial
from conftest import require_compiler
from nets import network, spikes

from ionspike.hdl.top import CLOCK_HZ
from ionspike.host import backends
from ionspike.host.behind import Behind
from ionspike.host.board import Board
from ionspike.host.cli import main
from ionspike.host.errors import InputError
from ionspike.host.link import Link, LinkError
from ionspike.sim.virtual import VirtualBoard, library
from ionspike.spec.baud import SAFE_BAUD

BUILT = CLOCK_HZ // 4
PAYLOADS = [random.Random(k).randbytes(1 + 30 * k) for k in range(5)]


@pytest.fixture
def virtual(monkeypatch):
    """A virtual board at whose port a host begins with the rate that it was built with."""
    require_compiler()
    monkeypatch.setattr(backends, "BAUD", BUILT)
    with VirtualBoard(library()) as virtual:
        yield virtual


def test_up_and_down_and_what_is_loaded_stays(virtual):
    x = spikes(40)
    with Board.open(backend="golden") as golden:
        golden.load(network())
        expected = golden.run(x, seed=7)
    with Board.open(virtual.port, timeout_s=20) as board:
        board.load(network())
        for baud in (1_000_000, 3_000_000, BUILT, 921_600):
            board.change_rate(baud)
            assert board.baud == baud and virtual.model.divisor == round(CLOCK_HZ / baud)
            result = board.run(x, seed=7)
            assert (result.spikes.raster == expected.spikes.raster).all()
            assert (result.final_state == expected.final_state).all()
            assert result.lfsr == expected.lfsr and not result.losses
            # Each end heard all that the other said, before and after.
            assert result.counters["uart_errors"] == 0 == virtual.model.line_errors
        assert board.link_counters["crc_errors"] == 0


@pytest.mark.parametrize("baud", [230_400, 2_000_000])
def test_a_host_that_dies_leaves_a_board_that_the_next_one_finds(virtual, baud):
    board = Board.open(virtual.port, baud=baud, timeout_s=12)
    assert board.baud == baud
    board._session.link.send(board._session.mark())     # in the midst of something
    board._session.link.receive(0)
    board._on_close()
    with Board.open(virtual.port, timeout_s=12) as following:
        assert (following.baud, following._session.link.tuned) == (BUILT, True)
        assert following.echo(PAYLOADS)[0] == PAYLOADS


def test_faults_while_the_rate_changes(virtual):
    with Board.open(virtual.port, timeout_s=12, faults="1e-2,seed=3") as board:
        rates = []
        for baud in (3_000_000, BUILT, 2_000_000):
            board.change_rate(baud)
            assert board.echo(PAYLOADS)[0] == PAYLOADS
            rates.append(board.baud == baud)
        assert any(rates)
        done = board._session.link._line._port.port.to_board.done
        assert sum(done.values())


def test_a_rate_that_does_not_work_ends_at_the_safe_one(virtual, monkeypatch, caplog):
    """An adapter that takes any number and does something else."""
    class Wrong(Behind):
        @property
        def baudrate(self):
            return self.port.baudrate

        @baudrate.setter
        def baudrate(self, baud):
            self.port.baudrate = baud if baud != 3_000_000 else 2_500_000

    found = backends._open
    monkeypatch.setattr(backends, "_open", lambda *given: Wrong(found(*given)))
    with Board.open(virtual.port, baud=3_000_000, timeout_s=12) as board:
        assert board.baud == SAFE_BAUD
        assert [record.getMessage() for record in caplog.records] == [
            f"{virtual.port}: no answer at 3,000,000 baud; going on at 115,200"]
        assert board.echo(PAYLOADS[:2])[0] == PAYLOADS[:2]
    monkeypatch.setattr(backends, "_open", found)
    with Board.open(virtual.port) as board:
        assert (board.baud, board._session.link.tuned) == (BUILT, False)


def test_an_adapter_that_cannot_do_the_built_rate(virtual, monkeypatch, caplog):
    serial.Serial(virtual.port, BUILT).write(b"\0")     # somebody else could
    time.sleep(0.1)

    class Limited(Behind):
        @property
        def baudrate(self):
            return self.port.baudrate

        @baudrate.setter
        def baudrate(self, baud):
            if baud > 1_000_000:
                raise ValueError(f"Failed to set custom baud rate ({baud})")
            self.port.baudrate = baud

    monkeypatch.setattr(backends, "_open", lambda port, timeout_s: Limited(
        serial.Serial(port, SAFE_BAUD, timeout=timeout_s)))
    with Board.open(virtual.port, timeout_s=12) as board:
        assert board.baud == SAFE_BAUD
        assert [record.getMessage() for record in caplog.records] == [
            f"{virtual.port}: this port does not do 6,000,000 baud; going on at 115,200"]
        board.change_rate(1_000_000)
        assert board.baud == 1_000_000 and board.echo(PAYLOADS)[0] == PAYLOADS
        with pytest.raises(InputError, match="this port does not do 2,000,000 baud"):
            board.change_rate(2_000_000)
    # The board was sent to its built rate, and woken again.
    with Board.open(virtual.port, baud=1_000_000, timeout_s=12) as board:
        assert board.baud == 1_000_000 and board.echo(PAYLOADS)[0] == PAYLOADS


def test_who_closes_leaves_the_built_rate(virtual):
    for baud in (1_000_000, None):
        with Board.open(virtual.port, baud=baud, timeout_s=12) as board:
            assert board.echo(PAYLOADS)[0] == PAYLOADS
            assert board._session.link.tuned == (baud is not None)
            assert board.baud == (baud or BUILT)


def test_a_port_that_never_answers_is_one_line():
    with VirtualBoard(library()) as silent, serial.Serial(silent.port, BUILT) as line:
        silent.model.stop()
        with pytest.raises(LinkError) as error:
            Board(Link(line), backend="serial", where="x", timeout_s=0.4)
    assert str(error.value).endswith("(nor at 115,200 baud)")
    assert "no answer within 0.2 s" in str(error.value)


@pytest.mark.parametrize(("arguments", "message"), [
    (("virtual", "--baud", "5500000"), "5500000 baud cannot be made from 24000000 Hz: the nearest is"),
    (("virtual", "--baud", "9600"), "a board speaks at 115200 baud or faster, not at 9600"),
    (("golden", "--baud", "115200"), "golden model: has no baud rate that could be changed from here"),
    (("golden", "--baud", "0"), "'0' is not a positive integer"),
])
def test_rates_that_cannot_be_used_are_one_line(capsys, arguments, message):
    if arguments[0] == "virtual":
        require_compiler()
        library()       # whose compilation has lines of its own
    try:
        code = main(["info", "--backend", *arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
