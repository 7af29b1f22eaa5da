"""Single faults put into the gateware, and whether the tests see them.

``python benchmarks/mutants.py`` makes a copy of the package for every mutant, changes one place in
it, and runs the quickest tests that should notice: those in Amaranth's simulator, without the
cocotb benches. ``python benchmarks/mutants.py NAME ...`` runs some; ``--list`` names them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

__all__ = ["MUTANTS", "Mutant", "run", "survives"]

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"api": ".", **{name: name for name in ("spec", "hdl", "host", "sim", "boards", "train")}}
TIMEOUT_S = 300

#: Files of tests for each file of gateware; an ending in brackets narrows them further.
TESTS = {
    "lfsr": ("lfsr",), "neuron": ("neuron", "core"), "synapse": ("synapse", "core"),
    "spikes": ("spike_buffer", "core"), "digest": ("digest",), "core": ("core",),
    "interpreter": ("interpreter",), "registers": ("registers", "interpreter"),
    "ticker": ("ticker", "interpreter"), "crc": ("crc",), "cobs": ("cobs",),
    "link_receiver": ("link[gateware]",), "link_sender": ("link_credit", "link[gateware]"),
}


class Mutant(NamedTuple):
    file: str
    name: str
    old: str
    new: str


MUTANTS = [Mutant(*fields) for fields in (
    ("lfsr", "a wrong tap", "self.state[tap - 1 - k]", "self.state[tap - (tap != 61) - k]"),
    ("lfsr", "new bits the wrong way round", "Cat(*reversed(new)", "Cat(*new"),
    ("lfsr", "zero stays zero", "Mux(stuck, 1, ", "Mux(stuck, 0, "),

    ("neuron", "bridges beyond the gap only", "(new_f - left_r)[-1]", "(new_f - left_r - 1)[-1]"),
    ("neuron", "spikes while it is on", "out & (self.sustained | ~on)", "out"),
    ("neuron", "sustained spikes are heard once", "self.sustained | ~on", "~on"),
    ("neuron", "spikes above the level only", "high.eq(charged + self.spike_level <",
     "high.eq(charged + self.spike_level + 1 <"),
    ("neuron", "output of the gate that it has not", "Mux(bridged, high, low)",
     "Mux(bridged, low, high)"),
    ("neuron", "residue noise the wrong way round", "+ (noise_r", "- (noise_r"),
    ("neuron", "residue noise of other nibbles", "(even - odd)[:6]",
     "((nibbles[0] + nibbles[1]) - (nibbles[2] + nibbles[3]))[:6]"),
    ("neuron", "residue wraps below zero", "Mux(was_negative & ~pb.carry, 0,", "Mux(C(0), 0,"),
    ("neuron", "another theta is stuck on", "theta[-1] & ~theta[:-1].any()",
     "theta[-1] & (theta[:-1] == 1)"),
    ("neuron", "what is stuck on keeps the gate", "Mux(left[-1] & ~stuck,", "Mux(left[-1],"),
    ("neuron", "filament loss doubled", "without(d, pf.o[16:])",
     "without(d, Cat(C(1, 1), pf.o[16:31]))"),
    ("neuron", "drive wraps", "clip(pv.o.as_signed() >> fmt.SCALE_SHIFT, fmt.G_BITS)",
     "pv.o >> fmt.SCALE_SHIFT"),
    ("neuron", "filament wraps", "new_f.eq(clip(noisy, fmt.F_BITS))", "new_f.eq(noisy)"),
    ("neuron", "growth wraps", "| grown[fmt.F_BITS:].any().replicate(fmt.F_BITS)", ""),
    ("neuron", "noise from the bin below", "C(top - 1, 4)", "C(top - 2, 4)"),
    ("neuron", "noise with another mean", "nibbles[0] + nibbles[2] + 1", "nibbles[0] + nibbles[2]"),
    ("neuron", "the gate is never charged", "~Mux(bridged, charged, discharged)",
     "~Mux(bridged, discharged, discharged)"),
    ("neuron", "residue is held a step too low", "Cat(not_r_max, C(1, 1))",
     "Cat(not_r_max, C(1, 1)) + 1"),
    ("neuron", "takes the random word of the next neuron", "valids[noise_at - 3]",
     "valids[noise_at - 4]"),

    ("synapse", "sums wrap", "replaced.eq((total[-1] != total[-2]) | ~adding)",
     "replaced.eq(~adding)"),
    ("synapse", "the wrong slot of a delay", "self.slot + latched.delay",
     "self.slot - latched.delay"),
    ("synapse", "two words for one group meet", "stall.eq((issued & (target == target_issued))",
     "stall.eq(C(0)"),
    ("synapse", "two words for one group meet behind the sums", "(adding & (target == target_added)",
     "(C(0)"),
    ("synapse", "a row ends a word early", "last.eq(left == 0)", "last.eq(left <= 1)"),
    ("synapse", "a chain goes through an empty row", "have & latched.more & latched.enable",
     "have & latched.more"),
    ("synapse", "the halves of a narrow word change places", "lower.eq(narrow & ~upper)", "lower.eq(narrow & upper)"),
    ("synapse", "a narrow row begins with either half", "narrow.eq(latched.narrow), upper.eq(0)]",
     "narrow.eq(latched.narrow)]"),
    ("synapse", "narrow weights have something below them", "Mux(halved, 0, byte[:-NARROW_BITS])", "byte[:-NARROW_BITS]"),
    ("synapse", "rows stay at a word that is not narrow", "base + (~narrow | upper)", "base + upper"),
    ("synapse", "clamped sums are not counted", "clamped[lane].eq(replaced & adding)",
     "clamped[lane].eq(0)"),

    ("spikes", "empty groups are kept", "filled & mask.any()", "filled"),
    ("spikes", "neurons are counted, not spikes", "fired.eq(self.i_valid & self.i)", "fired.eq(self.i_valid)"),
    ("spikes", "highest neuron first", "for k in reversed(range(self.shape.lanes)):",
     "for k in range(self.shape.lanes):"),
    ("digest", "a wrong polynomial", "self.o[-1], DIGEST_POLYNOMIAL",
     "self.o[-1], DIGEST_POLYNOMIAL ^ 2"),

    ("core", "accumulators are not cleared", "synapses.clear.eq(read & (lane == shape.lanes - 1))",
     "synapses.clear.eq(0)"),
    ("core", "the wrong slot is cleared", "synapses.clear_slot.eq(self.tick)",
     "synapses.clear_slot.eq(self.tick + 1)"),
    ("core", "spikes go to the neuron before", "expander.o.payload + shape.inputs",
     "expander.o.payload + shape.inputs - 1"),
    ("core", "spikes that were read do not travel on", "m.d.comb += rewind.eq(1)",
     "m.d.comb += rewind.eq(0)"),
    ("core", "updates before the sums are settled", "with m.If(synapses.idle):",
     "with m.If(C(1)):"),
    ("core", "the digest goes on from the tick before",
     "[buffer.begin.eq(1), digester.begin.eq(1)]", "[buffer.begin.eq(1)]"),
    ("core", "the last neuron is not written", "with m.If(writing == neurons):",
     "with m.If(writing == neurons - 2):"),

    ("interpreter", "one input too many", "place >= shape.inputs", "place > shape.inputs"),
    ("interpreter", "events are not told apart from skips", "self.i.payload != LIST_SKIP",
     "self.i.payload != LIST_END"),
    ("interpreter", "halts by another policy", "self.control.policy == Policy.HALT",
     "self.control.policy == Policy.DROP"),
    ("interpreter", "a list where a bitmap is shorter", "self.spike_count < self.groups_used",
     "self.spike_count <= self.groups_used"),
    ("interpreter", "a tick is told twice as often", "exact_log2(TICK_EVERY)] == 0",
     "exact_log2(TICK_EVERY) - 1] == 0"),
    ("interpreter", "distances from the last spike", '~(at("ListByte") | skip)',
     '~at("ListByte", "Delta")'),
    ("interpreter", "events go on where the last ones ended",
     "[stamped.eq(1), place.eq(0)]", "stamped.eq(1)"),
    ("interpreter", "ticks shut out the host", " & ~(ticked & self.i.valid)", ""),

    ("registers", "counters do not stop", "amount & ~count[-1]", "amount"),
    ("registers", "halt has no effect", "self.control.free_running.eq(0)",
     "self.control.free_running.eq(self.control.free_running)"),
    ("ticker", "the period is a clock longer", "count[1:].all()", "count.all()"),
    ("ticker", "a tick begun in the last clock is in time", "self.busy | self.due)\n",
     "self.busy | (self.due & ~self.take))\n"),
    ("ticker", "the longest tick is not kept for the next", "Cat(~self.longest, C(0, 1))",
     "Cat(C(-1, 24), C(0, 1))"),
    ("ticker", "the longest tick may be an overrun", "timer[-1] & ~ends", "timer[-1]"),
    ("registers", "marks are not kept", "marks | Cat(reached)", "Cat(reached)"),

    ("crc", "a wrong polynomial", "0xEDB88320", "0xEDB88321"),
    ("crc", "a wrong residue", "0x2144DF1C", "0x2144DF1D"),
    ("cobs", "codes are found a byte late", "left == 1", "left == 0"),
    ("cobs", "codes are one too high", "self.place - code,", "self.place - code + 1,"),
    ("link_receiver", "numbers go up by two", "news.expected.eq(news.expected + 1)",
     "news.expected.eq(news.expected + 2)"),
    ("link_receiver", "frames are believed without their CRC", "& crc.match &", "&"),
    ("link_sender", "more frames than there are slots", "(held != self.tx_slots)", "C(1)"),
    ("link_sender", "nothing is sent again", "m.d.sync += unsent.eq(held)",
     "m.d.sync += unsent.eq(unsent)"),
    ("link_sender", "sends without credit", "total[8:] != limit", "C(1)"),
)]


def copy(folder: Path, mutant: Mutant | None) -> None:
    """The package as it is, but for the mutant's one place."""
    for source, target in FOLDERS.items():
        shutil.copytree(ROOT / source, folder / "ionspike" / target, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("__pycache__", "*.ion"))
    if mutant is not None:
        path = folder / "ionspike" / "hdl" / f"{mutant.file}.py"
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise ValueError(f"{mutant.file}: {mutant.old!r} is there {text.count(mutant.old)} "
                             f"times, which should be once; renew the mutant {mutant.name!r}")
        path.write_text(text.replace(mutant.old, mutant.new))


