import pytest
from amaranth import *

from ionspike.hdl.core import Core
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

REACH = (
    "spikes", "off to on", "on to off", "stays on", "f at 0", "g at 0", "g at top",
    "accumulator at top", "accumulator at bottom", "delayed", "empty ticks", "paused events",
    "next tick at once", "spikes by group", "spikes by neuron", "patient")


class CountedCore(Core):
    """A core whose strobes are counted, so that its bench need not wake at every clock."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        words, saturated = Signal(32, name="words_total"), Signal(32, name="saturated_total")
        m.d.sync += [words.eq(words + self.word), saturated.eq(saturated + self.saturated)]
        return m


@pytest.mark.parametrize("shape, density, runs, ticks, neuron_ticks", [
    (CoreShape(neurons=16, inputs=32, words=64, delay_slots=2), 0.5, 16, 100, 10_000),
    (CoreShape(neurons=80, inputs=48, words=1024, lanes=16, delay_slots=8), 0.5, 8, 200, 50_000),
    (DEFAULT_SHAPE, 0.2, 4, 660, 1_000_000),
], ids=lambda value: f"{value.neurons}x{value.lanes}" if isinstance(value, CoreShape) else "")
def test_cocotb(run_cocotb, shape, density, runs, ticks, neuron_ticks):
    run_cocotb(CountedCore(shape), "ionspike.sim.tb_core", seed=runs, parameters={
        "shape": {name: getattr(shape, name) for name in (
            "neurons", "inputs", "lanes", "words", "delay_slots")},
        "density": density, "runs": runs, "ticks": ticks, "neuron_ticks": neuron_ticks, "reach": REACH})
