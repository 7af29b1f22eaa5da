"""``--faults``: from text to faults."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ionspike.host.errors import InputError
from ionspike.host.faults import BYTE_KINDS, TIME_KINDS, Faults
from ionspike.host.faulty_port import FaultyPort, Plug

__all__ = ["FaultSpec"]

_KINDS = (*BYTE_KINDS, *TIME_KINDS)
#: Durations by the name in the text and that of the parameter.
_TIMES = {"delay_by": "delay_s", "stall_for": "stall_s", "replug": "replug_s", "away": "away_s"}
_UNITS = (("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("", 1.0))


@dataclass(frozen=True)
class FaultSpec:
    """Faults for both directions of a line.

    Parameters
    ----------
    rates : probability per byte by kind, see :class:`ionspike.host.faults.Faults`.
    times : ``delay_s`` and ``stall_s`` where they are not the default.
    replug_s, away_s : seconds between two pulls of the port, 0 for none, and how long each lasts.
    seed : of both directions.
    """

    rates: dict[str, float] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    replug_s: float = 0.0
    away_s: float = 0.2
    seed: int = 1

    @classmethod
    def parse(cls, text: str) -> "FaultSpec":
        """From ``RATE`` or ``NAME=VALUE,...``.

        ``1e-4`` is flips, drops, inserted and doubled bytes, together at that rate per byte, and
        may be followed by names: ``1e-4,stall=1e-6,stall_for=50ms,replug=2s,away=100ms,seed=7``.

        Raises
        ------
        InputError
            For what is none.
        """
        rates: dict[str, float] = {}
        times: dict[str, float] = {}
        rest: dict[str, Any] = {}
        for k, part in enumerate(text.split(",")):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals and not k:
                rates.update(dict.fromkeys(BYTE_KINDS[:4], _rate("a rate", name) / 4))
            elif name in _KINDS:
                rates[name] = _rate(name, value)
            elif name in ("delay_by", "stall_for"):
                times[_TIMES[name]] = _seconds(name, value)
            elif name in _TIMES:
                rest[_TIMES[name]] = _seconds(name, value)
            elif name == "seed" and value.isascii() and value.isdigit():
                rest["seed"] = int(value)
            elif name == "seed":
                raise InputError(f"--faults: seed={value!r} is not a number from 0 up")
            else:
                raise InputError(f"--faults: {name!r} is none of {', '.join(_KINDS)}, "
                                 f"{', '.join(_TIMES)}, seed")
        if sum(rates.values()) > 0.5:
            raise InputError(f"--faults: {sum(rates.values()):g} faults per byte leave no line; "
                             f"at most 0.5")
        return cls(rates, times, **rest)

    def wrap(self, port: Any, clock: Callable[[], float] = time.monotonic) -> FaultyPort:
        """This port, with these faults, for times on this clock."""
        to_board, from_board = (Faults(2 * self.seed + k, **self.rates, **self.times)
                                for k in range(2))
        return FaultyPort(port, to_board, from_board,
                          Plug(self.replug_s, self.away_s) if self.replug_s else None, clock=clock)


def _rate(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 0.5:
        raise InputError(f"--faults: {name} must be a probability per byte from 0 to 0.5, such as "
                         f"1e-4, not {text!r}")
    return value


def _seconds(name: str, text: str) -> float:
    for unit, scale in _UNITS:
        if text.endswith(unit):
            try:
                value = float(text.removesuffix(unit)) * scale
            except ValueError:
                break
            if 0 < value < 1e6:
                return value
            break
    raise InputError(f"--faults: {name} must be a time such as 2s or 50ms, not {text!r}")
