"""``ionspike train``: a network of memristor neurons from labelled spikes."""

import argparse
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ionspike.host.arguments import add_json, add_seed, count, verb
from ionspike.host.console import Bar, emit, note, table
from ionspike.host.errors import InputError

__all__ = ["add"]

_EPOCHS = 30
#: Seeds of the bit-exact figures; item k takes the k-th from there on.
_SEEDS = (0, 10_000, 20_000)


def add(verbs: Any) -> None:
    parser = verb(verbs, "train", _train, "Train a network of memristor neurons, and measure it on "
                  "the bit-exact golden model.")
    parser.add_argument("data", metavar="digits|speech|braille|FILE.npz",
                        help="handwritten digits; SHD-like spoken digits; Braille; or spikes and labels")
    parser.add_argument("--data", dest="file", metavar="FILE", help="where speech (.npz, or .h5 "
                        "as SHD's) or braille (.npz) lie; without it, in the folder IONSPIKE_DATA")
    parser.add_argument("--epochs", type=count, default=_EPOCHS, metavar="N",
                        help="passes through the data (default %(default)s)")
    parser.add_argument("--output", metavar="FILE.ion", help="where the network goes; without it, "
                        "named after the data")
    parser.add_argument("--hold-out", metavar="G,G,...", help="groups, such as speakers, for "
                        "validation, or none, to learn from all items and measure nothing; without it, two "
                        "speakers of speech, a fifth of other items")
    parser.add_argument("--also", action="append", default=[], metavar="FILE", help="more utterances to learn speech from, "
                        "such as your own from `ionspike encode FOLDER`; those of speakers that are held out are left out; "
                        "may be repeated")
    parser.add_argument("--without", metavar="PROPERTY", default="", help="leave out integration "
                        "(its leak), threshold, cascade, plasticity, refractory or stochasticity")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="another setting: docs/training.md names them; may be repeated")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--force", action="store_true", help="begin anew, over a checkpoint")
    add_seed(parser, "of weights, order, changes and noise (default %(default)s)", 0)
    add_json(parser)


