"""Random bytes at the whole gateware: a short run of the fuzzer, and that it would notice."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from conftest import require_compiler

from ionspike.host import codec
from ionspike.host.framing import pack, pack_ack
from ionspike.host.link import LinkError
from ionspike.spec import wire

FUZZ = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "fuzz_board.py"))


def test_a_board_bears_anything():
    """`python benchmarks/fuzz_board.py --bytes 10000000` is the long run."""
    require_compiler()
    tally = FUZZ["Tally"](seed=2)
    FUZZ["fuzz"](30_000, tally)
    assert tally.failures == [] and tally.rounds == 2 and tally.spikes and tally.answered
    assert len(tally.kinds) == 3 and all(tally.kinds.values())


def test_it_notices_a_board_that_does_not():
    require_compiler()
    bench = FUZZ["Bench"](FUZZ["Tally"](1))
    bench.use()
    bench.expected.final_state[0, 0] ^= 1
    with pytest.raises(AssertionError, match="the state differs"):
        bench.use()
    bench.port.write = len      # which throws all away
    with pytest.raises(LinkError, match="no answer within 0.1 s"):
        bench.use()


def test_a_rate_that_a_host_asked_for_and_did_not_live_to_see():
    """A report that nobody acknowledges keeps the line from resting, until the next host opens."""
    require_compiler()
    bench = FUZZ["Bench"](FUZZ["Tally"](1))
    rate, = codec.write(wire.address(wire.Space.REGISTERS, wire.register("bit_clocks").offset),
                        np.array([131], np.uint16))
    bench.throw(pack(wire.Kind.OPEN, 0, b"\1\2") + pack_ack(0, 0x6000, wire.Nack.OK)
                + pack(wire.Kind.DATA, 0, codec.mark(1) + rate))
    assert bench.tally.answered
    bench.use()
    assert not bench.tally.woken
