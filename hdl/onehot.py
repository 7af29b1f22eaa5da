from amaranth import *

__all__ = ["OneHot"]


class OneHot:
    """A state machine with a flip-flop for each state, which begins in the first.

    Where states are many it takes less than numbers do: none is decoded, and each is entered by an
    OR of what leads to it. Statements of states that exclude each other are not told to, so what
    many states drive is better written as an OR of :meth:`at`.

    Parameters
    ----------
    m : :class:`Module`
    *names : states
    """

    def __init__(self, m, *names):
        self._m = m
        self._at = {name: k for k, name in enumerate(names)}
        self._state = Signal(len(names), init=1, name="fsm_state")
        self._next = Signal(len(names), name="fsm_next")
        self._leave = Signal(name="fsm_leave")
        with m.If(self._leave):
            m.d.sync += self._state.eq(self._next)

    def at(self, *names):
        """Whether it is in one of these states."""
        return Cat(self._state[self._at[name]] for name in names).any()

    def state(self, name):
        """Context of what is done in a state."""
        return self._m.If(self.at(name))

    def go(self, name):
        """Be in that state from the next clock on; once at most in any clock."""
        self._m.d.comb += [self._next[self._at[name]].eq(1), self._leave.eq(1)]
