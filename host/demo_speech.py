"""A spoken digit through cochlea, network and board."""

from collections import Counter
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from ionspike.host.audio import Audio
from ionspike.host.board import Board
from ionspike.host.cochlea import CHANNELS, encode
from ionspike.host.compared import different
from ionspike.host.errors import InputError
from ionspike.host.frame import Frame, with_bias
from ionspike.host.network import Network
from ionspike.host.result import Result
from ionspike.host.shd import STEP_S
from ionspike.host.spikes import Spikes
from ionspike.host.word import cut

__all__ = ["Heard", "Sounding", "encoded", "load_network", "run", "spoken"]

_LANGUAGES = ("English", "German")
#: Digits of one language after the other.
_CLASSES = 10 * len(_LANGUAGES)


@dataclass(frozen=True)
class Sounding:
    """A recording as a network's input.

    Parameters
    ----------
    audio : the word, with what surrounds it.
    start_s : where it begins in the recording.
    spikes : of the cochlea's channels, in steps of half a millisecond.
    inputs : of the network, in its ticks, a bias among them: of each view of the frame.
    frame : how the one became the other.
    bias : inputs at the end that fire in every tick.
    left_out : spikes of the cochlea that are not among the inputs of the first view, see
        :meth:`Frame.left_out`.
    """

    audio: Audio
    start_s: float
    spikes: Spikes
    inputs: tuple[Spikes, ...]
    frame: Frame
    bias: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class Heard:
    """What a board made of it.

    Parameters
    ----------
    classes : names.
    results : of each view.
    scores : of each class, see :attr:`Result.scores`; of all views together.
    equal : whether every spike, final state word and LFSR are the golden model's.
    """

    results: tuple[Result, ...]
    classes: tuple[str, ...]
    scores: NDArray[np.int64]
    equal: bool

    @property
    def answer(self) -> int | None:
        """The class with the highest score, the first of several; None where no output fired."""
        return int(np.argmax(self.scores)) if self.output_spikes else None

    @property
    def output_spikes(self) -> int:
        return sum(int(result.output_counts.sum()) for result in self.results)

    def summed(self, name: str) -> dict[str, int]:
        """Counters of all views; ``name``: ``counters`` or ``losses`` of a :class:`Result`."""
        total: Counter[str] = Counter()
        for result in self.results:
            total.update(getattr(result, name))
        return dict(total)

    @property
    def tied(self) -> list[int]:
        """Classes with the answer's score."""
        if self.answer is None:
            return []
        most = np.flatnonzero(self.scores == self.scores[self.answer])
        return [int(k) for k in most if k != self.answer]


def load_network(path: str | None) -> Network:
    """The network of a file, or the trained one that comes with the package.

    Raises
    ------
    InputError
        For a file that is no network, or without a file where none comes with the package.
    """
    if path is not None:
        return Network.load(path)
    with as_file(files("ionspike.host") / "speech.ion") as own:
        if not own.exists():
            raise InputError("no trained network of spoken digits comes with this version: "
                             "--network FILE.ion names one, `ionspike train speech` makes one")
        return Network.load(own)


def encoded(audio: Audio, network: Network, *, seed: int) -> Sounding:
    """The :func:`~ionspike.host.word.cut` word of a recording as the events that such a network was trained on, and
    as its inputs.

    Raises
    ------
    InputError
        For a network that was trained on something else, or does not say on what.
    """
    frame = Frame.of(network)
    if not network.labels:
        raise InputError("the network does not name the classes of its outputs")
    # Refused before the work: a raster of nothing has the same inputs.
    nothing = frame.rasters(np.zeros(0), np.zeros(0), CHANNELS)[0, 0]
    bias = with_bias(network, nothing).shape[1] - nothing.shape[1]
    word, start_s = cut(audio)
    spikes = encode(word, seed=seed, dt_s=STEP_S)
    step, channel = spikes.events()
    tick = step * (spikes.dt_s / frame.bin_s)
    inputs = tuple(Spikes(raster, network.dt_s)
                   for raster in with_bias(network, frame.rasters(tick, channel, CHANNELS)[:, 0]))
    view, pace = frame.heard[0]
    return Sounding(word, start_s, spikes, inputs, frame, bias, frame.left_out(tick / pace, channel + view, CHANNELS))


def run(board: Board, network: Network, sounding: Sounding, *, seed: int) -> Heard:
    """Each view from rest, with a seed one higher than the view's before, and the same on the golden model."""
    compiled = board.load(network)
    seeds = [seed + k for k in range(len(sounding.inputs))]
    results = board.run_many(sounding.inputs, seeds=seeds)
    return Heard(tuple(results), network.classes, np.sum([result.scores for result in results], axis=0),
                 not different(compiled, list(sounding.inputs), seeds, results))


def spoken(classes: tuple[str, ...], which: int) -> tuple[int, str] | None:
    """``(digit, language)`` of a class; None where the classes are not those of spoken digits."""
    return (which % 10, _LANGUAGES[which // 10]) if len(classes) == _CLASSES else None
