"""What an iCE40 bitstream configures, as gates.

The bitstream is unpacked by ``iceunpack`` and read by Debian's ``icebox_vlog``, which knows logic,
routing, block RAM and pins. It leaves out the multipliers and large memories of the UltraPlus;
those are added here, from the configuration bits and nets that icebox's tables name.
"""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ionspike.sim import ice40
from ionspike.sim.gates import HIGH, LOW, Cell, Flop, Lut, Netlist, NetlistError

__all__ = ["parse", "read"]

# Icebox's tables, in a process of its own: its modules are not ours to import.
_TABLES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import icebox
chip = icebox.iceconfig()
chip.read_file(sys.argv[2])
found = {"dsp": {}, "spram": {}}
def on(x, y, name):
    for bits, kind, entry in (row[:3] for row in chip.tile_db(x, y) if len(row) == 3):
        if kind == "IpConfig" and entry == name:
            return int(icebox.tileconfig(chip.tile(x, y)).match(bits))
    raise KeyError((x, y, name))
if chip.device == "5k":
    for x, y in chip.dsp_tiles[0]:
        config = {key: on(*place) for key, place in chip.get_dsp_config_db(x, y).items()}
        found["dsp"]["%d_%d" % (x, y)] = [config, chip.get_dsp_nets_db(x, y)]
    for (x, y, z), nets in icebox.spram_db["5k"].items():
        enable = nets.pop("SPRAM_EN")
        if on(*enable):
            found["spram"]["%d_%d_%d" % (x, y, z)] = nets
json.dump(found, sys.stdout)
"""

_WIRE = re.compile(r"(?:wire|reg) (\w+)")
_SEGMENT = re.compile(r"// \((\d+), (\d+), '([^']+)'\)")
_PLAIN = re.compile(r"assign (\w+)\s*= ([\w']+);")
_LUT = re.compile(r"assign (\w+)\s*= /\* LUT .*?\*/ (.*);")
_CARRY = re.compile(r"assign (\w+)\s*= /\* CARRY .*?\*/ \(([\w']+) & ([\w']+)\) \| "
                    r"\(\(\2 \| \3\) & ([\w']+)\);")
_FLOP = re.compile(r"/\* FF .*?\*/ always @\(posedge (\w+)\) if \(([\w']+)\) (\w+) <= "
                   r"([\w']+) \? 1'b([01]) : ([\w']+);")
_THROUGH = re.compile(r"/\* FF .*?\*/ (assign .*)")
_IGNORED = re.compile(r"$|//|wire |reg |module |endmodule|/\* DSP")
_PORT = re.compile(r"\.(\w+)\((.*)\),?$")
_TOKEN = re.compile(r"1'b[01]|\w+|[()?:!]")
_MASKS = (0xAAAA, 0xCCCC, 0xF0F0, 0xFF00)
_MAJORITY = 0b11101000


def read(image: Path, pins: Path) -> Netlist:
    """Gates of a bitstream; ``pins`` is the constraint file it was made with."""
    vlog = shutil.which("icebox_vlog")
    if vlog is None:
        raise NetlistError("icebox_vlog is missing: `sudo apt install fpga-icestorm`")
    unpack = Path(sysconfig.get_path("scripts")) / "yowasp-iceunpack"
    if not unpack.exists():
        raise NetlistError("iceunpack is missing: `pip install 'ionspike[boards]'`")
    with tempfile.TemporaryDirectory(prefix="ionspike-") as name:
        folder = Path(name)
        shutil.copy(image, folder / "top.bin")
        shutil.copy(pins, folder / "top.pcf")
        _run([sys.executable, str(unpack), "top.bin", "top.asc"], folder)
        # Its comments have the positions; interconnect is left out of them but for UltraPlus.
        ultra = ".device 5k" in (folder / "top.asc").read_text()
        text = _run([vlog, *([] if ultra else ["-S"]), "-n", "top", "-p", "top.pcf", "top.asc"],
                    folder)
        tables = json.loads(_run([sys.executable, "-W", "ignore", "-c", _TABLES,
                                  str(Path(vlog).resolve().parent), "top.asc"], folder)
                            ) if ultra else {}
    return parse(text, tables)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        tail = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise NetlistError(f"{Path(command[1]).name} failed: {tail[0]}")
    return done.stdout


def parse(text: str, tables: dict | None = None) -> Netlist:
    """Gates of what ``icebox_vlog`` wrote, and of the hard cells in icebox's tables."""
    reader = _Reader()
    for line in (lines := iter(text.splitlines())):
        reader.line(line, lines)
    reader.hard_cells(tables or {})
    return reader.netlist


