"""Rates of the serial line: how many clocks a bit lasts, and which rates a clock can make."""

__all__ = ["BREAK_BAUD", "SAFE_BAUD", "bit_clocks"]

#: A board whose line was held low goes to this rate, which every adapter and cable can do.
SAFE_BAUD = 115_200
#: A zero byte at this rate holds the line low for long enough, whatever the board's rate is.
BREAK_BAUD = 9_600
#: UARTs that agree to 2 % read each other's tenth bit right.
_LEAST_CLOCKS, _WORST_ERROR = 4, 0.02


def bit_clocks(clock_hz: int, baud: int) -> int:
    """Clocks per bit of a line at ``baud``.

    Raises
    ------
    ValueError
        If it is no rate, a bit would last less than 4 clocks, or the nearest rate is more than 2 %
        away.
    """
    if baud <= 0:
        raise ValueError(f"{baud} baud is no rate")
    clocks = round(clock_hz / baud)
    if clocks < _LEAST_CLOCKS:
        raise ValueError(f"{baud} baud cannot be made from {clock_hz} Hz: a bit must last at least "
                         f"{_LEAST_CLOCKS} clocks, {clock_hz // _LEAST_CLOCKS} baud is the most")
    if abs(clock_hz / baud / clocks - 1) > _WORST_ERROR:
        raise ValueError(f"{baud} baud cannot be made from {clock_hz} Hz: the nearest is "
                         f"{clock_hz / clocks:.0f}")
    return clocks
