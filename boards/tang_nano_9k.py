from amaranth import C
from amaranth.lib import io
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

__all__ = ["Platform"]


class Platform(TangNano9kPlatform):
    """On the 27 MHz oscillator itself; LEDs 0 (busy) and 1 (line); the first button resets."""

    toolchain_name = "Apicula"

    def __init__(self):
        super().__init__(toolchain=self.toolchain_name)

    def clock(self, m):
        m.submodules.oscillator = oscillator = io.Buffer("i", self.request("clk27", dir="-"))
        return oscillator.i, C(1)

    def pins(self):
        uart = self.request("uart", dir="-")
        return {"uart_rx": uart.rx, "uart_tx": uart.tx,
                "busy": self.request("led", 0, dir="-"), "link": self.request("led", 1, dir="-"),
                "button": self.request("button", 0, dir="-")}
