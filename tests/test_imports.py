"""Who may import what; see the table of folders in the README."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ionspike

ROOT = Path(__file__).parent.parent
FOLDERS = {"spec": set(), "hdl": {"spec"}, "sim": {"spec", "hdl", "host"}, "boards": {"hdl", "spec"},
           "fidelity": {"spec", "host", "sim"}}


def imported(path, *, everywhere):
    """Modules a file imports; only those of its top level unless ``everywhere``."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = ["", f"ionspike.{path.parent.name}", "ionspike"][node.level]
            module = ".".join(filter(None, [home, node.module]))
            yield module
            if module == "ionspike":
                yield from (f"ionspike.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_only_what_they_may(folder):
    allowed = FOLDERS[folder] | {folder}
    wrong = [(path.name, name) for path in sorted((ROOT / folder).glob("*.py"))
             for name in imported(path, everywhere=True)
             if name.startswith("ionspike.") and name.split(".")[1] not in allowed]
    assert wrong == []


def test_spec_needs_only_the_standard_library():
    wrong = [(path.name, name) for path in sorted((ROOT / "spec").glob("*.py"))
             for name in imported(path, everywhere=True)
             if name.split(".")[0] not in sys.stdlib_module_names | {"ionspike"}]
    assert wrong == []


def test_host_starts_without_gateware():
    heavy = ("amaranth", "pyosys", "ionspike.hdl", "ionspike.sim", "ionspike.fidelity")
    wrong = [(path.name, name) for path in sorted((ROOT / "host").glob("*.py"))
             for name in imported(path, everywhere=False) if name.startswith(heavy)]
    assert wrong == []


def test_root_is_light():
    code = ("import sys, ionspike, ionspike.spec;"
            "print([name for name in ('numpy', 'serial', 'amaranth') if name in sys.modules])")
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_every_public_name_is_there():
    assert [name for name in ionspike.__all__ if not hasattr(ionspike, name)] == []
    with pytest.raises(AttributeError, match="'ionspike' has no attribute 'Bored'"):
        _ = ionspike.Bored
