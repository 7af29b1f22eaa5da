"""The host's class of boards, end to end on the golden back-end."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from nets import DT_S, SHAPE, network, spikes

from ionspike import Board
from ionspike.host import codec
from ionspike.host.decoder import Decoder
from ionspike.host.errors import BoardError, InputError, NoBoardError
from ionspike.host.link import Link, LinkError
from ionspike.host.ports import Candidate, candidates
from ionspike.host.seeds import lfsr_state
from ionspike.host.spikes import Spikes
from ionspike.sim.golden import GoldenPort
from ionspike.sim.interpreter import Interpreter
from ionspike.sim.model import Model
from ionspike.spec import wire
from ionspike.spec.wire import Report, Space


@pytest.fixture
def board():
    with Board.open(backend="golden", shape=SHAPE) as opened:
        yield opened


def modelled(compiled, items, seeds):
    """The golden model itself, without a board around it."""
    model = Model(compiled.image, [lfsr_state(seed) for seed in seeds])
    fired = model.run(compiled.to_board(np.stack([item.raster for item in items])))
    return fired[:, :, compiled.neuron_slots], model.state[:, compiled.neuron_slots], model.lfsr


def test_a_run_is_the_model(board):
    compiled = board.load(network())
    result = board.run(spikes(400), seed=3, probes=[19, 2], digests=True)
    fired, state, lfsr = modelled(compiled, [spikes(400)], [3])
    assert 0 < result.spikes.count < result.spikes.raster.size
    assert np.array_equal(result.spikes.raster, fired[0])
    assert np.array_equal(result.final_state, state[0]) and result.lfsr == int(lfsr[0])
    assert np.array_equal(board.state(), state[0])
    assert result.digests.shape == result.lfsr_words.shape == (400,)
    assert result.lfsr_words[-1] == int(lfsr[0]) & 0xFFFF
    assert result.probes.words.shape == (400, 2, 3)
    assert np.array_equal(result.probes.words[-1], state[0, [19, 2]])
    assert result.probes.filament[-1, 1] == state[0, 2, 0] / 32768
    assert result.counters["words"] > 0 and result.losses == {}
    assert set(result.counters) == {"words", *(name for name, _ in wire.COUNTERS)}
    assert result.link["bytes_out"] > 0
    assert (result.is_hardware, result.backend, result.board, result.seed) \
        == (False, "golden", "golden", 3)
    assert result.image_digest == compiled.image.digest()
    assert board.registers()["control"] == 0


def test_many_runs_are_one_stream(board):
    compiled = board.load(network())
    items = [spikes(100, seed=k) for k in range(9)]
    results = board.run_many(items, seeds=range(9))
    fired, state, lfsr = modelled(compiled, items, range(9))
    assert all(np.array_equal(r.spikes.raster, f) for r, f in zip(results, fired, strict=True))
    assert all(np.array_equal(r.final_state, s) for r, s in zip(results, state, strict=True))
    assert [r.lfsr for r in results] == lfsr.tolist()
    assert [r.first_tick for r in results] == [0] * 9
    alone = board.run(items[4], seed=4)
    assert np.array_equal(alone.spikes.raster, results[4].spikes.raster)
    assert alone.counters == results[4].counters


def test_runs_can_go_on_from_one_another(board):
    board.load(network())
    whole = spikes(300)
    at_once = board.run(whole, seed=1)
    parts = [Spikes(part, DT_S) for part in np.split(whole.raster, [100, 101])]
    first = board.run(parts[0], seed=1)
    later = board.run_many(parts[1:], reset=False)
    assert [r.first_tick for r in (first, *later)] == [0, 100, 101]
    assert np.array_equal(np.vstack([r.spikes.raster for r in (first, *later)]),
                          at_once.spikes.raster)
    assert np.array_equal(later[-1].final_state, at_once.final_state)


def test_seeds_decide_and_are_told(board):
    board.load(network())
    a, b, c = (board.run(spikes(400), seed=s) for s in (5, 5, 6))
    assert np.array_equal(a.final_state, b.final_state)
    assert not np.array_equal(a.final_state, c.final_state)
    drawn = board.run(spikes(400))
    again = board.run(spikes(400), seed=drawn.seed)
    assert np.array_equal(drawn.final_state, again.final_state)


def test_initial_states_are_loaded_for_every_run(board):
    state = np.zeros((20, 3), np.uint16)
    state[:, 0] = 30000
    compiled = board.load(network(state=state))
    quiet = Spikes(np.zeros((3, 12), bool), DT_S)
    results = board.run_many([quiet, quiet], seeds=[1, 2])
    _, final, _ = modelled(compiled, [quiet] * 2, [1, 2])
    assert [r.final_state.tolist() for r in results] == final.tolist()
    assert results[0].final_state[:, 0].any()


def test_long_silence_and_odd_lengths(board, monkeypatch):
    # Steps of 30,000 ticks made short, and pieces that a long raster is encoded in.
    monkeypatch.setattr(codec, "_FARTHEST", 100)
    monkeypatch.setattr("ionspike.host.board._CHUNK_TICKS", 64)
    raster = np.zeros((1000, 12), bool)
    raster[[0, *range(500, 540), 770]] = True
    compiled = board.load(network())
    result = board.run(Spikes(raster, DT_S), seed=1)
    fired, state, _ = modelled(compiled, [Spikes(raster, DT_S)], [1])
    assert result.spikes.count and np.array_equal(result.spikes.raster, fired[0])
    assert np.array_equal(result.final_state, state[0]) and result.losses == {}
    assert board.run(Spikes(np.ones((1, 12), bool), DT_S), seed=1).ticks == 1


def test_free_running_is_lockstep_where_time_stands_still(board):
    board.load(network())
    a = board.run(spikes(), seed=1)
    b = board.run(spikes(), seed=1, mode="free-running", policy=wire.Policy.NEXT)
    assert np.array_equal(a.spikes.raster, b.spikes.raster) and b.mode == "free-running"
    assert board.registers()["period_low"] == 12000
    assert board.registers()["control"] == 0


def test_progress_comes_to_its_end(board):
    board.load(network())
    told = []
    board.run_many([spikes(500, seed=k) for k in range(4)], seeds=range(4),
                   progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (2000, 2000) and len(told) > 4
    assert told == sorted(told)


def test_memory_is_read_and_written(board):
    words = np.arange(1000, dtype=np.uint16)
    board.write(Space.WEIGHTS, 5, words)
    assert np.array_equal(board.read(Space.WEIGHTS, 5, 1000), words)
    with pytest.raises(InputError, match="leave the space WEIGHTS of 1048576 words"):
        board.read(Space.WEIGHTS, 1 << 20, 1)
    with pytest.raises(InputError, match="integers from 0 to 65535"):
        board.write(Space.WEIGHTS, 0, np.array([-1]))


@pytest.mark.parametrize(("call", "message"), [
    (lambda b: b.run(spikes(inputs=13)), "spikes on 13 channels, the network has 12 inputs"),
    (lambda b: b.run(Spikes(np.ones((2, 12)), 1e-3)),
     "spikes with ticks of 0.001 s, the network's are 0.0005 s"),
    (lambda b: b.run(spikes(), probes=[20]),
     "probe 20 is out of range: the network has 20 neurons, 0 to 19"),
    (lambda b: b.run(spikes(), probes=[0] * 128), "128 probes; a board has up to 127"),
    (lambda b: b.run(spikes(), seed="x"), "seed must be an integer, not 'x'"),
    (lambda b: b.run_many([spikes()], seeds=[1, 2]), "2 seeds for 1 runs"),
    (lambda b: b.run(spikes(), mode="fast"),
     "mode must be 'lockstep' or 'free-running', not 'fast'"),
    (lambda b: b.run(spikes(), mode="free-running", period_s=float("nan")),
     "period_s = nan: this board's ticks are 4.17e-08 s to 0.699 s"),
    (lambda b: b.load(network(neurons=49)), "the network has 49 neurons, this board has 48"),
])
def test_what_cannot_be_run_is_named(board, call, message):
    board.load(network())
    with pytest.raises(InputError) as error:
        call(board)
    assert str(error.value) == message
    assert board.run(spikes(), seed=1).ticks == 200


def test_nothing_runs_before_it_is_loaded(board):
    with pytest.raises(InputError, match="no network is loaded: load one first"):
        board.run(spikes())


def test_closing(board):
    board.close()
    board.close()
    with pytest.raises(BoardError, match="the board is closed"):
        board.registers()


def test_a_run_cut_short_does_not_spoil_the_next(board):
    board.load(network())
    want = board.run(spikes(), seed=1)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        board.run(spikes(2000), seed=1, digests=True, progress=interrupt)
    got = board.run(spikes(), seed=1)
    assert np.array_equal(got.spikes.raster, want.spikes.raster)
    assert np.array_equal(got.final_state, want.final_state)


# ------------------------------------------------------------------------- boards that misbehave --

class Broken(GoldenPort):
    """A golden board whose hello or stream is tampered with."""

    def __init__(self, tamper=lambda out: out, **hello):
        super().__init__(SHAPE)
        self.link.hello = replace(self.link.hello, **hello)
        run = self.interpreter.run
        self.interpreter.run = lambda ticks=None: tamper(run(ticks))


def opened(port):
    return Board(Link(port), backend="golden", where="test", timeout_s=0.3)


@pytest.mark.parametrize(("tamper", "message"), [
    (lambda out: out.replace(bytes([Report.MARK]), b"\x99", 1), "0x99, which is not a report"),
    (lambda out: b"", "no answer to MARK within 0.3 s"),
    (lambda out: b"\x3f\x10" + out, "refused a command of 0x10"),
    (lambda out: b"\x22\x05" + out, "reported a tick ending in 0x05"),
])
def test_unexpected_data_are_an_error(tamper, message):
    with opened(Broken(tamper)) as board, pytest.raises(BoardError, match=message):
        board.load(network())


def test_a_board_that_falls_silent_is_named():
    quiet = []
    with opened(Broken(lambda out: b"" if quiet else out)) as board:
        board.load(network())
        quiet.append(True)
        with pytest.raises(BoardError, match=r"test: silent for 0.3 s after tick -1, 1 answers due"):
            board.run(spikes(), seed=1)


def test_losses_are_visible():
    with opened(GoldenPort(SHAPE)) as board:
        board.load(network())
        send, lost = board._session.link.send, []

        def late(record):
            # Stamps the events of one tick as if it had been the one before.
            if record[0] in (wire.Op.EVENTS, wire.Op.BITMAP) and not lost:
                lost.append(record)
                send(bytes([wire.Op.ADVANCE, record[1] + 1, record[2]]))
            send(record)

        board._session.link.send = late
        result = board.run(spikes(), seed=1)
    assert result.losses == {"late": result.counters["late"], "dropped": result.counters["late"]}
    assert result.losses["late"] > 0


@pytest.mark.parametrize("first", [0, 1, 127])
def test_missing_records_are_noticed(first):
    decoder = Decoder()
    decoder.begin(0)
    decoder.feed(bytes([Report.TICK, first]))
    with pytest.raises(BoardError, match="records are missing or out of order"):
        decoder.feed(bytes([Report.TICK, (first + 129) & 0xFF]))


def test_decoding_a_million_events_takes_less_than_a_second():
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(20_000), 60)
    index = np.sort(rng.integers(0, 510, (20_000, 60)), axis=1).ravel()
    keep = np.ones(len(rows), bool)
    keep[1:] = (rows[1:] != rows[:-1]) | (index[1:] != index[:-1])
    rows, index = rows[keep], index[keep]
    lists, ends = codec.encode_lists(rows, index, 20_000)
    stream = b"".join(bytes([Report.SPIKES, t & 0xFF]) + lists[low:high] for t, (low, high)
                      in enumerate(zip([0, *ends[:-1]], ends, strict=True)))
    stream += bytes([Report.MARK, 0, 0]) + (20_000).to_bytes(4, "little")
    decoder = Decoder()
    decoder.begin(0)
    begun = time.process_time()
    for at in range(0, len(stream), 4096):
        decoder.feed(stream[at:at + 4096])
    raster = decoder.segments[0].raster(512)
    assert time.process_time() - begun < len(rows) * 1e-6
    assert np.array_equal(np.argwhere(raster), np.stack([rows, index], axis=1))


# ---------------------------------------------------------------------------------- finding one --

def usb(device, pid, location="", serial=""):
    return SimpleNamespace(device=device, vid=0x0403, pid=pid, location=location,
                           serial_number=serial)


def test_ports_are_told_by_identity_and_interface():
    ports = [
        usb("/dev/ttyUSB0", 0x6010, "1-2:1.0"), usb("/dev/ttyUSB1", 0x6010, "1-2:1.1"),
        usb("/dev/ttyUSB2", 0x6015, "1-3:1.0"), usb("COM3", 0x6010, serial="FT12A"),
        usb("COM4", 0x6010, serial="FT12B"), usb("/dev/ttyUSB3", 0x6001, "1-4:1.0"),
        SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None, location=None,
                        serial_number=None)]
    assert [c.port for c in candidates(ports)] == ["/dev/ttyUSB1", "/dev/ttyUSB2", "COM4"]


@pytest.fixture
def plugged(monkeypatch):
    """Pretends that ports are there; those named open as golden boards, the others are silent."""
    from ionspike.host import backends

    def plug(*ports, answering=()):
        found = [Candidate(p, "iCEBreaker", "0403:6010") for p in ports]
        monkeypatch.setattr(backends, "candidates", lambda: found)

        def serial(port, timeout_s, faults):
            if port not in answering:
                raise NoBoardError(f"{port}: no answer")
            return Board(Link(GoldenPort(SHAPE)), backend="serial", where=port)

        monkeypatch.setattr(backends, "_serial", serial)
    return plug


def test_the_one_board_that_answers_is_taken(plugged):
    plugged("COM1", "COM2", answering=["COM2"])
    with Board.open() as board:
        assert board.where == "COM2"


def test_several_boards_are_listed(plugged):
    plugged("COM1", "COM2", answering=["COM1", "COM2"])
    with pytest.raises(NoBoardError, match=r"several boards: COM1 \(iCE.*\), COM2 \(.*\); give one with --port"):
        Board.open()


def test_a_board_that_does_not_answer_is_named(plugged):
    plugged("COM1")
    with pytest.raises(NoBoardError, match="COM1: no answer; for the virtual board use"):
        Board.open()


def test_hardware_can_be_insisted_on(plugged):
    plugged()
    with pytest.raises(NoBoardError, match="no board found; `ionspike doctor`"):
        Board.open(backend="serial")


@pytest.mark.parametrize(("hello", "message"), [
    ({"major": 2, "minor": 0}, "protocol 2.0"), ({"digest": 0x1234}, "0x00001234")])
def test_boards_of_another_contract_are_refused(hello, message):
    with pytest.raises((NoBoardError, LinkError), match=message):
        opened(Broken(**hello))


def test_ports_that_do_not_exist_are_named():
    with pytest.raises(NoBoardError, match="/dev/none: no such port; `ionspike list` shows"):
        Board.open("/dev/none")
    with pytest.raises(InputError, match="backend must be one of serial, virtual, golden"):
        Board.open(backend="gold")
    with pytest.raises(InputError, match="only virtual and golden boards can be given one"):
        Board.open("/dev/none", shape=SHAPE)


def test_interpreter_needs_no_link():
    core = Interpreter(SHAPE)
    core.feed(codec.mark(1))
    assert core.run() == bytes([Report.MARK, 1, 0, 0, 0, 0, 0])
