"""Throughput of a core, from clocks of its gateware: ``python benchmarks/core.py``.

A burst of events whose rows are full, or one word long, and the update of all neurons.
"""

from dataclasses import dataclass

from amaranth.sim import Simulator

from ionspike.hdl.core import Core
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape
from ionspike.spec.wire import Space

__all__ = ["Burst", "burst"]


@dataclass(frozen=True)
class Burst:
    """Clocks of one tick.

    ``words`` weight words were added in ``adding`` clocks, from the first to the last;
    ``tick`` clocks went by from start to rest, in which ``neurons`` were updated.
    """

    lanes: int
    neurons: int
    words: int
    adding: int
    tick: int

    @property
    def sop_per_clock(self) -> float:
        return self.lanes * self.words / self.adding

    @property
    def neurons_per_clock(self) -> float:
        """Of a tick less what its events took."""
        return self.neurons / (self.tick - self.adding)


def burst(shape: CoreShape = DEFAULT_SHAPE, *, events: int, length: int) -> Burst:
    """Clocks of a tick with so many events, each with a row of ``length`` words.

    Rows of one word go to one group after the other; a row that meets the group of the word before
    would wait for a clock.
    """
    core = Core(shape)
    strobes, clocks = [], []

    async def testbench(ctx):
        ctx.set(core.groups_used, shape.groups)
        ctx.set(core.bus.space, Space.FANOUT)
        ctx.set(core.bus.write, 1)
        for source in range(events):
            values = {"base": source * length % shape.words, "length": length - 1, "delay": 0,
                      "first": source % (shape.groups - length + 1), "more": 0, "enable": 1,
                      "narrow": 0}
            word = shift = 0
            for name, width in shape.descriptor_fields:
                word |= values[name] << shift
                shift += width
            for half in range(2):
                ctx.set(core.bus.offset, 2 * source + half)
                ctx.set(core.bus.w_data, word >> 16 * half & 0xFFFF)
                await ctx.tick()
        ctx.set(core.bus.write, 0)
        ctx.set(core.start, 1)
        await ctx.tick()
        ctx.set(core.start, 0)
        ctx.set(core.events.valid, 1)
        source, clock = 0, 0
        while not ctx.get(core.idle):
            if source < events:
                ctx.set(core.events.payload, source)
                source += ctx.get(core.events.ready)
            else:
                ctx.set(core.events.valid, 0)
                ctx.set(core.last_event, 1)
            await ctx.tick()
            clock += 1
            if ctx.get(core.word):
                strobes.append(clock)
        clocks.append(clock)

    sim = Simulator(core)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return Burst(shape.lanes, shape.neurons, len(strobes), strobes[-1] - strobes[0] + 1, *clocks)


def main() -> None:
    print(f"{'rows':>12} {'events':>7} {'words':>7} {'SOP/clock':>10} {'of lanes':>9} "
          f"{'neurons/clock':>14}")
    for length, events in ((DEFAULT_SHAPE.groups, 40), (1, 256)):
        found = burst(events=events, length=length)
        print(f"{length:>7} word{'s' * (length > 1):1} {events:>6} {found.words:>7} "
              f"{found.sop_per_clock:>10.3f} {found.sop_per_clock / found.lanes:>9.1%} "
              f"{found.neurons_per_clock:>14.3f}")


if __name__ == "__main__":
    main()
