"""How a run kept time."""

from dataclasses import dataclass
from typing import Any

from ionspike.host.hello import Hello
from ionspike.spec import wire

__all__ = ["Timing"]

#: Minor version of the protocol from which on a board measures.
_MEASURES = wire.register("high_water").since


@dataclass(frozen=True)
class Timing:
    """What the board counted of time, and how busy it and the host were; None where nobody knows.

    Parameters
    ----------
    ticks : that the board ran. In free-running mode it ticks on until it is told to stop, so that
        they are more than those asked for.
    late, dropped, overruns : see ``wire.COUNTERS``.
    period_clocks : of a free-running tick; None in lockstep.
    clock_Hz : of the board.
    slack_clocks : those that were left of the period when the tick that took longest had ended, at
        least 1; 0 where a tick lasted into the next period. None where no tick was timed: in
        lockstep, on the golden model, whose ticks take no time, and on boards of protocol 1.1.
    frames_held : most frames to the host that were not acknowledged at a time. The board holds
        ``wire.TX_SLOTS``; while all are held, its reports wait, and with them its ticks.
    ring_quarters : borders between quarters of its receive ring that waiting records stretched
        across: k of them are more than k - 1 quarters of ``wire.RX_BYTES`` and less than k + 1; 3 is
        3 or more.
    host_pause_s : longest time during which the host did not look whether something had come.
    """

    ticks: int
    late: int
    dropped: int
    overruns: int
    period_clocks: int | None
    clock_Hz: int
    slack_clocks: int | None
    frames_held: int | None
    ring_quarters: int | None
    host_pause_s: float

    @property
    def kept(self) -> bool:
        """Whether every event was applied to its tick, and every tick began in its period."""
        return not (self.late or self.dropped or self.overruns)

    @property
    def slack_s(self) -> float | None:
        """``slack_clocks`` in the board's time."""
        return None if self.slack_clocks is None else self.slack_clocks / self.clock_Hz

    @classmethod
    def of(cls, hello: Hello, registers: dict[str, int], *, ticks: int, clocks: int | None,
           host_pause_s: float) -> "Timing":
        """From a board's registers by name; ``clocks`` are those of a free-running tick."""
        measures = hello.minor >= _MEASURES and hello.board != wire.Board.GOLDEN
        longest = registers["longest_low"] | registers["longest_high"] << 16
        overruns, slack = registers["overruns"], None
        if measures and clocks is not None and (longest or overruns):
            slack = 0 if overruns else max(0, clocks - 1 - longest)
        marks, at = {}, wire.HIGH_WATER_SHIFT
        for name, most in wire.HIGH_WATER:
            level = registers["high_water"] >> at & (1 << most) - 1
            marks[name] = level.bit_count() if measures else None
            at += most
        return cls(ticks=ticks, late=registers["late"], dropped=registers["dropped"],
                   overruns=overruns, period_clocks=clocks, clock_Hz=hello.clock_hz,
                   slack_clocks=slack, host_pause_s=host_pause_s, **marks)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "host_pause_s": round(self.host_pause_s, 6),
                "slack_s": self.slack_s, "kept": self.kept}

    def lines(self) -> list[tuple[str, str]]:
        """For people."""
        told = []
        if self.period_clocks is not None:
            period = f"of {self.period_clocks:,} clocks, {self.period_clocks / self.clock_Hz:.3g} s"
            slack = "not measured" if self.slack_clocks is None else \
                f"{self.slack_clocks:,} clocks, {self.slack_clocks / self.clock_Hz * 1e6:,.1f} us"
            told = [("free-running", f"{self.ticks:,} ticks {period}"), ("least slack", slack)]
        if self.frames_held is not None and self.ring_quarters is not None:
            told.append(("buffers", f"up to {self.frames_held} of {wire.TX_SLOTS} frames held, "
                         f"{self.ring_quarters} of 3 borders of the receive ring crossed"))
        return [*told, ("host away", f"{self.host_pause_s * 1e3:.3g} ms at most")]
