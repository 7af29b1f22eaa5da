from amaranth import *

__all__ = ["plus_one_or"]


def plus_one_or(value, load, other):
    """``value + 1``, or ``other`` while ``load``: the next value of a loadable counter.

    An iCE40's cell has an adder and one table of four inputs. Where ``load`` is the adder's second
    operand, sum and choice are that table; written as a choice among two, they are two cells a bit.
    """
    # From below comes a carry.
    total = Cat(C(1, 1), value) + Cat(C(1, 1), load.replicate(len(value)))
    return Mux(load, other, total[1:len(value) + 1])
