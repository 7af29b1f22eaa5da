"""Sound to spikes as an ear does it: basilar membrane, hair cells, bushy cells.

The chain is that of the encoder of the Heidelberg data sets (Cramer et al., doi
10.1109/TNNLS.2020.3044364), written from the published equations. How near it comes to that encoder's
spikes: docs/audio.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ionspike.host.audio import Audio
from ionspike.host.bushy_cells import Bushy, BushyCells
from ionspike.host.errors import InputError
from ionspike.host.hair_cells import HairCells, Transmitter
from ionspike.host.membrane import DELAY, HOP, RATE_HZ, Filter, Membrane
from ionspike.host.spikes import Spikes

__all__ = ["BLOCK", "CHANNELS", "Cochlea", "Ear", "encode"]

#: The most, and the number of the Heidelberg data sets.
CHANNELS = 700
#: Samples that go in at once.
BLOCK = HOP
#: Samples of sound for a step of hair and bushy cells.
_STRIDE = 8
_STEP_S = _STRIDE / RATE_HZ
_DELAY_STEPS = DELAY // _STRIDE


@dataclass(frozen=True)
class Ear:
    """Parameters of the whole chain.

    Parameters
    ----------
    level : root mean square that a recording is brought to.
    """

    membrane: Membrane = Membrane()
    transmitter: Transmitter = Transmitter()
    bushy: Bushy = Bushy()
    level: float = 0.3


class Cochlea:
    """Sound at :data:`RATE_HZ`, of root mean square ``ear.level``, to spikes, block after block.

    Parameters
    ----------
    channels : places along the membrane, 1 to 700; the first hears the highest tones.
    seed : of the nerve fibres' noise.

    Raises
    ------
    InputError
        For a number of channels or a seed that is none.
    """

    def __init__(self, channels: int = CHANNELS, *, seed: int, ear: Ear | None = None):
        if not isinstance(channels, int) or not 1 <= channels <= CHANNELS:
            raise InputError(f"channels must be 1 to {CHANNELS}, not {channels!r}")
        if not isinstance(seed, int) or seed < 0:
            raise InputError(f"seed must be an integer from 0 up, not {seed!r}")
        self._ear, self._channels = ear or Ear(), channels
        self._filter = Filter(self._ear.membrane, channels)
        self._hair = HairCells(self._ear.transmitter, channels, _STEP_S)
        self._bushy = BushyCells(self._ear.bushy, channels, _STEP_S, seed)

    def feed(self, block: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """``(t_s, channel)`` of the spikes that :data:`BLOCK` more samples give.

        A spike's time is that of the sound. The membrane needs 85 ms of what follows, so the last
        spikes of a block come with the next, and the first of all are before zero: of silence.
        """
        steps = HOP // _STRIDE
        permeability = np.empty((self._channels, steps), np.float32)
        for channels, velocity in self._filter.feed(block):
            k = self._ear.transmitter.permeability(velocity)
            permeability[channels] = k.reshape(len(k), steps, -1).mean(axis=2)
        step, channel = self._bushy.feed(self._hair.feed(np.ascontiguousarray(permeability.T)))
        return (step - _DELAY_STEPS).astype(np.float64) * _STEP_S, channel


def encode(audio: Audio, *, seed: int, dt_s: float = 1e-3, channels: int = CHANNELS,
           ear: Ear | None = None, window: bool = True) -> Spikes:
    """Spikes of a whole recording, brought to its ear's level first.

    Equal seeds give equal spikes. Events that share a tick and a channel are one spike;
    ``merged`` counts the others.

    Parameters
    ----------
    window : whether the recording is then faded in and out by a Hann window as long as it is, as those of
        the Heidelberg data sets were.

    Raises
    ------
    InputError
        For channels, a seed or a tick that is none, or more ticks than a raster may have.
    """
    dt_s = Spikes(np.zeros((1, 1), bool), dt_s).dt_s    # refused before the work
    ear = ear or Ear()
    cochlea = Cochlea(channels, seed=seed, ear=ear)
    sound = audio.at(RATE_HZ)
    blocks = -(-(len(sound) + DELAY) // BLOCK)
    padded = np.zeros(blocks * BLOCK, np.float32)
    padded[:len(sound)] = sound * (ear.level / np.sqrt(np.mean(sound ** 2, dtype=np.float64)))
    if window:
        padded[:len(sound)] *= np.hanning(len(sound))
    found = [cochlea.feed(block) for block in padded.reshape(blocks, BLOCK)]
    t_s, channel = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # The hair added, as in Spikes, keeps a time that is a whole tick in its own.
    ticks = max(1, int(np.ceil(len(sound) / RATE_HZ / dt_s - 1e-9)))
    tick = np.floor(t_s / dt_s + 1e-9).astype(np.int64)
    heard = (t_s >= 0) & (tick < ticks)
    return Spikes.from_events(channel[heard], tick=tick[heard], width=channels, dt_s=dt_s,
                              ticks=ticks)
