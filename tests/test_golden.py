"""The golden board, bytes in and bytes out."""

import numpy as np
import pytest
from nets import SHAPE

from ionspike.host import codec
from ionspike.host.framing import Deframer, pack
from ionspike.sim.golden import GoldenPort
from ionspike.sim.interpreter import Interpreter
from ionspike.spec import wire
from ionspike.spec.wire import Kind, Op, Policy, Report, Space


class Board:
    """An interpreter that is told bytes and asked for what it said."""

    def __init__(self, shape=SHAPE):
        self.core = Interpreter(shape)

    def __call__(self, *records):
        self.core.feed(b"".join(records))
        return self.core.run()

    def register(self, name):
        entry = wire.register(name)
        answer = self(*codec.read(entry.offset, 1))
        return int.from_bytes(answer[5:7], "little")

    def set(self, name, value):
        assert self(*codec.write(wire.register(name).offset, np.array([value], np.uint16))) == b""


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def firing(board):
    """A board whose neurons 0 to 23 fire a tick after input 0 does, whatever the noise."""
    board.set("groups_used", 6)
    board.set("kf", 0xFFFF)
    board.set("r_max", 0x7FFF)
    board.set("spike_level", 0xFFF)
    board.set("scale", 0x7FFF)
    board.set("kb", 0)
    board(*codec.write(wire.address(Space.FEEDBACK), np.full(256, 4095, np.uint16)))
    board(*codec.write(wire.address(Space.COEFFICIENTS),
                       np.array([0xFFF | 0xFFF << 12] * 24 + [0] * 24, "<u4").view("<u2")))
    board(*codec.write(wire.address(Space.WEIGHTS), np.full(3 * 4, 0x7F7F, np.uint16)))
    fields = {"base": 0, "first": 0, "length": 2, "delay": 0, "more": 0, "enable": 1, "narrow": 0}
    word = shift = 0
    for name, width in SHAPE.descriptor_fields:
        word |= fields[name] << shift
        shift += width
    board(*codec.write(wire.address(Space.FANOUT), np.array([word], "<u4").view("<u2")))
    return board


def test_mark_says_the_next_tick(board):
    assert board(bytes([Op.MARK, 0x34, 0x12])) == bytes([Report.MARK, 0x34, 0x12, 0, 0, 0, 0])
    board(bytes([Op.ADVANCE, 5, 0]))
    assert board(bytes([Op.MARK, 1, 0])) == bytes([Report.MARK, 1, 0, 5, 0, 0, 0])


def test_echo(board):
    assert board(b"\x32\x03abc") == b"\x32\x03abc"
    assert board(b"\x32\x00") == b"\x32\x00"


def test_quiet_ticks_say_something_every_128(board):
    assert board(bytes([Op.ADVANCE, 0x2C, 1])) \
        == bytes([Report.TICK, 0, Report.TICK, 128, Report.TICK, 0])


def test_records_may_arrive_in_pieces(board):
    stream = b"\x32\x03abc" + bytes([Op.EVENTS, 0, 0, 3, 255]) + bytes([Op.MARK, 7, 0])
    said = b"".join(board(stream[k:k + 1]) for k in range(len(stream)))
    assert said == b"\x32\x03abc" + bytes([Report.TICK, 0, Report.MARK, 7, 0, 1, 0, 0, 0])


def test_unknown_commands_end_the_stream_until_open(board):
    assert board(b"\x77", bytes([Op.MARK, 0, 0])) == bytes([Report.ERROR, 0x77])
    assert board(bytes([Op.MARK, 0, 0])) == b""
    board.core.restart()
    assert board(bytes([Op.MARK, 0, 0])) == bytes([Report.MARK, 0, 0, 0, 0, 0, 0])


def test_spikes_travel_as_the_shorter_of_list_and_bitmap(firing):
    said = firing(bytes([Op.EVENTS, 0, 0, 0, 255]))
    assert said == bytes([Report.BITMAP, 0, 6, 255, 255, 255, 0, 0, 0])
    coefficients = np.zeros(48, "<u4")
    coefficients[[2, 3, 20]] = 0xFFFFFF
    firing(codec.clear(state=True, counters=True), *codec.write(
        wire.address(Space.COEFFICIENTS), coefficients.view("<u2")))
    said = firing(bytes([Op.BITMAP, 0, 0, 1, 1]))
    assert said == bytes([Report.SPIKES, 0, 2, 0, 16, 255])


