"""Waveforms of a virtual board: neurons by their number, and what surrounds them.

The model logs changes of chosen registers, memory words and pins to a nameless file; when the run
has ended they become a waveform file and, beside it, a save file for GTKWave.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.files import replacing
from ionspike.sim import fst, gtkw, vcd
from ionspike.sim.tracks import Block, Track
from ionspike.sim.virtual import Model
from ionspike.spec import formats as fmt
from ionspike.spec.wire import COUNTERS, STATE

__all__ = ["FORMATS", "MOST_CHANGES", "Recording"]

FORMATS: dict[str, Callable[..., None]] = {".fst": fst.write, ".vcd": vcd.write}

#: Of 16 bytes each, in the folder for temporary files.
MOST_CHANGES = 1 << 25
_BLOCK_CHANGES = 1 << 18

_CHANGE = np.dtype([("clock_and_watch", "<u8"), ("value", "<u8")])
_WATCH_BITS = 16

_TICK, _PHASE, _STATE = "engine.core.tick", "engine.core.fsm_state", "engine.core.state"

#: scope, name, what the gateware calls it, bits, only at rest: what changes with every neuron and
#: every synapse would fill the file.
_BOARD = (
    ("core", "tick", _TICK, 32, False),
    ("core", "event_source", "engine.core.synapses.source", 0, False),
    ("core", "spike", "engine.core.buffer.fired", 1, False),
    ("core", "spike_count", "engine.core.buffer.count", 0, True),
    ("core", "digest", "engine.core.digester.o", 32, True),
    ("core", "lfsr", "engine.core.lfsr.state", 64, True),
    ("pins", "uart_rx", "uart_rx", 1, False),
    ("pins", "uart_tx", "uart_tx", 1, False),
    ("pins", "idle", "idle", 1, False),
    ("link", "received", "receiver.o__payload", 8, False),
    ("counters", "words", "engine.registers.words", 32, True),
    *(("counters", name, f"engine.registers.count_{name}", 16, False) for name, _ in COUNTERS),
)


@dataclass(frozen=True)
class _Written:
    """What :meth:`Recording.save` wrote."""

    path: str
    save_file: str
    changes: int
    bytes: int
    complete: bool


class Recording:
    """Changes of a running model's signals, until :meth:`stop`; then :meth:`save` or :meth:`close`.

    Parameters
    ----------
    model : it may be serving a terminal.
    slots : number in the network and slot in the core of each neuron that is wanted.
    clock_hz : of the board.
    ticks : the first tick wanted, and the first that no longer is.
    most : changes after which no more are recorded.
    """

    def __init__(self, model: Model, slots: Mapping[int, int], clock_hz: int, *,
                 ticks: tuple[int, int] = (0, 1 << 32), most: int = MOST_CHANGES):
        self._model, self._clock_hz = model, clock_hz
        self._tracks: list[Track] = []
        self._makers: list[_Bits | _Neuron] = []
        self._phases = _Phases()
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="ionspike-waves-")
        self._most, self._complete = most, True
        names = model.signals()

        def watch(name: str, *, word: int = 0, bits: int = 0, at_rest: bool = False) -> int:
            actual = _find(names, name)
            width = bits or names[actual][0]
            model.watch(actual, word=word, bits=width, at_rest=at_rest)
            return width

        watch(_PHASE)
        self._add(self._phases, Track("core", "phase", "text", names=_phase_names()))
        for scope, name, signal, bits, at_rest in _BOARD:
            width = watch(signal, bits=bits, at_rest=at_rest)
            self._add(_Bits(), Track(scope, name, "bits", width))
        for neuron, slot in slots.items():
            watch(_STATE, word=slot)
            scope = f"neuron[{neuron}]"
            self._add(_Neuron(self._phases),
                      *(Track(scope, name, kind) for name, kind in _Neuron.TRACKS))
        model.watch_start(_find(names, _TICK), _find(names, _PHASE), ticks, self._file.fileno(), most)
        self._running = True

    def _add(self, maker: "_Bits | _Neuron", *tracks: Track) -> None:
        self._makers.append(maker)
        self._tracks += tracks

    def stop(self) -> None:
        """No more changes.

        Raises
        ------
        OSError
            If the disk was full before.
        """
        if self._running:
            self._running = False
            self._complete = self._model.watch_stop()

    def close(self) -> None:
        """Forget everything."""
        self.stop()
        self._file.close()

    def save(self, path: Path) -> _Written:
        """Write a ``.fst`` or ``.vcd`` file, and a save file of the same name; then close.

        A save file that GTKWave's user has saved is left as it is.
        """
        self.stop()
        changes = os.fstat(self._file.fileno()).st_size // _CHANGE.itemsize
        span = [0, 0]
        said = f"ionspike {version('ionspike')}"
        save_file = path.with_suffix(".gtkw")
        with replacing(path) as file:
            FORMATS[path.suffix](file, self._tracks, self._blocks(span), version=said)
        if not save_file.exists() or gtkw.is_ours(save_file):
            with replacing(save_file) as file:
                file.write(gtkw.text(path.name, self._tracks, span[1]).encode())
        self.close()
        return _Written(str(path), str(save_file), changes, path.stat().st_size, self._complete)

    def _blocks(self, span: list[int]) -> Iterator[Block]:
        """Time begins with the first change; ``span`` learns the last."""
        begun: int | None = None
        self._file.seek(0)
        while data := self._file.read(_BLOCK_CHANGES * _CHANGE.itemsize):
            log = np.frombuffer(data, _CHANGE)
            clocks = (log["clock_and_watch"] >> np.uint64(_WATCH_BITS)).astype(np.int64)
            begun = int(clocks[0]) if begun is None else begun
            times = np.rint((clocks - begun) * (1e9 / self._clock_hz)).astype(np.int64)
            watches = (log["clock_and_watch"] & np.uint64((1 << _WATCH_BITS) - 1)).astype(np.int64)
            order = np.argsort(watches, kind="stable")
            cuts = np.searchsorted(watches[order], np.arange(len(self._makers) + 1))
            block: Block = []
            for maker, first, last in zip(self._makers, cuts[:-1], cuts[1:], strict=True):
                chosen = order[first:last]
                block += maker.tracks(times[chosen], log["value"][chosen])
            span[1] = int(times[-1])
            yield block


class _Bits:
    """A signal as it is."""

    def tracks(self, times: NDArray[Any], values: NDArray[Any]) -> Block:
        return [(times, values)]


class _Phases(_Bits):
    """The core's phase, of which the neurons have to know when they are updated."""

    def __init__(self) -> None:
        self._last = -1
        self.update = _phase_names().index("Update")

    def tracks(self, times: NDArray[Any], values: NDArray[Any]) -> Block:
        self.times = np.concatenate(([np.iinfo(np.int64).min], times))
        self.values = np.concatenate(([self._last], values.astype(np.int64)))
        self.updates = times[values == self.update]
        self._last = int(self.values[-1])
        return super().tracks(times, values)


