from ionspike.sim.linkless import Linkless
from ionspike.spec.shape import CoreShape

REACH = ("events", "bitmap", "advance", "late", "mark", "echo", "read", "counters", "write",
         "probes", "control", "clear", "skips", "beyond", "empty ticks", "unknown")


def test_cocotb(run_cocotb):
    shape = CoreShape(neurons=32, inputs=40, words=64, delay_slots=4)
    run_cocotb(Linkless(shape), "ionspike.sim.tb_interpreter", seed=1, parameters={
        "shape": {name: getattr(shape, name) for name in (
            "neurons", "inputs", "lanes", "words", "delay_slots")},
        "runs": 3, "records": 30, "reach": REACH, "opens": 20, "states": 8,
        "period": 1500, "ticks": 40})
