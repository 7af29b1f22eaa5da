from amaranth.lib import io
from amaranth_boards.ecpix5 import ECPIX585Platform

from ionspike.boards.clock import ecp5_pll
from ionspike.boards.table import BOARDS

__all__ = ["Platform"]


class Platform(ECPIX585Platform):
    """From the 100 MHz oscillator; the first LED, green (busy) and blue (line); reset button."""

    def clock(self, m):
        m.submodules.oscillator = oscillator = io.Buffer("i", self.request("clk100", dir="-"))
        return ecp5_pll(m, oscillator.i, 100e6, BOARDS["ecpix5"].clock_Hz)

    def pins(self):
        uart = self.request("uart", dir="-")
        led = self.request("rgb_led", 0, dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx, "busy": led.g, "link": led.b,
                "button": self.request("rst", dir="-")}
