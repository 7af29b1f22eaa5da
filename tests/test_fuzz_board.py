"""Random bytes at the whole gateware: a short run of the fuzzer, and that it would notice."""

import runpy
from pathlib import Path

import pytest
from conftest import require_compiler

from ionspike.host.link import LinkError

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
