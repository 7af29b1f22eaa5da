"""A sample of benchmarks/mutants.py, which takes minutes as a whole."""

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "mutants.py"))
MUTANTS, TESTS, survives = SCRIPT["MUTANTS"], SCRIPT["TESTS"], SCRIPT["survives"]


def named(name):
    [mutant] = [mutant for mutant in MUTANTS if mutant.name == name]
    return mutant


def test_every_mutant_has_its_place(tmp_path):
    assert len(MUTANTS) == len({(mutant.file, mutant.name) for mutant in MUTANTS}) >= 20
    for k, mutant in enumerate(MUTANTS):
        SCRIPT["copy"](tmp_path / str(k), mutant)


def test_a_mutant_without_a_place_is_named(tmp_path):
    with pytest.raises(ValueError, match="'nowhere' is there 0 times.*renew the mutant 'lost'"):
        SCRIPT["copy"](tmp_path, SCRIPT["Mutant"]("lfsr", "lost", "nowhere", ""))


@pytest.mark.parametrize("name", ["a wrong tap", "two words for one group meet",
                                  "the period is a clock longer"])
def test_is_caught(name):
    assert not survives(named(name), TESTS[named(name).file])


def test_what_is_no_mutant_survives():
    assert survives(None, ("ticker",))
