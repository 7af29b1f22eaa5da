"""Waveforms of the virtual board, read back by a reader that is not the writer's."""

import gzip
import json
import re
import struct
import zlib

import numpy as np
import pytest
from conftest import require_compiler
from nets import SHAPE, network, spikes

from ionspike.host import backends, console
from ionspike.host.board import Board
from ionspike.host.cli import main
from ionspike.host.errors import BoardError, InputError
from ionspike.sim import fst, vcd, waves
from ionspike.sim.tracks import Track
from ionspike.spec import formats as fmt

TICKS = 60
SEED = 5


# ------------------------------------------------------------------------------------- readers --

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, size=8):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def name(self):
        end = self.data.index(0, self.at)
        text = self.take(end - self.at).decode()
        self.at += 1
        return text


def read_fst(path):
    """Times and values per full name, and the header's first and last time."""
    file, blocks = Bytes(path.read_bytes()), {}
    while file:
        kind = file.number(1)
        blocks.setdefault(kind, []).append(file.take(file.number() - 8))
    (header,), (geometry,), (names,) = blocks[0], blocks[3], blocks[4]
    first, last = struct.unpack(">QQ", header[:16])
    assert struct.unpack("=d", header[16:24])[0] == pytest.approx(2.718281828459045)
    _, scopes, count, handles, changes = struct.unpack(">QQQQQ", header[24:64])
    assert header[64] == 256 - 9 and count == handles and changes == len(blocks.get(8, []))
    names, found, scope, seen = Bytes(gzip.decompress(names[8:])), [], [], 0
    while names:
        if (kind := names.number(1)) == 254:
            assert names.number(1) == 0
            scope.append(names.name())
            assert names.name() == ""
            seen += 1
        elif kind == 255:
            scope.pop()
        else:
            assert names.number(1) == 0
            name, length, alias = names.name(), names.varint(), names.varint()
            assert alias == 0
            found.append((".".join([*scope, name]), kind, length))
    assert scopes == seen and len(found) == count and not scope
    size, handles = struct.unpack(">QQ", geometry[:16])
    lengths = Bytes(geometry[16:] if len(geometry) == 16 + size else zlib.decompress(geometry[16:]))
    for _, kind, length in found:
        assert lengths.varint() == {3: 0, 16: length, 21: 0xFFFFFFFF}[kind]
    values = {name: [] for name, *_ in found}
    for block in blocks.get(8, []):
        _changes(block, found, values)
    return values, first, last


