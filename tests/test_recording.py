"""Recordings: what is in them, what survives, and what is refused."""

import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from nets import SHAPE, network, spikes

from ionspike import Board
from ionspike.host import blocks
from ionspike.host.errors import BoardError, InputError
from ionspike.host.recorder import Kind
from ionspike.host.recording import Recording
from ionspike.host.replay import replay
from ionspike.spec import wire


@pytest.fixture
def board():
    with Board.open(backend="golden", shape=SHAPE) as opened:
        yield opened


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recording of everything, and its results."""
    path = tmp_path_factory.mktemp("recording") / "a.ionrec"
    with Board.open(backend="golden", shape=SHAPE) as board:
        with board.record(path):
            board.load(network())
            results = board.run_many([spikes(90, seed=k) for k in range(3)], seeds=[1, 2, 3],
                                     probes=[19, 2], digests=True)
            results.append(board.run(spikes(40), reset=False))
            board.write(wire.Space.WEIGHTS, 3, np.arange(5))
            assert board.read(wire.Space.WEIGHTS, 3, 5).tolist() == [0, 1, 2, 3, 4]
    return path, results


def parts(path):
    """``(kind, payload)`` of every block."""
    return [(block.kind, block.payload) for block in blocks.read(path)]


def write(path, found):
    """A recording of these blocks, all checksums right."""
    path.write_bytes(blocks.preamble() + b"".join(
        blocks.pack(kind, k, payload) for k, (kind, payload) in enumerate(found)))
    return path


def test_turns_are_what_was_said(recorded):
    path, results = recorded
    recording = Recording(path)
    turns = list(recording.turns())
    assert [(t.what, t.number) for t in turns] == [
        ("memory", 0), ("load", 0), *(("run", k) for k in range(4)), ("memory", 4), ("memory", 4)]
    assert recording.closed and recording.planned == 310 and all(t.ended for t in turns)
    assert recording.shape == SHAPE and recording.header["backend"] == "golden"
    assert recording.header["versions"]["ionspike"]
    for turn, result in zip(turns[2:6], results, strict=True):
        assert turn.ticks == result.ticks and turn.placement.image_digest == result.image_digest
        raster = turn.answers.raster(turn.placement.neurons)[:, turn.placement.neuron_slots]
        assert np.array_equal(raster, result.spikes.raster) and raster.any()
    loaded, = recording.networks()
    assert np.array_equal(loaded.projections[0].weights, network().projections[0].weights)


def test_what_was_loaded_before_is_in_it(board, tmp_path):
    board.load(network())
    with board.record(tmp_path / "a.ionrec") as facts:
        board.run(spikes(30), seed=1)
    assert facts["bytes"] == (tmp_path / "a.ionrec").stat().st_size
    assert [t.what for t in Recording(tmp_path / "a.ionrec").turns()] == ["load", "memory", "run"]
    board.run(spikes(30), seed=1)
    assert len(list(Recording(tmp_path / "a.ionrec").turns())) == 3


def test_recording_changes_no_result(board, tmp_path):
    board.load(network())
    plain = board.run(spikes(), seed=4)
    with board.record(tmp_path / "a.ionrec"):
        again = board.run(spikes(), seed=4)
    assert np.array_equal(plain.final_state, again.final_state)
    assert plain.counters == again.counters


def test_files_are_not_replaced_unasked(board, tmp_path):
    path = tmp_path / "a.ionrec"
    path.write_text("precious")
    with pytest.raises(InputError, match="a.ionrec: exists; give another name, or --force"):
        with board.record(path):
            pass
    assert path.read_text() == "precious"
    with board.record(path, overwrite=True):
        with pytest.raises(InputError, match="is being recorded already, to .*a.ionrec"):
            with board.record(tmp_path / "b.ionrec"):
                pass
    assert Recording(path).closed
    for name, message in (("a.txt", "recordings are written as .ionrec"),
                          ("none/a.ionrec", "there is no folder")):
        with pytest.raises(InputError, match=message):
            with board.record(tmp_path / name):
                pass


def test_a_run_cut_short_ends_the_recording(board, tmp_path):
    path = tmp_path / "a.ionrec"
    board.load(network())

    def interrupt(done, total):
        if done > 500:
            raise KeyboardInterrupt

    with board.record(path):
        with pytest.raises(KeyboardInterrupt):
            board.run(spikes(3000), seed=1, progress=interrupt)
        with pytest.raises(InputError, match="the recording ended where a run was cut short"):
            board.run(spikes(30), seed=1)
    recording = Recording(path)
    *_, last = recording.turns()
    assert not recording.closed and not last.ended and 400 < last.ticks < 3000
    done = replay(recording, board)
    assert done.equal and not done.complete and done.ticks == last.ticks and done.spikes


def test_a_board_that_errs_is_recorded_up_to_its_error(board, tmp_path):
    path = tmp_path / "a.ionrec"
    with board.record(path):
        board.load(network())
        receive, calls = board._session.link.receive, itertools.count()
        board._session.link.receive = lambda s: receive(s) + b"\x99" * (next(calls) == 12)
        with pytest.raises(BoardError, match="0x99, which is not a report"):
            board.run(spikes(2000), seed=1)
    *_, last = Recording(path).turns()
    assert not last.ended and last.ticks > 0


# ------------------------------------------------------------------------------------ killed --

RUN = """
import sys
sys.path.insert(0, {tests!r})
from nets import SHAPE, network, spikes
from ionspike import Board
with Board.open(backend="golden", shape=SHAPE) as board, board.record({path!r}):
    board.load(network())
    board.run(spikes(200), seed=1, digests=True)
    board.run(spikes(60_000), seed=2, digests=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_recording_is_read_up_to_its_last_block(tmp_path, board, number):
    path = tmp_path / "a.ionrec"
    process = subprocess.Popen([sys.executable, "-c", RUN.format(
        tests=os.path.dirname(__file__), path=str(path))], stderr=subprocess.DEVNULL)
    end_s = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 24_000):
        assert time.monotonic() < end_s and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(timeout=20)
    recording = Recording(path)
    first, second = (turn for turn in recording.turns() if turn.what == "run")
    assert not recording.closed and first.ended and not second.ended
    assert first.ticks == 200 and 0 < second.ticks < 60_000
    done = replay(recording, board)
    assert done.equal and done.ticks == 200 + second.ticks and done.spikes > 0


