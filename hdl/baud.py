"""The rate of the serial line."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["BaudRate"]


class BaudRate(wiring.Component):
    """How many clocks a bit lasts: those of the built rate, until a host asks for others.

    What was asked for holds from the first clock on in which the line rests, so that the answer to
    the asking is still sent at the old rate. ``value`` must stay until then: whoever asks says
    nothing more before the rate is the new one. A line that was held low sets the safe rate at once,
    and forgets what was asked for. A host that starts anew makes it forget too: its OPEN may be what
    lets the line rest, and the rate would change in the midst of what it has to say.

    Parameters
    ----------
    built, safe : :class:`int`
        Clocks per bit after a reset, and after a break.

    Members
    -------
    ask : :py:`In(1)`
        ``value`` is asked for.
    value : :py:`In(width)`
        Clocks per bit, less one.
    opened : :py:`In(1)`
        A host starts anew.
    rests : :py:`In(1)`
        Nothing is being sent or waits to be.
    broken : :py:`In(1)`
        The line was held low.
    last : :py:`Out(width)`
        Clocks per bit, less one.
    """

    def __init__(self, built, safe):
        self.built, self.safe = built, safe
        self.width = max(built - 1, safe - 1).bit_length()
        super().__init__({
            "ask": In(1), "value": In(self.width), "opened": In(1), "rests": In(1),
            "broken": In(1), "last": Out(self.width, init=built - 1)})

    def elaborate(self, platform):
        m = Module()
        asked = Signal()

        with m.If(self.broken):
            m.d.sync += [self.last.eq(self.safe - 1), asked.eq(0)]
        with m.Elif(asked & self.rests):
            m.d.sync += [self.last.eq(self.value), asked.eq(0)]
        with m.If(self.ask):
            m.d.sync += asked.eq(1)
        with m.If(self.opened):
            m.d.sync += asked.eq(0)

        return m
