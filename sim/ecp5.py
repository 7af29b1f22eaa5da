"""Netlists of ECP5 cells, as Yosys and nextpnr write them, as gates."""

from ionspike.sim.gates import HIGH, LOW, Cell, Flop, Lut, Netlist, NetlistError
from ionspike.sim.modules import Instance, Module

__all__ = ["read"]

_XOR = 0b0110
# Of a carry's second half: (~lut4 & lut2) | (lut4 & cin), inputs in this order.
_CARRY = 0b11100100


def read(module: Module) -> Netlist:
    """Gates of a module after synthesis or, with ``TRELLIS_COMB``, after placement."""
    netlist = Netlist(module.inputs(), module.outputs())
    for cell in module.cells:
        if cell.kind != "$scopeinfo":
            _Reader(cell, netlist, module).read()
    return netlist


class _Reader:
    def __init__(self, cell: Instance, netlist: Netlist, module: Module):
        self.cell, self.netlist, self.module = cell, netlist, module
        self.routed = "NEXTPNR_BEL" in cell.attributes

    def read(self) -> None:
        cell, luts = self.cell, self.netlist.luts
        match cell.kind:
            case "LUT4":
                luts.append(Lut(cell.out("Z"), cell.number("INIT"), self.pins("A", "B", "C", "D")))
            case "PFUMX":
                self.mux("Z", "C0", "BLUT", "ALUT")
            case "L6MUX21":
                self.mux("Z", "SD", "D0", "D1")
            case "CCU2C":
                between = self.module.new()
                self.carry("0", "S0", self.pin("CIN"), between)
                self.carry("1", "S1", between, cell.out("COUT"))
            case "TRELLIS_FF":
                self.flop()
            case "TRELLIS_COMB":
                self.slice()
            case "TRELLIS_RAMW":
                # The order in which nextpnr packs address and data.
                for out, pin in zip(("WADO0", "WADO1", "WADO2", "WADO3", "WDO0", "WDO1", "WDO2",
                                     "WDO3"), ("D0", "B0", "C0", "A0", "C1", "A1", "D1", "B1"),
                                    strict=True):
                    self.buffer(out, pin)
            case "TRELLIS_DPR16X4":
                cell.clocked("WCK")
                self.add("Dpr16", (), {"RAD": cell.pins("RAD", 4), "WAD": cell.pins("WAD", 4),
                                       "DI": cell.pins("DI", 4), "WRE": self.pins("WRE")},
                         {"DO": cell.outs("DO", 4)}, through=True)
            case "TRELLIS_IO":
                if cell.word("DIR", "") == "INPUT":
                    self.buffer("O", "B")
                else:
                    luts.append(Lut(cell.pin("B"), 2, self.pins("I")))
            case "DCCA":
                self.buffer("CLKO", "CLKI")
            case "DP16KD":
                self.ram()
            case "MULT18X18D":
                self.multiplier()
            case other:
                raise NetlistError(f"{cell.name} is a {other}, of which there is no model")

    def pin(self, port: str) -> int:
        """An open pin reads 1 once it is placed, unless it is configured otherwise."""
        mux = self.cell.word(port + "MUX", port)
        if mux in ("0", "1"):
            return int(mux)
        if self.cell.connected(port):
            net = self.cell.pin(port)
            if mux == "INV":
                self.netlist.luts.append(Lut(inverse := self.cell.inner(), 0b01, (net,)))
                return inverse
            return net
        return HIGH if self.routed and mux != "INV" else LOW

    def pins(self, *ports: str) -> tuple[int, ...]:
        return tuple(self.pin(port) for port in ports)

    def numbered(self, port: str, count: int) -> tuple[int, ...]:
        return self.pins(*(f"{port}{k}" for k in range(count)))

    def outs(self, port: str, count: int) -> tuple[int, ...]:
        return tuple(self.cell.out(f"{port}{k}") for k in range(count))

    def add(self, kind: str, arguments: tuple[int, ...], inputs: dict[str, tuple[int, ...]],
            outputs: dict[str, tuple[int, ...]], through: bool = False) -> None:
        self.netlist.cells.append(Cell(self.cell.name, kind, arguments, inputs, outputs, through))

    def buffer(self, out: str, pin: str) -> None:
        self.netlist.luts.append(Lut(self.cell.out(out), 2, self.pins(pin)))

    def mux(self, out: str, select: str, low: str, high: str) -> None:
        self.netlist.luts.append(Lut(self.cell.out(out), 0b11001010, self.pins(low, high, select)))

    def carry(self, suffix: str, out: str, carry_in: int, carry_out: int) -> None:
        inputs = self.pins(*(name + suffix for name in "ABCD"))
        self.adder(self.cell.number("INIT" + suffix), inputs, self.cell.out(out), carry_in,
                   carry_out, self.cell.word("INJECT1_" + (suffix or "0"), "YES") == "YES")

    def adder(self, table: int, inputs: tuple[int, ...], out: int, carry_in: int, carry_out: int,
              inject: bool) -> None:
        luts, module = self.netlist.luts, self.module
        four, two = module.new(), module.new()
        luts.append(Lut(four, table, inputs))
        luts.append(Lut(two, 0 if inject else table & 0xF, inputs[:2]))
        luts.append(Lut(out, _XOR, (four, LOW if inject else carry_in)))
        luts.append(Lut(carry_out, _CARRY, (four, two, carry_in)))

    def slice(self) -> None:
        cell, luts = self.cell, self.netlist.luts
        inputs, mode = self.pins("A", "B", "C", "D"), cell.word("MODE", "LOGIC")
        table, f = cell.number("INITVAL"), cell.out("F")
        if mode == "LOGIC":
            luts.append(Lut(f, table, inputs))
        elif mode == "CCU2":
            self.adder(table, inputs, f, self.pin("FCI"), cell.out("FCO"),
                       cell.word("CCU2_INJECT1", "NO") == "YES")
        elif mode == "DPRAM":
            cell.clocked("WCK")
            a, b, c, d = inputs
            self.add("Dpr16", (), {"RAD": (d, b, c, a), "WAD": self.numbered("WAD", 4),
                                   "DI": self.pins("WD"), "WRE": self.pins("WRE")},
                     {"DO": (f,)}, through=True)
        elif mode != "RAMW_BLOCK":
            raise NetlistError(f"{cell.name} is in mode {mode}, of which there is no model")
        if cell.connected("OFX"):
            if cell.connected("FXA") or cell.connected("FXB"):
                self.mux("OFX", "M", "FXA", "FXB")
            else:
                luts.append(Lut(cell.out("OFX"), 0b11001010, (f, *self.pins("F1", "M"))))

    def flop(self) -> None:
        cell = self.cell
        cell.clocked("CLK")
        if cell.word("CLKMUX", "CLK") != "CLK" or cell.word("SRMODE", "LSR_OVER_CE") != "LSR_OVER_CE":
            raise NetlistError(f"{cell.name} is a flip-flop of which there is no model")
        value = int(cell.word("REGSET", "RESET") == "SET")
        self.netlist.flops.append(Flop(
            cell.out("Q"), self.pin("DI" if cell.connected("DI") else "M"), self.pin("CE"),
            self.pin("LSR") if cell.connected("LSR") else LOW, value, gated=False, initial=value))

    def ram(self) -> None:
        cell = self.cell
        # A port that is not used has no clock.
        used = {port: self.pin("CLK" + port) not in (LOW, HIGH) for port in "AB"}
        for port in "AB":
            if used[port]:
                cell.clocked("CLK" + port)
        if any(cell.number(name) for name in cell.parameters if name.startswith("INITVAL_")):
            raise NetlistError(f"{cell.name} has contents, of which there is no model")
        for port in "AB":
            if cell.word("REGMODE_" + port, "NOREG") != "NOREG":
                raise NetlistError(f"{cell.name} has output registers, of which there is no model")
        self.add("Dp16", (cell.number("DATA_WIDTH_A"), cell.number("DATA_WIDTH_B")),
                 {**{f"{name}{port}": self.numbered(f"{name}{port}", count) for port in "AB"
                     for name, count in (("AD", 14), ("DI", 18), ("CS", 3))},
                  **{f"{name}{port}": self.pins(f"{name}{port}") for port in "AB"
                     for name in ("WE", "RST")},
                  **{f"CE{port}": self.pins(f"CE{port}") if used[port] else (LOW,)
                     for port in "AB"}},
                 {"DOA": self.outs("DOA", 18), "DOB": self.outs("DOB", 18)})

    def multiplier(self) -> None:
        cell = self.cell
        for name in cell.parameters:
            if name.startswith("REG_") and name.endswith("_CLK") and cell.word(name, "") != "NONE":
                raise NetlistError(f"{cell.name} has registers, of which there is no model")
        self.add("Mult18", (), {
            "A": self.numbered("A", 18), "B": self.numbered("B", 18),
            "SIGNEDA": self.pins("SIGNEDA"), "SIGNEDB": self.pins("SIGNEDB")},
            {"P": self.outs("P", 36)}, through=True)