def test_every_length_of_a_file_is_read_or_refused(recorded, tmp_path):
    whole = recorded[0].read_bytes()
    path, told = tmp_path / "cut.ionrec", []
    ends = [block.at for block in blocks.read(recorded[0])] + [len(whole)]
    sizes = sorted({*range(60), *ends, *(e - 1 for e in ends), *(e + 1 for e in ends[:-1]),
                    *range(0, len(whole), 997)})
    for size in sizes:
        path.write_bytes(whole[:size])
        if size < ends[1]:
            with pytest.raises(InputError, match="is empty|ends within its header"):
                Recording(path)
            continue
        recording = Recording(path)
        told.append(sum(turn.ticks for turn in recording.turns() if turn.what == "run"))
        assert recording.closed == (size == len(whole))
    assert told == sorted(told) and told[0] == 0 and told[-1] == 310


# ------------------------------------------------------------------------------------ damaged --

def test_every_byte_is_guarded(recorded, tmp_path):
    """One bit of every byte of three blocks, and of some of all others, is changed."""
    whole, path = recorded[0].read_bytes(), tmp_path / "flipped.ionrec"
    found = list(blocks.read(recorded[0]))
    places = {*range(12), *range(12, len(whole), 101)}
    for block in (found[0], found[3], found[-1]):
        places |= {*range(block.at, block.at + 20 + len(block.payload))}
    for at in sorted(places):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:])
        with pytest.raises(InputError) as error:
            list(Recording(path).turns())
        message = str(error.value)
        if at < 8:
            assert "flipped.ionrec: not a recording" in message
        elif at < 12:
            assert "this ionspike reads version 1" in message
        else:
            number = max(b.number for b in found if b.at <= at)
            assert f"damaged: block {number}, at byte {found[number].at}" in message


