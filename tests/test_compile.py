import os
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from echo import Echo

from ionspike.sim import compile
from ionspike.sim.compile import CompileError
from ionspike.sim.virtual import Model, SimPort

BUILD = """
from echo import Echo
from ionspike.sim import compile
print(compile.build(Echo(5), progress=print))
"""


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IONSPIKE_CACHE", str(tmp_path))
    monkeypatch.setattr(compile, "_FLAGS", [*compile._FLAGS, "-O0"])


def test_two_processes_compile_once(tmp_path):
    env = {**os.environ, "IONSPIKE_CACHE": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    both = [subprocess.Popen([sys.executable, "-c", BUILD], env=env, stdout=subprocess.PIPE,
                             text=True) for _ in range(2)]
    lines = [process.communicate(timeout=120)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(map(len, lines)) == [1, 3]
    assert lines[0][-1] == lines[1][-1]
    assert sorted(path.suffix for path in (tmp_path / "models").iterdir()) == [".lock", ".so"]


def test_damaged_entry_is_built_again(empty_cache):
    stages = []
    library = compile.build(Echo(6), progress=stages.append)
    for count, damaged in enumerate((library.read_bytes()[:5000], b""), 2):
        library.write_bytes(damaged)
        assert compile.build(Echo(6), progress=stages.append) == library
        assert compile.build(Echo(6), progress=stages.append) == library
        assert len(stages) == 2 * count
    port = SimPort(Model(library, 6))
    port.write(b"intact")
    assert port.read(6) == b"intact"


def test_identity_saves_elaboration(empty_cache):
    made, stages = [], []

    def top():
        made.append(Echo(7))
        return made[-1]

    first = compile.build(top, identity="Echo(7)", progress=stages.append)
    assert compile.build(top, identity="Echo(7)") == first
    assert len(made) == 1
    assert stages == ["elaborating the gateware", "translating the gateware to C++ (Yosys)",
                      stages[2]]


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compile, "find_spec", lambda name: None)
    with pytest.raises(CompileError) as caught:
        compile.build(Echo(4))
    assert str(caught.value) == (
        "the virtual board needs a C++ compiler and none was found: "
        "`sudo apt install build-essential` or `pip install 'ionspike[nocc]'`")


def test_compiler_of_the_environment(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -m64")
    with pytest.raises(CompileError, match="'no-such-compiler' named by CXX was not found"):
        compile.build(Echo(4))
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(CompileError, match="'false' does not run"):
        compile.build(Echo(4))


class Deaf(wiring.Component):
    uart_rx: In(1)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += Signal().eq(self.uart_rx)
        return m


def test_ports_are_checked():
    with pytest.raises(CompileError, match="no output 'uart_tx' of one bit; its ports are "):
        compile.build(Deaf())
