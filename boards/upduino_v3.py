from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal
from amaranth.lib import io
from amaranth_boards.upduino_v3 import UpduinoV3Platform

from ionspike.boards.clock import ice40_pll
from ionspike.boards.table import BOARDS

__all__ = ["Platform"]


class Platform(UpduinoV3Platform):
    """24 MHz from the 12 MHz on pin 20, which the OSC jumper connects: the chip's own oscillator
    may be off by a tenth, which no UART bears. LEDs green (busy) and blue (line).

    The FT232H has no pins of its own for a UART. Its TXD and RXD are the flash's clock and data in,
    so that the flash is deselected.
    """

    default_clk = "clk12"
    resources = [
        *UpduinoV3Platform.resources,
        Resource("ft232h", 0, Subsignal("rx", Pins("15", dir="i")),
                 Subsignal("tx", Pins("14", dir="o")), Attrs(IO_STANDARD="SB_LVCMOS")),
        Resource("flash_select", 0, PinsN("16", dir="o"), Attrs(IO_STANDARD="SB_LVCMOS")),
    ]

    def clock(self, m):
        m.submodules.oscillator = oscillator = io.Buffer("i", self.request("clk12", dir="-"))
        return ice40_pll(m, oscillator.i, 12e6, BOARDS["upduino_v3"].clock_Hz, pad=False)

    def pins(self):
        uart = self.request("ft232h", dir="-")
        led = self.request("rgb_led", dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx, "busy": led.g, "link": led.b,
                "low": [self.request("flash_select", dir="-")]}