def header(**changes):
    def change(found):
        facts = json.loads(found[0][1]) | changes
        return [(Kind.HEADER, json.dumps(facts).encode()), *found[1:]]
    return change


def begun(**changes):
    """The first BEGIN changed."""
    def change(found):
        k = next(k for k, (kind, _) in enumerate(found) if kind == Kind.BEGIN)
        facts = json.loads(found[k][1]) | changes
        return [*found[:k], (Kind.BEGIN, json.dumps(facts).encode()), *found[k + 1:]]
    return change


@pytest.mark.parametrize(("change", "message"), [
    (header(format="x"), "holds 'x', not 'ionspike recording'"),
    (header(contract=7), "recorded under wire contract 00000007, by ionspike"),
    (header(contract="7"), "block 0, at byte 12: no header: TypeError"),
    (header(shape={"neurons": 7}), "block 0, at byte 12: no header: ValueError: neurons must be 8"),
    (header(shape={"neurones": 8}), "block 0, at byte 12: no header: TypeError"),
    (header(shape=[]), "block 0, at byte 12: no header: AttributeError"),
    (header(is_hardware="no"), "no header: TypeError: versions, contract or is_hardware"),
    (header(build=None), "no header: TypeError: build is None"),
    (lambda found: found[1:], "block 0, at byte 12: is of kind 4, not a header"),
    (lambda found: [(Kind.HEADER, b"[" * 100_000), *found[1:]], "block 0, at byte 12: nested too"),
    (lambda found: [(Kind.HEADER, b'{"x": NaN}'), *found[1:]], "NaN is not a number"),
    (lambda found: [(Kind.HEADER, b"\xff"), *found[1:]], "block 0, at byte 12: 'utf-8' codec"),
    (lambda found: [found[0], *found[2:]], "block 1, .* belongs to nothing that was begun"),
    (lambda found: [*found[:2], (Kind.SENT, b"\x99"), *found[2:]], "0x99 begins no command"),
    (lambda found: [*found[:2], (Kind.SENT, b"\x20" + bytes(300)), *found[2:]],
     "a command is longer than a frame"),
    (begun(ticks="x"), "its ticks are no numbers"), (begun(ticks=[-1]), "its ticks are no numbers"),
    (begun(tick=-1), "begins 'memory' at tick -1"),
    (begun(restart=0), "ValueError: begins"), (begun(what=[]), r"begins \[\]"),
    (begun(probes=[99]), r"probes \[99\]"), (begun(probes=5), "TypeError"),
])
def test_what_no_recorder_writes_is_one_line(recorded, tmp_path, change, message):
    path = write(tmp_path / "odd.ionrec", change(parts(recorded[0])))
    with pytest.raises(InputError, match=message) as error:
        list(Recording(path).turns())
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_lengths_that_are_not_there_are_refused(recorded, tmp_path):
    whole, path = recorded[0].read_bytes(), tmp_path / "long.ionrec"
    head = struct.pack("<BxxxII", Kind.NETWORK, 1, 1 << 31)
    path.write_bytes(whole[:12] + blocks.pack(Kind.HEADER, 0, parts(recorded[0])[0][1]) + head
                     + zlib.crc32(head).to_bytes(4, "little"))
    with pytest.raises(InputError, match="its head says block 1 of 2147483648 bytes"):
        Recording(path)
    with pytest.raises(ValueError, match="a block of 67108865 bytes"):
        blocks.pack(Kind.SENT, 0, bytes(blocks.MOST_BYTES + 1))


def test_files_that_are_none(tmp_path):
    (tmp_path / "text").write_text("hello, world")
    for name, message in (("none", "no such file"), ("text", "not a recording: begins with 68 65"),
                          (".", "cannot be read")):
        with pytest.raises(InputError, match=message):
            Recording(tmp_path / name)
