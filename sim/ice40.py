"""Netlists of iCE40 cells, as Yosys and nextpnr write them, as gates."""

from collections.abc import Callable
from typing import Any

from ionspike.sim.gates import HIGH, LOW, Cell, Flop, Lut, Netlist, NetlistError
from ionspike.sim.modules import Instance, Module

__all__ = ["MAC16_INPUTS", "MAC16_MODE", "PULLED_UP", "RAM_INPUTS", "SPRAM_INPUTS",
           "mac16", "ram", "read", "registered"]

#: Parameters of a multiplier in the order of the model's mode.
MAC16_MODE = ("C_REG", "A_REG", "B_REG", "D_REG", "TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG",
              "PIPELINE_16x16_MULT_REG1", "PIPELINE_16x16_MULT_REG2", "TOPOUTPUT_SELECT",
              "TOPADDSUB_LOWERINPUT", "TOPADDSUB_UPPERINPUT", "TOPADDSUB_CARRYSELECT",
              "BOTOUTPUT_SELECT", "BOTADDSUB_LOWERINPUT", "BOTADDSUB_UPPERINPUT",
              "BOTADDSUB_CARRYSELECT", "MODE_8x8", "A_SIGNED", "B_SIGNED")

MAC16_INPUTS = {"A": 16, "B": 16, "C": 16, "D": 16, **dict.fromkeys((
    "CE", "AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT",
    "OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI"), 1)}

SPRAM_INPUTS = {"ADDRESS": 14, "DATAIN": 16, "MASKWREN": 4, "WREN": 1, "CHIPSELECT": 1,
                "STANDBY": 1, "SLEEP": 1, "POWEROFF": 1}

RAM_INPUTS = {"RADDR": 11, "WADDR": 11, "MASK": 16, "WDATA": 16, "RE": 1, "RCLKE": 1, "WE": 1,
              "WCLKE": 1}

#: What an input reads that nothing is routed to; all others read 0.
PULLED_UP = {"CE", "CEN", "RCLKE", "WCLKE"}

_CARRY = 0b11101000


def read(module: Module) -> Netlist:
    """Gates of a module of ``SB_*`` cells or, after placement, ``ICESTORM_*`` cells."""
    netlist = Netlist(module.inputs(), module.outputs())
    for cell in module.cells:
        cell.pulled_up = PULLED_UP
        if reader := _READERS.get(cell.kind):
            reader(cell, netlist)
        elif cell.kind.startswith("SB_DFF"):
            _flop(cell, netlist)
        elif cell.kind != "$scopeinfo":
            raise NetlistError(f"{cell.name} is a {cell.kind}, of which there is no model")
    return netlist


def _lut4(cell: Instance, netlist: Netlist) -> None:
    inputs = tuple(cell.pin(name) for name in ("I0", "I1", "I2", "I3"))
    netlist.luts.append(Lut(cell.out("O"), cell.number("LUT_INIT"), inputs))


def _carry(cell: Instance, netlist: Netlist) -> None:
    inputs = (cell.pin("I0"), cell.pin("I1"), cell.pin("CI"))
    netlist.luts.append(Lut(cell.out("CO"), _CARRY, inputs))


def _flop(cell: Instance, netlist: Netlist) -> None:
    kind = cell.kind.removeprefix("SB_DFF")
    if kind not in ("", "E", "SR", "SS", "ESR", "ESS"):
        raise NetlistError(f"{cell.name} is a {cell.kind}, of which there is no model")
    cell.clocked("C")
    netlist.flops.append(Flop(
        cell.out("Q"), cell.pin("D"), cell.pin("E") if kind[:1] == "E" else HIGH,
        cell.pin("S" if kind.endswith("SS") else "R") if len(kind) > 1 else LOW,
        int(kind.endswith("SS"))))


def _logic_cell(cell: Instance, netlist: Netlist) -> None:
    inputs = tuple(cell.pin(name) for name in ("I0", "I1", "I2", "I3"))
    table = cell.number("LUT_INIT")
    if cell.number("DFF_ENABLE"):
        if cell.number("ASYNC_SR"):
            raise NetlistError(f"{cell.name} has an asynchronous reset, of which there is no model")
        cell.clocked("CLK")
        d = cell.out("LO")
        netlist.luts.append(Lut(d, table, inputs))
        netlist.flops.append(Flop(cell.out("O"), d, cell.pin("CEN"), cell.pin("SR"),
                                  cell.number("SET_NORESET")))
    else:
        netlist.luts.append(Lut(cell.out("O"), table, inputs))
        if cell.connected("LO"):
            netlist.luts.append(Lut(cell.out("LO"), table, inputs))
    if cell.number("CARRY_ENABLE"):
        carry = (HIGH if cell.number("CIN_SET") else LOW) if cell.number("CIN_CONST") \
            else cell.pin("CIN")
        netlist.luts.append(Lut(cell.out("COUT"), _CARRY, (inputs[1], inputs[2], carry)))


