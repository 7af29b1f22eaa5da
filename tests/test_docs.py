"""What the documents say, held against what is there."""

import json
import re
import runpy
import statistics
import tomllib
from pathlib import Path

import pytest
from test_imports import FOLDERS

import ionspike
from ionspike.host import cli
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.coefficients import coefficients
from ionspike.spec.device import Device
from ionspike.spec.shape import DEFAULT_SHAPE

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README, MODEL = (path.read_text() for path in (ROOT / "README.md", ROOT / "docs" / "model.md"))


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def rows(text, *header):
    """Cells of the tables whose header begins so, backquotes taken off."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("|") and cells[:len(header)] == list(header):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not set(line) <= set("|-"):
            found.append([cell.replace("`", "") for cell in cells])
    assert found, f"no table {header}"
    return found


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = without_code(path.read_text())
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        link = "".join(link)
        file, _, anchor = link.partition("#")
        if "://" in file:
            continue
        target = path.parent / file if file else path
        if not target.exists() or anchor and anchor not in anchors(target):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_name_what_exists(path):
    text = path.read_text()
    scripts = re.findall(r"python ((?:examples|benchmarks|tests)/\w+\.py)", text)
    assert [name for name in scripts if not (ROOT / name).is_file()] == []
    modules = [name.replace(".", "/") for name in re.findall(r"python -m ionspike\.([\w.]+)", text)]
    assert [name for name in modules if not (ROOT / f"{name}.py").is_file()] == []
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE)) <= set(targets)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(re.findall(r"\[(\w+)\]'", text)) <= set(project["optional-dependencies"])
    assert set(re.findall(r"`ionspike ([a-z]+)", text)) <= set(verbs())


def test_examples_and_benchmarks_are_all_in_a_document():
    text = "".join(path.read_text() for path in DOCUMENTS)
    scripts = [f"{folder}/{path.name}" for folder in ("examples", "benchmarks")
               for path in sorted((ROOT / folder).glob("*.py"))]
    assert [name for name in scripts if f"python {name}" not in text] == []


# ------------------------------------------------------------------------------------- README --

def test_python_of_the_readme_runs(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1 and "Board.open()" in blocks[0]
    names = {}
    exec(blocks[0].replace("Board.open()", 'Board.open(backend="golden")'), names)
    result = names["result"]
    assert 0 < result.spikes.count < result.spikes.raster.size and not result.losses
    assert capsys.readouterr().out.startswith(f"golden False {result.spikes.count} ")


def helped(capsys, *arguments):
    with pytest.raises(SystemExit, match="0"):
        cli.main([*arguments, "--help"])
    return capsys.readouterr().out


def verbs():
    return {path.stem.removeprefix("verb_") for path in (ROOT / "host").glob("verb_*.py")}


def test_table_of_verbs_is_complete_and_their_options_exist(capsys):
    told = {}
    for command, _ in rows(README, "verb"):
        _, verb, *rest = command.split()
        told[verb] = [word for word in rest if word.startswith("--")]
    assert set(told) == verbs()
    offered = helped(capsys)
    for verb, options in told.items():
        assert re.search(rf"^ +{verb}\s", offered, re.MULTILINE)
        text = helped(capsys, verb)
        more = ["--port", "--backend", "--timeout"] if verb not in (
            "list", "doctor", "device", "build", "flash", "replay", "import", "train", "encode",
            "fetch") else []
        more += ["--seed"] if verb in ("demo", "run", "verify", "characterize", "train",
                                       "encode") else []
        assert [name for name in ("--json", *options, *more) if name not in text] == []


def test_exit_codes_are_those_of_the_command():
    assert [int(code) for code, _ in rows(README, "exit code")] == [
        cli.OK, cli.DIFFERS, cli.USAGE, cli.NO_BOARD, cli.LOST, cli.TOO_SLOW,
        cli.INTERRUPTED]


def test_map_says_who_may_import_what():
    told = {name.split("/")[0].strip("["): set(re.findall(r"\b(?:spec|hdl|host|sim|boards|train)\b", may))
            for name, _, may in rows(README, "folder")}
    assert {name: told[name] for name in FOLDERS} == {
        name: allowed - {name} for name, allowed in FOLDERS.items()}


def test_demo_output_is_pasted_and_from_the_network_that_is_there():
    from ionspike.host.demo import load_network
    block = re.search(r"^```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1)
    network = load_network()
    assert (f"{network.inputs} inputs, {network.neurons} memristor neurons, "
            f"{network.synapses:,} synapses") in block
    assert "virtual board, not hardware" in block and "equal: every spike" in block
    exact = network.metadata["accuracy"]["test"]["bit_exact"]
    shown = float(re.search(r"^accuracy +([\d.]+) %", block, re.MULTILINE).group(1))
    assert 100 * min(exact) - 2 < shown < 100 * max(exact) + 2


def test_accuracies_are_those_of_the_network():
    from ionspike.host.demo import load_network
    noted = load_network().metadata["accuracy"]
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    for part, images, *percent in rows(text, "part"):
        exact = noted[part]["bit_exact"]
        values = (noted[part]["float"], statistics.median(exact), min(exact), max(exact))
        assert (int(images), percent) == (
            noted[part]["images"], [f"{value:.2%}".replace("%", " %") for value in values]), part


def test_changelog_has_this_version():
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[:2] == ["Unreleased", ionspike.__version__]


def test_numbers_of_the_readme():
    shape = DEFAULT_SHAPE
    assert (f"{shape.neurons} neurons, {shape.inputs} inputs and {shape.words * shape.lanes:,} "
            f"{fmt.WEIGHT_BITS}-bit synapses") in " ".join(README.split())


def test_blocks_of_recordings_are_those_of_the_code():
    from ionspike.host import blocks
    from ionspike.host.recorder import Kind
    text = (ROOT / "docs" / "recordings.md").read_text()
    assert [(int(n), name) for n, name, _ in rows(text, "kind", "block")] == [
        (int(kind), kind.name) for kind in Kind]
    assert f"`{blocks.MAGIC.hex(' ')}`" in text and blocks.MOST_BYTES == 1 << 26
    assert f"version of the format, {blocks.VERSION}" in text


def test_table_of_boards_is_that_of_the_code():
    from ionspike.boards.table import BOARDS
    text = (ROOT / "docs" / "boards.md").read_text()
    told = {name: rest for name, _, *rest in rows(text, "board", "chip")}
    assert told == {name: [
        f"{facts.clock_Hz / 1e6:g} MHz",
        f"{facts.shape.neurons}, {facts.shape.inputs}, {facts.shape.lanes}, "
        f"{facts.shape.words * facts.shape.lanes:,}",
        ", ".join(tool for tool, *_ in facts.flash), facts.usb] for name, facts in BOARDS.items()}
    lines = " ".join(name for name, _ in rows(text, "board", "line"))
    assert [name for name in BOARDS if name not in lines] == []


def test_table_of_resources_is_of_what_was_measured():
    resources = runpy.run_path(str(ROOT / "benchmarks" / "resources.py"))
    page = (ROOT / "docs" / "resources.md").read_text()
    assert resources["render"](json.loads(resources["FOUND"].read_text())) in page


# -------------------------------------------------------------------------------------- model --

def test_formats_are_those_of_the_code():
    told = rows(MODEL, "name", "what", "bits")
    weights = {"KF": fmt.KF_BITS, "KR": fmt.KR_BITS, "KB": fmt.KB_BITS, "KG": fmt.KG_BITS,
               "THETA": fmt.F_FRAC - fmt.THETA_SHIFT, "WEIGHT": 0, "ACC": 0,
               "SCALE": fmt.SCALE_SHIFT + fmt.G_FRAC, "R_NOISE": fmt.R_FRAC - fmt.R_NOISE_SHIFT}
    entries = {"H": fmt.H_ENTRIES, "NOISE": fmt.NOISE_ENTRIES}
    expected = {name.removesuffix("_BITS"): getattr(fmt, name) for name in fmt.__all__
                if name.endswith("_BITS") and name not in ("R_HIGH_BITS", "R_LOW_BITS")}
    assert {name: int(bits) for name, _, bits, *_ in told} == expected
    for name, _, _, lowest, _, signed, count in told:
        weight = weights[name] if name in weights else getattr(fmt, f"{name}_FRAC")
        assert lowest == (f"2^-{weight}" if weight else "2^0"), name
        assert (signed == "yes") == (name in ("THETA", "WEIGHT", "ACC")), name
        assert (int(count) if count else None) == entries.get(name), name


def test_state_words_are_those_of_the_contract():
    widths = dict(wire.STATE)
    words = [what for _, what in rows(MODEL, "word")]
    assert words == [f"f ({widths['f']})",
                     f"upper {widths['r_high']} bits of r, on ({widths['on']})",
                     f"g ({widths['g']}), lower {widths['r_low']} bits of r"]


def test_descriptor_fields_are_those_of_the_default_core():
    assert [(name, int(bits)) for name, bits, _ in rows(MODEL, "field")] == list(
        DEFAULT_SHAPE.descriptor_fields)


def test_coefficients_are_those_of_the_preset():
    c = coefficients(Device.load("zhao2025_ms"), 5e-4)
    told = {name: int(value) for name, _, _, value in rows(MODEL, "integer") if value}
    assert told == {**c.registers, "kg": c.kg, "mu": c.mu, "theta": 0}
    assert [name for name, *_ in rows(MODEL, "coefficient")][:4] == ["a_f", "a_r", "b", "a_g"]
    for ticks_s in (10e-6, 10e-3):
        coefficients(Device.load("zhao2025_ms"), ticks_s)


def test_parameters_are_those_of_the_preset():
    device = Device.load("zhao2025_ms")
    prefixes = {"M": 1e6, "p": 1e-12}
    for _, _, value, name, _ in rows(MODEL, "symbol"):
        if hasattr(device, name):
            number, _, unit = value.partition(" ")
            scale = prefixes.get(unit[:1], 1)
            assert float(number) * scale == pytest.approx(getattr(device, name)), name
    for name, value, *_ in rows(MODEL, "parameter"):
        assert float(value) == getattr(device, name), name
    threshold_V = ((device.gamma1_per_s + device.beta_per_s) * (1 + device.alpha) ** 2
                   / (4 * device.mu_per_V_s))
    assert f"V_th(0) = {threshold_V:.3f} V" in MODEL
    assert f"V_th(0) is {device.threshold_V():.3f} V" in MODEL


def test_lfsr_is_that_of_the_code():
    told = {name: value for name, value in rows(MODEL, "property")}
    taps = " + ".join(f"x^{tap}" for tap in fmt.LFSR_TAPS)
    assert told["polynomial"].startswith(f"{taps} + 1, primitive ")
    assert told["recurrence"].startswith(
        "b[t] = " + " ^ ".join(f"b[t-{tap}]" for tap in fmt.LFSR_TAPS))
    assert f"leaps {fmt.LFSR_LEAP} bits" in told["a word"]


# ----------------------------------------------------------------------------------- fidelity --

def test_page_of_the_fidelity_is_of_this_device_and_of_its_results():
    from ionspike.fidelity import document
    from ionspike.fidelity.characterize import device_hash
    results = json.loads(document.RESULTS.read_text())
    stale = f"{document.COMMAND} makes it anew"
    assert results["device"]["hash"] == device_hash(Device.load("zhao2025_ms")), stale
    page = document.PAGE.read_text()
    assert document.render(page, results) == page, stale
    assert document.COMMAND in page and not results["missing"]
    assert set(results["board_against_golden"].values()) == {None}
    drawn = set(re.findall(r"\(fidelity/(\w+)\.png\)", page))
    assert drawn == {path.stem for path in document.FOLDER.glob("*.png")}