class _Neuron:
    """A word of state as filament, residue and gate voltage, output, and spikes.

    A spike lasts from the neuron's update to the next tick's.
    """

    TRACKS: tuple[tuple[str, Any], ...] = (
        ("spike", "bits"), ("on", "bits"), ("f", "real"), ("r", "real"), ("g", "real"))

    def __init__(self, phases: _Phases):
        self._phases = phases
        self._last: dict[str, int] = {}
        self._spiking = False

    def tracks(self, times: NDArray[Any], values: NDArray[Any]) -> Block:
        fields, at = {}, 0
        for name, width in STATE:
            fields[name] = (values >> np.uint64(at)).astype(np.int64) & (1 << width) - 1
            at += width
        r = fields["r_high"] << fmt.R_LOW_BITS | fields["r_low"]
        spikes = self._spikes(times, fields["on"])
        on = self._changed("on", times, fields["on"])
        return [spikes, on, *(
            (when, what / (1 << frac)) for when, what, frac in (
                (*self._changed("f", times, fields["f"]), fmt.F_FRAC),
                (*self._changed("r", times, r), fmt.R_FRAC),
                (*self._changed("g", times, fields["g"]), fmt.G_FRAC)))]

    def _spikes(self, times: NDArray[Any], on: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        phases = self._phases
        before = np.concatenate(([self._last.get("on", 1)], on[:-1])) if len(on) else on
        rises = times[(on == 1) & (before == 0)]
        during = phases.values[np.searchsorted(phases.times, rises, "right") - 1]
        rises = rises[during == phases.update]
        if self._spiking:
            begun = np.concatenate(([np.iinfo(np.int64).min], rises))
        else:
            begun = rises
        next_update = np.searchsorted(phases.updates, begun, "right")
        ended = next_update < len(phases.updates)
        falls = phases.updates[next_update[ended]]
        self._spiking = bool(len(ended) and not ended[-1])
        if "on" not in self._last and len(times):
            falls = np.concatenate((times[:1], falls))
        when = np.concatenate((rises, falls))
        what = np.concatenate((np.ones(len(rises), np.int64), np.zeros(len(falls), np.int64)))
        order = np.argsort(when, kind="stable")
        return when[order], what[order]

    def _changed(self, name: str, times: NDArray[Any],
                 values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        if not len(values):
            return times, values
        before = np.concatenate(([self._last.get(name, -1)], values[:-1]))
        self._last[name] = int(values[-1])
        return times[values != before], values[values != before]


def _find(names: Mapping[str, Any], name: str) -> str:
    """A signal's name may end in ``$`` and a number, where the gateware has it twice."""
    parts = [part.split("$")[0] for part in name.split(".")]
    for actual in names:
        if [part.split("$")[0] for part in actual.split(".")] == parts:
            return actual
    raise LookupError(f"the gateware has no signal {name}")


@cache
def _phase_names() -> tuple[str, ...]:
    """States of the core, in the order of their numbers."""
    from amaranth.hdl import Fragment

    from ionspike.hdl.core import Core
    from ionspike.spec.shape import CoreShape
    small = CoreShape(neurons=8, inputs=8, words=16, delay_slots=2)
    encoding = Fragment.get(Core(small), None).generated["fsm"].encoding
    return tuple(sorted(encoding, key=lambda name: encoding[name]))
