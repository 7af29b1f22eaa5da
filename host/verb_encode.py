"""``ionspike encode``: sound to spikes."""

import argparse
from pathlib import Path
from typing import Any

from ionspike.host.arguments import add_json, add_seed, count, seconds, verb
from ionspike.host.cochlea import CHANNELS, encode
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "encode", _encode, "Turn a recording into spikes as an ear does: "
                  "basilar membrane, hair cells, bushy cells; docs/audio.md.")
    parser.add_argument("sound", metavar="FILE.wav", help="one channel of 16 bits, 8 to 192 kHz; "
                        "FLAC and others need pip install 'ionspike[audio]'")
    parser.add_argument("--output", required=True, metavar="FILE.npz",
                        help="where the spikes go, for `ionspike run --input`")
    parser.add_argument("--channels", type=count, default=CHANNELS, metavar="N",
                        help="places along the membrane, the inputs of the network, up to "
                        f"{CHANNELS} (default %(default)s); the first hears the highest tones")
    parser.add_argument("--tick", type=seconds, default=1e-3, metavar="SECONDS",
                        help="of the network that will read them (default %(default)g)")
    parser.add_argument("--no-window", action="store_true", help="leave out the Hann window, as long as the "
                        "recording, by which those of the Heidelberg data sets are faded in and out")
    parser.add_argument("--picture", metavar="FILE.png", help="draw sound and spikes")
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
    audio = load(arguments.sound)
    spikes = encode(audio, seed=arguments.seed, dt_s=arguments.tick, channels=arguments.channels,
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
