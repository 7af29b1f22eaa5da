"""Spoken digits of the voices that Debian has, to train on beside recordings: ``ionspike encode FOLDER`` makes spikes of them.

Run: ``python benchmarks/voices.py FOLDER [--german N] [--english N] [--seed S]``, where there are ``apt install espeak-ng
mbrola mbrola-de1 ... flite libttspico-utils`` (the program names what it lacks; the voices are in Debian's non-free part). N
recordings of each digit by each voice, each with a pitch, a pace, a size of the speaker and an intonation of its own,
named as the Heidelberg Digits are, speakers from 200 up. Recordings that are there already are left.

Most voices are diphones of a person: eight speak German, twenty English, six of these the German speakers. What each may be used for
stands in ``/usr/share/doc/mbrola-*/copyright``; neither voices nor recordings of them are in this repository.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from ionspike.host.word import AFTER_S, BEFORE_S

WORDS = {"german": "null eins zwei drei vier fünf sechs sieben acht neun".split(),
         "english": "zero one two three four five six seven eight nine".split()}
RATE_HZ = 48_000
#: A word begins and ends where it is that share of its loudest sample.
_LEAST = 0.02
_NOISE = 2e-4


def espeak(word, name, pitch, pace, end, path):
    return ["espeak-ng", "-v", name, "-p", str(round(50 + 30 * pitch)), "-s", str(round(150 * pace)), "-w", path, word + end]


def pico(word, name, pitch, pace, end, path):
    return ["pico2wave", "-l", name, "-w", path,
            f'<pitch level="{100 + 20 * pitch:.0f}"><speed level="{100 * pace:.0f}">{word}</speed></pitch>']


def flite(word, name, pitch, pace, end, path):
    name, mean_Hz = name.split("@")
    return ["flite", "-voice", name, "--setf", f"duration_stretch={1 / pace:.3f}",
            "--setf", f"int_f0_target_mean={float(mean_Hz) * (1 + 0.2 * pitch):.0f}", "-t", word + end, "-o", path]


#: Language, program, name there. The number of a speaker is its place here.
VOICES = [
    *(("german", espeak, name) for name in (*(f"mb-de{k}" for k in range(1, 9)), "de", "de+f2", "de+m3")),
    ("german", pico, "de-DE"),
    *(("english", espeak, f"mb-{name}") for name in (
        *(f"de{k}-en" for k in range(1, 7)), "en1", "us1", "us2", "us3", "af1-en", "nl2-en", "fr1-en", "fr4-en", "gr2-en",
        "hu1-en", "pl1-en", "ro1-en", "sw1-en", "sw2-en")),
    *(("english", espeak, name) for name in ("en-gb", "en-us+f2")),
    ("english", pico, "en-US"), ("english", pico, "en-GB"),
    *(("english", flite, name) for name in ("kal16@105", "awb@120", "rms@95", "slt@170")),
]


def lacking():
    """Programs and voices that are not there, by Debian's names."""
    programs = {"espeak-ng": "espeak-ng", "mbrola": "mbrola", "pico2wave": "libttspico-utils", "flite": "flite"}
    found = [Path(folder, name) for folder in os.environ["PATH"].split(os.pathsep) for name in programs]
    there = {path.name for path in found if path.exists()}
    databases = sorted({name.split("-")[1] for _, _, name in VOICES if name.startswith("mb-")})
    return [programs[name] for name in programs if name not in there] \
        + [f"mbrola-{name}" for name in databases if not Path("/usr/share/mbrola", name).exists()]


def recording(folder, speaker, digit, trial, seed):
    language, program, name = VOICES[speaker]
    path = folder / f"lang-{language}_speaker-{200 + speaker}_trial-{trial}_digit-{digit}.flac"
    if path.exists():
        return
    rng = np.random.default_rng([seed, speaker, digit, trial])
    pitch, pace, size = rng.uniform(-1, 1), rng.uniform(0.6, 1.05), rng.uniform(0.92, 1.09)
    end, level = rng.choice(["", ".", "!", ","]), rng.uniform(0.2, 0.7)
    with tempfile.TemporaryDirectory() as place:
        said = os.path.join(place, "word.wav")
        # Played size times as fast, which moves resonances, so it is said that much slower.
        subprocess.run(program(WORDS[language][digit], name, pitch, pace / size, end, said),
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        x, rate_Hz = soundfile.read(said)
    x = resample_poly(x, round(1000 * RATE_HZ / (rate_Hz * size)), 1000)
    loud = np.flatnonzero(np.abs(x) > _LEAST * np.abs(x).max())
    word = x[loud[0]:loud[-1] + 1] * level / np.abs(x).max()
    word = np.pad(word, (round(BEFORE_S * RATE_HZ), round(AFTER_S * RATE_HZ)))
    beside = path.with_suffix(".part")
    soundfile.write(beside, word + rng.normal(0, _NOISE, len(word)), RATE_HZ, format="FLAC")
    beside.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--german", type=int, default=12, metavar="N")
    parser.add_argument("--english", type=int, default=4, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if missing := lacking():
        parser.error(f"what speaks is missing: apt install {' '.join(missing)}")
    options.folder.mkdir(exist_ok=True)
    each = {"german": options.german, "english": options.english}
    jobs = [(options.folder, speaker, digit, trial, options.seed) for speaker, (language, _, _) in enumerate(VOICES)
            for digit in range(10) for trial in range(each[language])]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for k, _ in enumerate(pool.map(lambda job: recording(*job), jobs), 1):
            print(f"\r{k} of {len(jobs)} recordings", end="", file=sys.stderr)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
