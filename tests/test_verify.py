"""Verification finds what it should, and names it."""

from dataclasses import replace

import numpy as np
import pytest
from nets import SHAPE

from ionspike import Board
from ionspike.host.cases import random_case
from ionspike.host.link import Link
from ionspike.host.verify import verify
from ionspike.sim.golden import GoldenPort
from ionspike.spec import wire
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape
from ionspike.spec.wire import COUNTER_LIMIT


def test_the_golden_board_is_the_golden_model():
    told = []
    with Board.open(backend="golden", shape=SHAPE) as board:
        done = verify(board, ticks=1100, seed=0, progress=lambda *a: told.append(a))
    assert done.equal and done.divergence is None
    assert (done.cases, done.ticks) == (5, 1100) and told[-1] == (1100, 1100)
    # What the stimulus reached.
    assert done.spikes > 300 and done.saturated > 0 and done.words > 10_000


def test_counters_may_be_at_their_limit():
    with Board.open(backend="golden", shape=CoreShape(neurons=32, inputs=32, words=16384)) as board:
        done = verify(board, ticks=512, seed=1)
    assert done.equal and done.saturated >= COUNTER_LIMIT


@pytest.mark.parametrize("shape", [SHAPE, DEFAULT_SHAPE, CoreShape(
    neurons=64, inputs=64, lanes=16, words=1024, delay_slots=8)])
def test_cases_fit_their_core_and_repeat(shape):
    chained = delays = mismatched = stuck = jitter = 0
    for seed in range(24):
        case, again = random_case(shape, 20, seed), random_case(shape, 20, seed)
        assert case.compiled.image.digest() == again.compiled.image.digest()
        assert np.array_equal(case.spikes.raster, again.spikes.raster)
        chained += case.compiled.report.chained > 0
        delays += any(p.delay for p in case.compiled.network.projections)
        mismatched += len(np.unique(case.compiled.image.coefficients)) > 3
        faults = case.compiled.network.faults
        stuck += faults is not None and min(len(faults.stuck_on), len(faults.stuck_off)) > 0
        jitter += case.jitter
    assert chained and delays and mismatched and stuck and 0 < jitter < 24


class Faulty(GoldenPort):
    """A golden board in which something changes once, when a given tick is about to run."""

    def __init__(self, tick, change):
        super().__init__(SHAPE)
        interpreter = self.interpreter
        run_tick = interpreter._tick

        def tampered(indices):
            if interpreter.memory.core.tick == tick:
                change(interpreter.memory.core)
            run_tick(indices)

        interpreter._tick = tampered


def diverging(tick, change):
    with Board(Link(Faulty(tick, change)), backend="golden", where="test") as board:
        return verify(board, ticks=200, seed=1, cases=[random_case(SHAPE, 200, 1)])


def set_state(neuron, word, flip):
    def change(core):
        state = core.state.copy()
        state[0, neuron, word] ^= flip
        core.state = state
    return change


@pytest.mark.parametrize(("word", "flip", "field"), [
    (0, 0x4000, "f"), (1, 0x2000, "r_high"), (2, 0x0800, "g")])
def test_one_wrong_state_word_is_named(word, flip, field):
    done = diverging(57, set_state(3, word, flip))
    found = done.divergence
    assert not done.equal and (found.case, found.tick, found.neuron) == (0, 57, 3)
    assert found.board != found.model
    # A word that is wrong before the update may be told first by another field after it.
    assert found.field in {"f", field, "on"}
    assert str(found).startswith(f"case 0, tick 57, neuron 3: {found.field} is {found.board:#x} "
                                 f"on the board")


def test_a_wrong_random_word_is_named():
    def change(core):
        core.lfsr = core.lfsr ^ np.uint64(1 << 40)

    found = diverging(10, change).divergence
    assert (found.tick, found.neuron, found.field) == (10, None, "lfsr, low word")


def test_a_lost_spike_is_named():
    class Deaf(GoldenPort):
        def __init__(self):
            super().__init__(SHAPE)
            interpreter = self.interpreter
            core_step = type(interpreter.memory.core).step

            def step(core, inputs):
                fired = core_step(core, inputs)
                if core.tick > 20 and fired.any():
                    # The report alone: what goes on inside is right.
                    fired = fired.copy()
                    fired[0, np.argmax(fired[0])] = False
                return fired

            run_tick = interpreter._tick

            def tampered(indices):
                core = interpreter.memory.core
                core.step = lambda inputs: step(core, inputs)
                run_tick(indices)

            interpreter._tick = tampered

    with Board(Link(Deaf()), backend="golden", where="test") as board:
        found = verify(board, ticks=200, seed=1, cases=[random_case(SHAPE, 200, 1)]).divergence
    assert found.tick >= 20 and found.field == "spike" and (found.board, found.model) == (0, 1)


def test_a_fault_that_does_not_repeat_is_said_to_be_one():
    once = []

    def change(core):
        if not once:
            once.append(True)
            set_state(3, 0, 0x4000)(core)

    found = diverging(57, change).divergence
    assert found.tick == 57 and "a second run has the model's state" in found.field


def test_a_memory_that_holds_something_else_is_named():
    class Stuck(GoldenPort):
        def __init__(self):
            super().__init__(SHAPE)
            memory = self.interpreter.memory
            read = memory.read

            def stuck(address, count):
                words = read(address, count)
                if address >> 20 == 7:
                    words[2] |= 0x0100
                    words[3] ^= 0x8000
                return words

            memory.read = stuck

    with Board(Link(Stuck()), backend="golden", where="test") as board:
        found = verify(board, ticks=10, seed=1, cases=[random_case(SHAPE, 10, 1)]).divergence
    assert found.field in ("weights word 2", "weights word 3") and found.tick == 0


@pytest.mark.parametrize("minor", [1, 2, 3])
def test_a_board_of_a_version_before_is_given_what_it_knows(minor):
    class Older(GoldenPort):
        def __init__(self):
            super().__init__(SHAPE)
            self.link.hello = replace(self.link.hello, minor=minor, digest=wire.digests()[minor])

    of_today, of_then = ([random_case(SHAPE, 20, seed, which).compiled.image for seed in range(24)]
                         for which in (wire.PROTOCOL[1], minor))
    assert any(image.narrow for image in of_today) and not any(image.narrow for image in of_then)
    lasting = [sum(image.registers["sustained"] for image in images) for images in (of_today, of_then)]
    assert lasting[0] > 5 and (lasting[1] > 0) == (minor >= 3)
    with Board(Link(Older()), backend="golden", where="test") as board:
        done = verify(board, ticks=1100, seed=0)
    assert done.divergence is None and done.cases > 1 and done.spikes
