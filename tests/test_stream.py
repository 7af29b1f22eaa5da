"""Live use: ticks in from sources that may never end, spikes out as they come."""

import asyncio
import itertools
import os
import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest
from conftest import require_compiler
from nets import network, spikes

from ionspike.host.board import Board
from ionspike.host.errors import BoardError, InputError
from ionspike.host.line import LinkError
from ionspike.spec.wire import Policy

X = spikes(150)


@pytest.fixture(scope="module")
def virtual():
    require_compiler()
    with Board.open(backend="virtual", timeout_s=60) as board:
        yield board


@pytest.fixture(params=["golden", "virtual"])
def either(request):
    if request.param == "virtual":
        board = request.getfixturevalue("virtual")
        board.load(network())
        yield board
    else:
        yield request.getfixturevalue("board")


@pytest.fixture
def board():
    with Board.open(backend="golden") as board:
        board.load(network())
        yield board


def indices(raster=X.raster):
    return [np.flatnonzero(row) for row in raster]


def assert_usable(board):
    result = board.run(X, seed=7)
    with Board.open(backend="golden") as golden:
        golden.load(network())
        assert (result.spikes.raster == golden.run(X, seed=7).spikes.raster).all()
    return result


def assert_same(got, result):
    assert [row.tolist() for row in got] == [row.tolist() for row in
                                             indices(result.spikes.raster)[:len(got)]]


@pytest.mark.parametrize("ahead", [1, 200])
def test_it_gives_the_spikes_of_a_run(either, ahead):
    result = either.run(X, seed=7)
    with either.stream(indices(), seed=7, ahead=ahead) as stream:
        got = list(stream)
    assert_same(got, result)
    assert len(got) == stream.ticks == stream.taken == 150 and result.spikes.count
    assert stream.counters() == result.counters and not stream.losses and stream.seed == 7
    assert_usable(either)


def test_booleans_and_silence_are_items_too(board):
    result = board.run(X, seed=7)
    rows = [row if row.any() else None for row in X.raster]
    with board.stream(rows, seed=7) as stream:
        assert_same(list(stream), result)


def test_a_stream_goes_on_where_the_last_ended(board):
    result = board.run(X, seed=7)
    got = []
    with board.stream(indices()[:60], seed=7) as stream:
        got += stream
    with board.stream(indices()[60:], reset=False) as stream:
        got += stream
        assert stream.seed is None
    assert_same(got, result)


@pytest.mark.parametrize("ahead", [1, 5])
def test_the_source_is_asked_for_no_more_than_wanted(board, ahead):
    asked = 0

    def source():
        nonlocal asked
        while True:
            asked += 1
            yield [0]

    with board.stream(source(), seed=1, ahead=ahead) as stream:
        time.sleep(0.05)
        for done, _ in enumerate(itertools.islice(stream, 50), 1):
            if done % 10 == 0:
                time.sleep(0.02)
            assert asked <= done - 1 + ahead
            assert len(stream._live.ready) <= ahead
    assert_usable(board)


def test_a_source_may_depend_on_the_spikes(board):
    """With ahead=1 the loop is closed: an input fires when a neuron has."""
    fired = [np.zeros(0, int)]
    fed = []

    def source():
        while True:
            fed.append(range(12) if len(fired) % 8 else fired[-1] % 12)
            yield fed[-1]

    with board.stream(source(), seed=3, ahead=1) as stream:
        for row in stream:
            fired.append(row)
            if len(fired) == 100:
                break
    assert len(fed) == 99 and any(len(fired[k]) for k in range(7, 99, 8))
    assert all((fed[k] == fired[k] % 12).all() for k in range(7, 99, 8))


def test_a_slow_consumer_costs_no_memory(board):
    tracemalloc.start()
    with board.stream(itertools.repeat([0, 3, 5]), seed=1) as stream:
        sizes = []
        for k, _ in zip(range(600), stream, strict=False):
            if k % 200 == 199:
                time.sleep(0.2)
                sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[-1] - sizes[0] < 100_000


def test_a_slow_source_does_not_hold_back_spikes(board):
    """What has run is told though the source says nothing more."""
    gate = threading.Event()

    def source():
        yield from indices()[:10]
        gate.wait(10)

    with board.stream(source(), seed=7) as stream:
        got = list(itertools.islice(stream, 10))
        assert not gate.is_set() and len(got) == 10
        assert stream.counters()["words"] > 0
        gate.set()


@pytest.mark.parametrize("taken", [0, 40])
def test_closing_early_leaves_the_board_usable(either, taken):
    with either.stream(itertools.repeat([1]), seed=1) as stream:
        assert len(list(itertools.islice(stream, taken))) == taken
    assert set(stream.counters()) >= {"words", "late"}
    stream.close()
    assert_usable(either)


def test_leaving_the_loop_closes_it(board):
    for _ in board.stream(itertools.repeat([1]), seed=1):
        break
    assert_usable(board)


def test_nothing_else_meanwhile(board):
    with board.stream(itertools.repeat([1])) as stream:
        for _ in stream:
            with pytest.raises(InputError, match="a stream is under way; close it first"):
                board.run(X)
            with pytest.raises(InputError, match="a stream is under way; close it first"):
                board.stream([])
            with pytest.raises(InputError, match="a stream is iterated over once; make another"):
                next(iter(stream))
            break
    assert_usable(board)


