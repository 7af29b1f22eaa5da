"""Recordings of spoken digits as a data set: the spikes of all, as `ionspike train speech` reads them."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ionspike.host import fsdd, heidelberg
from ionspike.host.cochlea import CHANNELS, encode
from ionspike.host.errors import InputError
from ionspike.host.files import replacing
from ionspike.host.shd import STEP_S

__all__ = ["MOST_LICENCE", "Recording", "Utterances", "of_recordings", "recordings", "speakers"]

_MOST_STEPS = 1 << 16
#: Characters that say what recordings may be used for.
MOST_LICENCE = 1000
#: Number of the first speaker who has a name and no number; the Heidelberg Digits' have less.
_FIRST_NAMED = 100
Recording = heidelberg.Recording | fsdd.Recording
_Heard = tuple[NDArray[np.uint16], NDArray[np.uint16], int, int]


@dataclass(frozen=True)
class Utterances:
    """Spikes of :data:`CHANNELS` channels in steps of :data:`STEP_S`.

    Parameters
    ----------
    counts : uint16 ``[items, channels]``, spikes of each channel.
    delta : uint16 ``[spikes]``, steps since the channel's spike before, or since the beginning; by item, channel
        and time.
    label, speaker : int64 ``[items]``.
    merged : spikes that fell on another of their step and channel.
    clipped : samples.
    licence : of the recordings and whose they are, if told.
    """

    counts: NDArray[np.uint16]
    delta: NDArray[np.uint16]
    label: NDArray[np.int64]
    speaker: NDArray[np.int64]
    merged: int
    clipped: int
    licence: str = ""

    def save(self, path: Path) -> None:
        """In the layout of :func:`ionspike.train.speech.load`."""
        offset = np.concatenate([[0], np.cumsum(self.counts.sum(1, dtype=np.int64))])
        with replacing(path) as file:
            np.savez_compressed(
                file, counts=self.counts, delta_lo=(self.delta & 255).astype(np.uint8),
                delta_hi=(self.delta >> 8).astype(np.uint8), offset=offset, label=self.label,
                speaker=self.speaker, tick_s=np.array(STEP_S), licence=np.array(self.licence))


def recordings(folder: str | Path) -> Sequence[Recording]:
    """The Heidelberg Digits of a folder, or else the Free Spoken ones.

    Raises
    ------
    InputError
        For a folder without a file named so.
    """
    for kind in (heidelberg, fsdd):
        try:
            return kind.recordings(folder)
        except InputError:
            continue
    raise InputError(f"{folder}: holds no recordings named as the Heidelberg Digits are, "
                     f"lang-english_speaker-01_trial-5_digit-3.flac, or as the Free Spoken ones, 3_jackson_5.wav")


def speakers(recordings: Sequence[Recording]) -> dict[int | str, int]:
    """The number of each speaker: their own, or of those who have names 100 for the first in the alphabet,
    101 for the next."""
    each = {recording.speaker for recording in recordings}
    names = sorted(speaker for speaker in each if isinstance(speaker, str))
    return {**{number: number for number in sorted(speaker for speaker in each if isinstance(speaker, int))},
            **{name: _FIRST_NAMED + k for k, name in enumerate(names)}}


def of_recordings(recordings: Sequence[Recording], *, seed: int, window: bool = True,
                  progress: Callable[[int, int], None] = lambda done, total: None) -> Utterances:
    """Each recording as the ear hears it, on all cores.

    The noise of a recording depends on the seed and its name alone.

    Parameters
    ----------
    window : see :func:`ionspike.host.cochlea.encode`.
    progress : called with recordings done and recordings in all.

    Raises
    ------
    InputError
        For a recording that cannot be used, and where a process that hears them is ended from outside.
    """
    counts, deltas, merged, clipped = [], [], 0, 0
    number = speakers(recordings)
    with _processes(min(len(recordings), os.cpu_count() or 1)) as each:
        for count, delta, fell, cut in each(partial(_heard, seed=seed, window=window), recordings):
            counts.append(count)
            deltas.append(delta)
            merged, clipped = merged + fell, clipped + cut
            progress(len(counts), len(recordings))
    return Utterances(np.stack(counts), np.concatenate(deltas),
                      np.array([recording.label for recording in recordings], np.int64),
                      np.array([number[recording.speaker] for recording in recordings], np.int64), merged, clipped)


def _heard(recording: Recording, *, seed: int, window: bool) -> _Heard:
    """Spikes of each channel, the steps between them, and how many were merged; clipped samples."""
    drawn = np.random.default_rng([seed, crc32(recording.path.name.encode())]).integers(1 << 31)
    audio = recording.load()
    spikes = encode(audio, seed=int(drawn), dt_s=STEP_S, window=window)
    raster = spikes.raster
    if len(raster) > _MOST_STEPS:
        raise InputError(f"{recording.path}: {len(raster) * STEP_S:.0f} s are more than the "
                         f"{_MOST_STEPS * STEP_S:.0f} s of an utterance")
    channel, step = np.nonzero(raster.T)
    delta = np.diff(step, prepend=0)
    first = np.flatnonzero(np.diff(channel, prepend=-1))
    delta[first] = step[first]
    return (np.bincount(channel, minlength=CHANNELS).astype(np.uint16), delta.astype(np.uint16), spikes.merged,
            audio.clipped)


@contextmanager
def _processes(number: int) -> Iterator[Callable[..., Iterator[_Heard]]]:
    """Something like map. Ctrl-C is for this process, which then ends the others."""
    pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"),
                               initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield pool.map
    except BrokenProcessPool:
        raise InputError("a process that encodes recordings was ended from outside, perhaps for its memory; "
                         "nothing was written") from None
    finally:
        pool.shutdown(cancel_futures=True)
