"""Trains networks, measures them bit-exactly, and writes docs/accuracy.md.

Run: ``IONSPIKE_DATA=folder python benchmarks/accuracy.py digits braille speech [--seeds 3]
[--epochs N] [--variants plain,plasticity,...]``.

A variant is ``plain``, ``mismatch`` (trained under it), or one of the six properties that is left out;
of spoken digits also ``eight`` (two layers of 176, weights of 8 bits), which ``mismatch`` and the
properties are of, ``larger_eight`` (two of 256) and ``larger`` (two of 320, of 4 bits). Each training is an `ionspike train` of its own,
and what it found is kept in docs/accuracy/results.json; a training of the same arguments is not
repeated (``--again`` does). ``--trained NET.ion ...`` takes what such a training has written instead
of repeating it. ``--render`` only writes the page.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np

from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network
from ionspike.train import settings as presets
from ionspike.train import sources
from ionspike.train.cost import cost
from ionspike.train.evaluate import read, shape_for
from ionspike.train.properties import PROPERTIES
from ionspike.train.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
PAGE, RESULTS = DOCS / "accuracy.md", DOCS / "accuracy" / "results.json"
BEGIN, END = "<!-- results -->\n", "<!-- end -->"
OF_SPEECH = ("larger", "eight", "larger_eight")
VARIANTS = ("plain", *OF_SPEECH, "mismatch", *PROPERTIES)
_IONSPIKE = "from ionspike.host.cli import main; raise SystemExit(main())"
#: Standard deviation of growth and Rc, relative.
SPREAD = 0.2
CHIPS, COST_ITEMS = 3, 16
TITLES = {"digits": "Handwritten digits", "braille": "Braille letters by touch",
          "speech": "Spoken digits, SHD-like"}
PRESETS = {"digits": presets.DIGITS, "braille": presets.BRAILLE, "speech": presets.SPEECH}


def words(data, variant):
    """What `ionspike train` has to be told by --set."""
    eight = ["hidden=176,176", "bits=8", "scale=8192", "views=0,-15,15", "paces="] if data == "speech" else []
    return {"plain": [], "larger": ["hidden=320,320"], "eight": eight, "larger_eight": [*eight, "hidden=256,256"],
            "mismatch": [*eight, f"spread_growth={SPREAD}", f"spread_rc={SPREAD}"]}.get(
                variant, [*eight, f"missing={variant}"])


def drawn(network, seed):
    """The network on devices that differ."""
    chip = Mismatch.draw(network.neurons, seed=seed, growth=SPREAD, rc=SPREAD, gap=0.0)
    own = network.mismatch or Mismatch.none(network.neurons)
    return replace(network, mismatch=Mismatch(own.growth * chip.growth, own.gap, own.rc * chip.rc))


def measure(data, variant, seed, epochs):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.ion"
        command = [sys.executable, "-c", _IONSPIKE, "train", data, "--epochs", str(epochs), "--seed",
                   str(seed), "--output", str(path)]
        for word in words(data, variant):
            command += ["--set", word]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return of(Network.load(path))


def of(network):
    """What a network that was trained has found, and what it costs."""
    said = network.metadata
    if said["held_out"] is None:
        raise SystemExit(f"{said['title']}: learnt from all items, so none can measure it")
    settings, accuracy = Settings(**said["settings"]), said["accuracy"]["validation"]
    for data, variant in product(PRESETS, VARIANTS):
        if settings == PRESETS[data].changed(words(data, variant)) and (
                events := sources.load(data)[0]).digest == said["data"]:
            break
    else:
        raise SystemExit(f"{said.get('title')}: not trained with the settings of a variant")
    chosen, validation = events.split(tuple(said["held_out"]))
    labels, raster = events.labels[validation], events.views(validation, settings.frame)
    shape = shape_for(network)
    lfsr, found = accuracy["lfsr_seeds"][0], {"float": accuracy["float"], "exact": accuracy["bit_exact"]}
    if len(raster) > 1:
        found["single"] = [float(np.mean(read(network, raster[0], lfsr_seed, shape) == labels))
                           for lfsr_seed in accuracy["lfsr_seeds"]]
    if variant not in PROPERTIES:
        found["chips"] = [float(np.mean(read(drawn(network, chip), raster, lfsr, shape) == labels))
                          for chip in range(CHIPS)]
    return {"data": data, "variant": variant, "seed": said["seed"], "epochs": said["epochs"], **found,
            "cost": vars(cost(network, raster[:, :COST_ITEMS], lfsr)), "data_digest": events.digest,
            "items": {"training": len(chosen), "validation": len(validation)},
            "held_out": said["held_out"], "classes": len(events.classes), "inputs": network.inputs,
            "neurons": network.neurons, "synapses": network.synapses,
            "votes": 0 if network.votes is None else int(np.count_nonzero(network.votes)), "settings": said["settings"],
            "versions": {"ionspike": version("ionspike"), **said["versions"]}}


def render(results):
    blocks = []
    for data in TITLES:
        of = [r for r in results if r["data"] == data]
        if not of:
            continue
        first = of[0]
        held = f"groups {', '.join(map(str, first['held_out']))}" if first["held_out"] else \
            "a fifth of each class"
        blocks.append(
            f"## {TITLES[data]}\n\n{first['items']['training']:,} items to train on, "
            f"{first['items']['validation']:,} held out ({held}), {first['classes']} classes.\n\n"
            "| neurons | seeds, epochs | size | float | bit-exact | on mismatched devices | SOPs | "
            "chip, estimated |\n|---|---|---|---|---|---|---|---|")
        for variant in VARIANTS:
            if rows := [r for r in of if r["variant"] == variant]:
                blocks[-1] += "\n" + _row(variant, rows)
    return "\n\n".join(blocks)


def _row(variant, rows):
    eight = rows[0]["data"] == "speech"
    name = {"plain": "as they are", "larger": "more of them", "eight": "weights of 8 bits",
            "larger_eight": "weights of 8 bits, more neurons",
            "mismatch": ("8 bits, " if eight else "") + f"trained under {SPREAD:.0%} mismatch"}.get(
        variant, ("8 bits, " if eight else "") + f"without {variant}")
    exact = [np.mean(r["exact"]) for r in rows]
    chips = [np.mean(r["chips"]) for r in rows if "chips" in r]
    sops, joule = (np.mean([r["cost"][key] for r in rows]) for key in ("sops", "chip_J"))
    r = rows[0]
    votes = f", {r['votes']:,} votes" if r.get("votes") else ""
    single = [np.mean(r["single"]) for r in rows if "single" in r]
    one_view = f"; one view: {_share(single)}" if single else ""
    return (f"| {name} | {', '.join(str(r['seed']) for r in rows)}; {r['epochs']} | {r['inputs']} inputs, "
            f"{r['neurons']} neurons, {r['synapses']:,} weights{votes} | {_share([r['float'] for r in rows])} | "
            f"{_share(exact)}{one_view} | {_share(chips) if chips else '-'} | {sops:,.0f} | {joule * 1e9:.3g} nJ |")


def _share(values):
    """Mean and standard deviation of seeds."""
    text = f"{np.mean(values):.1%}"
    return f"{text} ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else text


def written(page, results):
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n{render(results)}\n\n{END}{rest.partition(END)[2]}"


def kept(results, found):
    """Results with one more, instead of an older one of its kind."""
    kind = ("data", "variant", "seed")
    results = [r for r in results if any(r[k] != found[k] for k in kind)] + [found]
    results.sort(key=lambda r: (list(TITLES).index(r["data"]), VARIANTS.index(r["variant"]), r["seed"]))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{found['data']}, {found['variant']}, seed {found['seed']}: float {found['float']:.1%}, "
          f"bit-exact {np.mean(found['exact']):.1%}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", choices=[[], *TITLES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--trained", nargs="+", metavar="NET.ion", default=[])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--render", action="store_true")
    options = parser.parse_args()
    if wrong := set(options.variants.split(",")) - set(VARIANTS):
        parser.error(f"no variant {sorted(wrong)[0]!r}; there are {', '.join(VARIANTS)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for path in [] if options.render else options.trained:
        results = kept(results, of(Network.load(path)))
    for data, variant, seed in product([] if options.render else options.data,
                                       options.variants.split(","), range(options.seeds)):
        wanted = {"data": data, "variant": variant, "seed": seed, "epochs": options.epochs}
        known = any(all(r[k] == wanted[k] for k in wanted) for r in results)
        if (variant in OF_SPEECH and data != "speech") or (known and not options.again):
            continue
        results = kept(results, measure(**wanted))
    PAGE.write_text(written(PAGE.read_text(), results))


if __name__ == "__main__":
    main()
