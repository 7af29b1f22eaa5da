"""A netlist or bitstream in the virtual board's place: same pins, same harness, same pty."""

from collections.abc import Callable
from pathlib import Path

from ionspike.sim import bitstream, compile, ecp5, gates, ice40
from ionspike.sim.gates import Netlist, NetlistError
from ionspike.sim.modules import Module

__all__ = ["NetlistError", "library", "read"]


def read(path: Path) -> Netlist:
    """Gates of a synthesised or routed netlist (``.json``) or of an iCE40 bitstream (``.bin``).

    A bitstream knows its pins by number: their names come from the ``.pcf`` beside it.
    """
    if path.suffix == ".bin":
        return bitstream.read(path, path.with_suffix(".pcf"))
    module = Module.load(path)
    kinds = {cell.kind for cell in module.cells}
    return (ecp5 if kinds & {"TRELLIS_FF", "TRELLIS_COMB"} else ice40).read(module)


def library(path: Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """Library of a netlist or bitstream for :class:`ionspike.sim.virtual.Model`."""
    return compile.build_source(gates.source(read(path)), progress=progress)
