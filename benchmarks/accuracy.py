"""Trains networks, measures them bit-exactly, and writes docs/accuracy.md.

Run: ``IONSPIKE_DATA=folder python benchmarks/accuracy.py digits braille speech [--seeds 3]
[--epochs N] [--variants plain,plasticity,...]``.

A variant is ``plain``, ``mismatch`` (trained under it), or one of the six properties that is left
out. Each training is an `ionspike train` of its own, and what it found is kept in
docs/accuracy/results.json; a training of the same arguments is not repeated (``--again`` does).
``--render`` only writes the page.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network
from ionspike.train import sources
from ionspike.train.cost import cost
from ionspike.train.evaluate import read, shape_for
from ionspike.train.events import Events
from ionspike.train.properties import PROPERTIES
from ionspike.train.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
PAGE, RESULTS = DOCS / "accuracy.md", DOCS / "accuracy" / "results.json"
BEGIN, END = "<!-- results -->\n", "<!-- end -->"
VARIANTS = ("plain", "mismatch", *PROPERTIES)
_IONSPIKE = "from ionspike.host.cli import main; raise SystemExit(main())"
#: Standard deviation of growth and Rc, relative.
SPREAD = 0.2
CHIPS, COST_ITEMS = 3, 16
TITLES = {"digits": "Handwritten digits", "braille": "Braille letters by touch",
          "speech": "Spoken digits, SHD-like"}


def words(variant):
    if variant == "mismatch":
        return ["--set", f"spread_growth={SPREAD}", "--set", f"spread_rc={SPREAD}"]
    return [] if variant == "plain" else ["--without", variant]


def drawn(network, seed):
    """The network on devices that differ."""
    chip = Mismatch.draw(network.neurons, seed=seed, growth=SPREAD, rc=SPREAD, gap=0.0)
    own = network.mismatch or Mismatch.none(network.neurons)
    return replace(network, mismatch=Mismatch(own.growth * chip.growth, own.gap, own.rc * chip.rc))


def measure(data, variant, seed, epochs):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.ion"
        command = [sys.executable, "-c", _IONSPIKE, "train", data, "--epochs", str(epochs), "--seed",
                   str(seed), "--output", str(path), "--json", *words(variant)]
        facts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        network = Network.load(path)
    events: Events = sources.load(data)[0]
    _, validation = events.split(tuple(facts["held_out"]))
    labels = events.labels[validation]
    raster = events.encode(validation, Settings(**facts["settings"]).frame)
    shape = shape_for(network)

    found, lfsr = {"float": facts["float"], "exact": facts["bit_exact"]}, facts["lfsr_seeds"][0]
    if variant in ("plain", "mismatch"):
        found["chips"] = [float(np.mean(read(drawn(network, chip), raster, lfsr, shape) == labels))
                          for chip in range(CHIPS)]
    spent = cost(network, raster[:COST_ITEMS], lfsr)
    return {"data": data, "variant": variant, "seed": seed, "epochs": epochs, **found,
            "cost": vars(spent), "train_s": facts["train_s"],
            **{name: facts[name] for name in ("data_digest", "items", "held_out", "classes", "inputs",
                                              "neurons", "synapses", "settings")},
            "versions": {name: version(name) for name in ("ionspike", "torch", "numpy")}}


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
    name = {"plain": "as they are", "mismatch": f"trained under {SPREAD:.0%} mismatch"}.get(
        variant, f"without {variant}")
    exact = [np.mean(r["exact"]) for r in rows]
    chips = [np.mean(r["chips"]) for r in rows if "chips" in r]
    sops, joule = (np.mean([r["cost"][key] for r in rows]) for key in ("sops", "chip_J"))
    r = rows[0]
    return (f"| {name} | {', '.join(str(r['seed']) for r in rows)}; {r['epochs']} | {r['inputs']} inputs, "
            f"{r['neurons']} neurons, {r['synapses']:,} weights | {_share([r['float'] for r in rows])} | "
            f"{_share(exact)} | {_share(chips) if chips else '-'} | {sops:,.0f} | {joule * 1e9:.3g} nJ |")


def _share(values):
    """Mean and standard deviation of seeds."""
    text = f"{np.mean(values):.1%}"
    return f"{text} ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else text


def written(page, results):
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n{render(results)}\n\n{END}{rest.partition(END)[2]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", choices=[[], *TITLES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--render", action="store_true")
    options = parser.parse_args()
    if wrong := set(options.variants.split(",")) - set(VARIANTS):
        parser.error(f"no variant {sorted(wrong)[0]!r}; there are {', '.join(VARIANTS)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for data in [] if options.render else options.data:
        for variant in options.variants.split(","):
            for seed in range(options.seeds):
                key = {"data": data, "variant": variant, "seed": seed, "epochs": options.epochs}
                same = [r for r in results if all(r[k] == key[k] for k in ("data", "variant", "seed"))]
                if same and same[0]["epochs"] == options.epochs and not options.again:
                    continue
                found = measure(**key)
                results = [r for r in results if r not in same] + [found]
                results.sort(key=lambda r: (list(TITLES).index(r["data"]),
                                            VARIANTS.index(r["variant"]), r["seed"]))
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
                print(f"{data}, {variant}, seed {seed}: float {found['float']:.1%}, bit-exact "
                      f"{np.mean(found['exact']):.1%}", flush=True)
    PAGE.write_text(written(PAGE.read_text(), results))


if __name__ == "__main__":
    main()
