"""From what a board sent during a run to its result."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.compiler import Compiled
from ionspike.host.decoder import Segment
from ionspike.host.errors import BoardError
from ionspike.host.hello import Hello
from ionspike.host.result import Probes
from ionspike.host.spikes import Spikes
from ionspike.host.timing import Timing
from ionspike.spec import wire

__all__ = ["STATUS_OFFSET", "STATUS_WORDS", "Gathered", "counters_of", "gather", "status"]

#: Registers read after every run: LFSR, tick number, times and counters.
STATUS_OFFSET = wire.register("lfsr_0").offset
STATUS_WORDS = wire.REGISTERS[-1].offset + 1 - STATUS_OFFSET
_DIGEST = np.dtype([("digest", "<u4"), ("lfsr", "<u2")])


@dataclass(frozen=True)
class Gathered:
    """The parts of a :class:`ionspike.host.result.Result` that came from the board."""

    spikes: Spikes
    counters: dict[str, int]
    timing: Timing
    lfsr: int
    first_tick: int
    probes: Probes | None
    digests: NDArray[np.uint32] | None
    lfsr_words: NDArray[np.uint16] | None
    final_state: NDArray[np.uint16] | None


def gather(segment: Segment, compiled: Compiled, ticks: int, *, hello: Hello, clocks: int | None,
           probed: NDArray[np.int64], final_state: bool) -> Gathered:
    """Make arrays of a run of ``ticks`` ticks.

    Parameters
    ----------
    hello : the board.
    clocks : of a free-running tick; None in lockstep, where the board should have run no tick more.
    probed : neurons whose probes were asked for.
    final_state : whether state was read after the status words.

    Raises
    ------
    BoardError
        If anything that was asked for is missing, or there is more.
    """
    ran, neurons = segment.tick - segment.start, compiled.image.neurons
    if ran < ticks or (clocks is None and ran != ticks):
        raise BoardError(f"asked for {ticks} ticks, the board ran {ran}")
    words = np.frombuffer(b"".join(segment.reads), "<u2")
    expected = STATUS_WORDS + final_state * neurons * wire.STATE_STRIDE
    state = words[STATUS_WORDS:]
    _complete("status and state words", len(words), expected)

    known = status(words[:STATUS_WORDS])
    digests = np.frombuffer(b"".join(segment.digests), _DIGEST)
    _complete("digests", len(digests), ran if segment.digests else 0)
    traces = np.frombuffer(b"".join(segment.probes), "<u2")
    _complete("words of probes", len(traces), ran * len(probed) * 3)
    # A free-running board ticks on until it is told to stop; that is not part of the run.
    raster = segment.raster(neurons, ticks)[:, compiled.neuron_slots]
    return Gathered(
        spikes=Spikes(raster, compiled.network.dt_s), first_tick=segment.start,
        counters=counters_of(known), lfsr=sum(known[f"lfsr_{k}"] << 16 * k for k in range(4)),
        timing=Timing.of(hello, known, ticks=ran, clocks=clocks, host_pause_s=segment.host_pause_s),
        probes=Probes(probed, traces.astype(np.uint16).reshape(ran, -1, 3)[:ticks])
        if len(probed) else None,
        digests=digests["digest"][:ticks] if segment.digests else None,
        lfsr_words=digests["lfsr"][:ticks] if segment.digests else None,
        final_state=state.astype(np.uint16).reshape(neurons, wire.STATE_STRIDE)[
            compiled.neuron_slots, :3] if final_state else None)


def status(words: NDArray[Any]) -> dict[str, int]:
    """Registers by name, of the ``STATUS_WORDS`` from ``STATUS_OFFSET`` on."""
    return {entry.name: int(words[entry.offset - STATUS_OFFSET]) for entry in wire.REGISTERS
            if entry.offset >= STATUS_OFFSET}


def counters_of(registers: dict[str, int]) -> dict[str, int]:
    """The counters among registers by name."""
    return {"words": registers["words_low"] | registers["words_high"] << 16,
            **{name: registers[name] for name, _ in wire.COUNTERS}}


def _complete(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise BoardError(f"the board sent {found} {what}, {expected} were expected")
