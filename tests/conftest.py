import os
import shutil
import signal
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from echo import Echo

from ionspike.sim import bench, compile

# A shell lets what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def lack(message):
    """Skip where something is missing; in CI, where nothing may be missing, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


def require(*tools):
    """These programs are there."""
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        lack(f"not installed: {', '.join(missing)} (apt install build-essential fpga-icestorm)")


def require_routing():
    """The programs that place, route and pack, which are wheels, are there."""
    scripts = Path(sysconfig.get_path("scripts"))
    if not all((scripts / f"yowasp-nextpnr-{chip}").exists() for chip in ("ice40", "ecp5")):
        lack("pip install 'ionspike[boards]'")


def require_compiler():
    """The virtual board's C++ compiler, which may be a wheel, is there."""
    try:
        compile.find_compiler()
    except compile.CompileError as error:
        lack(str(error))


def require_package(name, extra):
    """A Python package is there."""
    try:
        version(name)
    except PackageNotFoundError:
        lack(f"not installed: {name} (pip install 'ionspike[{extra}]')")


@pytest.fixture(scope="session")
def run_cocotb():
    """Run a cocotb testbench module on a component: :func:`ionspike.sim.bench.run`."""
    require("c++", "make", "perl")
    return bench.run


@pytest.fixture(scope="session")
def echo_library():
    """A compiled top level that sends back what it gets, at 4 clocks a bit."""
    require_compiler()
    return compile.build(Echo(4))
