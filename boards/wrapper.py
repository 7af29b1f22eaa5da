from amaranth import *
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

__all__ = ["Wrapper"]


class Wrapper(Elaboratable):
    """A :class:`Top` between a board's pins: clock, reset, serial line, two LEDs.

    The reset lasts 2^9 clocks and more from the lock of the PLL, or from the release of the
    board's button, on: an iCE40's block RAM reads as zero for some microseconds at first. LEDs
    show the last 2^20 clocks: whether the core was busy, and whether the line carried anything.

    The platform brings ``clock(m)``, which returns clock and lock, and ``pins()``, which returns
    ports ``uart_rx``, ``uart_tx``, ``busy``, ``link``, and perhaps ``button``, and ``low``: outputs
    never asserted.
    """

    def __init__(self, top):
        self.top = top

    def elaborate(self, platform):
        m = Module()
        m.submodules.top = top = self.top
        m.domains.sync = ClockDomain("sync")
        m.domains.board = ClockDomain("board")
        clock, locked = platform.clock(m)
        m.d.comb += [ClockSignal("sync").eq(clock), ClockSignal("board").eq(clock)]

        ports = platform.pins()
        m.submodules.rx_buffer = rx = io.Buffer("i", ports["uart_rx"])
        m.submodules.tx_buffer = tx = io.Buffer("o", ports["uart_tx"])
        m.submodules.busy_buffer = busy = io.Buffer("o", ports["busy"])
        m.submodules.link_buffer = link = io.Buffer("o", ports["link"])
        m.d.comb += [top.uart_rx.eq(rx.i), tx.o.eq(top.uart_tx)]
        for number, port in enumerate(ports.get("low", ())):
            m.submodules[f"low_buffer_{number}"] = io.Buffer("o", port)
        pressed = C(0)
        if "button" in ports:
            m.submodules.button_buffer = button = io.Buffer("i", ports["button"])
            pressed = button.i

        m.submodules.reset = ResetSynchronizer(~locked | pressed, domain="board")
        running = Signal()
        count = Signal(20)
        m.d.board += count.eq(count + 1)
        with m.If(count[9]):
            m.d.board += running.eq(1)
        m.d.comb += ResetSignal("sync").eq(~running)

        for led, active in ((busy, ~top.idle), (link, ~top.uart_rx | ~top.uart_tx)):
            seen, shown = Signal(), Signal()
            m.d.board += seen.eq(seen | active)
            with m.If(count == 0):
                m.d.board += [shown.eq(seen), seen.eq(active)]
            m.d.comb += led.o.eq(shown)
        return m
