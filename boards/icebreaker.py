from amaranth_boards.icebreaker import ICEBreakerPlatform

from ionspike.boards.clock import ice40_pll
from ionspike.boards.table import BOARDS

__all__ = ["Platform"]


class Platform(ICEBreakerPlatform):
    """24 MHz from the 12 MHz on the PLL's pad; LEDs green (busy) and red (line); the button
    resets."""

    def clock(self, m):
        pad = self.request("clk12", dir="-").io
        return ice40_pll(m, pad, 12e6, BOARDS["icebreaker"].clock_Hz, pad=True)

    def pins(self):
        uart = self.request("uart", dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx,
                "busy": self.request("led_g", dir="-"), "link": self.request("led_r", dir="-"),
                "button": self.request("button", dir="-")}