class _Reader:
    def __init__(self) -> None:
        self._nets = {"1'b0": LOW, "0": LOW, "1'b1": HIGH, "1": HIGH}
        self._segments: dict[tuple[int, int, str], int] = {}
        self._wire = LOW
        self.netlist = Netlist({name: self.net(name) for name in ("rst", "uart_rx")},
                               {name: self.net(name) for name in ("uart_tx", "idle")})

    def net(self, name: str) -> int:
        return self._nets.setdefault(name, len(self._nets))

    def line(self, line: str, lines: Iterator[str]) -> None:
        netlist, net = self.netlist, self.net
        if found := _SEGMENT.match(line):
            self._segments[int(found[1]), int(found[2]), found[3]] = self._wire
        elif found := _WIRE.match(line):
            self._wire = net(found[1])
        elif found := _FLOP.match(line):
            if found[1] != "clk":
                raise NetlistError(f"{found[3]} is on another clock than the pin clk")
            netlist.flops.append(Flop(net(found[3]), net(found[6]), net(found[2]), net(found[4]),
                                      int(found[5])))
        elif found := _THROUGH.match(line):
            self.line(found[1], lines)
        elif found := _LUT.match(line):
            netlist.luts.append(self._lut(net(found[1]), found[2]))
        elif found := _CARRY.match(line):
            netlist.luts.append(Lut(net(found[1]), _MAJORITY,
                                    (net(found[2]), net(found[3]), net(found[4]))))
        elif found := _PLAIN.match(line):
            netlist.luts.append(Lut(net(found[1]), 2, (net(found[2]),)))
        elif line.startswith("SB_RAM40_4K #("):
            netlist.cells.append(self._ram(lines))
        elif not _IGNORED.match(line):
            raise NetlistError(f"icebox_vlog wrote {line.strip()!r}, which is not understood")

    def _lut(self, out: int, text: str) -> Lut:
        tokens = _TOKEN.findall(text)
        inputs: list[int] = []

        def value() -> int:
            token = tokens.pop(0)
            if token == "!":
                return ~value() & 0xFFFF
            if token == "(":
                chosen = value()
                assert tokens.pop(0) == "?"
                high = value()
                assert tokens.pop(0) == ":"
                low = value()
                assert tokens.pop(0) == ")"
                return chosen & high | ~chosen & low & 0xFFFF
            if (net := self.net(token)) in (LOW, HIGH):
                return 0xFFFF * net
            if net not in inputs:
                inputs.append(net)
            return _MASKS[inputs.index(net)]

        table = value()
        return Lut(out, table & (1 << (1 << len(inputs))) - 1, tuple(inputs))

    def _ram(self, lines: Iterator[str]) -> Cell:
        ports: dict[str, str] = {}
        name = ""
        for line in lines:
            if found := _PORT.match(line.strip()):
                ports[found[1]] = found[2]
            elif line.startswith(") "):
                name = line.split()[1]
            elif line.startswith(");"):
                break
        if any(ports[clock] != "clk" for clock in ("RCLK", "WCLK")):
            raise NetlistError(f"{name} is on another clock than the pin clk")

        def pins(port: str) -> tuple[int, ...]:
            return tuple(self.net(bit) for bit in reversed(ports[port].strip("{}").split(", ")))

        contents = [int(ports.get(f"INIT_{k:X}", "256'h0")[5:], 16) for k in range(16)]
        return ice40.ram(name, int(ports["READ_MODE"]), int(ports["WRITE_MODE"]), contents,
                         {port: pins(port) for port in ice40.RAM_INPUTS},
                         {"RDATA": pins("RDATA")})

    def hard_cells(self, tables: dict) -> None:
        """Multipliers and large memories, wherever a net is routed to one."""
        cells = self.netlist.cells
        for name, places in tables.get("spram", {}).items():
            self._clock(name, places["CLOCK"])
            cells.append(Cell(name, "Spram", (), self._pins(places, ice40.SPRAM_INPUTS),
                              {"DATAOUT": self._outs(places, "DATAOUT", 16)}))
        for name, (config, places) in tables.get("dsp", {}).items():
            if not any(tuple(place) in self._segments for place in places.values()):
                continue
            mode = {key: config[key] if key in config
                    else config[f"{key}_0"] | config[f"{key}_1"] << 1 for key in ice40.MAC16_MODE}
            if ice40.registered(mode):
                self._clock(name, places["CLK"])
            cells.append(ice40.mac16(
                name, mode, self._pins(places, ice40.MAC16_INPUTS),
                {"O": self._outs(places, "O", 32), "CO": self._outs(places, "CO", 1)},
                carries=tuple(places["CO"]) in self._segments))

    def _places(self, places: dict, port: str, width: int) -> list[tuple[int, int, str]]:
        return [tuple(places[port if width == 1 else f"{port}_{k}"]) for k in range(width)]

    def _pins(self, places: dict, widths: dict[str, int]) -> dict[str, tuple[int, ...]]:
        return {port: tuple(self._segments.get(place, HIGH if port in ice40.PULLED_UP else LOW)
                            for place in self._places(places, port, width))
                for port, width in widths.items()}

    def _outs(self, places: dict, port: str, width: int) -> tuple[int, ...]:
        return tuple(self._segments.get(place) or self.net(f"open {place}")
                     for place in self._places(places, port, width))

    def _clock(self, name: str, place: list) -> None:
        x, y, segment = place
        names = (segment, "lutff_global/clk")
        if self.net("clk") not in [self._segments.get((x, y, name)) for name in names]:
            raise NetlistError(f"{name} is on another clock than the pin clk")
