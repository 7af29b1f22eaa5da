"""Recordings of spoken digits through the cochlea encoder and a trained network, on the golden model.

Run: ``python benchmarks/spoken.py FOLDER [--network NET.ion] [--speakers 1,9] [--most N] [--around S]``. FOLDER holds the
Heidelberg Digits as their source names them, ``lang-english_speaker-01_trial-5_digit-3.flac``, or the
Free Spoken Digits, ``3_jackson_5.wav``. By default, speakers that the network's training held out.
``--around``: so many seconds of noise, 30 dB below, before and after each, as from a microphone that runs.

Training reads spikes that the data's authors made of these recordings; here our own encoder makes them.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from ionspike.host.audio import Audio
from ionspike.host.demo_speech import encoded, load_network
from ionspike.host.utterances import recordings
from ionspike.train.evaluate import read, shape_for

_NOISE_DB = -30


def longer(audio, seconds, rng):
    """With noise before and after, and throughout."""
    if not seconds:
        return audio
    around = np.zeros(round(seconds * audio.rate_Hz), np.float32)
    x = np.concatenate([around, audio.samples, around])
    x += rng.normal(0, np.std(audio.samples) * 10 ** (_NOISE_DB / 20), len(x)).astype(np.float32)
    return Audio(x.clip(-1, 1), audio.rate_Hz)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network")
    parser.add_argument("--speakers", help="numbers or names with commas between, or all")
    parser.add_argument("--most", type=int, default=1000, metavar="N")
    parser.add_argument("--around", type=float, default=0.0, metavar="S")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    network = load_network(options.network)
    held_out = network.metadata["held_out"] if options.speakers is None else \
        None if options.speakers == "all" else options.speakers.split(",")
    if held_out is None and options.speakers is None:
        parser.error("the network learnt from all speakers; --speakers says whose recordings to take")
    chosen = [each for each in recordings(options.folder)
              if held_out is None or str(each.speaker) in map(str, held_out)][:options.most]
    if not chosen:
        parser.error(f"{options.folder} holds no recordings of speakers {held_out}")
    start, rasters, labels = time.process_time(), [], []
    for each in chosen:
        sounding = encoded(longer(each.load(), options.around, rng), network, seed=1)
        rasters.append(np.stack([view.raster[:, :view.width - sounding.bias] for view in sounding.inputs]))
        labels.append(each.label)
    answers = read(network, np.stack(rasters, axis=1), 1, shape_for(network))
    right = answers == np.array(labels)
    said = "all" if held_out is None else ", ".join(map(str, held_out))
    print(f"{right.sum()} of {len(right)} recordings of speakers {said} right: {right.mean():.1%}; "
          f"{time.process_time() - start:.0f} s of CPU time")
    missed = Counter((label, int(answer)) for label, answer in zip(labels, answers, strict=True)
                     if label != answer)
    for (label, answer), count in missed.most_common(5):
        print(f"  {label} heard as {answer}: {count}")


if __name__ == "__main__":
    main()
