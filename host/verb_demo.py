"""``ionspike demo``: handwritten digits, or a spoken one, through a board."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.arguments import add_board, add_json, add_seed, count, open_board, verb
from ionspike.host.cli_text import origin
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.errors import InputError, LossError

__all__ = ["add"]

#: Classes whose output spikes are told.
_SAID = 3


def add(verbs: Any) -> None:
    parser = verb(verbs, "demo", _demo, "Stream handwritten digits that were never used in training, "
                  "or a recording of a spoken one, through a board, and compare with the golden model.")
    parser.add_argument("what", nargs="?", choices=("digits", "speech"), default="digits",
                        help="handwritten digits, or a recording (default %(default)s)")
    parser.add_argument("sound", nargs="?", metavar="FILE.wav", help="of speech: one channel of 16 "
                        "bits, 8 to 192 kHz; FLAC needs pip install 'ionspike[audio]'")
    parser.add_argument("--images", type=count, metavar="N", help="of digits: only the first N of "
                        "the test")
    parser.add_argument("--network", metavar="FILE.ion", help="of speech: a network that `ionspike "
                        "train speech` made, instead of the one that comes with the package")
    parser.add_argument("--output", default="ionspike-demo.png", metavar="FILE.png",
                        help="where the picture goes (default %(default)s)")
    add_seed(parser, "of the noise (default %(default)s)", 1)
    add_board(parser)
    add_json(parser)


def _demo(arguments: argparse.Namespace) -> int:
    picture = Path(arguments.output)
    if picture.suffix != ".png" or not picture.absolute().parent.is_dir():
        raise InputError(f"{picture}: the picture is a .png in a folder that exists")
    if arguments.what == "speech":
        if arguments.sound is None or arguments.images is not None:
            raise InputError("demo speech takes one recording, FILE.wav, and no --images")
        return _speech(arguments, picture)
    if arguments.sound is not None or arguments.network is not None:
        raise InputError("a recording and --network are for `ionspike demo speech`, not for digits")
    return _digits(arguments, picture)


def _digits(arguments: argparse.Namespace, picture: Path) -> int:
    from ionspike.host import demo, digits
    from ionspike.host.picture import draw
    network = demo.load_network()
    try:
        data = digits.load()
    except ImportError as error:
        raise InputError(f"the demo needs scikit-learn: pip install scikit-learn ({error})") \
            from error
    images, labels = data.part("test")
    images, labels = images[:arguments.images], labels[:arguments.images]
    with open_board(arguments) as board:
        with Bar("streaming", "ticks") as bar:
            done = demo.run(board, network, images, labels, seed=arguments.seed, progress=bar)
        where = origin(board.is_hardware, board.backend)
        name, hello = board.name, board.hello
    first = done.results[0]
    draw(picture, done.inputs, done.traced,
         f"A handwritten {labels[0]}, read as {done.answers[0]} ({where})")

    equal = not done.different
    latency_us = 1e6 * np.percentile(done.round_trips_s, [50, 99])
    compared = (f"equal: every spike, final state word and LFSR of {len(images)} runs" if equal
                else f"DIFFERS in {len(done.different)} runs, first in image {done.different[0]}")
    counters = {k: v for k, v in done.counters.items() if v}
    link = {k: v for k, v in done.traced.link.items() if v}
    facts = {
        "board": name, "backend": first.backend, "is_hardware": first.is_hardware,
        "network": {"inputs": network.inputs, "neurons": network.neurons,
                    "synapses": network.synapses, "metadata": network.metadata},
        "images": len(images), "accuracy": done.accuracy, "equal": equal,
        "different": done.different, "ticks": done.ticks, "wall_s": done.wall_s,
        "ticks_per_s": done.ticks / done.wall_s, "events": done.events,
        "events_per_s": done.events / done.wall_s, "latency_median_us": float(latency_us[0]),
        "latency_p99_us": float(latency_us[1]), "counters": done.counters,
        "losses": done.losses, "link": done.traced.link, "seed": arguments.seed,
        "image_digest": first.image_digest, "build": first.build, "data_digest": data.digest,
        "versions": first.versions, "picture": str(picture)}
    lines = table([
        ("ran on", f"{name}: {where}"),
        ("network", f"{network.inputs} inputs, {network.neurons} memristor neurons, "
                    f"{network.synapses:,} synapses"),
        ("digits", f"{len(images)} of the test part, never used for any choice"),
        ("accuracy", f"{100 * done.accuracy:.2f} %"),
        ("against the golden model", compared),
        ("speed", f"{done.ticks / done.wall_s:,.0f} ticks/s, "
                  f"{done.events / done.wall_s:,.0f} events/s in and out, "
                  f"{len(images) / done.wall_s:.1f} digits/s"),
        ("latency", f"{latency_us[0]:.0f} us median, {latency_us[1]:.0f} us 99th percentile "
                    f"of {len(done.round_trips_s)} round trips"),
        ("core counters", ", ".join(f"{k} {v:,}" for k, v in counters.items()) or "all zero"),
        ("link counters", ", ".join(f"{k} {v:,}" for k, v in link.items())),
        ("lost or late", ", ".join(f"{k} {v}" for k, v in done.losses.items()) or "nothing"),
        ("seed", arguments.seed), ("network image", first.image_digest[:16]),
        ("data", data.digest[:16]),
        ("gateware", f"build {first.build}, contract {hello.digest:08x}"),
        ("picture", picture)])
    emit(facts, lines, arguments.json)
    return _ended(None if equal else compared, done.losses)


def _speech(arguments: argparse.Namespace, picture: Path) -> int:
    from ionspike.host import audio, demo_speech
    from ionspike.host.speech_picture import draw
    network = demo_speech.load_network(arguments.network)
    sound = audio.load(arguments.sound)
    if sound.clipped:
        note(f"warning: {sound.clipped:,} samples are clipped")
    sounding = demo_speech.encoded(sound, network, seed=arguments.seed)
    frame, spikes, word = sounding.frame, sounding.spikes, sounding.audio
    end_s = sounding.start_s + word.seconds
    whole = len(word.samples) == len(sound.samples)
    if late := sounding.left_out["after"]:
        note(f"{late:,} of {spikes.count:,} spikes come after the {frame.ticks * frame.bin_s:g} s that "
             f"the network hears, and are left out")
    with open_board(arguments) as board:
        heard = demo_speech.run(board, network, sounding, seed=arguments.seed)
        name, hello = board.name, board.hello
    result, counted, losses = heard.results[-1], heard.summed("counters"), heard.summed("losses")
    ticks, wall_s = (sum(getattr(each, name) for each in heard.results) for name in ("ticks", "wall_s"))
    where = origin(result.is_hardware, result.backend)

    def named(which: int) -> str:
        digit = demo_speech.spoken(heard.classes, which)
        return heard.classes[which] if digit is None else f"{digit[0]} ({digit[1]})"

    order = np.argsort(-heard.scores, kind="stable")
    if heard.answer is None:
        said = "no answer, for no output fired"
    else:
        said = "read as " + named(heard.answer) + "".join(f", tied with {named(k)}" for k in heard.tied)
    draw(picture, sounding, heard, f"{Path(arguments.sound).name}: {said}\n{where}")
    digit = None if heard.answer is None else demo_speech.spoken(heard.classes, heard.answer)
    compared = "equal: every spike, final state word and LFSR" if heard.equal else "DIFFERS"
    counters = {k: v for k, v in counted.items() if v}
    link = {k: v for k, v in result.link.items() if v}
    facts = {
        "board": name, "backend": result.backend, "is_hardware": result.is_hardware,
        "network": {"inputs": network.inputs, "bias": sounding.bias, "neurons": network.neurons,
                    "synapses": network.synapses, "metadata": network.metadata},
        "sound": arguments.sound, "rate_Hz": sound.rate_Hz, "seconds": sound.seconds,
        "word_s": [sounding.start_s, end_s], "clipped": sound.clipped, "cochlea_spikes": spikes.count, "merged": spikes.merged,
        "left_out": sounding.left_out, "views": list(frame.views),
        "paces": list(frame.paces),
        "input_spikes": [view.count for view in sounding.inputs],
        "answer": None if heard.answer is None else heard.classes[heard.answer],
        "digit": None if digit is None else digit[0],
        "language": None if digit is None else digit[1],
        "tied": [heard.classes[k] for k in heard.tied],
        "classes": list(heard.classes), "scores": heard.scores.tolist(),
        "output_spikes": heard.output_spikes,
        "equal": heard.equal, "ticks": ticks, "wall_s": wall_s,
        "counters": counted, "losses": losses, "link": result.link,
        "seed": arguments.seed, "image_digest": result.image_digest, "build": result.build,
        "versions": result.versions, "picture": str(picture)}
    emit(facts, table([
        ("ran on", f"{name}: {where}"),
        ("network", f"{network.inputs} inputs, {network.neurons} memristor neurons, "
                    f"{network.synapses:,} synapses"),
        ("sound", f"{arguments.sound}: {sound.seconds:.3f} s at {sound.rate_Hz:,} Hz"),
        ("word", "all of it" if whole else f"{sounding.start_s:.3f} to {end_s:.3f} s of it"),
        ("spikes", f"{spikes.count:,} of {spikes.width} channels; {late:,} too late, "
                   f"{sounding.left_out['input']:,} on channels without an input"),
        *([("heard", f"{len(frame.views)} times, moved up by {', '.join(map(str, frame.views))} channels"
            + (f", {', '.join(f'{pace:g}' for pace in frame.paces)} times as fast" if frame.paces else ""))]
          if len(frame.views) > 1 else []),
        ("answer", said),
        ("output spikes" if network.votes is None else "votes",
         ", ".join(f"{named(int(k))} {heard.scores[k]:,}" for k in order[:_SAID])),
        ("against the golden model", compared),
        ("speed", f"{ticks:,} ticks in {wall_s:.3g} s"),
        ("core counters", ", ".join(f"{k} {v:,}" for k, v in counters.items()) or "all zero"),
        ("link counters", ", ".join(f"{k} {v:,}" for k, v in link.items()) or "-"),
        ("lost or late", ", ".join(f"{k} {v}" for k, v in losses.items()) or "nothing"),
        ("seed", arguments.seed), ("network image", result.image_digest[:16]),
        ("gateware", f"build {result.build}, contract {hello.digest:08x}"),
        ("picture", picture)]), arguments.json)
    return _ended(None if heard.equal else compared, losses)


def _ended(differs: str | None, losses: dict[str, int]) -> int:
    if differs is not None:
        note(differs)
        return 1
    if losses:
        raise LossError("data were lost or late: " + ", ".join(f"{k} {v}" for k, v in losses.items()))
    return 0
