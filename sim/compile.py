"""Compiles a top level into a shared library: Amaranth, RTLIL, Yosys' CXXRTL, C++.

Results are kept in the user's cache, so that a design is compiled once per machine.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

import ionspike.hdl
import ionspike.spec
from ionspike.hdl.yosys import YosysError, run_script
from ionspike.sim import cache

__all__ = ["CompileError", "build", "build_source", "cached", "compiler_version", "find_compiler"]

_PORTS = {"clk": "input", "rst": "input", "uart_rx": "input", "uart_tx": "output"}

_HARNESS = Path(__file__).with_name("virtual.cpp")
_WATCH = Path(__file__).with_name("watch.h")

# Measured on the board's top, clocks/s: -O1 0.9, -O2 1.1, -O3 0.8 million (benchmarks/virtual_board.py).
_FLAGS = ["-std=c++17", "-O2", "-shared", "-fPIC", "-DNDEBUG", "-w"]

# Pieces of a netlist are too many for more: -O2 takes twice as long and gains nothing.
_NETLIST_FLAGS = [flag if flag != "-O2" else "-O1" for flag in _FLAGS]

_DIGEST_SIZE = hashlib.sha256().digest_size


class CompileError(Exception):
    """A model could not be made; the message says what would help."""


def find_compiler() -> list[str]:
    """Command of a C++ compiler: ``$CXX``, else an installed one, else the ``ziglang`` wheel."""
    if chosen := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(chosen[0]) is None:
            raise CompileError(f"the C++ compiler {chosen[0]!r} named by CXX was not found")
        return chosen
    for name in ("g++", "c++", "clang++"):
        if path := shutil.which(name):
            return [path]
    if find_spec("ziglang"):
        # Its default is this very processor, which a cache shared between machines must not use.
        return [sys.executable, "-m", "ziglang", "c++", "-mcpu=baseline"]
    raise CompileError("the virtual board needs a C++ compiler and none was found: "
                       "`sudo apt install build-essential` or `pip install 'ionspike[nocc]'`")


def build(top: Any, *, identity: str | None = None,
          progress: Callable[[str], None] | None = None) -> Path:
    """Shared library of a top level for :class:`ionspike.sim.virtual.Model`.

    Parameters
    ----------
    top : elaboratable component, or a function that returns one
        Its ports are ``uart_rx`` (input), ``uart_tx`` (output) and, if it can say that nothing
        would change without input, ``idle`` (output). It has one clock domain with a reset.
    identity : str, optional
        What tells this design from others made by the same gateware sources, such as its shape's
        ``repr``. With it a cached library is found at once; without it the design is converted
        first, which takes seconds for a large one.
    progress : callable
        Called with the name of each stage as it begins; not called for what is cached.
    """
    progress = progress or (lambda stage: None)
    compiler = find_compiler()
    text = _convert(top) if identity is None else None
    design = text or cache.digest(str(identity), version("amaranth"), *_gateware_sources())
    key = cache.digest(design, _HARNESS.read_text(), _WATCH.read_text(), version("pyosys"), *_FLAGS, *compiler,
                       compiler_version(compiler))

    def make(folder: Path) -> None:
        nonlocal text
        if text is None:
            progress("elaborating the gateware")
            text = _convert(top)
        _translate(text, folder, progress)
        _compile(compiler, _FLAGS, folder, progress)

    return cached("models", key, make)


def build_source(text: str, *, progress: Callable[[str], None] | None = None) -> Path:
    """The same of C++ with the interface of what Yosys writes."""
    compiler = find_compiler()
    key = cache.digest(text, _HARNESS.read_text(), *_NETLIST_FLAGS, *compiler,
                       compiler_version(compiler))

    def make(folder: Path) -> None:
        (folder / "top.cpp").write_text(text)
        _compile(compiler, _NETLIST_FLAGS, folder, progress or (lambda stage: None))

    return cached("models", key, make)


def cached(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Library of this key from the cache of one kind, where ``make`` leaves ``model.so`` in the folder
    that it is given, if there is none or a damaged one."""
    libraries = cache.folder(kind)
    library = libraries / f"{key[:32]}.so"
    with cache.locked(libraries / f"{key[:32]}.lock"):
        if not _intact(library):
            with tempfile.TemporaryDirectory(dir=libraries, prefix="part-") as folder:
                made = Path(folder, "model.so")
                make(made.parent)
                # The loader ignores what follows the library, and a torn file cannot carry the right digest.
                data = made.read_bytes()
                made.write_bytes(data + hashlib.sha256(data).digest())
                os.replace(made, library)
    return library