def _ram(cell: Instance, netlist: Netlist) -> None:
    cell.clocked("RCLK")
    cell.clocked("WCLK")
    netlist.cells.append(ram(
        cell.name, cell.number("READ_MODE"), cell.number("WRITE_MODE"),
        [cell.number(f"INIT_{k:X}") for k in range(16)],
        {name: cell.pins(name, width) for name, width in RAM_INPUTS.items()},
        {"RDATA": cell.outs("RDATA", 16)}))


def ram(name: str, read_mode: int, write_mode: int, contents: list[int],
        inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> Cell:
    """A block RAM; ``contents`` are its 16 parameters ``INIT``."""
    words = [row >> 16 * k & 0xFFFF for row in contents for k in range(16)]
    text = "".join(f"{word:04x}" for word in words) if any(words) else ""
    return Cell(name, "Ram40", (read_mode, write_mode, f'"{text}"'), inputs, outputs)


def _spram(cell: Instance, netlist: Netlist) -> None:
    cell.clocked("CLOCK")
    netlist.cells.append(Cell(
        cell.name, "Spram", (),
        {name: cell.pins(name, width) for name, width in SPRAM_INPUTS.items()},
        {"DATAOUT": cell.outs("DATAOUT", 16)}))


def _mac16(cell: Instance, netlist: Netlist) -> None:
    mode = {name: cell.number(name) for name in MAC16_MODE}
    if registered(mode):
        cell.clocked("CLK")
    netlist.cells.append(mac16(
        cell.name, mode,
        {name: cell.pins(name, width) for name, width in MAC16_INPUTS.items()},
        {"O": cell.outs("O", 32), "CO": cell.outs("CO", 1)}, carries=cell.connected("CO")))


def mac16(name: str, mode: dict[str, int], inputs: dict[str, tuple[int, ...]],
          outputs: dict[str, tuple[int, ...]], *, carries: bool) -> Cell:
    """A multiplier; one that hangs on its neighbour is refused.

    ``carries`` tells whether anything reads CO, which has no register.
    """
    if mode["BOTADDSUB_CARRYSELECT"] == 2 or mode["BOTADDSUB_LOWERINPUT"] == 3:
        raise NetlistError(f"{name} hangs on its neighbour, of which there is no model")
    return Cell(name, "Mac16", tuple(mode[key] for key in MAC16_MODE), inputs, outputs,
                through=carries or _through(mode))


def registered(mode: dict[str, int]) -> bool:
    """Whether a multiplier needs its clock."""
    outputs = {mode["TOPOUTPUT_SELECT"], mode["BOTOUTPUT_SELECT"]}
    return any(mode[name] for name in mode if "REG" in name) or outputs != {3}


def _through(mode: dict[str, int]) -> bool:
    """Whether a bit of the output of a multiplier follows an input without a clock."""
    stages = (mode["TOP_8x8_MULT_REG"], mode["BOT_8x8_MULT_REG"], mode["PIPELINE_16x16_MULT_REG1"])
    if mode["TOPOUTPUT_SELECT"] == mode["BOTOUTPUT_SELECT"] == 3:
        return not (all(stages) or mode["PIPELINE_16x16_MULT_REG2"]
                    or mode["A_REG"] and mode["B_REG"])
    return not mode["TOPOUTPUT_SELECT"] == mode["BOTOUTPUT_SELECT"] == 1


def _pad(cell: Instance, netlist: Netlist) -> None:
    kind = cell.number("PIN_TYPE")
    if kind == 0b000001:
        netlist.luts.append(Lut(cell.out("D_IN_0"), 2, (cell.pin("PACKAGE_PIN"),)))
    elif kind == 0b011001:
        netlist.luts.append(Lut(cell.pin("PACKAGE_PIN"), 2, (cell.pin("D_OUT_0"),)))
    else:
        raise NetlistError(f"{cell.name} is a pin of type {kind:06b}, of which there is no model")


def _buffer(cell: Instance, netlist: Netlist) -> None:
    netlist.luts.append(Lut(cell.out("GLOBAL_BUFFER_OUTPUT"), 2,
                            (cell.pin("USER_SIGNAL_TO_GLOBAL_BUFFER"),)))


_READERS: dict[str, Callable[[Any, Netlist], None]] = {
    "SB_LUT4": _lut4, "SB_CARRY": _carry, "ICESTORM_LC": _logic_cell, "SB_IO": _pad,
    "SB_GB": _buffer, "SB_RAM40_4K": _ram, "ICESTORM_RAM": _ram, "SB_SPRAM256KA": _spram,
    "ICESTORM_SPRAM": _spram, "SB_MAC16": _mac16, "ICESTORM_DSP": _mac16}
