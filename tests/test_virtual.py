import os
import random
import threading
import time

import pytest
import serial
from echo import Echo

from ionspike.sim import compile
from ionspike.sim.virtual import Model, SimPort, VirtualBoard


@pytest.fixture
def data():
    return random.Random(1).randbytes(65536)


@pytest.fixture
def board(echo_library):
    with VirtualBoard(echo_library, 4) as board:
        yield board


def cpu_s(action):
    """CPU time this process spends while ``action`` runs."""
    before = time.process_time()
    action()
    return time.process_time() - before


def settled(board):
    """Wait until the board's clock stands still, and return it."""
    deadline = time.monotonic() + 10
    seen, times = board.model.cycles, 0
    # Several times, for on a busy machine it may only be waiting for its turn.
    while times < 6:
        time.sleep(0.05)
        before, seen = seen, board.model.cycles
        times = times + 1 if before == seen else 0
        assert time.monotonic() < deadline, "the board never rests"
    return seen


def test_line_is_used_without_gaps(echo_library, data):
    port = SimPort(Model(echo_library, 4))
    port.write(data[:5000])
    assert port.read(5000) == data[:5000]
    assert 5000 * 40 <= port.cycles < 5001 * 40 + 40
    assert port.model.line_errors == 0


def test_simulated_time_repeats_exactly(echo_library, data):
    def session():
        port = SimPort(Model(echo_library, 4), timeout=1e-4)
        got = []
        for size in range(1, 100, 7):
            port.write(data[:size])
            got.append((port.read(size), port.cycles))
        return got

    assert session() == session()


def test_timeout_is_simulated(echo_library):
    port = SimPort(Model(echo_library, 4), clock_Hz=1e6, timeout=0.5)
    assert (port.read(1), port.cycles) == (b"", 500_000)
    port.timeout = 0
    port.write(b"xy")
    assert (port.read(2), port.cycles) == (b"", 500_000)
    port.flush()
    port.run(100)
    assert (port.in_waiting, port.out_waiting, port.read(9)) == (2, 0, b"xy")
    port.timeout = None
    with pytest.raises(TimeoutError, match="the board is quiet and 3 of 3 bytes are missing"):
        port.read(3)


@pytest.mark.parametrize("divisor", [2, 104])
def test_divisor(divisor):
    port = SimPort(Model(compile.build(Echo(divisor)), divisor))
    port.write(b"divisor \x00\x55\xff")
    assert port.read(11) == b"divisor \x00\x55\xff"
    assert port.model.line_errors == 0


def test_wrong_divisor_is_seen(echo_library):
    model = Model(echo_library, 4)
    model.divisor = 3
    model.send(bytes(100))
    model.run(10_000)
    assert model.receive(100) != bytes(100)
    assert model.line_errors > 0
    with pytest.raises(ValueError, match="2 to 65535 clocks, not 1"):
        model.divisor = 1


def test_echo_over_the_terminal(board, data):
    with serial.Serial(board.port, timeout=10) as port:
        writer = threading.Thread(target=port.write, args=[data])
        writer.start()
        assert port.read(len(data)) == data
        writer.join()


@pytest.mark.parametrize("idle", [True, False])
def test_sleeps_when_idle(idle):
    with VirtualBoard(compile.build(Echo(4, idle=idle)), 4) as board:
        with serial.Serial(board.port, timeout=10) as port:
            for _ in range(2):
                port.write(b"awake")
                assert port.read(5) == b"awake"
                cycles = settled(board)
                assert cpu_s(lambda: time.sleep(0.5)) < 0.05
                assert board.model.cycles == cycles


def test_slow_reader_loses_nothing(board, data):
    data = data[:40_000]
    with serial.Serial(board.port, timeout=10) as port:
        writer = threading.Thread(target=port.write, args=[data])
        writer.start()
        settled(board)
        assert port.in_waiting < len(data)
        assert cpu_s(lambda: time.sleep(0.3)) < 0.05
        got = port.read(len(data))
        writer.join()
    assert got == data


def test_clients_come_and_go(board):
    for name in (b"one", b"two"):
        with serial.Serial(board.port, timeout=10) as port:
            port.write(name)
            assert port.read(3) == name


def test_several_boards(echo_library):
    with VirtualBoard(echo_library) as one, VirtualBoard(echo_library) as two:
        with serial.Serial(one.port, timeout=10) as a, serial.Serial(two.port, timeout=10) as b:
            a.write(b"to one")
            b.write(b"to two")
            assert (a.read(6), b.read(6)) == (b"to one", b"to two")


def test_close_while_connected(echo_library, data):
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    board = VirtualBoard(echo_library)
    with serial.Serial(board.port, timeout=10) as port:
        port.write(data[:3000])
        board.close()
        board.close()
        with pytest.raises(serial.SerialException):
            while port.read(100):
                pass
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_dropped_board_ends_its_thread(echo_library):
    threads = threading.active_count()
    board = VirtualBoard(echo_library)
    assert threading.active_count() == threads + 1
    del board
    assert threading.active_count() == threads
