"""Holds the cochlea encoder against the one the Heidelberg data sets were made with.

    python benchmarks/cochlea.py                      # 40 utterances and the reference's own
    python benchmarks/cochlea.py --utterances 300 --json
    python benchmarks/cochlea.py --fit                # the weight of a fibre's spike

Needs soundfile and, in ../shared/data or the folder that IONSPIKE_DATA names, recordings with that
encoder's spikes. Compared are histograms of 10 ms x 10 channels. Two runs of that encoder differ by
their noise, and agree to a correlation of 0.94. Utterances that a parameter was fitted to are left
out. Seconds are of the CPU, the kernels made once and counted apart.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.audio import Audio
from ionspike.host.bushy_cells import Bushy
from ionspike.host.cochlea import CHANNELS, Cochlea, Ear, encode
from ionspike.host.spikes import Spikes
from ionspike.train.speech import HELD_OUT

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("IONSPIKE_DATA", ROOT.parent / "shared" / "data"))
REFERENCE = "cochlea_reference_english_00_0_3"
SAMPLE, SPIKES = "hd_audio_train_sample.zip", "hd_spikes_train.npz"
#: Of the sample's files in their order, those that the weight was fitted to, but for speakers held out.
FITTED = {*range(3, 300, 25), *range(3, 300, 20), *range(5, 300, 25)}
WEIGHTS = 0.335, 0.345, 0.355


def read(content: Any) -> Audio:
    import soundfile
    samples, rate_Hz = soundfile.read(content, dtype="float32")
    return Audio(samples, rate_Hz)


def histogram(t_s: Any, channel: Any, seconds: float) -> Any:
    return np.histogram2d(t_s, channel, bins=(
        np.arange(int(seconds * 100) + 1) / 100, np.arange(0, CHANNELS + 1, 10)))[0].ravel()


def ours(audio: Audio, seed: int, ear: Ear | None = None) -> tuple[Spikes, Any]:
    """Ticks of 0.1 ms, so that no spike merges with another and bins are whole ticks."""
    spikes = encode(audio, seed=seed, dt_s=1e-4, ear=ear)
    tick, channel = spikes.events()
    return spikes, histogram((tick + 0.5) * 1e-4, channel, audio.seconds)


def sample(count: int, fitted: bool = False) -> Iterator[tuple[str, Audio, Any, Any]]:
    """Recordings spread over the sample, and their spikes: seconds and channels; or those for fitting."""
    with zipfile.ZipFile(DATA / SAMPLE) as archive, np.load(DATA / SPIKES) as said:
        names = [name for k, name in enumerate(archive.namelist()) if (k in FITTED) == fitted]
        known = {str(name): k for k, name in enumerate(said["name"])}
        if fitted:
            names = [name for name in names if said["speaker"][known[name]] not in HELD_OUT]
        low, high, counts, offset = (said[key] for key in (
            "delta_lo", "delta_hi", "counts", "offset"))
        tick_s = float(said["tick_s"])
        for name in names[::max(1, len(names) // count)][:count]:
            k = known[name]
            part = slice(offset[k], offset[k + 1])
            tick = np.cumsum(low[part] + 256 * high[part].astype(np.int64))
            channel = np.repeat(np.arange(CHANNELS), counts[k])
            # Differences begin anew in each channel.
            before = np.concatenate([[0], np.cumsum(counts[k])[:-1]]).astype(int)
            begun = np.where(before > 0, tick[np.maximum(before, 1) - 1], 0)
            yield name, read(io.BytesIO(archive.read(name))), \
                (tick - begun[channel]) * tick_s, channel


def measure(utterances: int) -> dict[str, Any]:
    begun = time.process_time()
    Cochlea(seed=0)
    kernels_s = time.process_time() - begun
    audio = read(DATA / f"{REFERENCE}.flac")
    with np.load(DATA / f"{REFERENCE}.npz") as said:
        theirs = histogram(*said["arr_0"], audio.seconds)
        counted = said["arr_0"].shape[1]
    spikes, first = ours(audio, 1)
    _, second = ours(audio, 2)
    found: dict[str, Any] = {
        "kernels_s": kernels_s, "reference": float(np.corrcoef(first, theirs)[0, 1]),
        "reference_spikes": spikes.count / counted,
        "two_runs_of_ours": float(np.corrcoef(first, second)[0, 1])}
    agreed, shares, seconds, cpu_s = [], [], 0.0, 0.0
    for _, audio, t_s, channel in sample(utterances):
        begun = time.process_time()
        spikes, mine = ours(audio, 1)
        cpu_s += time.process_time() - begun
        seconds += audio.seconds
        agreed.append(float(np.corrcoef(mine, histogram(t_s, channel, audio.seconds))[0, 1]))
        shares.append(spikes.count / len(t_s))
    found.update(utterances=len(agreed), median=statistics.median(agreed), lowest=min(agreed),
                 highest=max(agreed), spikes=statistics.median(shares),
                 fewest=min(shares), most=max(shares), audio_s_per_cpu_s=seconds / cpu_s)
    return found


def fit() -> tuple[float, int]:
    """The weight with which the median recording has as many spikes as the data sets', between WEIGHTS; and how
    many recordings there were."""
    shares = []
    for _, audio, t_s, _ in sample(len(FITTED), fitted=True):
        shares.append([ours(audio, 1, Ear(bushy=Bushy(weight=weight)))[0].count / len(t_s) for weight in WEIGHTS])
    return float(np.interp(1, np.median(shares, axis=0), WEIGHTS)), len(shares)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--utterances", type=int, default=40, metavar="N")
    parser.add_argument("--fit", action="store_true", help="fit the weight of a fibre's spike")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (DATA / SAMPLE).is_file():
        sys.exit(f"{DATA / SAMPLE}: no such file; IONSPIKE_DATA names its folder")
    if arguments.fit:
        weight, recordings = fit()
        print(f"{weight:.3f} for as many spikes as theirs in the median of {recordings} recordings; "
              f"it is {Bushy().weight}")
        return 0
    found = measure(arguments.utterances)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"""correlation of 10 ms x 10 channel histograms
  reference recording       {found['reference']:.3f}, spikes {found['reference_spikes']:.2f} of its
  two seeds of ours         {found['two_runs_of_ours']:.3f}
  {found['utterances']:3d} utterances, median    {found['median']:.3f} ({found['lowest']:.3f} to \
{found['highest']:.3f}), spikes {found['spikes']:.2f} of theirs ({found['fewest']:.2f} to \
{found['most']:.2f})
speed                       {found['audio_s_per_cpu_s']:.2f} s of sound per second of CPU; \
kernels once {found['kernels_s']:.1f} s""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
