"""The checks on a netlist, each seen to fail with its trap armed."""

import pytest
from amaranth import *
from amaranth.back import rtlil
from amaranth.lib import memory

from ionspike.boards import checks
from ionspike.boards.errors import BuildError
from ionspike.boards.flow import FLOWS
from ionspike.hdl.multiplier import Multiplier
from ionspike.hdl.yosys import run_script

MASK = "setparam -set COLLISION_X_MASK"


class Platform:
    device = "iCE40UP5K"


def synthesised(m, ports, folder, script=FLOWS["up5k"].script):
    (folder / "top.il").write_text(rtlil.convert(
        m, name="top", ports=ports, platform=Platform(), emit_src=False))
    run_script(script, folder)
    return checks.check(folder, has_multipliers=True)


def table():
    m = Module()
    m.submodules.memory = words = memory.Memory(shape=16, depth=256, init=[])
    read, write = words.read_port(), words.write_port()
    ports = [read.addr, read.data, read.en, write.addr, write.data, write.en]
    return m, ports


def test_a_masked_memory_costs_no_logic(tmp_path):
    cells = synthesised(*table(), tmp_path)
    assert cells["SB_RAM40_4K"] == 1 and cells["SB_LUT4"] <= 1


def test_an_emulated_read_is_found(tmp_path):
    script = FLOWS["up5k"].script
    assert MASK in script
    with pytest.raises(BuildError, match="cells emulate how a memory port reads"):
        synthesised(*table(), tmp_path, script.replace(MASK, "# "))


#: With the pass that makes multipliers of products, which ours does without.
INFERRED = FLOWS["up5k"].script.replace("-device u", "-device u -dsp")


def product(*, keep, registered=True):
    """A product, registered or not, that feeds the next multiplier."""
    m = Module()
    a, b, c = (Signal(12, name=name) for name in "abc")
    first, second = Signal(24, reset_less=True), Signal(24, reset_less=True)
    if keep:
        first.attrs["keep"] = 1
    if registered:
        m.d.sync += first.eq(a * b)
    else:
        m.d.comb += first.eq(a * b)
    m.d.sync += second.eq((first >> 12) * c)
    return m, [a, b, c, second]


def written():
    """The same as cells, the first without a register."""
    m = Module()
    a, b, c = (Signal(12, name=name) for name in "abc")
    m.submodules.first = first = Multiplier(12, 12, a_stages=1, b_stages=1)
    m.submodules.second = second = Multiplier(16, 12, b_stages=1, product_stages=1, spare=2)
    m.d.comb += [first.a.eq(a), first.b.eq(b), second.a.eq(first.o >> 12), second.b.eq(c),
                 second.i.eq(first.o)]
    return m, [a, b, c, second.o, second.delayed]


def test_two_products_are_two_multipliers(tmp_path):
    assert synthesised(*product(keep=True), tmp_path, INFERRED)["SB_MAC16"] == 2


def test_two_multipliers_are_two(tmp_path):
    cells = synthesised(*written(), tmp_path)
    assert cells == {"SB_MAC16": 2}


def test_a_product_that_stays_logic_is_found(tmp_path):
    with pytest.raises(BuildError, match="has 0 multipliers, not 2"):
        synthesised(*product(keep=True), tmp_path)


def test_a_dropped_multiplier_is_found(tmp_path):
    with pytest.raises(BuildError, match="multipliers, not 2|are undefined"):
        synthesised(*product(keep=False), tmp_path, INFERRED)


def test_a_multiplier_that_is_written_over_is_found(tmp_path):
    with pytest.raises(BuildError, match="changed 2 multipliers: none is left with A_REG=1"):
        synthesised(*written(), tmp_path, INFERRED)


def test_an_unregistered_product_is_found(tmp_path):
    with pytest.raises(BuildError, match=r"its product goes to \w+\.\w+ before any register"):
        synthesised(*product(keep=False, registered=False), tmp_path, INFERRED)


def test_an_undefined_operand_is_found():
    cell = {"type": "SB_MAC16", "parameters": {}, "connections": {"A": [2, "x"], "B": [2], "O": [3]},
            "port_directions": {"A": "input", "B": "input", "O": "output"}}
    module = {"cells": {"product": cell}, "ports": {"a": {"direction": "input", "bits": [2]}}}
    with pytest.raises(BuildError, match="multiplier product: 1 bits of operand A are undefined"):
        checks.check_multipliers(module, 1)