def test_an_error_of_the_source_is_raised_after_what_it_gave(board):
    def source():
        yield from indices()[:5]
        raise RuntimeError("the microphone is gone")

    got = []
    with pytest.raises(RuntimeError, match="the microphone is gone"), \
            board.stream(source(), seed=7) as stream:
        for row in stream:
            got.append(row)
    assert len(got) == 5
    assert_usable(board)


@pytest.mark.parametrize(("item", "message"), [
    ([12], "tick 1 of the source: input 12 is out of range: the network has 12 inputs, 0 to 11"),
    ([-1], "input -1 is out of range"), ([0.5], "is neither a list of inputs nor 12 booleans"),
    (np.ones(11, bool), "bool (11,) is neither a list of inputs nor 12 booleans"),
    ([[1]], "neither"), ("ab", "neither"),
])
def test_a_bad_item_is_one_line(board, item, message):
    with pytest.raises(InputError) as error, board.stream([[0], item]) as stream:
        list(stream)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert_usable(board)


@pytest.mark.parametrize(("options", "message"), [
    ({"ahead": 0}, "ahead must be 1 to 16384 ticks, not 0"),
    ({"mode": "fast"}, "mode must be 'lockstep' or 'free-running', not 'fast'"),
    ({"mode": "free-running", "period_s": 0}, "period_s = 0: this board's ticks are"),
    ({"mode": "free-running", "lead": -1}, "lead must be a number of ticks, not -1"),
    ({"seed": 1.5}, "seed"),
])
def test_bad_options_are_one_line(board, options, message):
    with pytest.raises(InputError) as error:
        board.stream([], **options)
    assert message in str(error.value)
    with pytest.raises(InputError, match="a source of a stream is an iterable of ticks, not int"):
        board.stream(5)
    assert_usable(board)


def test_free_running(either):
    with either.stream(itertools.repeat([0, 1, 2]), seed=1, mode="free-running", period_s=2e-4,
                       policy=Policy.NEXT, lead=3) as stream:
        got = list(itertools.islice(stream, 60))
        assert len(got) == 60 and sum(map(len, got)) and stream.lead == 3
        counters = stream.counters()
    assert counters["words"] > 0
    assert_usable(either)


def test_a_free_running_board_ticks_without_a_source(virtual):
    """On the golden model ticks cost no time, and it waits for who gives them."""
    gate = threading.Event()

    def source():
        yield [0, 1, 2]
        gate.wait(60)

    virtual.load(network())
    with virtual.stream(source(), mode="free-running", period_s=1e-4, lead=1) as stream:
        assert len(list(itertools.islice(stream, 40))) == 40 and stream.taken == 1
        gate.set()
    assert_usable(virtual)


def test_asynchronous(either):
    result = either.run(X, seed=7)

    async def source():
        for row in indices():
            await asyncio.sleep(0)
            yield row

    async def use(given):
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.001)

        task = asyncio.ensure_future(beat())
        async with either.stream(given, seed=7) as stream:
            got = [row async for row in stream]
        task.cancel()
        assert beats > 3    # others have their turn
        return got

    assert_same(asyncio.run(use(source())), result)
    assert_same(asyncio.run(use(indices())), result)
    assert_usable(either)


def test_an_asynchronous_source_is_closed_early(board):
    closed = []

    async def source():
        try:
            while True:
                yield [1]
        finally:
            closed.append(True)

    async def use():
        async with board.stream(source(), seed=7) as stream:
            async for _ in stream:
                if stream.ticks == 10:
                    break
        await asyncio.sleep(0.01)

    asyncio.run(use())
    assert closed == [True]
    assert_usable(board)


def test_a_cancelled_task_leaves_the_board_usable(board):
    async def never():
        yield [1]
        await asyncio.sleep(100)

    async def use():
        async with board.stream(never()) as stream:
            async for _ in stream:
                pass

    async def hurried():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(use(), 0.3)

    asyncio.run(hurried())
    assert_usable(board)


def test_an_asynchronous_source_needs_async_for(board):
    async def source():
        yield [1]

    with board.stream(source()) as stream, \
            pytest.raises(InputError, match="the source is asynchronous: use `async for`"):
        list(stream)
    assert_usable(board)


def test_ctrl_c_leaves_the_board_usable(board):
    def source():
        yield [1]
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        yield [2]

    with pytest.raises(KeyboardInterrupt), board.stream(source()) as stream:
        for _ in stream:
            pass
    assert_usable(board)


def test_a_board_that_dies_is_an_error(board):
    with pytest.raises((LinkError, BoardError)), \
            board.stream(itertools.repeat([1]), ahead=1) as stream:
        for _ in stream:
            board._session.link._line._port.close()


def test_through_faults():
    with Board.open(backend="golden", faults="3e-4,seed=2") as board:
        board.load(network())
        with board.stream(indices(), seed=7) as stream:
            got = list(stream)
    with Board.open(backend="golden") as board:
        board.load(network())
        assert_same(got, board.run(X, seed=7))
