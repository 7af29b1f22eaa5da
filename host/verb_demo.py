"""``ionspike demo``: real handwritten digits through a board."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.arguments import add_board, add_json, add_seed, count, open_board, verb
from ionspike.host.cli_text import origin
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.errors import InputError, LossError

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "demo", _demo, "Stream handwritten digits that were never used in training "
                  "through a board, and compare with the golden model.")
    parser.add_argument("--images", type=count, metavar="N", help="only the first N of the test")
    parser.add_argument("--output", default="ionspike-demo.png", metavar="FILE.png",
                        help="where the picture goes (default %(default)s)")
    add_seed(parser, "of the noise (default %(default)s)", 1)
    add_board(parser)
    add_json(parser)


def _demo(arguments: argparse.Namespace) -> int:
    from ionspike.host import demo, digits
    from ionspike.host.picture import draw
    picture = Path(arguments.output)
    if picture.suffix != ".png" or not picture.absolute().parent.is_dir():
        raise InputError(f"{picture}: the picture is a .png in a folder that exists")
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
    if not equal:
        note(compared)
        return 1
    if done.losses:
        raise LossError("data were lost or late: "
                        + ", ".join(f"{k} {v}" for k, v in done.losses.items()))
    return 0
