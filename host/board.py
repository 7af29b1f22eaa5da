"""A board, a virtual board or the golden model: one class, the same bytes."""

import platform
import secrets
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ionspike.host import codec
from ionspike.host.baud import negotiates
from ionspike.host.compiler import Compiled, compile
from ionspike.host.decoder import Segment
from ionspike.host.errors import BoardError, InputError, NoBoardError
from ionspike.host.gather import STATUS_OFFSET, STATUS_WORDS, gather
from ionspike.host.hello import Hello
from ionspike.host.jitter import jittered
from ionspike.host.network import Network
from ionspike.host.result import Result
from ionspike.host.seeds import lfsr_state
from ionspike.host.session import Progress, Session
from ionspike.host.spikes import Spikes
from ionspike.spec import wire
from ionspike.spec.shape import CoreShape

if TYPE_CHECKING:
    from ionspike.host.stream import Stream

__all__ = ["MOST_PROBES", "Board", "Result"]

Mode = Literal["lockstep", "free-running"]

#: Longest silence of a board that has something to do.
TIMEOUT_S = 5.0
#: Ticks encoded at a time: bounds the memory of long runs.
_CHUNK_TICKS = 1 << 14
MOST_PROBES = (1 << wire.register("probe_count").width) - 1


class Board:
    """A core at the far end of a link.

    Use :meth:`open`. A board runs one network at a time: :meth:`load`, then :meth:`run`.

    Members
    -------
    shape : sizes of its core.
    backend : ``serial``, ``virtual`` or ``golden``.
    where : its port, for messages.
    compiled : what is loaded; None before :meth:`load`.
    simulated : the running model of a virtual board, else None.
    """

    def __init__(self, link: Any, *, backend: str, where: str, timeout_s: float = TIMEOUT_S,
                 on_close: Callable[[], None] = lambda: None):
        self._session, self._on_close = Session(link, where, timeout_s), on_close
        self.backend, self.where = backend, where
        self._closed = False
        self.compiled: Compiled | None = None
        self.simulated: Any = None
        hello = self._session.hello
        try:
            self.shape = CoreShape(
                neurons=hello.neurons, inputs=hello.inputs, lanes=hello.lanes,
                words=hello.words, delay_slots=hello.delay_slots)
        except ValueError as error:
            raise NoBoardError(f"{where}: the board says that it is a core that there cannot be: "
                               f"{error}") from error

    @classmethod
    def open(cls, port: str | None = None, backend: str | None = None, *,
             shape: CoreShape | None = None, timeout_s: float = TIMEOUT_S,
             progress: Callable[[str], None] = lambda stage: None,
             faults: str | None = None, baud: int | None = None) -> "Board":
        """Open a board.

        Parameters
        ----------
        port : name of a serial port, or ``socket://host:port`` of a board that ``ionspike serve``
            shares. Without it, the one board that is plugged in; if there is none, the virtual
            board.
        backend : ``serial``, ``virtual`` or ``golden``, to have no other.
        shape : sizes of a virtual or golden board.
        timeout_s : how long the board may be silent while it has something to do, and its port
            gone.
        progress : told the stages of compiling the virtual board.
        faults : faults put in on purpose between host and board, such as ``1e-4``: docs/link.md.
        baud : rate of the line; without it, the one that the board was built with. Where it does not
            work the line goes on at 115,200, with a warning.

        Raises
        ------
        InputError
            For arguments that do not go together, faults that are none, and rates that the board's
            clock or the port cannot make.
        NoBoardError
            If there is none, several, or one that does not answer as it should.
        """
        from ionspike.host.backends import open_board
        from ionspike.host.fault_spec import FaultSpec
        return open_board(port, backend, shape=shape, timeout_s=timeout_s, progress=progress,
                          faults=None if faults is None else FaultSpec.parse(faults), baud=baud)

    @property
    def hello(self) -> Hello:
        """What the board says it is."""
        return self._session.hello

    @property
    def is_hardware(self) -> bool:
        """Whether it is a piece of hardware."""
        return self.hello.board < wire.Board.VIRTUAL

    @property
    def name(self) -> str:
        """What the board calls itself."""
        try:
            return wire.Board(self.hello.board).name.lower()
        except ValueError:
            return f"board {self.hello.board:#04x}"

    @property
    def baud(self) -> int:
        """Bits per second on its line."""
        return self._session.rate

    @property
    def has_rate(self) -> bool:
        """Whether there is a line whose rate can be changed from here."""
        return self._session.link.baud is not None and negotiates(self.hello)

    def change_rate(self, rate: int) -> None:
        """Speak at another rate; where it does not work :attr:`baud` says what it came to.

        What is loaded stays.

        Raises
        ------
        InputError
            For a rate that the board's clock or the port cannot make.
        LinkError
            If the board no longer answers at all.
        """
        self._session.change_rate(rate)

    def close(self) -> None:
        """Close the link; closing twice does nothing. The board goes back to its built rate."""
        if not self._closed:
            self._closed = True
            self._session.close()
            self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------------------- running --

    def load(self, network: Network | Compiled) -> Compiled:
        """Compile a network for this board and load it; all state is cleared.

        Raises
        ------
        InputError
            For a network that does not fit this board.
        """
        narrow = self.hello.minor >= wire.NARROW_SINCE
        compiled = network if isinstance(network, Compiled) else compile(network, self.shape, narrow)
        if compiled.image.shape != self.shape:
            raise InputError(f"compiled for {compiled.image.shape}, this board has {self.shape}")
        for name, value in compiled.image.registers.items():
            if (entry := wire.register(name)).since > self.hello.minor and value != entry.init:
                raise InputError(f"{name} = {value} is of protocol {wire.PROTOCOL[0]}.{entry.since}, and this "
                                 f"board speaks {self.hello.major}.{self.hello.minor}: flash it anew with "
                                 f"`ionspike flash`, or take a network whose spikes are not sustained")
        if compiled.image.narrow and not narrow:
            raise InputError(f"{compiled.image.narrow} rows are of 4 bits, which are of protocol "
                             f"{wire.PROTOCOL[0]}.{wire.NARROW_SINCE}, and this board speaks {self.hello.major}."
                             f"{self.hello.minor}: flash it anew with `ionspike flash`")
        if self._session.recorder is not None:
            self._session.recorder.load(compiled)
        self._session.exchange(self._loading(compiled), 1, restart=True, facts={"what": "load"})
        self.compiled = compiled
        return compiled

    def _loading(self, compiled: Compiled) -> Iterator[bytes]:
        yield from self._set("control", 0)
        yield codec.clear(state=True, counters=True)
        for address, words in compiled.image.writes():
            yield from self._session.write(address, words)
        yield self._session.mark()

    def run(self, spikes: Spikes, *, seed: int | None = None, **options: Any) -> Result:
        """Run one spike train; see :meth:`run_many`."""
        return self.run_many([spikes], seeds=None if seed is None else [seed], **options)[0]

    def run_many(self, items: Sequence[Spikes], *, seeds: Sequence[int] | None = None,
                 probes: Sequence[int] = (), digests: bool = False, final_state: bool = True,
                 reset: bool = True, jitter: bool = False, mode: Mode = "lockstep",
                 period_s: float | None = None, policy: wire.Policy = wire.Policy.DROP,
                 halt_on_overrun: bool = False,
                 progress: Progress | None = None) -> list[Result]:
        """Run spike trains one after the other, as one stream.

        Parameters
        ----------
        items : on the network's inputs and tick.
        seeds : one per item, any integers; without them, they are drawn. Equal seeds give equal
            spikes on every back-end.
        probes : neurons whose state is wanted after every tick, up to 127.
        digests : whether a digest of all state is wanted after every tick.
        final_state : whether the state after each item's last tick is wanted.
        reset : whether an item starts from the network's initial state, or goes on from the one
            before with state, tick number and, unless seeds are given, LFSR as they are.
        jitter : whether an item begins with residues drawn from 0 to the device's
            ``residue_jitter``, other ones for every seed, instead of those of the initial state.
        mode : ``lockstep``: a tick runs when its events are there; ``free-running``: every
            ``period_s``, and ``policy`` says what happens to events that come later.
        period_s : seconds per free-running tick; without it, the network's.
        halt_on_overrun : whether the first free-running tick that lasts into the next period ends
            them: the rest runs in lockstep. Else the next one begins late, which is counted.
        progress : called with ticks done and ticks in all.

        Raises
        ------
        InputError
            For spikes, seeds or probes that do not suit the network.
        BoardError, LinkError
            If the board falls silent or sends what it should not.
        """
        compiled = self._loaded()
        network = compiled.network
        for spikes in items:
            _suits(spikes, network)
        if seeds is None:
            drawn: list[int | None] = [secrets.randbits(32) if reset else None for _ in items]
        elif len(seeds) != len(items):
            raise InputError(f"{len(seeds)} seeds for {len(items)} runs")
        else:
            drawn = list(seeds)
        states = [None if seed is None else _state_of(seed) for seed in drawn]
        if jitter and not reset:
            raise InputError("jitter is of residues to begin with: it needs reset")
        begins = self._begins(drawn, reset, jitter)
        probed = self._probed(probes)
        control = self._control(mode, wire.Policy(policy), digests, bool(len(probed)),
                                halt_on_overrun)
        clocks = self._clocks(network.dt_s if period_s is None else period_s) \
            if mode == "free-running" else None

        def records() -> Iterator[bytes]:
            yield from self._set("control", 0)
            yield from self._set("probe_count", len(probed))
            yield from self._session.write(wire.address(wire.Space.AUX, wire.AUX_PROBES),
                                           compiled.neuron_slots[probed].astype(np.uint16))
            yield from self._period(clocks)
            for spikes, state, begin in zip(items, states, begins, strict=True):
                yield from self._starting(state, reset, compiled.placed(begin)
                                          if jitter and begin is not None else None)
                yield from self._set("control", control)
                yield from self._ticks(compiled, spikes, 0 if reset else self._session.tick)
                yield from self._set("control", 0)
                yield from self._session.read(wire.address(wire.Space.REGISTERS, STATUS_OFFSET),
                                              STATUS_WORDS)
                if final_state:
                    yield from self._session.read(wire.address(wire.Space.STATE),
                                                  compiled.image.neurons * wire.STATE_STRIDE)
                yield self._session.mark()

        if not reset and len(items) > 1:
            # Where an item begins is known only when the one before has ended.
            return [result for k, spikes in enumerate(items) for result in self.run_many(
                [spikes], seeds=None if seeds is None else [seeds[k]], probes=probes,
                digests=digests, final_state=final_state, reset=False, mode=mode,
                period_s=period_s, policy=policy, halt_on_overrun=halt_on_overrun,
                progress=progress)]
        slowest_s = 0.0 if clocks is None else 200 * clocks / self.hello.clock_hz
        ended = self._session.exchange(
            records(), len(items), restart=reset, expected=[s.ticks for s in items],
            timeout_s=self._session.timeout_s + slowest_s, progress=progress,
            facts={"what": "run", "mode": mode, "policy": wire.Policy(policy).name.lower(),
                   "clocks": clocks, "reset": reset, "jitter": jitter, "digests": digests,
                   "probes": probed.tolist(), "ticks": [s.ticks for s in items],
                   "seeds": [None if seed is None else int(seed) for seed in drawn]})
        common: dict[str, Any] = {
            "mode": mode, "link": dict(self._session.link.counters),
            "is_hardware": self.is_hardware, "backend": self.backend, "board": self.name,
            "versions": self.versions, "image_digest": compiled.image.digest(),
            "build": self.build, "outputs": network.outputs, "network": network,
            "jitter": jitter}
        results = []
        for spikes, seed, begin, (segment, wall_s) in zip(items, drawn, begins, ended, strict=True):
            try:
                gathered = gather(segment, compiled, spikes.ticks, hello=self.hello,
                                  clocks=clocks, probed=probed, final_state=final_state)
            except BoardError as error:
                raise BoardError(f"{self.where}: {error}") from error
            results.append(Result(seed=seed, wall_s=wall_s, inputs=spikes, initial_state=begin,
                                  **vars(gathered), **common))
        return results

    def stream(self, source: Iterable[Any] | AsyncIterable[Any], *, seed: int | None = None,
               reset: bool = True, mode: Mode = "lockstep", period_s: float | None = None,
               policy: wire.Policy = wire.Policy.DROP, halt_on_overrun: bool = False,
               ahead: int = 32, lead: int | None = None) -> "Stream":
        """Run on a source that need not end, and hand out the spikes of each tick as they come.

        Parameters
        ----------
        source : one item a tick: the numbers of the inputs that fire, or one boolean per input, or
            None. An iterable is read in a thread of its own; an asynchronous one needs ``async for``.
        seed, reset : as in :meth:`run_many`, of which this gives the same spikes.
        mode : ``lockstep``: a tick runs when the source has given it; ``free-running``: every
            ``period_s``, from the source's first on.
        policy : what happens to events that come later than their free-running tick.
        halt_on_overrun : as in :meth:`run_many`.
        ahead : ticks that may have been taken from the source while their spikes have not been
            handed out: bounds all memory. With 1 the source is asked for a tick when the spikes of
            the one before have been dealt with, so that it may depend on them.
        lead : free-running ticks between the start and the one of the source's first item; by
            default, what lasts 20 ms. An item reaches the board in time if it comes no later.

        Raises
        ------
        InputError
            For what does not suit the network, here or while it is iterated over.
        BoardError, LinkError
            If the board falls silent.
        """
        from ionspike.host.live import Live
        from ionspike.host.stream import Stream
        compiled = self._loaded()
        clocks = self._clocks(compiled.network.dt_s if period_s is None else period_s) \
            if mode == "free-running" else None
        control = self._control(mode, wire.Policy(policy), False, False, halt_on_overrun)
        if seed is None and reset:
            seed = secrets.randbits(32)

        def setup() -> Iterator[bytes]:
            yield from self._set("control", 0)
            yield from self._set("probe_count", 0)
            yield from self._period(clocks)
            yield from self._starting(_state_of(seed), reset)
            if clocks is None:
                yield from self._set("control", control)

        return Stream(source, ahead, seed, lambda: Live(
            self, setup(), restart=reset, control=control, clocks=clocks, lead=lead))

    def _starting(self, state: int | None, reset: bool,
                  placed: NDArray[np.uint16] | None = None) -> Iterator[bytes]:
        """What a run begins with: neurons, as the image has them or as they are placed, and LFSR."""
        yield codec.clear(state=reset, counters=True)
        if reset:
            for address, words in self._loaded().image.state_writes(placed):
                yield from self._session.write(address, words)
        if state is not None:
            yield from self._session.write(wire.address(wire.Space.REGISTERS, STATUS_OFFSET),
                                           # Highest bits first: the LFSR shifts.
                                           np.array([state], ">u8").view(">u2"))

    def _period(self, clocks: int | None) -> Iterator[bytes]:
        if clocks is not None:
            yield from self._set("period_low", clocks & 0xFFFF)
            yield from self._set("period_high", clocks >> 16)

    def waves(self, path: str | Path, *, neurons: Sequence[int] | None = None,
              ticks: tuple[int | None, int | None] = (None, None),
              ) -> AbstractContextManager[dict[str, Any]]:
        """Record what a virtual board does inside a ``with``: docs/waves.md.

        Parameters
        ----------
        path : a ``.fst`` or ``.vcd`` file; a save file for GTKWave, ``.gtkw``, goes beside it.
        neurons : those that are recorded; without them, the first 16.
        ticks : the first tick that is recorded, and the first that no longer is.

        Raises
        ------
        InputError
            On any other board, before :meth:`load`, or for neurons and ticks that do not exist.
        """
        from ionspike.host.waves import recorded
        return recorded(self, Path(path), neurons, ticks)

    def record(self, path: str | Path, *, overwrite: bool = False,
               ) -> AbstractContextManager[dict[str, Any]]:
        """Record all that is said inside a ``with``, to be run again: docs/recordings.md.

        A network that is loaded is loaded anew, so that the recording has it: state begins from the
        network's. Where a run is cut short the recording ends.

        Parameters
        ----------
        path : a ``.ionrec`` file.
        overwrite : whether a file that is there is replaced.

        Raises
        ------
        InputError
            For a file that cannot be written, or when a recording is under way.
        """
        from ionspike.host.record import recorded
        return recorded(self, Path(path), overwrite)

    def told(self, records: Iterable[bytes], *, restart: bool, expected: int = 0,
             progress: Progress | None = None) -> Segment:
        """Send these records as they are; returns what came back, for replays.

        Parameters
        ----------
        records : see ``wire.Op``, without a MARK.
        restart : whether there is a CLEAR of state among them, so that ticks begin anew.
        expected : ticks, for ``progress``.
        """
        return self._session.exchange(self._session.marked(records), 1, restart=restart,
                                      expected=[expected], progress=progress)[0][0]

    def _begins(self, seeds: Sequence[int | None], reset: bool,
                jitter: bool) -> list[NDArray[np.uint16] | None]:
        """What each run begins from, ``[neurons, 3]``; None where that is the run before."""
        compiled = self._loaded()
        if jitter:
            return [jittered(compiled.network, seed) for seed in seeds if seed is not None]
        state = compiled.image.state[compiled.neuron_slots]
        return [state if reset else None] * len(seeds)

    def _ticks(self, compiled: Compiled, spikes: Spikes, start: int) -> Iterator[bytes]:
        for at in range(0, spikes.ticks, _CHUNK_TICKS):
            part = compiled.to_board(spikes.raster[at:at + _CHUNK_TICKS])
            yield from codec.encode_events(part, start + at)

    def _loaded(self) -> Compiled:
        if self.compiled is None:
            raise InputError("no network is loaded: load one first")
        return self.compiled

    def _probed(self, probes: Sequence[int]) -> NDArray[np.int64]:
        neurons = self._loaded().network.neurons
        chosen = np.asarray(probes, np.int64) if len(probes) else np.zeros(0, np.int64)
        if chosen.ndim != 1 or len(chosen) > MOST_PROBES:
            raise InputError(f"{chosen.size} probes; a board has up to {MOST_PROBES}")
        for probe in chosen[(chosen < 0) | (chosen >= neurons)][:1]:
            raise InputError(f"probe {probe} is out of range: the network has {neurons} neurons, "
                             f"0 to {neurons - 1}")
        return chosen

    @staticmethod
    def _control(mode: str, policy: wire.Policy, digests: bool, probes: bool,
                 halt_on_overrun: bool) -> int:
        if mode not in ("lockstep", "free-running"):
            raise InputError(f"mode must be 'lockstep' or 'free-running', not {mode!r}")
        values = {"free_running": mode == "free-running", "policy": policy,
                  "report_digest": digests, "report_probes": probes, "halt_on_overrun": halt_on_overrun}
        control = shift = 0
        for name, width in wire.CONTROL:
            control |= int(values[name]) << shift
            shift += width
        return control

    def _clocks(self, period_s: float) -> int:
        bits = wire.register("period_low").width + wire.register("period_high").width
        clocks = round(period_s * self.hello.clock_hz) if np.isfinite(period_s) else 0
        if not 0 < clocks < 1 << bits:
            longest_s = ((1 << bits) - 1) / self.hello.clock_hz
            raise InputError(f"period_s = {period_s!r}: this board's ticks are "
                             f"{1 / self.hello.clock_hz:.3g} s to {longest_s:.3g} s")
        return clocks

    # -------------------------------------------------------------------------------- memory --

    def read(self, space: wire.Space, offset: int, count: int) -> NDArray[np.uint16]:
        """Read ``count`` consecutive 16-bit words of a space."""
        self._range(space, offset, count)
        segment, _ = self._session.exchange(
            self._session.marked(self._session.read(wire.address(space, offset), count)), 1)[0]
        return np.frombuffer(b"".join(segment.reads), "<u2").astype(np.uint16)

    def write(self, space: wire.Space, offset: int, words: NDArray[np.uint16]) -> None:
        """Write consecutive 16-bit words of a space."""
        values = np.asarray(words)
        if values.ndim != 1 or values.dtype.kind not in "iu" \
                or (values.size and not 0 <= values.min() <= values.max() < 1 << 16):
            raise InputError("words must be a list of integers from 0 to 65535")
        self._range(space, offset, len(values))
        self._session.exchange(self._session.marked(self._session.write(
            wire.address(space, offset), values.astype(np.uint16))), 1)

    @staticmethod
    def _range(space: wire.Space, offset: int, count: int) -> None:
        if not 0 <= offset <= offset + count <= 1 << wire.OFFSET_BITS:
            raise InputError(f"words {offset} to {offset + count - 1} leave the space "
                             f"{wire.Space(space).name} of {1 << wire.OFFSET_BITS} words")

    def state(self) -> NDArray[np.uint16]:
        """State of the network's neurons, uint16 ``[neurons, 3]``, see ``wire.STATE``."""
        compiled = self._loaded()
        words = self.read(wire.Space.STATE, 0, compiled.image.neurons * wire.STATE_STRIDE)
        return words.reshape(-1, wire.STATE_STRIDE)[compiled.neuron_slots, :3]

    def registers(self) -> dict[str, int]:
        """Every register that the board has, by name."""
        words = self.read(wire.Space.REGISTERS, 0, wire.REGISTERS[-1].offset + 1)
        return {entry.name: int(words[entry.offset]) for entry in wire.REGISTERS
                if entry.since <= self.hello.minor}

    def echo(self, payloads: Sequence[bytes]) -> tuple[list[bytes], float]:
        """Have the board send back what it is sent, and the seconds that took.

        Raises
        ------
        InputError
            For a payload that does not fit a frame.
        """
        if longest := [len(data) for data in payloads if len(data) > codec.ECHO_BYTES]:
            raise InputError(f"an echo of {longest[0]} bytes, {codec.ECHO_BYTES} fit a frame")
        (segment, seconds), = self._session.exchange(
            self._session.marked(codec.echo(data) for data in payloads), 1)
        return segment.echoes, seconds

    @property
    def link_counters(self) -> dict[str, int]:
        """Of the host's end of the link, since the board was opened."""
        return dict(self._session.link.counters)

    def round_trip_s(self) -> float:
        """Seconds from a MARK to its answer."""
        return self._session.exchange(self._session.marked(()), 1)[0][1]

    @property
    def build(self) -> str:
        """Hash of the gateware's sources and parameters."""
        return f"{self.hello.build:08x}"

    @property
    def versions(self) -> dict[str, str]:
        """Of the software, of the protocol, and of the table that both sides derive from."""
        return {"ionspike": version("ionspike"), "python": platform.python_version(),
                "numpy": np.__version__,
                "protocol": f"{self.hello.major}.{self.hello.minor}",
                "contract": f"{self.hello.digest:08x}"}

    def _set(self, name: str, value: int) -> Iterator[bytes]:
        return codec.write(wire.address(wire.Space.REGISTERS, wire.register(name).offset),
                           np.array([value], np.uint16))


def _state_of(seed: int | None) -> int | None:
    try:
        return None if seed is None else lfsr_state(seed)
    except ValueError as error:
        raise InputError(str(error)) from None


def _suits(spikes: Spikes, network: Network) -> None:
    if spikes.width != network.inputs:
        raise InputError(f"spikes on {spikes.width} channels, the network has {network.inputs} "
                         f"inputs")
    if not np.isclose(spikes.dt_s, network.dt_s, rtol=1e-6):
        raise InputError(f"spikes with ticks of {spikes.dt_s:g} s, the network's are "
                         f"{network.dt_s:g} s")
