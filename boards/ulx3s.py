from amaranth.lib import io
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform

from ionspike.boards.clock import ecp5_pll
from ionspike.boards.table import BOARDS

__all__ = ["Platform25F", "Platform85F"]


class _ULX3S:
    """From the 25 MHz oscillator; LEDs 0 (busy) and 1 (line); button FIRE1 resets."""

    def clock(self, m):
        m.submodules.oscillator = oscillator = io.Buffer("i", self.request("clk25", dir="-"))
        return ecp5_pll(m, oscillator.i, 25e6, BOARDS[self.board].clock_Hz)

    def pins(self):
        uart = self.request("uart", dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx,
                "busy": self.request("led", 0, dir="-"), "link": self.request("led", 1, dir="-"),
                "button": self.request("button_fire", 0, dir="-")}


class Platform25F(_ULX3S, ULX3S_25F_Platform):
    board = "ulx3s_25f"


class Platform85F(_ULX3S, ULX3S_85F_Platform):
    board = "ulx3s_85f"
