"""The rate of the line to a board: finding a board whatever its rate is, and asking for another.

A board speaks at the rate it was built with until it is asked for another. A program that dies leaves
it at that; so whoever finds no answer holds the line low, which sets the safe rate on any board.
"""

import logging
from typing import Any

import numpy as np

from ionspike.host import codec
from ionspike.host.errors import InputError
from ionspike.host.hello import Hello
from ionspike.host.line import LinkError, NoAnswer
from ionspike.spec import wire
from ionspike.spec.baud import SAFE_BAUD, bit_clocks

__all__ = ["USUAL", "change", "checked", "find", "makeable", "negotiates", "restore"]

log = logging.getLogger(__name__)

#: Rates that adapters usually have.
USUAL = (115_200, 230_400, 460_800, 921_600, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000,
         6_000_000, 12_000_000)
#: A rate does not work if OPEN is not answered within this part of the longest silence.
_PART = 0.25
#: So often a change is tried: on a bad line the frames of one may be lost.
_ATTEMPTS = 2


def checked(clock_hz: int, baud: int) -> int:
    """Clocks per bit of a board with this clock.

    Raises
    ------
    InputError
        If it cannot speak at this rate.
    """
    if baud < SAFE_BAUD:
        raise InputError(f"a board speaks at {SAFE_BAUD} baud or faster, not at {baud}")
    try:
        return bit_clocks(clock_hz, baud)
    except ValueError as error:
        raise InputError(str(error)) from None


def negotiates(hello: Hello) -> bool:
    """Whether a board can change its rate."""
    return hello.minor >= wire.register("bit_clocks").since


def makeable(clock_hz: int, baud: int) -> bool:
    """Whether a board with this clock can speak at this rate."""
    try:
        return bool(checked(clock_hz, baud))
    except InputError:
        return False


def find(link: Any, timeout_s: float) -> Hello:
    """Open the link to a board at its built rate, or at the safe one if it does not answer there.

    Raises
    ------
    LinkError
        If it does not answer at either.
    """
    if link.baud is None:
        hello: Hello = link.open(timeout_s)
        return hello
    link.tuned = link.baud == SAFE_BAUD     # all that an adapter could do
    try:
        return link.open(timeout_s / 2)
    except NoAnswer as silent:
        tried = link.baud
        link.wake()
        try:
            hello = link.open(timeout_s / 2)
        except NoAnswer:
            raise NoAnswer(f"{silent} (nor at {SAFE_BAUD:,} baud)") from None
        log.info("%s: no answer at %d baud, but at %d", link.name, tried, SAFE_BAUD)
        return hello


def change(link: Any, hello: Hello, baud: int, timeout_s: float) -> Hello:
    """Have both ends speak at another rate, or, where that does not work, at the safe one.

    Which of the two it came to ``link.baud`` says, and one warning. Both streams begin anew.

    Raises
    ------
    InputError
        If the board's clock cannot make that rate, or the port cannot; for boards of protocol 1.1.
    LinkError
        If the board no longer answers at all.
    """
    clocks = checked(hello.clock_hz, baud)
    if not negotiates(hello):
        raise InputError(f"{link.name}: the board speaks protocol {hello.major}.{hello.minor}, which "
                         f"has no other rate; load the bitstream that comes with this ionspike")
    if link.baud is None:
        raise InputError(f"{link.name}: has no baud rate that could be changed from here")
    if not link.can(baud):
        raise InputError(f"{link.name}: this port does not do {baud:,} baud")
    for _ in range(_ATTEMPTS):
        try:
            # Anew, so that nothing of the board's is on its way when the rate changes.
            link.open(_PART * timeout_s)
            _ask(link, clocks)
            link.tune(baud)
            opened: Hello = link.open(_PART * timeout_s)
            return opened
        except NoAnswer:
            link.wake()
    found: Hello = link.open(timeout_s)
    if baud != SAFE_BAUD:
        log.warning("%s: no answer at %s baud; going on at %s", link.name, f"{baud:,}",
                    f"{SAFE_BAUD:,}")
    return found


def restore(link: Any, hello: Hello, timeout_s: float) -> None:
    """Have the board speak at its built rate again, for whoever comes next.

    Raises
    ------
    LinkError
        If it does not answer.
    """
    try:
        link.open(_PART * timeout_s)
    except NoAnswer:
        link.wake()
        link.open(_PART * timeout_s)
    _ask(link, bit_clocks(hello.clock_hz, hello.baud))


def _ask(link: Any, clocks: int) -> None:
    """Returns when the board has answered; it speaks at the other rate then."""
    record, = codec.write(wire.address(wire.Space.REGISTERS, wire.register("bit_clocks").offset),
                          np.array([clocks - 1], np.uint16))
    link.send(record)
    try:
        link.flush()
    except LinkError as error:
        # Its answer may be lost, and the board at the other rate already.
        raise NoAnswer(str(error)) from error