def survives(mutant: Mutant | None, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass; RuntimeError if they do not even run."""
    with tempfile.TemporaryDirectory(prefix="ionspike-") as name:
        copy(Path(name), mutant)
        for test in tests:
            file, _, only = test.rstrip("]").partition("[")
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k",
                       "not cocotb" + (f" and {only}" if only else ""), f"tests/test_{file}.py"]
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env={**os.environ, "PYTHONPATH": name}, timeout=TIMEOUT_S,
                    capture_output=True, text=True)
            except subprocess.TimeoutExpired:
                return False
            if done.returncode == 1:
                return False
            if done.returncode:
                raise RuntimeError(f"{mutant}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return True


def run(mutants: list[Mutant], jobs: int) -> list[Mutant]:
    """Print what becomes of each mutant; the survivors."""
    def one(mutant):
        begun = time.monotonic()
        return mutant, survives(mutant, TESTS[mutant.file]), time.monotonic() - begun

    survivors = []
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, alive, took_s in pool.map(one, mutants):
            print(f"{'SURVIVED' if alive else 'caught':<8} {took_s:>5.0f} s  {mutant.file:<13} "
                  f"{mutant.name}", flush=True)
            survivors += [mutant] * alive
    return survivors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="files or names of mutants; all if none is given")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="only name them")
    given = parser.parse_args()
    chosen = [m for m in MUTANTS if not given.names or {m.file, m.name} & set(given.names)]
    if given.list:
        for mutant in chosen:
            print(f"{mutant.file:<13} {mutant.name}")
        return 0
    for tests in sorted({TESTS[mutant.file] for mutant in chosen}):
        if not survives(None, tests):
            print(f"without a fault, {', '.join(tests)} must pass first", file=sys.stderr)
            return 2
    survivors = run(chosen, given.jobs)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
