from amaranth import *

__all__ = ["OneHot"]


class OneHot:
    """A state machine with a flip-flop for each state, the first of which is where it begins.

    Costs less than numbers where states are many: nothing is decoded, and a state is entered by an
    OR of what leads to it.
    """

    def __init__(self, m, *names):
        self._m = m
        self.state = Signal(len(names), init=1, name="fsm_state")
        self._next = Signal(len(names), name="fsm_next")
        self._leave = Signal(name="fsm_leave")
        self._at = {name: k for k, name in enumerate(names)}
        with m.If(self._leave):
            m.d.sync += self.state.eq(self._next)

    def at(self, *names):
        """Whether it is in one of these states."""
        return Cat(self.state[self._at[name]] for name in names).any()

    def State(self, name):
        return self._m.If(self.at(name))

    def to(self, name):
        self._m.d.comb += [self._next[self._at[name]].eq(1), self._leave.eq(1)]
