import os
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from echo import Echo

from ionspike.sim import bench, compile


def require(*tools):
    """Skip where a program is missing; in CI, where nothing may be missing, fail."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (apt install build-essential fpga-icestorm)")


def require_routing():
    """The same for the programs that place, route and pack, which are wheels."""
    scripts = Path(sysconfig.get_path("scripts"))
    if not all((scripts / f"yowasp-nextpnr-{chip}").exists() for chip in ("ice40", "ecp5")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("pip install 'ionspike[boards]'")


def require_compiler():
    """The same for the virtual board's C++ compiler, which may be a wheel."""
    try:
        compile.find_compiler()
    except compile.CompileError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


def require_package(name, extra):
    """The same for a Python package."""
    try:
        version(name)
    except PackageNotFoundError:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"not installed: {name} (pip install 'ionspike[{extra}]')")


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
