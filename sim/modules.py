"""The flat module of a netlist, as Yosys and nextpnr write it in JSON."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ionspike.sim.gates import HIGH, LOW, NetlistError

__all__ = ["Instance", "Module"]

_PINS = {"clk": "input", "rst": "input", "uart_rx": "input", "uart_tx": "output", "idle": "output"}


class Instance:
    """A cell of a module: its pins as nets, those that are open as what they read."""

    def __init__(self, module: "Module", name: str, cell: dict[str, Any]):
        self._module, self.name, self.kind = module, name, cell["type"]
        self.parameters = cell.get("parameters", {})
        self.attributes = cell.get("attributes", {})
        self._connections: dict[str, list[Any]] = cell["connections"]
        self.pulled_up: Collection[str] = ()

    def number(self, parameter: str, default: int = 0) -> int:
        """A parameter; bits that the netlist leaves open are 0."""
        value = self.parameters.get(parameter, default)
        return int(value.replace("x", "0"), 2) if isinstance(value, str) else value

    def word(self, parameter: str, default: str) -> str:
        """A parameter that is text."""
        return str(self.parameters.get(parameter, default)).strip()

    def connected(self, port: str) -> bool:
        return bool(self._connections.get(port))

    def pin(self, port: str) -> int:
        """Net that an input of one bit reads."""
        return self.pins(port, 1)[0]

    def pins(self, port: str, width: int) -> tuple[int, ...]:
        """The same for wider ones, which placement takes apart into ``port_0`` and so on."""
        open_ = HIGH if port in self.pulled_up else LOW
        return tuple(self._module.net(bit, open_) for bit in self._bits(port, width))

    def out(self, port: str) -> int:
        """Net that an output of one bit drives; a new one if nobody reads it."""
        return self.outs(port, 1)[0]

    def outs(self, port: str, width: int) -> tuple[int, ...]:
        bits = self._bits(port, width)
        return tuple(self._module.new() if bit is None else self._module.net(bit, LOW)
                     for bit in bits)

    def inner(self) -> int:
        """A net that is in no file."""
        return self._module.new()

    def clocked(self, port: str) -> None:
        """This pin is on the clock that all share."""
        if self.number("NEG_CLK") or self.number("NEG_TRIGGER") \
                or self._module.origin(self.pin(port)) != self._module.clock:
            raise NetlistError(f"{self.name} is on another clock than the pin clk")

    def _bits(self, port: str, width: int) -> list[Any]:
        if port in self._connections:
            bits = self._connections[port]
            return [bits[k] if k < len(bits) else None for k in range(width)]
        return [(self._connections.get(f"{port}_{k}") or [None])[0] for k in range(width)]


class Module:
    """The top module of a JSON netlist.

    Parameters
    ----------
    text : the file's.
    """

    def __init__(self, text: str):
        modules = json.loads(text)["modules"]
        tops = [module for module in modules.values()
                if int(str(module["attributes"].get("top", "0")), 2)]
        if len(tops) != 1:
            raise NetlistError(f"one module must be the top, not {len(tops)} of {len(modules)}")
        self._ports: dict[str, Any] = tops[0]["ports"]
        found = {name: port["direction"] for name, port in self._ports.items()}
        if found != _PINS:
            raise NetlistError(f"the pins must be {', '.join(_PINS)}, not {', '.join(found)}")
        self._next = 2 + max((bit for cell in tops[0]["cells"].values()
                              for bits in cell["connections"].values() for bit in bits
                              if isinstance(bit, int)), default=0) + len(_PINS)
        self.cells = [Instance(self, name, cell) for name, cell in tops[0]["cells"].items()]
        self._buffers: dict[int, int] = {}
        for cell in self.cells:
            self._look(cell)
        self.clock = self._ports["clk"]["bits"][0]

    @classmethod
    def load(cls, path: Path) -> "Module":
        return cls(path.read_text())

    def _look(self, cell: Instance) -> None:
        """What clocks pass through."""
        for source, sink in (("PACKAGE_PIN", "D_IN_0"), ("B", "O"),
                             ("USER_SIGNAL_TO_GLOBAL_BUFFER", "GLOBAL_BUFFER_OUTPUT"),
                             ("CLKI", "CLKO")):
            if cell.kind in ("SB_IO", "SB_GB", "TRELLIS_IO", "DCCA") and cell.connected(source) \
                    and cell.connected(sink):
                self._buffers[cell.out(sink)] = cell.pin(source)

    def inputs(self) -> dict[str, int]:
        """Nets of the input pins but the clock's."""
        return {name: self._ports[name]["bits"][0] for name in ("rst", "uart_rx")}

    def outputs(self) -> dict[str, int]:
        return {name: self._ports[name]["bits"][0] for name in ("uart_tx", "idle")}

    def net(self, bit: Any, open_: int) -> int:
        if bit is None or bit in ("x", "z"):
            return open_
        return {"0": LOW, "1": HIGH}.get(bit, bit)

    def new(self) -> int:
        self._next += 1
        return self._next

    def origin(self, net: int) -> int:
        """The net that drives this one, through buffers."""
        while net in self._buffers:
            net = self._buffers[net]
        return net
