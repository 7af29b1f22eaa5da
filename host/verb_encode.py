"""``ionspike encode``: sound to spikes."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, add_seed, count, seconds, verb
from ionspike.host.cochlea import CHANNELS, encode
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.errors import InputError
from ionspike.spec.strict_json import shown

__all__ = ["add"]


_TICK_S = 1e-3


def add(verbs: Any) -> None:
    parser = verb(verbs, "encode", _encode, "Turn a recording into spikes as an ear does: "
                  "basilar membrane, hair cells, bushy cells; docs/audio.md.")
    parser.add_argument("sound", metavar="FILE.wav|FOLDER", help="one channel of 16 bits, 8 to 192 kHz; "
                        "FLAC and others need pip install 'ionspike[audio]'. Of a folder, all recordings "
                        "named as the Heidelberg or the Free Spoken Digits are: a data set to train on")
    parser.add_argument("--output", required=True, metavar="FILE.npz",
                        help="where the spikes go, for `ionspike run --input`")
    parser.add_argument("--channels", type=count, metavar="N",
                        help="places along the membrane, the inputs of the network, up to "
                        f"{CHANNELS} (default {CHANNELS}); the first hears the highest tones")
    parser.add_argument("--tick", type=seconds, metavar="SECONDS",
                        help=f"of the network that will read them (default {_TICK_S:g})")
    parser.add_argument("--no-window", action="store_true", help="leave out the Hann window, as long as the "
                        "recording, by which those of the Heidelberg data sets are faded in and out")
    parser.add_argument("--picture", metavar="FILE.png", help="draw sound and spikes")
    parser.add_argument("--licence", metavar="TEXT", help="what a folder's recordings may be used for and whose they are; "
                        "networks that learn from them say so")
    add_seed(parser, "of the nerve fibres' noise (default %(default)s)", 1)
    add_json(parser)


def _encode(arguments: argparse.Namespace) -> int:
    from ionspike.host.audio import load
    output = Path(arguments.output)
    if output.suffix != ".npz" or not output.absolute().parent.is_dir():
        raise InputError(f"{output}: the spikes are a .npz in a folder that exists")
    picture = None if arguments.picture is None else Path(arguments.picture)
    if picture is not None and (picture.suffix != ".png" or not picture.absolute().parent.is_dir()):
        raise InputError(f"{picture}: the picture is a .png in a folder that exists")
    if Path(arguments.sound).is_dir():
        return _encode_all(arguments, output)
    if arguments.licence is not None:
        raise InputError("--licence is for a folder of recordings, which becomes a data set to train on")
    audio = load(arguments.sound)
    spikes = encode(audio, seed=arguments.seed, dt_s=_TICK_S if arguments.tick is None else arguments.tick,
                    channels=CHANNELS if arguments.channels is None else arguments.channels,
                    window=not arguments.no_window)
    spikes.save(output)
    if picture is not None:
        from ionspike.host.audio_picture import draw
        draw(picture, audio, spikes, Path(arguments.sound).name)
    if audio.clipped:
        note(f"warning: {audio.clipped:,} samples are clipped")
    if spikes.merged:
        note(f"{spikes.merged:,} of {spikes.merged + spikes.count:,} spikes fell on another of "
             f"their tick and channel; a shorter --tick keeps them apart")
    facts = {"sound": arguments.sound, "rate_Hz": audio.rate_Hz, "seconds": audio.seconds,
             "clipped": audio.clipped, "channels": spikes.width, "ticks": spikes.ticks,
             "tick_s": spikes.dt_s, "spikes": spikes.count, "merged": spikes.merged,
             "seed": arguments.seed, "window": not arguments.no_window, "output": str(output), "picture": arguments.picture}
    lines = table([
        ("sound", f"{arguments.sound}: {audio.seconds:.3f} s at {audio.rate_Hz:,} Hz"),
        ("clipped", f"{audio.clipped:,} samples"),
        ("spikes", f"{spikes.count:,} of {spikes.width} channels in {spikes.ticks:,} ticks of "
                   f"{spikes.dt_s:g} s, {spikes.merged:,} merged"),
        ("seed", arguments.seed), ("written to", output),
        *([] if picture is None else [("picture", picture)])])
    emit(facts, lines, arguments.json)
    return 0


def _encode_all(arguments: argparse.Namespace, output: Path) -> int:
    from ionspike.host import utterances
    for name in ("channels", "tick", "picture"):
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name} is for one recording; of a folder, spikes are those of the "
                             f"Heidelberg data sets, {CHANNELS} channels in steps of {utterances.STEP_S * 1e3:g} ms")
    if arguments.seed < 0:
        raise InputError(f"seed must be an integer from 0 up, not {arguments.seed}")
    licence = arguments.licence or ""
    if not licence.isprintable() or len(licence) > utterances.MOST_LICENCE:
        raise InputError(f"--licence is one line of up to {utterances.MOST_LICENCE} characters, such as "
                         f"'CC BY 4.0 (A. Speaker)', not {shown(licence)}")
    recordings = utterances.recordings(arguments.sound)
    with Bar("encoding", "recordings") as bar:
        made = utterances.of_recordings(recordings, seed=arguments.seed, window=not arguments.no_window,
                                        progress=bar)
    replace(made, licence=licence).save(output)
    number = utterances.speakers(recordings)
    speakers = [str(k) if name == k else f"{k} ({name})" for name, k in number.items()]
    facts = {"folder": arguments.sound, "recordings": len(recordings),
             "speakers": list(number.values()), "names": {name: k for name, k in number.items() if name != k},
             "channels": CHANNELS, "step_s": utterances.STEP_S, "spikes": len(made.delta), "merged": made.merged,
             "clipped": made.clipped, "licence": licence, "seed": arguments.seed, "window": not arguments.no_window,
             "output": str(output)}
    emit(facts, table([
        ("folder", f"{arguments.sound}: {len(recordings):,} recordings of speakers {', '.join(speakers)}"),
        ("licence", licence or "not told; --licence tells it"),
        ("clipped", f"{made.clipped:,} samples"),
        ("spikes", f"{len(made.delta):,} of {CHANNELS} channels in steps of {utterances.STEP_S:g} s, "
                   f"{made.merged:,} merged"),
        ("seed", arguments.seed), ("written to", output)]), arguments.json)
    return 0