def _convert(top: Any) -> str:
    # The source's positions would put paths into the text and so into the key.
    text = rtlil.convert(top() if callable(top) else top, name="top", emit_src=False)
    _check_ports(text)
    return text


def _gateware_sources() -> list[str]:
    return [path.read_text() for package in (ionspike.hdl, ionspike.spec)
            for path in sorted(Path(package.__path__[0]).glob("*.py"))]


def compiler_version(compiler: list[str]) -> str:
    """What a compiler says about itself."""
    try:
        return subprocess.run([*compiler, "--version"], capture_output=True, text=True,
                              check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompileError(f"the C++ compiler {shlex.join(compiler)!r} does not run: {error}") \
            from error


def _check_ports(text: str) -> None:
    start = text.index("module \\top\n")
    header = text[start:text.index("\nend\n", start)]
    found = {name: (kind, width) for width, kind, name in
             re.findall(r"^  wire width (\d+) (input|output) \d+\s+\\(\w+)$", header, re.MULTILINE)}
    for name, kind in _PORTS.items():
        if found.get(name) != (kind, "1"):
            raise CompileError(f"the top level has no {kind} {name!r} of one bit; "
                               f"its ports are {', '.join(found) or 'none'}")


def _translate(text: str, folder: Path, progress: Callable[[str], None]) -> None:
    (folder / "top.il").write_text(text)
    progress("translating the gateware to C++ (Yosys)")
    try:
        run_script("read_rtlil top.il\nwrite_cxxrtl -g0 top.cpp", folder)
    except YosysError as error:
        raise CompileError(str(error)) from error


def _compile(compiler: list[str], flags: list[str], folder: Path,
             progress: Callable[[str], None]) -> None:
    progress(f"compiling it ({Path(compiler[-1]).name if len(compiler) == 1 else 'C++'})")
    pyosys = find_spec("pyosys")
    assert pyosys is not None and pyosys.origin is not None
    runtime = Path(pyosys.origin).parent / "share/include/backends/cxxrtl/runtime"
    source = (folder / "top.cpp").read_text()
    (folder / "signals.inc").write_text(_signals(source))
    # A design whose wires feed back needs its inputs settled before the clock's edge.
    settle = "converged = false" in source
    output = folder / "model.so"
    command = [*compiler, *flags, f"-DSETTLE={settle:d}", "-I", str(runtime), "-I", str(folder),
               "-o", str(output), str(_HARNESS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompileError(f"{shlex.join(compiler)} failed: {done.stderr[-1000:].strip()}")


def _signals(source: str) -> str:
    """What of the top level's struct can be watched, as entries of sim/watch.h."""
    start = source.index("struct p_top : ")
    struct = source[start:source.index("\n};", start)]
    kinds = {"wire": "WIRE", "value": "PIN", "memory": "MEMORY"}
    found = re.findall(r"^\t(?:/\*\w+\*/ )?(wire|value|memory)<(\d+)> (?:memory_)?(p_\w+)\b",
                       struct, re.MULTILINE)
    return "".join(f'{kinds[kind]}("{_demangled(name)}", {"memory_" * (kind == "memory")}{name}, '
                   f"{bits})\n" for kind, bits, name in found if int(bits))


def _demangled(name: str) -> str:
    """The gateware's name of what Yosys calls ``p_a_2e_b__c``."""
    return re.sub(r"_(?:_|([0-9a-f]{2})_)", lambda match: chr(int(match[1], 16)) if match[1]
                  else "_", name.removeprefix("p_"))


def _intact(library: Path) -> bool:
    try:
        data = library.read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(data[:-_DIGEST_SIZE]).digest() == data[-_DIGEST_SIZE:]