def test_digests_and_probes_follow_the_spikes(firing):
    firing.set("control", 0b11000)
    firing.set("probe_count", 2)
    firing(*codec.write(wire.address(Space.AUX, wire.AUX_PROBES), np.array([23, 30], np.uint16)))
    said = firing(bytes([Op.EVENTS, 0, 0, 0, 255]))
    assert said[:9] == bytes([Report.BITMAP, 0, 6, 255, 255, 255, 0, 0, 0])
    core = firing.core.memory.core
    assert said[9:17] == bytes([Report.DIGEST, 0]) + int(core.digest[0]).to_bytes(4, "little") \
        + (int(core.lfsr[0]) & 0xFFFF).to_bytes(2, "little")
    assert said[17:] == bytes([Report.PROBES, 0, 2]) \
        + core.state[0, [23, 30]].astype("<u2").tobytes()
    assert core.state[0, 23, 1] >> 15 == 1


def test_every_register_reads_back(board):
    for entry in wire.REGISTERS:
        before = board.register(entry.name)
        if entry.name.startswith("lfsr_"):
            # It shifts: what was there before has gone further by now.
            board.set(entry.name, 0xFFFF)
            assert board.register("lfsr_0") == 0xFFFF
            continue
        assert before == 0
        board.set(entry.name, 0xFFFF)
        # What only a host changes reads as it was written, however wide the register is.
        expected = before if entry.access == "ro" else 0x3F if entry.is_live else 0xFFFF
        assert board.register(entry.name) == expected
    assert board(*codec.read(0x0A, 1))[5:] == b"\0\0"


@pytest.mark.parametrize(("space", "size"), [
    (Space.FEEDBACK, 256), (Space.AUX, 256), (Space.FANOUT, 2 * 72), (Space.COEFFICIENTS, 96),
    (Space.STATE, 192), (Space.WEIGHTS, 1024)])
def test_every_memory_reads_back(board, space, size):
    words = np.random.default_rng(1).integers(0, 1 << 16, size).astype(np.uint16)
    at = wire.address(space)
    assert board(*codec.write(at, words)) == b""
    read = b"".join(answer[5:] for answer in map(board, codec.read(at, size)))
    found = np.frombuffer(read, "<u2")
    # Widths of what is narrower than its words, and places where nothing is.
    mask = np.full(size, 0xFFFF)
    if space == Space.FEEDBACK:
        mask[:] = 0xFFF
    elif space == Space.FANOUT:
        mask[1::2] = (1 << sum(w for _, w in SHAPE.descriptor_fields) - 16) - 1 \
            if sum(w for _, w in SHAPE.descriptor_fields) > 16 else 0
    elif space == Space.STATE:
        mask[3::4] = 0
    assert np.array_equal(found, words & mask)


def test_nothing_is_where_nothing_is(board):
    for at in (9 << 20, wire.address(Space.WEIGHTS, 1 << 19), wire.address(Space.STATE, 4000)):
        assert board(*codec.write(at, np.array([1], np.uint16))) == b""
        assert board(*codec.read(at, 1))[5:] == b"\0\0"
    assert board(bytes([Op.READ, 0, 0, 0, 0])) == bytes([Report.READ, 0, 0, 0, 0])
    assert board(bytes([Op.WRITE, 0, 0, 0, 0])) == b""


@pytest.mark.parametrize(("policy", "counted", "ticks"), [
    (Policy.DROP, (3, 3), 10), (Policy.NEXT, (3, 1), 11), (Policy.HALT, (3, 3), 10)])
def test_late_events_go_by_the_policy(board, policy, counted, ticks):
    board(bytes([Op.ADVANCE, 10, 0]))
    board.set("control", 1 | policy << 1)
    # Inputs 0 and 5, and one that does not exist.
    board(bytes([Op.EVENTS, 9, 0, 0, 4, 100, 255]))
    assert (board.register("late"), board.register("dropped")) == counted
    assert board.register("tick_low") == ticks
    assert board.register("control") == ((0 if policy == Policy.HALT else 1) | policy << 1)


def test_inputs_that_do_not_exist_are_counted(board):
    board(bytes([Op.EVENTS, 0, 0, 23, 0, 254, 3, 255]))
    assert board.register("dropped") == 2
    board(bytes([Op.BITMAP, 1, 0, 4, 255, 255, 255, 3]))
    assert board.register("dropped") == 4 and board.register("late") == 0