def _changes(block, found, values):
    tail, body = struct.unpack(">QQQ", block[-24:]), block[:-24]
    times = Bytes(body[-tail[1]:] if tail[0] == tail[1] else zlib.decompress(body[-tail[1]:]))
    instants = np.cumsum([times.varint() for _ in range(tail[2])])
    body = body[:-tail[1]]
    size = struct.unpack(">Q", body[-8:])[0]
    offsets, body = Bytes(body[-8 - size:-8]), Bytes(body[:-8 - size])
    assert (body.number(), body.number()) == (instants[0], instants[-1])
    unpacked = body.number()
    frame, packed, count = body.varint(), body.varint(), body.varint()
    assert count == len(found)
    state = body.take(packed)
    state = state if packed == frame else zlib.decompress(state)
    assert len(state) == sum({3: 8, 16: length, 21: 0}[kind] for _, kind, length in found)
    assert body.varint() == count
    chains = body.data[body.at:]
    assert chains[:1] == b"Z"
    starts, position = {}, 0
    number = 0
    while offsets:
        value = offsets.varint()
        if value & 1:
            position += value >> 1
            starts[number] = position
            number += 1
        else:
            number += value >> 1
    assert number == count
    for number, (start, end) in zip(starts, zip(starts.values(), [*starts.values()][1:] + [None],
                                                strict=True), strict=True):
        chain = Bytes(chains[start:end])
        if length := chain.varint():
            chain = Bytes(zlib.decompress(chain.data[chain.at:]))
            assert len(chain.data) == length
        unpacked -= len(chain.data) - chain.at
        name, kind, length = found[number]
        at = 0
        while chain:
            head = chain.varint()
            if kind == 16 and length == 1:
                at, value = at + (head >> 2), head >> 1 & 1
                assert not head & 1
            elif kind == 16:
                size = -(-length // 8)
                at, value = at + (head >> 1), chain.number(size) >> 8 * size - length
            elif kind == 3:
                at, value = at + (head >> 1), struct.unpack("=d", chain.take(8))[0]
            else:
                at, value = at + (head >> 1), chain.take(chain.varint()).decode()
            values[name].append((int(instants[at]), value))
    assert unpacked == 0


def read_vcd(path):
    keys, values, scope, now = {}, {}, [], None
    for line in path.read_text().splitlines():
        match line.split():
            case ["$scope", "module", name, "$end"]:
                scope.append(name)
            case ["$upscope", "$end"]:
                scope.pop()
            case ["$var", kind, width, key, name, "$end"]:
                keys[key] = ".".join([*scope, name])
                values[keys[key]] = []
                assert kind in ("wire", "real", "string") and int(width) > 0
            case [word, *key] if word[0] in "rsb#01":
                if word[0] == "#":
                    assert now is None or int(word[1:]) > now
                    now = int(word[1:])
                    continue
                key, = key or [word[1:]]
                value = {"r": float, "s": str, "b": lambda text: int(text, 2)}.get(word[0], int)(
                    word[1:] if word[0] in "rsb" else word[0])
                values[keys[key]].append((now, value))
    return values


def as_numbers(pairs):
    return np.array(pairs, float).reshape(-1, 2).T


# ------------------------------------------------------------------------------------- formats --

TRACKS = [Track("a", "bit", "bits"), Track("a", "byte", "bits", 8), Track("a", "odd", "bits", 13),
          Track("b[1]", "wide", "bits", 64), Track("b[1]", "still", "bits", 3),
          Track("b[1]", "x", "real"), Track("c", "phase", "text", names=("Idle", "Go", "MuchLonger")),
          Track("c", "late", "bits", 2)]


def random_blocks(rng, count):
    now = 0
    for number in range(count):
        block = []
        size = int(rng.integers(1, 400))
        instants = now + np.cumsum(rng.integers(1, 1 << int(rng.integers(1, 40)), size))
        now = int(instants[-1])
        for track in TRACKS:
            times = np.sort(rng.choice(instants, int(rng.integers(0, size + 1)), replace=False))
            if track.name == "still" or track.name == "late" and number < count - 1:
                times = times[:0]
            match track.kind:
                case "bits":
                    values = rng.integers(0, 1 << track.width, len(times), np.uint64)
                case "real":
                    values = rng.normal(size=len(times))
                case "text":
                    values = rng.integers(0, len(track.names), len(times))
            block.append((times, values))
        yield block


@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_is_written_is_read(tmp_path, count):
    blocks = list(random_blocks(np.random.default_rng(count), count))
    expected = {f"{track.scope}.{track.name}": [
        (t, track.names[v] if track.kind == "text" else v)
        for block in blocks for t, v in zip(*(part.tolist() for part in block[number]), strict=True)]
        for number, track in enumerate(TRACKS)}
    for name, write in waves.FORMATS.items():
        with open(tmp_path / f"a{name}", "wb") as file:
            write(file, TRACKS, iter(blocks), version="test")
    assert write in (fst.write, vcd.write)
    values, first, last = read_fst(tmp_path / "a.fst")
    assert values == expected == read_vcd(tmp_path / "a.vcd")
    times = [t for pairs in expected.values() for t, _ in pairs]
    assert (first, last) == (min(times, default=0), max(times, default=0))
    assert bool(count) == bool(expected["b[1].wide"]) and not expected["b[1].still"]


def test_more_changes_than_a_block_holds(tmp_path, board, monkeypatch):
    monkeypatch.setattr(waves, "_BLOCK_CHANGES", 500)
    result = record(board, tmp_path / "a.fst", neurons=range(20))
    values, *_ = read_fst(tmp_path / "a.fst")
    check_spikes(values, result, range(20))
    assert [v for _, v in values["core.tick"]][-TICKS - 1:] == list(range(TICKS + 1))


# --------------------------------------------------------------------------------------- board --

@pytest.fixture(scope="module")
def board():
    require_compiler()
    with Board.open(backend="virtual", shape=SHAPE) as board:
        board.load(network())
        yield board


def record(board, path, **options):
    with board.waves(path, **options) as facts:
        result = board.run(spikes(TICKS), seed=SEED, digests=True, probes=range(20))
    assert facts["complete"] and facts["bytes"] == path.stat().st_size
    return result


def check_spikes(values, result, neurons):
    ticks, which = result.spikes.events()
    for neuron in neurons:
        begun = [t for t, v in values[f"neuron[{neuron}].spike"] if v]
        starts = [t for t, v in values["core.phase"] if v == "Update"][-TICKS:]
        assert (np.searchsorted(starts, begun) - 1).tolist() == ticks[which == neuron].tolist()
    assert len(ticks) > TICKS // 2 and np.isin(neurons, which).any()


@pytest.mark.parametrize("suffix", [".fst", ".vcd"])
def test_waves_are_what_ran_and_change_nothing(board, tmp_path, suffix):
    plain = board.run(spikes(TICKS), seed=SEED, digests=True, probes=range(20))
    result = record(board, tmp_path / f"a{suffix}", neurons=[0, 3, 19])
    for name in ("digests", "lfsr_words", "final_state"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(result, name))
    assert plain.lfsr == result.lfsr and (plain.spikes.raster == result.spikes.raster).all()
    assert {path.name for path in tmp_path.iterdir()} == {f"a{suffix}", "a.gtkw"}

    path = tmp_path / f"a{suffix}"
    values = read_fst(path)[0] if suffix == ".fst" else read_vcd(path)
    assert {name.split(".")[0] for name in values} == {
        "core", "pins", "link", "counters", "neuron[0]", "neuron[3]", "neuron[19]"}
    check_spikes(values, result, [0, 3, 19])
    # The state at the end of each tick is what the probes said.
    ends = np.array([t for t, v in values["core.tick"] if v > 0][-TICKS:])
    for neuron in (0, 3, 19):
        f, r_high_on, g_r_low = result.probes.words[:, neuron].astype(int).T
        r = (r_high_on & 0x7FFF) << fmt.R_LOW_BITS | g_r_low >> fmt.G_BITS
        for name, expected, frac in (("f", f, fmt.F_FRAC), ("r", r, fmt.R_FRAC),
                                     ("g", g_r_low & 0xFFF, fmt.G_FRAC), ("on", r_high_on >> 15, 0)):
            times, seen = as_numbers(values[f"neuron[{neuron}].{name}"])
            at = np.searchsorted(times, ends, "right") - 1
            np.testing.assert_array_equal(seen[at] * 2.0 ** frac, expected, name)
    times, digests = as_numbers(values["core.digest"])
    at = np.searchsorted(times, [*ends[1:], np.inf], "left") - 1
    assert digests[at].astype(int).tolist() == result.digests.tolist()
    assert values["core.lfsr"][-1][1] == result.lfsr
    assert values["counters.words"][-1][1] == result.counters["words"]


def test_time_is_the_boards_clock(board, tmp_path):
    before = board.simulated.cycles
    record(board, tmp_path / "a.fst", neurons=[0])
    clocks = board.simulated.cycles - before
    values, first, last = read_fst(tmp_path / "a.fst")
    period_ns = 1e9 / board.hello.clock_hz
    assert first == 0 and last <= clocks * period_ns
    times = np.array([t for t, _ in values["core.phase"]])
    assert np.abs(times - np.rint(times / period_ns) * period_ns).max() <= 0.51
    widths = np.diff(as_numbers(values["pins.uart_rx"])[0])
    assert round(widths.min() / period_ns) == board.simulated.divisor


def test_a_range_of_ticks(board, tmp_path):
    record(board, tmp_path / "a.fst", neurons=[0], ticks=(10, 20))
    values, *_ = read_fst(tmp_path / "a.fst")
    assert [v for _, v in values["core.tick"]] == list(range(10, 20))


def test_too_many_changes_end_the_waves(board, tmp_path, monkeypatch):
    monkeypatch.setattr(waves.Recording.__init__, "__kwdefaults__",
                        {"ticks": (0, 1 << 32), "most": 2000})
    with board.waves(tmp_path / "a.fst") as facts:
        board.run(spikes(TICKS), seed=SEED)
    assert not facts["complete"] and facts["changes"] == 2000
    values, *_ = read_fst(tmp_path / "a.fst")
    assert 1000 < sum(map(len, values.values())) <= 5 * 2000


def test_save_file_names_what_is_there(board, tmp_path):
    record(board, tmp_path / "a.fst", neurons=[0, 3, 4, 7, 19])
    text = (tmp_path / "a.gtkw").read_text()
    assert '[dumpfile] "a.fst"\n' in text and str(tmp_path) not in text
    values, *_ = read_fst(tmp_path / "a.fst")
    shown = [line for line in text.splitlines() if "." in line and line[0] not in "[*"]
    assert {re.sub(r"\[\d+:0\]$", "", line) for line in shown} == set(values)
    assert text.count("@88420\n") == 3 * 5 and text.count("@800200\n") == text.count("@1000200\n") == 5
    (tmp_path / "a.gtkw").write_text("[*] GTKWave Analyzer\nmine\n")
    record(board, tmp_path / "a.fst", neurons=[0])
    assert (tmp_path / "a.gtkw").read_text().endswith("\nmine\n")


def test_a_board_that_fails_leaves_its_waves_and_nothing_else_does(board, tmp_path):
    (tmp_path / "a.fst").write_text("old")
    for error in (KeyboardInterrupt, InputError):
        with pytest.raises(error), board.waves(tmp_path / "a.fst"):
            raise error
        assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    with pytest.raises(BoardError), board.waves(tmp_path / "a.fst"):
        board.run(spikes(5), seed=1)
        raise BoardError
    assert read_fst(tmp_path / "a.fst")[0]["core.tick"][-1][1] == 5


# -------------------------------------------------------------------------------- command line --

@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backends, "DEFAULT_SHAPE", SHAPE)
    network().save("net.ion")
    np.save("in.npy", spikes(TICKS).raster)
    return tmp_path


