"""Gateware and golden board, told the same random records, answer with the same bytes."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import require_compiler
from nets import SHAPE, coarse, network, spikes

from ionspike import Board
from ionspike.hdl.top import CLOCK_HZ, Top
from ionspike.host import codec
from ionspike.host.ageing import Faults
from ionspike.host.cases import random_case
from ionspike.host.link import Link, LinkError
from ionspike.host.mismatch import Mismatch
from ionspike.host.verify import verify
from ionspike.sim.compile import build
from ionspike.sim.golden import GoldenPort
from ionspike.sim.stimulus import random_image
from ionspike.sim.virtual import DEFAULT_DIVISOR, Model, SimPort, VirtualBoard
from ionspike.spec import wire
from ionspike.spec.device import Device
from ionspike.spec.wire import AUX_PROBES, Op, Report, Space

TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def library():
    require_compiler()
    return build(Top(SHAPE, baud=CLOCK_HZ // DEFAULT_DIVISOR))


@pytest.fixture
def gateware(library):
    return SimPort(Model(library, DEFAULT_DIVISOR), clock_Hz=CLOCK_HZ)


def place(rng, space, size, count):
    """Where words that are there begin: accumulators have gaps between their slots."""
    if space == Space.ACCUMULATORS:
        return int(rng.integers(0, SHAPE.delay_slots)) * (SHAPE.lanes << SHAPE.group_bits) \
            + int(rng.integers(0, SHAPE.neurons - count))
    return int(rng.integers(0, size - count))


def registers():
    """Those that the records decide: how full buffers were, and errors of the line, are not."""
    water, line = (wire.register(name).offset for name in ("high_water", "crc_errors"))
    yield from codec.read(0, water)
    yield from codec.read(water + 1, line - water - 1)


def conversation(rng, image, length):
    """Records that leave nothing out which both sides must agree on."""
    at = 0
    for address, words in image.writes():
        yield from codec.write(address, words)
    sizes = {Space.FEEDBACK: 256, Space.FANOUT: 2 * SHAPE.sources, Space.AUX: 256,
             Space.COEFFICIENTS: 2 * SHAPE.neurons, Space.STATE: 4 * SHAPE.neurons,
             Space.ACCUMULATORS: 0, Space.WEIGHTS: SHAPE.words * SHAPE.lanes // 2}
    for _ in range(length):
        match rng.choice(["events", "bitmap", "advance", "write", "read", "register", "clear",
                          "mark", "echo"], p=[.3, .2, .1, .12, .1, .1, .03, .03, .02]):
            case "events":
                late = rng.random() < 0.15
                stamp = max(0, at - int(rng.integers(1, 5))) if late else at + int(rng.integers(3))
                chosen = np.flatnonzero(rng.random(SHAPE.inputs + 8) < rng.choice([0.05, 0.5]))
                content, _ = codec.encode_lists(np.zeros(len(chosen), int), chosen, 1)
                yield bytes([Op.EVENTS, stamp & 0xFF, stamp >> 8]) + content
                # What a late record does depends on the policy; a MARK after it tells.
                at = max(at, stamp + 1) if stamp >= at else at
                if stamp < at - 1:
                    yield codec.mark(1)
            case "bitmap":
                count = int(rng.integers(0, 6))
                yield bytes([Op.BITMAP, at & 0xFF, at >> 8, count]) + rng.bytes(count)
                at += 1
            case "advance":
                at += int(rng.integers(0, 140))
                yield bytes([Op.ADVANCE, at & 0xFF, at >> 8])
            case "write":
                space = rng.choice([Space.FEEDBACK, Space.AUX, Space.COEFFICIENTS, Space.STATE,
                                    Space.ACCUMULATORS, Space.WEIGHTS])
                count = int(rng.integers(0, 20))
                limit = AUX_PROBES if space == Space.AUX else sizes[space]
                offset = place(rng, space, limit, count)
                yield from codec.write(wire.address(Space(space), offset),
                                       rng.integers(0, 1 << 16, count).astype(np.uint16))
            case "read":
                space = rng.choice(list(sizes))
                count = int(rng.integers(0, 30))
                offset = place(rng, space, sizes[space], count)
                yield bytes([Op.READ]) + wire.address(Space(space), offset).to_bytes(3, "little") \
                    + bytes([count])
            case "register":
                name = rng.choice(["control", "kf", "kr", "kb", "scale", "r_max", "spike_level",
                                   "r_noise", "sustained", "lfsr_0", "lfsr_2", "groups_used", "probe_count"])
                value = {"control": int(rng.integers(0, 16)) << 1,
                         "groups_used": int(rng.integers(1, SHAPE.groups + 1)),
                         "probe_count": int(rng.integers(0, 4))}.get(
                             name, int(rng.integers(0, 1 << 16)))
                yield from codec.write(wire.register(str(name)).offset,
                                       np.array([value], np.uint16))
                yield from codec.write(wire.address(Space.AUX, AUX_PROBES),
                                       rng.integers(0, SHAPE.neurons, 4).astype(np.uint16))
                yield from registers()
            case "clear":
                what = int(rng.integers(0, 4))
                yield bytes([Op.CLEAR, what])
                at = 0 if what & 1 else at
            case "mark":
                yield codec.mark(int(rng.integers(0, 1 << 16)))
            case "echo":
                data = rng.bytes(int(rng.integers(0, 200)))
                yield codec.echo(data)
    yield from registers()
    yield codec.mark(0xBEEF)


def answers(port, records):
    """The whole stream from a board, up to the answer to the last MARK."""
    link = Link(port)
    link.open(TIMEOUT_S)
    heard = bytearray()
    for k, record in enumerate(records):
        link.send(record)
        if k % 16 == 0:
            heard += link.receive(0)
    while heard[-7:-4] != bytes([Report.MARK, 0xEF, 0xBE]):     # four bytes of tick follow
        data = link.receive(TIMEOUT_S)
        assert data, f"silent after {len(heard)} bytes"
        heard += data
    return bytes(heard)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_bytes(gateware, seed):
    rng = np.random.default_rng(seed)
    image = random_image(rng, SHAPE, wild=bool(seed % 2))
    records = list(conversation(rng, image, 250))
    got, want = answers(gateware, records), answers(GoldenPort(SHAPE), records)
    assert len(want) > 3000
    assert {Report.SPIKES, Report.BITMAP, Report.DIGEST, Report.PROBES} <= set(want)
    first = next((k for k, (a, b) in enumerate(zip(got, want, strict=False)) if a != b), None)
    assert first is None, f"byte {first}: {got[first - 8:first + 8].hex(' ')} from the gateware, " \
                          f"{want[first - 8:first + 8].hex(' ')} from the model"
    assert len(got) == len(want)


def test_a_board_over_its_serial_port_is_the_model(gateware):
    with Board(Link(gateware), backend="virtual", where="test", timeout_s=TIMEOUT_S) as board:
        done = verify(board, ticks=0, seed=0, cases=[random_case(SHAPE, 64, s) for s in range(4)])
        assert done.divergence is None and done.spikes and done.saturated
        assert not board.is_hardware and board.build != "00000000"


def test_rows_of_four_bits_are_the_same_on_both(gateware):
    results = []
    for port, backend in ((gateware, "virtual"), (GoldenPort(SHAPE), "golden")):
        with Board(Link(port), backend=backend, where="test", timeout_s=TIMEOUT_S) as board:
            assert board.load(coarse(fine=2)).report.narrow == 42
            results.append(board.run(spikes(inputs=20, rate=0.4), seed=7, digests=True))
    ours, theirs = results
    assert ours.spikes.count > 100 and np.array_equal(ours.spikes.raster, theirs.spikes.raster)
    assert np.array_equal(ours.digests, theirs.digests) and ours.counters == theirs.counters


def test_devices_that_differ_age_fail_and_jitter_are_the_same_on_both(gateware):
    device = Device.load("zhao2025_ms").with_(
        residue_jitter=0.5, spread_growth=0.2, spread_rc=0.2, spread_gap=0.03)
    net = replace(network(), device=device, mismatch=Mismatch.of_device(device, 20, seed=1),
                  faults=Faults.draw(20, seed=4, stuck_on=0.1, stuck_off=0.1, drift=0.1,
                                     drift_gap=0.02))
    items, results = [spikes(120, seed=k) for k in range(2)], []
    for port, backend in ((gateware, "virtual"), (GoldenPort(SHAPE), "golden")):
        with Board(Link(port), backend=backend, where="test", timeout_s=TIMEOUT_S) as board:
            board.load(net)
            results.append(board.run_many(items, seeds=[5, 6], jitter=True, digests=True))
    for got, want in zip(*results, strict=True):
        assert np.array_equal(got.spikes.raster, want.spikes.raster)
        assert np.array_equal(got.digests, want.digests) and got.lfsr == want.lfsr
        assert np.array_equal(got.initial_state, want.initial_state)
        assert np.array_equal(got.final_state, want.final_state)
        assert got.spikes.raster[:, net.faults.stuck_on].any()
        assert not got.spikes.raster[:, net.faults.stuck_off].any()
    assert not np.array_equal(results[0][0].initial_state, results[0][1].initial_state)


def test_a_board_that_is_unplugged_is_named(library):
    import serial
    virtual = VirtualBoard(library)
    line = serial.Serial(virtual.port, wire.BAUD)
    board = Board(Link(line), backend="virtual", where="test", timeout_s=2.0, on_close=line.close)
    board.load(network())

    def pull(done, total):
        virtual.close()

    with pytest.raises(LinkError, match="the board (vanished|stopped answering)"):
        board.run(spikes(5000), seed=1, progress=pull)
    board.close()


def free_running(gateware, period_s, policy):
    """Results in lockstep and free-running, with the host's time that of the simulation."""
    link = Link(gateware, clock=lambda: gateware.cycles / CLOCK_HZ,
                sleep=lambda seconds: gateware.run(int(seconds * CLOCK_HZ)))
    with Board(link, backend="virtual", where="test", timeout_s=TIMEOUT_S) as board:
        board.load(network())
        return (board.run(spikes(80), seed=1),
                board.run(spikes(80), seed=1, mode="free-running", period_s=period_s,
                          policy=policy))


def test_free_running_in_time_is_lockstep(gateware):
    lockstep, free = free_running(gateware, 5e-4, wire.Policy.DROP)
    assert np.array_equal(free.spikes.raster, lockstep.spikes.raster)
    assert lockstep.spikes.count and not free.losses


@pytest.mark.parametrize("policy", wire.Policy)
def test_free_running_too_fast_is_told(gateware, policy):
    """A tick of 48 clocks is shorter than the work in it: events come late, and are counted."""
    _, free = free_running(gateware, 2e-6, policy)
    assert free.losses["late"] and free.losses["overruns"]
    events = spikes(80).count
    assert free.losses["late"] <= events
    if policy == wire.Policy.NEXT:
        # Applied all the same: every event has a row of one word at least.
        assert "dropped" not in free.losses and free.counters["words"] >= events
    else:
        assert free.losses["dropped"] == free.losses["late"]