def test_stamps_wrap(board):
    for tick in (30000, 60000, 65535):
        board(bytes([Op.ADVANCE]) + tick.to_bytes(2, "little"))
    said = board(bytes([Op.EVENTS, 2, 0, 0, 255, Op.MARK, 0, 0]))
    assert said == bytes([Report.TICK, 0, Report.MARK, 0, 0, 3, 0, 1, 0])
    assert board.register("tick_high") == 1


def test_accumulators_are_only_read(board):
    at = wire.address(Space.ACCUMULATORS)
    assert board(*codec.write(at, np.array([5], np.uint16)), *codec.read(at, 1))[5:] == b"\0\0"


def test_clear(firing):
    firing(bytes([Op.EVENTS, 0, 0, 0, 255]))
    firing.set("groups_used", 1)
    firing(bytes([Op.EVENTS, 1, 0, 0, 255]))
    firing.set("groups_used", 6)
    # Of a group that the last tick did not update, in the slot of tick 1.
    assert firing(*codec.read(wire.address(Space.ACCUMULATORS, 64 + 8), 1))[5:] == b"\x7f\0"
    lfsr = firing.register("lfsr_0")
    assert firing.register("words_low") == 6
    firing(codec.clear(state=True, counters=False))
    assert firing.register("tick_low") == 0 and firing.register("words_low") == 6
    assert firing.register("lfsr_0") == lfsr
    for space in (Space.STATE, Space.ACCUMULATORS):
        assert not any(firing(*codec.read(wire.address(space), 200))[5:])
    firing(codec.clear(state=False, counters=True))
    assert firing.register("words_low") == 0


def test_writes_between_ticks_change_what_they_name_and_nothing_else(firing):
    firing(bytes([Op.EVENTS, 0, 0, 0, 255]))
    before = firing.core.memory.core
    state, lfsr, tick = before.state.copy(), int(before.lfsr[0]), before.tick
    firing.set("kr", 1000)
    firing.set("groups_used", 2)
    firing.set("groups_used", 6)
    after = firing.core.memory.core
    assert after is not before
    assert np.array_equal(after.state, state) and (int(after.lfsr[0]), after.tick) == (lfsr, tick)


def test_lfsr_of_zero_steps_to_one(board):
    board.set("groups_used", 1)
    board(*codec.write(wire.register("lfsr_0").offset, np.zeros(4, np.uint16)))
    board(bytes([Op.ADVANCE, 1, 0]))
    reference = Board()
    reference.set("groups_used", 1)
    reference(*codec.write(wire.register("lfsr_0").offset, np.zeros(4, np.uint16)))
    reference(bytes([Op.EVENTS, 0, 0, 255]))
    states = [[each.register(f"lfsr_{k}") for k in range(4)] for each in (board, reference)]
    assert states[0] == states[1] != [0, 0, 0, 0]


def test_port_speaks_frames():
    port = GoldenPort(SHAPE, timeout=0)
    port.write(pack(Kind.OPEN, 0, b"\x12\x34"))
    frames = Deframer().feed(port.read(10_000))
    assert [frame.kind for frame in frames][:1] == [Kind.HELLO]
    assert frames[0].payload[:4] == b"IONS" and frames[0].payload[6:8] == b"\x12\x34"
    limit = (20_000).to_bytes(2, "little") + b"\0"
    port.write(pack(Kind.ACK, 0, limit) + pack(Kind.DATA, 0, bytes([Op.MARK, 7, 0])))
    data = [f.payload for f in Deframer().feed(port.read(10_000)) if f.kind == Kind.DATA]
    assert data == [bytes([Report.MARK, 7, 0, 0, 0, 0, 0])]
    port.close()
    with pytest.raises(OSError, match="closed"):
        port.read(1)


def test_open_abandons_what_was_under_way():
    port = GoldenPort(SHAPE, timeout=0)
    port.write(pack(Kind.OPEN, 0, b"\0\0"))
    port.read(1000)
    port.write(pack(Kind.DATA, 0, bytes([Op.ADVANCE, 0, 100])))
    port.read(1000)
    port.write(pack(Kind.OPEN, 0, b"\0\0"))
    port.read(1000)
    assert not port.interpreter.busy
    assert 0 < port.interpreter.memory.core.tick < 25600
