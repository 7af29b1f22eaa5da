"""Driver and monitor of Amaranth streams, for cocotb testbenches.

Signals are driven at the falling edge and sampled at the rising edge, so that no testbench depends
on the order in which a simulator runs things within a time step.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

__all__ = ["Stream", "coin", "reset"]


def coin(rng: random.Random, p: float) -> Iterator[bool]:
    """Endless coin flips, true with probability ``p``: back-pressure for a stream."""
    while True:
        yield rng.random() < p


async def reset(dut: Any, **inputs: int) -> None:
    """Start the clock, give inputs their first values and leave the design in its initial state."""
    for name, value in inputs.items():
        getattr(dut, name).value = value
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


class Stream:
    """A stream of the design under test, found by the prefix of its ports; payloads are integers.

    Give inputs a defined value before reset: ``valid`` of what the bench drives and ``ready`` of
    what it collects are cleared here.
    """

    def __init__(self, dut: Any, prefix: str, *, driven: bool):
        self._clk = dut.clk
        self._payload = getattr(dut, f"{prefix}__payload")
        self._valid = getattr(dut, f"{prefix}__valid")
        self._ready = getattr(dut, f"{prefix}__ready", None)
        self.log: list[int] = []
        if driven:
            self._valid.value = 0
            self._payload.value = 0
        elif self._ready is not None:
            self._ready.value = 0

    def _accepts(self) -> bool:
        # Absent where the stream is `always_ready`.
        return self._ready is None or bool(self._ready.value)

    async def put(self, items: Iterable[int], *, idle: Iterator[bool] | None = None) -> None:
        """Drive every item, pausing before it for as long as ``idle`` yields true."""
        for item in items:
            while idle is not None and next(idle):
                await FallingEdge(self._clk)
            self._payload.value, self._valid.value = item, 1
            await RisingEdge(self._clk)
            while not self._accepts():
                await RisingEdge(self._clk)
            await FallingEdge(self._clk)
            self._valid.value = 0

    async def get(self, count: int, *, idle: Iterator[bool] | None = None,
                  patient: bool = False) -> list[int]:
        """Collect ``count`` items, refusing them for as long as ``idle`` yields true.

        A ``patient`` consumer raises ready only once it has seen valid, which deadlocks any
        producer that breaks the rules by waiting for ready first.
        """
        items: list[int] = []
        while len(items) < count:
            refuse = (idle is not None and next(idle)) or (patient and not self._valid.value)
            if self._ready is not None:
                self._ready.value = not refuse
            await RisingEdge(self._clk)
            if self._valid.value and self._accepts():
                items.append(int(self._payload.value))
            await FallingEdge(self._clk)
        if self._ready is not None:
            self._ready.value = 0
        return items

    async def watch(self) -> None:
        """Append every transferred item to :attr:`log`, for ever; for ``cocotb.start_soon``."""
        while True:
            await RisingEdge(self._clk)
            if self._valid.value and self._accepts():
                self.log.append(int(self._payload.value))
