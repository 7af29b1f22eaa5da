from amaranth.lib import io
from amaranth_boards.arty_a7 import ArtyA7_35Platform

from ionspike.boards.clock import xilinx_pll
from ionspike.boards.table import BOARDS

__all__ = ["Platform"]


class Platform(ArtyA7_35Platform):
    """From the 100 MHz oscillator; LEDs LD4 (busy) and LD5 (line); the red button resets."""

    def __init__(self):
        super().__init__(toolchain="Vivado")

    def clock(self, m):
        m.submodules.oscillator = oscillator = io.Buffer("i", self.request("clk100", dir="-"))
        return xilinx_pll(m, oscillator.i, 100e6, BOARDS["arty_a7"].clock_Hz)

    def pins(self):
        uart = self.request("uart", dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx,
                "busy": self.request("led", 0, dir="-"), "link": self.request("led", 1, dir="-"),
                "button": self.request("rst", dir="-")}
