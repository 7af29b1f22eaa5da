from amaranth.lib import io
from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform

from ionspike.boards.clock import ice40_pll
from ionspike.boards.table import BOARDS

__all__ = ["Platform"]


class Platform(ICE40HX8KBEVNPlatform):
    """From the 12 MHz, which come in at no PLL's own pad; LEDs D2 (busy) and D3 (line)."""

    def clock(self, m):
        m.submodules.oscillator = oscillator = io.Buffer("i", self.request("clk12", dir="-"))
        return ice40_pll(m, oscillator.i, 12e6, BOARDS["hx8k_evn"].clock_Hz, pad=False)

    def pins(self):
        uart = self.request("uart", dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx,
                "busy": self.request("led", 0, dir="-"), "link": self.request("led", 1, dir="-")}