def _train(arguments: argparse.Namespace) -> int:
    try:
        import torch

        from ionspike.train import native, sources
        from ionspike.train import settings as presets
        from ionspike.train.loop import train
        from ionspike.train.training import Training, accuracy, teacher_accuracy
    except ImportError as error:
        raise InputError(f"training needs torch: pip install 'ionspike[train]' ({error})") from None
    named = {"digits": presets.DIGITS, "speech": presets.SPEECH, "braille": presets.BRAILLE}
    settings = named.get(arguments.data, presets.FILE)
    words = arguments.set + ([f"missing={arguments.without}"] if arguments.without else [])
    settings = settings.changed(words)
    name = arguments.data if arguments.data in named else Path(arguments.data).stem
    output = Path(arguments.output or f"{name}.ion")
    if output.suffix != ".ion" or not output.absolute().parent.is_dir():
        raise InputError(f"{output}: a network is an .ion file in a folder that exists")
    keep = output.with_suffix(".checkpoint")
    if arguments.resume and arguments.force:
        raise InputError("--resume goes on from a checkpoint and --force begins anew: one of them")
    if keep.exists() and not (arguments.resume or arguments.force):
        raise InputError(f"{keep}: is there from a training that has not ended; --resume goes on "
                         f"from it, --force begins anew")

    if arguments.also and arguments.data != "speech":
        raise InputError(f"--also is for speech, not {arguments.data}")
    torch.set_num_threads(1)    # sums keep their order, whatever the machine
    events, held_out = sources.load(arguments.data, arguments.file, arguments.hold_out)
    chosen, validation = events.split(held_out)
    listed = None if held_out is None else list(held_out)
    beside = 0
    for also in arguments.also:
        events, more = events.joined(sources.load("speech", also)[0], held_out)
        chosen, beside = np.concatenate([chosen, more]), beside + len(more)
    where = "cuda" if torch.cuda.is_available() else "cpu"
    training = Training(settings, events, arguments.seed).to(where)
    late = events.late(np.concatenate([chosen, validation]), settings.frame)
    if late:
        note(f"{late:,} of {len(events.at):,} events come after the last tick and are left out")
    begun = time.monotonic()
    with Bar("training", "batches") as bar:
        def said(epoch: int, loss: float) -> None:
            note(f"epoch {epoch} of {arguments.epochs}: loss {loss:.3f}"
                 + (f", held out {accuracy(training, validation):.1%} (float)" if len(validation) else ""))

        losses = train(training, chosen, arguments.epochs, progress=bar, said=said, keep=keep,
                       resume=arguments.resume)
    train_s = time.monotonic() - begun

    from ionspike.train.evaluate import read, shape_for
    floating, teacher = None, None
    if len(validation):
        floating = accuracy(training, validation)
        teacher = None if training.teacher is None else teacher_accuracy(training, validation)
    network = training.made({
        "title": events.name, "data": events.digest, "licence": events.licence,
        "seed": arguments.seed, "epochs": arguments.epochs, "held_out": listed,
        **({"beside": beside} if beside else {}), "settings": settings.to_json(), "frame": vars(settings.frame),
        "versions": {name: version(name) for name in ("torch", "numpy")}})
    if arguments.data == "digits" and settings.ticks == presets.DIGITS.ticks:
        from ionspike.train.digit_images import ENCODER
        network.metadata["encoder"] = ENCODER
    shape = shape_for(network)
    exact = []
    if floating is not None:
        raster, labels = events.views(validation, settings.frame), events.labels[validation]
        # Labels are the classes' names, in their order.
        exact = [float(np.mean(read(network, raster, seed, shape) == labels)) for seed in _SEEDS]
        network.metadata["accuracy"] = {"validation": {
            "items": len(validation), "float": round(floating, 6), "lfsr_seeds": list(_SEEDS),
            "bit_exact": [round(a, 6) for a in exact],
            **({} if teacher is None else {"teacher": round(teacher, 6)})}}
    network.save(output)
    if keep.exists():
        os.remove(keep)
    facts = {
        "output": str(output), "data": events.name, "data_digest": events.digest,
        "items": {"training": len(chosen), "validation": len(validation)}, "beside": beside, "late_events": late,
        "held_out": listed, "classes": len(events.classes), "inputs": network.inputs,
        "neurons": network.neurons, "synapses": network.synapses, "settings": settings.to_json(),
        "core": {"neurons": shape.neurons, "inputs": shape.inputs,
                 "weights": shape.words * shape.lanes},
        "seed": arguments.seed, "epochs": arguments.epochs, "losses": losses, "on": where,
        "native": where == "cpu" and native.available(), "train_s": train_s,
        "chance": 1 / len(events.classes), "teacher": teacher, "float": floating, "bit_exact": exact,
        "lfsr_seeds": list(_SEEDS)}
    emit(facts, table([
        ("data", f"{events.name}: {len(chosen):,} items to train on, "
         + (f"{beside:,} of them from {', '.join(arguments.also)}, " if beside else "") + f"{len(validation):,} held out"
         + (f" (groups {', '.join(map(str, held_out))})" if held_out else "")),
        ("network", f"{network.inputs} inputs, {network.neurons} memristor neurons, "
                    f"{network.synapses:,} synapses"),
        *([("without", settings.missing)] if settings.missing else []),
        ("trained", f"{arguments.epochs} epochs on {where} in {train_s:.0f} s, seed "
                    f"{arguments.seed}, loss {losses[0]:.3f} to {losses[-1]:.3f}"),
        *([] if teacher is None else [("teacher", f"{teacher:.2%} of what was held out, {settings.teacher} epochs; "
                                       f"thrown away")]),
        *([("measured", "nothing: all items were learnt from")] if floating is None else [
            ("float model", f"{floating:.2%} of what was held out; chance is {1 / len(events.classes):.1%}"),
            ("bit-exact", ", ".join(f"{a:.2%}" for a in exact)
             + f" (seeds {', '.join(map(str, _SEEDS))}), mean {np.mean(exact):.2%}")]),
        ("core", f"{shape.neurons} neurons, {shape.inputs} inputs, "
                 f"{shape.words * shape.lanes:,} weights of 8 bits or twice as many of 4"),
        ("written to", output)]), arguments.json)
    return 0
