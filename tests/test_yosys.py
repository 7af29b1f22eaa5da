import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import *
from amaranth.back import verilog

from ionspike.hdl.yosys import YosysError, run_script

COMMAND = Path(sys.executable).with_name("ionspike-yosys")


def test_runs_in_the_folder(tmp_path):
    run_script("read_verilog <<end\nmodule top(output o); assign o = 1; endmodule\nend\n"
               "write_rtlil top.il", tmp_path)
    assert "module \\top" in (tmp_path / "top.il").read_text()


def test_error_ends_with_the_log(tmp_path):
    with pytest.raises(YosysError, match="(?s)failed with status 1: .*No such command: nonsense"):
        run_script("nonsense", tmp_path)


def test_amaranth_takes_the_command(monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "system")
    monkeypatch.setenv("YOSYS", str(COMMAND))
    m = Module()
    o = Signal()
    m.d.sync += o.eq(~o)
    assert "module top(" in verilog.convert(m, ports=[o])


def test_command_line(tmp_path):
    (tmp_path / "a.ys").write_text("log first\n")
    run = [COMMAND, "-q", "-l", "log", "-p", "log second", "a.ys"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    log = (tmp_path / "log").read_text()
    assert log.index("first") < log.index("second")

    done = subprocess.run([COMMAND, "-q", "b.ys"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("ionspike-yosys: ") and "b.ys" in done.stderr