RUN = ("run", "net.ion", "--input", "in.npy", "--seed", str(SEED))


def test_run_with_waves(files, capsys):
    require_compiler()
    said = []
    for more in (("golden",), ("virtual", "--probe", "7,12", "--waves", "a.fst", "--waves-ticks", ":30")):
        assert main([*RUN, "--json", "--backend", *more]) == 0
        said.append(json.loads(capsys.readouterr().out))
    for name in ("lfsr", "spikes", "output_counts"):
        assert said[0][name] == said[1][name]
    assert said[0]["waves"] is None and said[1]["waves"]["path"] == "a.fst"
    values, *_ = read_fst(files / "a.fst")
    assert [name for name in values if name.endswith("].f")] == ["neuron[7].f", "neuron[12].f"]
    assert max(v for _, v in values["core.tick"]) == 29


@pytest.mark.parametrize(("arguments", "message"), [
    (("--waves", "a.txt"), "a.txt: waves are written as .fst or .vcd"),
    (("--waves", "none/a.fst"), "none/a.fst: there is no folder none"),
    (("--waves", "a.fst"), "waves are recorded on the virtual board only, not on golden model; "
                           "use --backend virtual"),
    (("--waves", "a.fst", "--waves-neurons", "1,x"), "--waves-neurons takes numbers of neurons"),
    (("--waves-ticks", "0:9"), "--waves-neurons and --waves-ticks choose what --waves FILE.fst "),
    (("--waves-neurons", "3"), "--waves-neurons and --waves-ticks choose what --waves FILE.fst "),
    (("--waves", "a.fst", "--waves-ticks", "7"), "--waves-ticks takes FROM:TO, either of which may "
                                                 "be missing, not '7'"),
])
def test_bad_waves_are_one_line(files, capsys, arguments, message):
    assert main([*RUN, "--backend", "golden", *arguments]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if "warning" not in line]
    assert out == "" and len(lines) == 1 and message in lines[0]
    assert {path.name for path in files.iterdir()} == {"net.ion", "in.npy"}


@pytest.mark.parametrize(("options", "message"), [
    ({"neurons": [20]}, "neuron 20 of the waves is out of range: the network has 20 neurons"),
    ({"ticks": (5, 5)}, "waves from tick 5 to 5: the first must come before the last"),
])
def test_what_does_not_exist_is_named(board, tmp_path, options, message):
    with pytest.raises(InputError, match=message), board.waves(tmp_path / "a.fst", **options):
        pass


def test_ctrl_c_leaves_nothing(files, capsys, monkeypatch):
    require_compiler()

    def interrupt(bar, done, total):
        if done > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(console.Bar, "__call__", interrupt)
    assert main([*RUN, "--backend", "virtual", "--waves", "a.fst"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "ionspike: interrupted"
    assert {path.name for path in files.iterdir()} == {"net.ion", "in.npy"}
