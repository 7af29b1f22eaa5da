"""Netlists and bitstreams in the virtual board's place: a small design on every rung.

The real one takes minutes to route: `python benchmarks/ladder.py`.
"""

import os
import random
import re
from dataclasses import replace

import pytest
from conftest import require, require_compiler, require_routing
from mill import Mill, milled

from ionspike.boards.netlists import FAMILIES, route, synthesise
from ionspike.sim import gates, netlist
from ionspike.sim.corrupt import flipped
from ionspike.sim.gates import HIGH, LOW, Flop, Lut, Netlist, NetlistError, simplified
from ionspike.sim.modules import Module
from ionspike.sim.virtual import Model

DIVISOR = 4
FLIPS = int(os.environ.get("IONSPIKE_FLIPS", "4"))
DATA = random.Random(1).randbytes(600)


def answer(path):
    """What a netlist sends back on the data."""
    model = Model(netlist.library(path), DIVISOR)
    model.send(DATA)
    model.run(60 * DIVISOR * len(DATA), until=len(DATA))
    return model.receive(2 * len(DATA))


#: The chips that are built here. A smaller one of the HX kind, for reading its bitstream takes a
#: fraction of the time.
CHIPS = FAMILIES | {"hx8k": replace(
    FAMILIES["hx8k"], nextpnr=("ice40", "--hx1k", "--package", "tq144"),
    pins={"clk": "21", "rst": "44", "uart_rx": "9", "uart_tx": "8", "idle": "99"})}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Folder of the small design, synthesised and routed once for a chip."""
    folders = {}

    def folder_of(name):
        if name not in folders:
            require_routing()
            require_compiler()
            folders[name] = tmp_path_factory.mktemp(name)
            synthesise(Mill(DIVISOR, 16384 if name == "up5k" else 256), CHIPS[name], folders[name])
            route(CHIPS[name], folders[name])
        return folders[name]
    return folder_of


@pytest.mark.parametrize("name", CHIPS)
def test_every_rung_answers_alike(name, build):
    folder = build(name)
    files = ["top.json", "routed.json", *(["top.bin"] if name != "ecp5" else [])]
    kinds = {"up5k": {"Ram40", "Spram", "Mac16"}, "hx8k": {"Ram40"}, "ecp5": {"Dp16", "Mult18"}}
    for file in files:
        if file == "top.bin":
            require("icebox_vlog")
        assert {cell.kind for cell in netlist.read(folder / file).cells} >= kinds[name], file
        assert answer(folder / file) == milled(DATA), file


def test_corrupted_bitstreams_answer_otherwise(build, tmp_path):
    """Single wrong bits, of tables that are used; some are of entries that no input can select."""
    require("icebox_vlog")
    folder = build("hx8k")
    assert answer(folder / "top.bin") == milled(DATA)
    whole = simplified(netlist.read(folder / "top.bin"))
    rng, caught, same = random.Random(2), 0, 0
    for k in range(FLIPS):
        part = tmp_path / str(k)
        part.mkdir()
        (part / "top.pcf").write_text((folder / "top.pcf").read_text())
        place = flipped(folder / "top.asc", part, rng)
        if simplified(netlist.read(part / "top.bin")) == whole:
            same += 1
            print(f"{place}: the same netlist")
            continue
        found = answer(part / "top.bin") != milled(DATA)
        print(f"{place}: {'caught' if found else 'no difference'}")
        caught += found
    print(f"{FLIPS} wrong bits: {same} without effect on the netlist, {caught} of the others caught")
    assert caught > (FLIPS - same) // 2


def test_gates_without_effect_are_dropped_and_nothing_else():
    """Constants, buffers, ignored inputs and what nobody reads."""
    small = Netlist({"rst": 2, "uart_rx": 3}, {"uart_tx": 10, "idle": 11}, luts=[
        Lut(4, 0b1000, (3, HIGH)), Lut(5, 0b0110, (4, LOW)), Lut(6, 0b01, (5,)),
        Lut(7, 0b1000, (6, LOW)), Lut(8, 0b1110, (7, 9)), Lut(10, 0b0110, (8, 6)),
        Lut(11, 0b1111, (10, 11)), Lut(12, 0b10, (3,))], flops=[Flop(9, 8, reset=2), Flop(13, 12)])
    found = simplified(small)
    assert {lut.out: lut for lut in found.luts} == {
        6: Lut(6, 1, (3,)), 10: Lut(10, 0b0110, (9, 6))}
    assert found.flops == [Flop(9, 9, reset=2)] and found.outputs == {"uart_tx": 10, "idle": HIGH}


@pytest.mark.parametrize(("luts", "message"), [
    ([Lut(10, 1, (11,)), Lut(11, 1, (10,))], "a loop without a flip-flop"),
    ([Lut(10, 1, (3,)), Lut(10, 1, (2,))], "net 10 is driven twice"),
    ([Lut(10, 1, (12,))], "nothing drives net 12")])
def test_what_is_no_netlist_is_refused(luts, message):
    with pytest.raises(NetlistError, match=message):
        gates.source(Netlist({"rst": 2, "uart_rx": 3}, {"uart_tx": 10, "idle": HIGH}, luts))


def test_a_cell_without_a_model_is_named():
    text = """{"modules": {"top": {"attributes": {"top": "1"}, "ports": {PORTS}, "cells":
      {"odd": {"type": "SB_PLL40_CORE", "parameters": {}, "connections": {}}}}}}"""
    ports = ", ".join(f'"{name}": {{"direction": "{way}", "bits": [{k + 2}]}}' for k, (name, way) in
                      enumerate([("clk", "input"), ("rst", "input"), ("uart_rx", "input"),
                                 ("uart_tx", "output"), ("idle", "output")]))
    from ionspike.sim import ice40
    with pytest.raises(NetlistError, match=re.escape("odd is a SB_PLL40_CORE, of which there is no model")):
        ice40.read(Module(text.replace("PORTS", ports)))
