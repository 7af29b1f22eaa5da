"""Feeds every parser that reads foreign bytes on the host with what is nearly right.

    python benchmarks/fuzz.py                                   # all parsers, 20,000 inputs each
    python benchmarks/fuzz.py --parser frames --inputs 1000000
    python benchmarks/fuzz.py --seed 7 --json

Seeds are what the real writers write. Mutants have bits flipped, ends cut off, parts spliced,
doubled or dropped, and numbers replaced by those at limits, at every layer: checksums, frames and
zip files around what was changed are made right again, so that inner parsers are reached.

An input fails if the parser raises anything but its documented errors, needs more than a second,
takes more than 256 MB, warns, or has a message of several lines. Exit code 1 then; each kind of
failure is said once, with the number of its input: `--only NUMBER` runs that one alone, `--keep DIR`
keeps its bytes. Inputs follow from parser, seed and number, but for times and dates that stand in
files of spikes and recordings. Ctrl-C or SIGTERM ends a run after the input that it is at, exit code
130; what became of those before is said.
"""

import argparse
import copy
import csv
import gc
import hashlib
import io
import json
import os
import random
import re
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import wave
import weakref
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ionspike.boards import flash
from ionspike.boards.errors import BuildError
from ionspike.boards.table import BOARDS
from ionspike.fidelity import measurements
from ionspike.host import (
    audio,
    blocks,
    device_facts,
    fetch,
    hdf5,
    ionfile,
    nir_file,
    nir_memristor,
)
from ionspike.host.ageing import Faults
from ionspike.host.board import Board
from ionspike.host.compiler import compile
from ionspike.host.decoder import Decoder
from ionspike.host.errors import BoardError, InputError, NoBoardError
from ionspike.host.framing import Deframer, FrameError, cobs_decode, cobs_encode, pack, parse_ack
from ionspike.host.framing import pack_ack as ack
from ionspike.host.gather import gather
from ionspike.host.hello import Hello
from ionspike.host.lif_cells import LifCells
from ionspike.host.lif_float import simulate
from ionspike.host.link import LinkError
from ionspike.host.mismatch import Mismatch
from ionspike.host.network import Network, Projection
from ionspike.host.nir_graph import Graph
from ionspike.host.recording import Recording
from ionspike.host.replay import replay
from ionspike.host.shd import SHD
from ionspike.host.spikes import Spikes
from ionspike.sim import compact_device
from ionspike.spec import wire
from ionspike.spec.device import Device, DeviceError, presets
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Kind, Nack, Report

SHAPE = CoreShape(neurons=48, inputs=24, lanes=8, words=256, delay_slots=4)
DT_S = 5e-4
SECONDS, BYTES = 1.0, 256 << 20
#: More than any input may need: what asks for it gets MemoryError instead of the machine.
ADDRESSES = 8 << 30

Mutate = Callable[[random.Random, bytes], bytes]


# ----------------------------------------------------------------------------------- mutations --

def mutated(rng: random.Random, data: bytes) -> bytes:
    """Bytes with one to four changes that know nothing of what they mean."""
    for _ in range(1 + rng.getrandbits(2)):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        end = min(end, at + rng.choice((1, 4, 64, 4096)))
        match rng.randrange(9):
            case 0 | 1 if data:     # a bit
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
            case 2 if data:         # a byte at a limit
                at = min(at, len(data) - 1)
                data = data[:at] + rng.choice((b"\0", b"\x01", b"\x7f", b"\x80", b"\xfe",
                                               b"\xff")) + data[at + 1:]
            case 3:                 # the end is missing
                data = data[:at]
            case 4:                 # a part is missing
                data = data[:at] + data[end:]
            case 5:                 # a part is there twice
                data = data[:end] + data[at:end] + data[end:]
            case 6:                 # noise
                data = data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[end:]
            case 7:                 # a length
                size = rng.choice((1, 2, 4, 8))
                value = rng.choice((0, 1, (1 << 8 * size) - 1, 1 << 8 * size - 1,
                                    (1 << 8 * size - 1) - 1, len(data)))
                data = data[:at] + (value % (1 << 8 * size)).to_bytes(size, "little") \
                    + data[at + size:]
            case _:                 # parts change places
                other = rng.randrange(len(data) + 1)
                data = data[:other] + data[at:end] + data[other:at] + data[end:] \
                    if other <= at else data
    return data


_ODD: list[Any] = [
    None, True, 0, 1, -1, 255, 1 << 31, 1 << 63, 10 ** 30, 10 ** 400, -0.0, 0.5, 1e-300, 1e300, "",
    "x", "\ud800", "a\nb", "1", [], [[]], [1, 2], {}, {"a": 1}, "../x", "x\0y"]
#: What the writer of JSON would not write.
_TEXTS = ("NaN", "Infinity", "1e999", "9" * 5000, "[" * 3000, '{"a":' * 3000, '"\\ud800"', "")


def odd_json(rng: random.Random, content: Any) -> Any:
    """A value in which one place is odd."""
    if isinstance(content, dict) and content and rng.random() < 0.9:
        key = rng.choice(list(content))
        changed = dict(content)
        match rng.randrange(12):
            case 0:
                del changed[key]
            case 1:
                changed[f"{key}x"] = changed.pop(key)
            case 2:
                changed[rng.choice(("name", "figures", "growth", "extra"))] = rng.choice(_ODD)
            case _:
                changed[key] = odd_json(rng, content[key])
        return changed
    if isinstance(content, list) and content and rng.random() < 0.8:
        at = rng.randrange(len(content))
        return [*content[:at], odd_json(rng, content[at]), *content[at + rng.randrange(2):]]
    return copy.deepcopy(rng.choice(_ODD))      # whoever gets it may change it


def json_bytes(rng: random.Random, content: Any) -> bytes:
    """JSON of which something is odd."""
    for _ in range(rng.choice((1, 1, 2))):
        content = odd_json(rng, content)
    text = json.dumps(content)
    if rng.random() < 0.1 and (places := [m.span() for m in re.finditer(r"[\d.]+", text)]):
        low, high = rng.choice(places)
        text = text[:low] + rng.choice(_TEXTS) + text[high:]
    data = text.encode()
    return mutated(rng, data) if rng.random() < 0.1 else data


def odd_npy(rng: random.Random, data: bytes) -> bytes:
    """An array whose header or content is odd."""
    if rng.random() < 0.4:
        array = np.load(io.BytesIO(data))
        kind = rng.choice(("<f8", "<f4", "<f2", "<i8", "u1", "?", "<U3", "S2", "<c16", "<M8[s]",
                           ">i4", "V3"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                array = array.astype(kind)
            except (TypeError, ValueError):
                array = np.zeros(rng.choice(((), (0,), (1,), (2, 2), (0, 5), (1, 1, 1))), kind)
        if array.size and array.dtype.kind in "fi" and rng.random() < 0.5:
            flat = array.reshape(-1)
            flat[rng.randrange(flat.size)] = rng.choice((-1, 0, 127)) if array.dtype.kind == "i" \
                else rng.choice((np.nan, np.inf, -1.0, 0.5, 6e4))
        if rng.random() < 0.3:
            array = array.reshape(rng.choice(((-1,), (1, -1), (-1, 1))))
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        return buffer.getvalue()
    if rng.random() < 0.6 and (found := re.search(rb"\{.*\}", data[:200])):
        header = found.group()
        numbers = [m.span() for m in re.finditer(rb"\d+", header)]
        low, high = rng.choice(numbers) if numbers else (1, 1)
        value = rng.choice((b"0", b"-1", b"2147483648", b"9223372036854775808", b"1e9", b"(1,)",
                            b"True", b"((((((((", b"[" * 500, b"-" * 3000 + b"1", b"'O'", b"x", b""))
        changed = header[:low] + value + header[high:]
        size = max(0, len(header) - len(changed))
        body = data[:found.start()] + changed + b" " * size + data[found.end():]
        extra = len(changed) + size - len(header)
        length = (int.from_bytes(data[8:10], "little") + extra) & 0xFFFF
        return body[:8] + length.to_bytes(2, "little") + body[10:]
    return mutated(rng, data)


def zipped(rng: random.Random, files: dict[str, bytes]) -> bytes:
    """A zip file; now and then with a file twice, or packed otherwise."""
    names = list(files)
    if rng.random() < 0.1:
        names.append(rng.choice(names))
    packing = rng.choice((zipfile.ZIP_STORED,) * 90 + (zipfile.ZIP_DEFLATED,) * 8
                         + (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    if packing == zipfile.ZIP_STORED:
        data = stored([(name, files[name]) for name in names])
    else:
        # Those that are refused pack one file: LZMA takes milliseconds for each.
        odd = rng.choice(names) if packing != zipfile.ZIP_DEFLATED else None
        content = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(content, "w") as archive:
            warnings.simplefilter("ignore")
            for name in names:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), files[name],
                                 packing if odd in (None, name) else zipfile.ZIP_STORED)
        data = content.getvalue()
    return mutated(rng, data) if rng.random() < 0.2 else data


_LOCAL, _ENTRY = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")
_CENTRAL = struct.Struct("<4s4H2IH")
_DAY_ONE = 1 << 5 | 1


def stored(files: list[tuple[str, bytes]]) -> bytes:
    """The zip file that :mod:`zipfile` writes of these, stored, in a tenth of its time."""
    parts, entries, at = [], [], 0
    for name, data in files:
        said, crc, size = name.encode("ascii"), zlib.crc32(data), len(data)
        head = _LOCAL.pack(b"PK\3\4", 20, 0, 0, 0, _DAY_ONE, crc, size, size, len(said), 0) + said
        parts += [head, data]
        entries.append(_ENTRY.pack(b"PK\1\2", 20 | 3 << 8, 20, 0, 0, 0, _DAY_ONE, crc, size, size,
                                   len(said), 0, 0, 0, 0, 0o600 << 16, at) + said)
        at += len(head) + size
    directory = b"".join(entries)
    return b"".join(parts) + directory + _CENTRAL.pack(
        b"PK\5\6", 0, 0, len(files), len(files), len(directory), at, 0)


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------- parsers --

class File:
    """A file whose content is replaced for each input; opening it anew takes longer than a parser."""

    def __init__(self, path: Path):
        self._to = os.open(path, os.O_WRONLY | os.O_CREAT)
        weakref.finalize(self, os.close, self._to)

    def write(self, data: bytes) -> None:
        os.pwrite(self._to, data, 0)
        os.ftruncate(self._to, len(data))


@dataclass
class Parser:
    """One parser: seeds, how they are mutated, what takes them, and what it may raise."""

    seeds: list[bytes]
    mutate: Mutate
    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]


def network(rng: np.random.Generator, inputs: int = 6, neurons: int = 9) -> Network:
    return Network.from_float(
        device="zhao2025_ms", dt_s=DT_S, inputs=inputs, neurons=neurons, labels="abc",
        outputs=[6, 7, 8], metadata={"accuracy": 0.5},
        projections=[Projection("inputs", rng.normal(0.3, 0.4, (inputs, neurons))),
                     Projection("neurons", rng.normal(0.1, 0.3, (neurons, 5)), delay=2)],
        mismatch=Mismatch.draw(neurons, seed=0, growth=0.1, gap=0.02, rc=0.1))


def small(whole: Network) -> Network:
    """One with no more than it needs."""
    return replace(whole, device=Device.load("zhao2025_table1"), mismatch=None,
                   projections=whole.projections[:1])


def hello(**changes: int) -> Hello:
    return Hello(**{"digest": wire.digest(), "board": 0x80, "lanes": 8, "delay_slots": 4,
                    "lfsr_width": 64, "lfsr_leap": 16, "tx_slots": 2, "neurons": 48, "inputs": 24,
                    "rx_bytes": 1024, "words": 256, "clock_hz": 24_000_000, "baud": 3_000_000,
                    **changes})


def frames(folder: Path) -> Parser:
    """The line: frames, ACKs in them, HELLO."""
    seeds = [pack(Kind.DATA, 5, bytes(range(200))), ack(3), ack(9, 0x400, Nack.GAP),
             b"\0" + pack(Kind.HELLO, 0, hello().pack()) + ack(0, 1024),
             pack(Kind.DATA, 0, b"\0\0\1") + pack(Kind.DATA, 1) + ack(2, 5, Nack.FULL)]

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.4:
            return mutated(rng, data)
        found = []
        for block in data.split(b"\0"):
            if block:
                body = mutated(rng, cobs_decode(block)[:-4])[:240]
                body += zlib.crc32(body).to_bytes(4, "little")
                found.append(cobs_encode(body))
        return b"\0".join(found) + b"\0"

    def parse(data: bytes) -> object:
        deframer, found = Deframer(), []
        for at in range(0, len(data), 100):
            found += deframer.feed(data[at:at + 100])
        for frame in found:
            if frame.kind == Kind.ACK:
                parse_ack(frame)
            elif frame.kind == Kind.HELLO:
                Hello.unpack(frame.payload)
        return found

    return Parser(seeds, mutate, parse, (FrameError, ValueError))


class Answering:
    """A link as far as a board needs one to be opened."""

    baud, tuned = None, False

    def __init__(self, said: Hello):
        self.said = said

    def open(self, timeout_s: float) -> Hello:
        return self.said


def hellos(folder: Path) -> Parser:
    """What a board says it is, up to an open board and a period in its clocks."""
    seeds = [hello().pack(), hello(board=1, neurons=512, inputs=256, words=16384).pack()]
    sizes = dict(wire.HELLO)
    places = {name: sum(size for _, size in wire.HELLO[:k])
              for k, (name, _) in enumerate(wire.HELLO)}

    def mutate(rng: random.Random, data: bytes) -> bytes:
        name = rng.choice([name for name in sizes if name not in ("magic", "major", "digest")])
        at, size = places[name], sizes[name]
        value = rng.choice((0, 1, 8, 16, 24, rng.randrange(1 << 8 * size), (1 << 8 * size) - 1))
        data = data[:at] + (value % (1 << 8 * size)).to_bytes(size, "little") + data[at + size:]
        return mutated(rng, data) if rng.random() < 0.3 else data

    def parse(data: bytes) -> object:
        try:
            said = Hello.unpack(data)
        except ValueError as error:
            raise InputError(str(error)) from error
        board = Board(Answering(said), backend="serial", where="fuzz")
        board._clocks(DT_S)
        return board.name, board.is_hardware, board.versions

    return Parser(seeds, mutate, parse, (InputError, NoBoardError))


def reports(folder: Path) -> Parser:
    """What a board says of a run, up to the arrays of a result."""
    rng = np.random.default_rng(0)
    compiled = compile(network(rng), SHAPE)
    seeds = []
    for options in ({"digests": True, "probes": [1, 2]}, {}):
        with Board.open(backend="golden", shape=SHAPE) as board:
            said, receive = [], board._session.link.receive

            def keep(timeout_s: float, receive: Any = receive, said: list[bytes] = said) -> bytes:
                said.append(receive(timeout_s))
                return said[-1]

            board.load(compiled)
            board._session.link.receive = keep
            board.run(Spikes(rng.random((40, 6)) < 0.4, DT_S), seed=1, **options)
            seeds.append(b"".join(said))

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.5:
            return mutated(rng, data)
        # Whole records change places, are doubled, dropped or lie.
        found, at, heads = [], 0, {Report.READ: (5, 2), Report.BITMAP: (3, 1), Report.TICK: (2, 0),
                                   Report.DIGEST: (8, 0), Report.PROBES: (3, 6),
                                   Report.MARK: (7, 0)}
        while at < len(data):
            if data[at] == Report.SPIKES:
                end = data.index(0xFF, at + 2) + 1
            else:
                fixed, scale = heads[Report(data[at])]
                end = at + fixed + scale * data[at + fixed - 1]
            found.append(data[at:end])
            at = end
        for _ in range(rng.randrange(1, 4)):
            k = rng.randrange(len(found))
            match rng.randrange(4):
                case 0:
                    found.insert(k, rng.choice(found))
                case 1:
                    found.pop(k)
                case 2:
                    found[k] = mutated(rng, found[k])
                case _:
                    found.append(bytes([Report.TICK, 128]) + bytes([Report.TICK, 0]))
            if not found:
                break
        return b"".join(found)

    def parse(data: bytes) -> object:
        decoder = Decoder()
        decoder.restart = True
        decoder.begin(0)
        for at in range(0, len(data), 500):
            decoder.feed(data[at:at + 500])
        for segment in decoder.segments:
            gather(segment, compiled, 40, hello=hello(), clocks=1000, final_state=True,
                   probed=np.array([1, 2]) if segment.probes else np.zeros(0, np.int64))
        return decoder.segments

    return Parser(seeds, mutate, parse, (BoardError,))


def networks(folder: Path) -> Parser:
    """`.ion` files; some of those that are whole are compiled."""
    rng = np.random.default_rng(1)
    whole = network(rng)
    plain = small(whole)
    cells = LifCells(np.full(9, 4095), np.full(9, 1024), np.arange(9) - 128, {
        "kf": 65535, "kr": 2262, "kb": 16580, "r_max": 32706, "spike_level": 1016}, 3)
    # Every array that there can be, but not all in each file.
    seeds = [ionfile.dump(each) for each in (
        whole, plain.with_faults(Faults.draw(9, seed=1, stuck_on=0.2, drift=0.1)),
        replace(plain, state=np.zeros((9, 3), np.uint16), r_control_ohm=np.full(9, 1e8)),
        replace(plain, lif=cells, votes=np.arange(-4, 5, dtype=np.int8).reshape(3, 3)))]
    contents = {seed: unzipped(seed) for seed in seeds}

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.2:
            return mutated(rng, data)
        files = dict(contents[data])
        name = rng.choice(["header.json"] * 3 + list(files))
        header = json.loads(files.pop("header.json"))
        header.pop("sha256")
        if name != "header.json":
            files[name] = odd_npy(rng, files[name])
        elif rng.random() < 0.2:
            files.pop(rng.choice(list(files)))
        else:
            header = odd_json(rng, header)
        if isinstance(header, dict) and rng.random() < 0.95:
            header["sha256"] = ionfile._checksum(header, files)
        text = json.dumps(header).encode()
        if rng.random() < 0.05:
            text = json_bytes(rng, header)
        return zipped(rng, {"header.json": text, **files})

    def parse(data: bytes) -> object:
        found = ionfile.load_bytes(data, "fuzz.ion")
        # One in twenty, for that takes much longer than all else.
        if zlib.crc32(data) % 20 == 0:
            compile(found, SHAPE).report.lines()
        return ionfile.dump(found)

    return Parser(seeds, mutate, parse, (InputError, DeviceError))


def spike_files(folder: Path) -> Parser:
    """`.npy` and `.npz` files of spikes, in every form that is read, and results."""
    rng = np.random.default_rng(2)
    raster = rng.random((20, 6)) < 0.3
    tick, index = np.nonzero(raster)
    events = np.array([(0, 1, 1), (999, 0, 0), (1000, 3, 1)],
                      dtype=[("t", "<i8"), ("x", "<i4"), ("p", "<i4")])
    result = folder / "result.npz"
    with Board.open(backend="golden", shape=SHAPE) as board:
        board.load(network(rng))
        board.run(Spikes(raster, DT_S), seed=1, probes=[0], digests=True).save(result)
    seeds = [npy(raster), npy(raster.astype("f4")), npy(events), npz(raster=raster, dt_s=DT_S),
             npz(events=events, width=6, ticks=9), npz(index=index, tick=tick, ticks=20, width=6),
             npz(index=index, t_s=tick * DT_S), result.read_bytes()]
    contents = {seed: unzipped(seed) for seed in seeds if seed.startswith(b"PK")}
    paths = {False: folder / "fuzz.npy", True: folder / "fuzz.npz"}
    opened = {zipped: File(path) for zipped, path in paths.items()}

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if data not in contents:
            return odd_npy(rng, data)
        if rng.random() < 0.2:
            return mutated(rng, data)
        files = dict(contents[data])
        name = rng.choice(list(files))
        match rng.randrange(8):
            case 0:
                files.pop(name)
            case 1:
                files[rng.choice(("ticks.npy", "width.npy", "dt_s.npy", "p", "raster.npy"))] = npy(
                    np.array(rng.choice((0, -1, 1 << 40, 0.5, float("nan"), "x", [1, 2]))))
            case 2:
                files[name] = files[rng.choice(list(files))]
            case _:
                files[name] = odd_npy(rng, files[name])
        return zipped(rng, files or {"x": b""})

    def parse(data: bytes) -> object:
        zipped = data.startswith(b"PK")
        opened[zipped].write(data)
        found = Spikes.load(paths[zipped], dt_s=DT_S, width=6)
        return found.ticks, found.width

    return Parser(seeds, mutate, parse, (InputError,))


def nir_tree(tree: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A tree as the process that reads HDF5 files says it: an index, and the files it names."""
    files: dict[str, bytes] = {}

    def entry(value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return {"group": {name: entry(each) for name, each in value.items()}}
        if isinstance(value, str):
            return {"text": value}
        if isinstance(value, list):
            return {"texts": [end for pair in value for end in pair], "shape": [len(value), 2]}
        name = f"{len(files)}.npy"
        files[name] = npy(np.asarray(value))
        return {"array": name}

    return {name: entry(each) for name, each in tree.items()}, files


def nir_graphs(folder: Path) -> Parser:
    """NIR graphs of every node, and of our own neuron, as they come out of HDF5 files."""
    rng = np.random.default_rng(4)

    def node(kind: str, **parameters: Any) -> dict[str, Any]:
        return {"type": kind, **parameters}

    ones = np.ones(4)
    lif = node("LIF", tau=ones * 1e-3, r=ones * 10, v_leak=ones * 0, v_threshold=ones)
    recurrent = node("NIRGraph", nodes={
        "in": node("Input", shape=np.array([3])), "w": node("Linear", weight=rng.normal(0.3, 0.4, (4, 3))),
        "lif": lif, "rec": node("Affine", weight=rng.normal(0, 0.1, (4, 4)), bias=ones * 0.01),
        "out": node("Output", shape=np.array([4]))},
        edges=[("in", "w"), ("w", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "out")])
    chain = node("NIRGraph", nodes={
        "in": node("Input", shape=np.array([4])), "wait": node("Delay", delay=ones * 1e-4),
        "scale": node("Scale", scale=ones),
        "flat": node("Flatten", start_dim=np.array(0), end_dim=np.array(-1)), "lif": lif,
        "out": node("Output", shape=np.array([4]))},
        edges=[("in", "wait"), ("wait", "scale"), ("scale", "flat"), ("flat", "lif"), ("lif", "out")])
    others = node("NIRGraph", nodes={
        "in": node("Input", shape=np.array([4])),
        "cuba": node("CubaLIF", tau_syn=ones * 2e-4, tau_mem=ones * 1e-3, r=ones * 10, v_leak=ones * 0,
                     v_threshold=ones, w_in=ones), "step": node("Threshold", threshold=ones / 2),
        "li": node("LI", tau=ones * 1e-3, r=ones, v_leak=ones * 0),
        "out": node("Output", shape=np.array([4]))},
        edges=[("in", "cuba"), ("cuba", "step"), ("step", "li"), ("li", "out")])
    plain = node("NIRGraph", nodes={
        "in": node("Input", shape=np.array([4])),
        "w": node("Linear", weight=rng.normal(0.3, 0.4, (4, 4))),
        "if": node("IF", r=ones * 1e4, v_threshold=ones, v_reset=ones * 0),
        "step": node("Threshold", threshold=ones / 2), "out": node("Output", shape=np.array([4]))},
        edges=[("in", "w"), ("w", "if"), ("if", "step"), ("step", "out")])
    memristors = network(np.random.default_rng(1))
    own = node("NIRGraph", nodes={
        "input": node("Input", shape=np.array([6])), "output": node("Output", shape=np.array([9])),
        "weights": node("Linear", weight=memristors.scale_V * np.ones((9, 6)),
                        metadata={"block": np.array([0, 0, 6, 9])}),
        "neurons": node("Memristor1M1T1R", device=json.dumps(asdict(memristors.device)),
                        dt_s=np.array(DT_S), scale_V=np.array(memristors.scale_V),
                        output=json.dumps({"neurons": [1], "labels": ["a"]}), info="{}", votes=np.array([[3]], np.int8),
                        mismatch_growth=np.ones(9), mismatch_gap=np.zeros(9), mismatch_rc=np.ones(9))},
        edges=[("input", "weights"), ("weights", "neurons"), ("neurons", "output")])
    trees = [nir_tree({"version": "1", "node": root}) for root in
             (recurrent, chain, others, plain, own)]
    contents = {zipped(random.Random(0), {"index.json": json.dumps(index).encode(), **files}):
                (index, files) for index, files in trees}

    def mutate(rng: random.Random, data: bytes) -> bytes:
        index, files = contents[data]
        files = dict(files)
        if rng.random() < 0.5:
            name = rng.choice(list(files))
            files[name] = odd_npy(rng, files[name])
        else:
            index = odd_json(rng, index)
        return zipped(rng, {"index.json": json.dumps(index).encode(), **files})

    def parse(data: bytes) -> object:
        tree = hdf5.tree_of(data, "fuzz.nir", 2 * nir_file.LIMITS.bytes)
        root = nir_file.root_of(tree, "fuzz.nir")
        width, slow = 3, False
        if not nir_memristor.holds_memristors(root):
            graph = Graph.of(root)
            width = graph.width
            simulate(graph, np.ones((3, width), bool), 1e-4)
            slow = any(layer.kind in ("IF", "CubaLIF") for layer in graph.layers.values())
        if zlib.crc32(data) % 20 and slow:
            return None     # of which one in twenty
        return Network.from_nir(root, dt_s=1e-4, sample=np.ones((3, width), bool),
                                bits=4 if zlib.crc32(data) & 1 else 8)

    return Parser(list(contents), mutate, parse, (InputError, DeviceError))


#: Reads as ionspike.host.hdf5_child does, in a new process for each file, but imports once.
_FORKS = """
import os, sys
import h5py
from ionspike.host import hdf5_child
for line in sys.stdin:
    path, asked, out = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        code = 1
        try:
            os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            sys.argv = ["hdf5_child", path, asked]
            hdf5_child.main()
            sys.stdout.flush()
            code = 0
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """Stands in for :mod:`subprocess`: a process for each file, without a new Python's start."""

    TimeoutExpired, DEVNULL = subprocess.TimeoutExpired, subprocess.DEVNULL

    def __init__(self, folder: Path):
        self.out = folder / "fuzz.out"
        self.process: subprocess.Popen[str] | None = None

    def run(self, command: list[str], timeout: float, **options: Any,
            ) -> subprocess.CompletedProcess[bytes]:
        if self.process is None:
            self.process = subprocess.Popen([sys.executable, "-P", "-c", _FORKS], text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            weakref.finalize(self, _end, self.process)
        asked, said = self.process.stdin, self.process.stdout
        assert asked is not None and said is not None
        path, limits = command[-2:]
        asked.write(f"{path}\t{limits}\t{self.out}\n")
        asked.flush()
        if not select.select([said], [], [], timeout)[0]:
            self.process.kill()
            self.process = None
            raise subprocess.TimeoutExpired(command, timeout)
        code = int(said.readline())
        return subprocess.CompletedProcess(command, code, self.out.read_bytes(), b"")


def _end(process: subprocess.Popen[str]) -> None:
    for file in (process.stdin, process.stdout):
        if file is not None:
            file.close()
    process.wait()


def nir_files(folder: Path) -> Parser:
    """HDF5 files as they are: what their library does stays in a process of its own.

    One in a hundred is read by the very command that reads them for users, the others by forks.
    """
    path, good = folder / "fuzz.nir", folder / "good.nir"
    network(np.random.default_rng(1)).save(good)
    forks = Forks(folder)

    def parse(data: bytes) -> object:
        path.write_bytes(data)
        with mock.patch.object(hdf5, "subprocess",
                               forks if zlib.crc32(data) % 100 else subprocess):
            return nir_file.read_hdf5(path)

    return Parser([good.read_bytes()], mutated, parse, (InputError,))


def recordings(folder: Path) -> Parser:
    """`.ionrec` files; one in fifty of those that are whole is replayed."""
    rng = np.random.default_rng(3)
    path, seeds = folder / "fuzz.ionrec", []
    whole = network(rng)
    for mode, net in (("lockstep", whole), ("free-running", small(whole))):
        with Board.open(backend="golden", shape=SHAPE) as board:
            with board.record(path, overwrite=True):
                board.load(net)
                board.run_many([Spikes(rng.random((5, 6)) < 0.4, DT_S)] * 2, seeds=[1, 2],
                               probes=[3], digests=True, mode=mode)
                board.run(Spikes(rng.random((3, 6)) < 0.4, DT_S), reset=False)
        seeds.append(path.read_bytes())
    opened = File(path)
    contents = {}
    for seed in seeds:
        path.write_bytes(seed)
        contents[seed] = [(block.kind, block.payload) for block in blocks.read(path)]

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.2:
            return mutated(rng, data)
        found = list(contents[data])
        for _ in range(rng.randrange(1, 3)):
            k = rng.randrange(len(found))
            kind, payload = found[k]
            match rng.randrange(8):
                case 0:
                    found.insert(k, rng.choice(found))
                case 1 if len(found) > 1:
                    found.pop(k)
                case 2:
                    found[k] = (rng.randrange(10), payload)
                case _ if found[k] in contents[data] and payload.startswith(b"{"):
                    found[k] = (kind, json_bytes(rng, json.loads(payload)))
                case _:
                    found[k] = (kind, mutated(rng, payload))
        whole = blocks.preamble() + b"".join(
            blocks.pack(kind, k, payload) for k, (kind, payload) in enumerate(found))
        return mutated(rng, whole) if rng.random() < 0.05 else whole

    def parse(data: bytes) -> object:
        opened.write(data)
        recording = Recording(path)
        turns = list(recording.turns())
        for found in recording.networks():
            assert found.neurons
        if zlib.crc32(data) % 50 == 0 and sum(turn.ticks for turn in turns) < 2000 \
                and recording.shape == SHAPE:
            with Board.open(backend="golden", shape=SHAPE, timeout_s=0.2) as board:
                str(replay(recording, board).to_json())
        return turns

    return Parser(seeds, mutate, parse, (InputError, BoardError, LinkError))


def devices(folder: Path) -> Parser:
    """Device files, up to what `ionspike device show` says of one."""
    seeds = [Device.text(name).encode() for name in presets()]
    contents = {seed: json.loads(seed) for seed in seeds}
    path = folder / "fuzz.json"
    opened = File(path)

    def parse(data: bytes) -> object:
        opened.write(data)
        device = Device.load(path)
        facts = {name: device_facts.origins(path), "threshold_V": device.threshold_V()} \
            if (name := device.name) else {}
        return json.dumps([facts, asdict(device)], allow_nan=False, ensure_ascii=False).encode()

    return Parser(seeds, lambda rng, data: json_bytes(rng, contents[data]), parse, (DeviceError,))


def compact_devices(folder: Path) -> Parser:
    """Files of the compact model's parameters."""
    seeds = [(files("ionspike.spec") / "compact" / f"{name}.json").read_bytes()
             for name in compact_device.presets()]
    contents = {seed: json.loads(seed) for seed in seeds}
    path = folder / "fuzz.json"
    opened = File(path)

    def parse(data: bytes) -> object:
        opened.write(data)
        return compact_device.CompactDevice.load(path)

    return Parser(seeds, lambda rng, data: json_bytes(rng, contents[data]), parse, (DeviceError,))


def tables(folder: Path) -> Parser:
    """Measurements of a device."""
    lines = ["quantity,value,v_V,width_s,gap_s,ramp_V_per_s,peak_V,fraction,trial"]
    # Four of a kind are enough to tell one that is in another unit.
    for v, s, trials in ((0.7, 0.02, 1), (1.0, 0.004, 4), (1.4, 0.001, 2)):
        lines += [f"latency_s,{s * (1 + k / 9):.6g},{v},1,,,,,{k}" for k in range(trials)]
    lines += ["latency_s,,0.2,1,,,,,1", "relaxation_s,0.3,1,1,,,,0.5,1", "threshold_V,0.5,,,,1,,,1",
              "hold_V,0.2,,,,1,2,,1", "fires,1,1,1,,,,,1", "on_ohm,1e6,,,,,,,1", "off_ohm,1e12,,,,,,,1",
              "paired_latency_s,0.01,1,1,0.1,,,,1"]
    seeds = ["\n".join(lines).encode(), ("# said\n" + "\n".join(lines)).encode("utf-8-sig")]
    path = folder / "fuzz.csv"
    opened = File(path)

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.3:
            return mutated(rng, data)
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        for _ in range(rng.randrange(1, 4)):
            k = rng.randrange(len(rows))
            row = rows[k] = list(rows[k])
            match rng.randrange(5):
                case 0:
                    rows.insert(k, rng.choice(rows))
                case 1 if len(rows) > 1:
                    rows.pop(k)
                case _ if row:
                    row[rng.randrange(len(row))] = rng.choice(
                        ("", "nan", "inf", "-1", "1e400", "0", "1e-13", "x", '"', "1_0", "\x00",
                         "9" * 200_000 if rng.random() < 0.02 else "9" * 30, "\u0661", "1;2",
                         "latency_s", "v_mV", *rng.choice(rows)))
        text = io.StringIO()
        csv.writer(text, lineterminator=rng.choice(("\n", "\r\n", "\r"))).writerows(rows)
        return text.getvalue().encode()

    def parse(data: bytes) -> object:
        opened.write(data)
        return [(group.name, group.typical) for group in measurements.load(path)]

    return Parser(seeds, mutate, parse, (InputError,))


def manifests(folder: Path) -> Parser:
    """`build.json` of a bitstream."""
    facts = next(iter(BOARDS.values()))
    (folder / "top.bit").write_bytes(b"bits")
    said = {"board": facts.name, "bitstream": "top.bit", "build": "00c0ffee", "note": "make it",
            "sha256": hashlib.sha256(b"bits").hexdigest()}
    seeds = [json.dumps(said).encode(), json.dumps({**said, "bitstream": None}).encode()]
    contents = {seed: json.loads(seed) for seed in seeds}

    def parse(data: bytes) -> object:
        (folder / "build.json").write_bytes(data)
        found = flash.built(facts, folder)
        return folder / found["bitstream"], found["build"] + ""

    return Parser(seeds, lambda rng, data: json_bytes(rng, contents[data]), parse, (BuildError,))


def sounds(folder: Path) -> Parser:
    """WAV files, those of 16 bits and others; FLAC where soundfile is there."""
    t = np.arange(400)
    samples = (8000 * np.sin(t / 7)).astype("<i2")
    seeds = []
    for channels, width, rate in ((1, 2, 16_000), (2, 2, 48_000), (1, 1, 8_000)):
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(rate)
            file.writeframes(samples.tobytes())
        if channels == 1 and (width == 2 or find_spec("soundfile")):
            seeds.append(buffer.getvalue())
    if find_spec("soundfile"):
        import soundfile
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 16_000, format="FLAC")
        seeds.append(buffer.getvalue())
    path = folder / "fuzz.wav"

    def parse(data: bytes) -> object:
        path.write_bytes(data)
        found = audio.load(path)
        return found.seconds, found.clipped, found.at(48_000) if found.seconds < 0.1 else None

    return Parser(seeds, mutated, parse, (InputError,))


def listings(folder: Path) -> Parser:
    """Lists of checksums, of md5sum and of Zenodo."""
    entry = {"key": "a.zip", "checksum": f"md5:{'0' * 32}", "links": {"self": "/files/a.zip"}}
    seeds = [f"{'0' * 32}  a.gz\n{'f' * 32} *b.gz\n".encode(),
             json.dumps({"files": [entry, {**entry, "key": "x/b.zip"}]}).encode()]

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if data.startswith(b"{") and rng.random() < 0.7:
            return json_bytes(rng, json.loads(data))
        return mutated(rng, data)

    def parse(data: bytes) -> object:
        found = fetch._listed(data, "http://127.0.0.1:1/list")
        for name, (url, _) in found.items():
            assert (folder / name).parent == folder and url.startswith("http://127.0.0.1:1/")
        return found

    return Parser(seeds, mutate, parse, (InputError,))


def digits(folder: Path) -> Parser:
    """HDF5 files laid out like SHD's."""
    import h5py
    path = folder / "fuzz.h5"
    with h5py.File(path, "w") as file:
        for name, kind in (("times", "f2"), ("units", "u2")):
            array = file.create_dataset(f"spikes/{name}", (3,), h5py.vlen_dtype(np.dtype(kind)))
            for n in range(3):
                array[n] = np.arange(4 + n) / (10 if kind == "f2" else 1)
        file["labels"], file["extra/speaker"] = np.arange(3), np.arange(3)

    def parse(data: bytes) -> object:
        path.write_bytes(data)
        found = SHD(path, channels=10)
        return [found.spikes(n, dt_s=0.01).count for n in range(len(found))]

    return Parser([path.read_bytes()], mutated, parse, (InputError,))


PARSERS: dict[str, Callable[[Path], Parser]] = {
    "frames": frames, "hello": hellos, "reports": reports, "networks": networks,
    "spikes": spike_files, "recordings": recordings, "devices": devices,
    "compact": compact_devices, "tables": tables, "builds": manifests, "nir": nir_graphs,
    "hdf5": nir_files, "sounds": sounds, "listings": listings}
if find_spec("h5py"):   # an extra
    PARSERS["digits"] = digits

#: Of those that need a process for each input, one of so many is run unless one alone is asked for.
SPARSE = {"hdf5": 20, "digits": 200}


# --------------------------------------------------------------------------------------- runner --

class Slow(BaseException):
    """Not an Exception: nobody may catch it."""


class Watch:
    """Ends an input that is still the same when CPU time has ticked twice, and a run on demand."""

    def __init__(self) -> None:
        self.input = self._seen = -1
        self.ended = False

    def end(self, *_: object) -> None:
        self.ended = True

    def __call__(self, *_: object) -> None:
        if self.input == self._seen >= 0:
            self._seen = -1
            raise Slow
        self._seen = self.input


#: Inputs after which memory is looked at, which takes longer than most inputs.
_LOOK = 64
watch = Watch()


def cpu_s(parser: Parser, data: bytes) -> float:
    """Seconds of CPU that an input takes: others may have had the wall's."""
    begun = time.process_time()
    try:
        parser.parse(data)
    except (Slow, *parser.errors):
        pass
    return time.process_time() - begun


def peak_kB() -> int:
    """Most memory since the last call, as Linux tells it; elsewhere since the process began."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
        return int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@dataclass
class Tally:
    """What became of a parser's inputs; ``seconds`` and ``slowest_s`` of the wall, ``grown_MB`` of
    peak memory."""

    parser: str
    inputs: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: int = 0
    grown_MB: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)


def stretch(name: str, inputs: int, seed: int, folder: Path, only: int | None = None,
            keep: Path | None = None,
            progress: Callable[[int], None] = lambda done: None) -> Tally:
    """Run one parser."""
    parser, report = PARSERS[name](folder), Tally(name)
    for data in parser.seeds:
        parser.parse(data)      # what the writers write is read
    watch.input = -1
    gc.freeze()     # what is there by now stays
    peak_kB()
    peak = first_peak = peak_kB()
    begun, begun_cpu = time.perf_counter(), time.process_time()
    rng = random.Random()
    for k in range(inputs) if only is None else [only]:
        if watch.ended:
            break
        rng.seed(f"{name} {seed} {k}")
        data = parser.mutate(rng, rng.choice(parser.seeds))
        started, failure = time.perf_counter(), ""
        watch.input = k
        try:
            parser.parse(data)
            report.accepted += 1
        except parser.errors as error:
            report.refused[type(error).__name__] += 1
            message = str(error)
            if only is not None:
                print(f"{type(error).__name__}: {message}")
            if not message or "\n" in message or len(message) > 4000:
                failure = f"message of {type(error).__name__} of {len(message)} characters"
        except Slow:
            failure = "hangs"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failure = (f"{type(error).__name__}: {str(error)[:120]!r} in "
                       f"{Path(where.filename).name}, {where.name}")
            if only is not None:
                traceback.print_exc()
        seconds = time.perf_counter() - started
        if seconds > report.slowest_s:
            report.slowest_s, report.slowest = seconds, k
        if seconds > SECONDS and not failure and cpu_s(parser, data) > SECONDS:
            failure = "takes too long"
        if k % _LOOK == 0 or only is not None:
            now = peak_kB()
            if (now - peak) * 1024 > BYTES:
                failure = failure or f"takes too much memory, or one of the {_LOOK} before"
            peak = now
        if failure:
            kind = re.sub(r"\d+", "#", failure)
            if keep is not None and kind not in report.failures:
                (keep / f"{name}-{seed}-{k}").write_bytes(data)
            report.failures.setdefault(kind, f"input {k}, {len(data)} bytes: {failure}")
        report.inputs += 1
        if k % 1000 == 0:
            progress(k)
    report.grown_MB = (peak - first_peak) / 1024
    report.seconds, report.cpu_s = time.perf_counter() - begun, time.process_time() - begun_cpu
    return report


def guarded(names: list[str], inputs: int, seed: int, only: int | None = None,
            keep: Path | None = None,
            progress: Callable[[str, int], None] = lambda name, done: None) -> Iterator[Tally]:
    """Run parsers with a bound on time and memory; warnings are errors."""

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    old = signal.signal(signal.SIGPROF, watch)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, hard))
    try:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None
                                         ) as folder, warnings.catch_warnings():
            warnings.simplefilter("error")
            for name in names:
                share = 1 if len(names) == 1 else SPARSE.get(name, 1)
                yield stretch(name, -(-inputs // share), seed, Path(folder), only, keep,
                              lambda done, name=name: progress(name, done))
                if watch.ended:
                    return
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, old)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parser", choices=list(PARSERS), help="one alone")
    parser.add_argument("--inputs", type=int, default=20_000, metavar="N", help="of each parser")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--only", type=int, metavar="K", help="input K alone")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where inputs that fail are put")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = [arguments.parser] if arguments.parser else list(PARSERS)

    def progress(name: str, done: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{name} {done:,} ", end="", file=sys.stderr, flush=True)

    found = []
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, watch.end)
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    for report in guarded(names, arguments.inputs, arguments.seed, arguments.only, arguments.keep,
                          progress):
        found.append(report)
        if not arguments.json:
            refused = ", ".join(f"{name} {n:,}" for name, n in report.refused.most_common())
            print(f"{report.parser:<11}{report.inputs:>10,} inputs in {report.seconds:.0f} s, "
                  f"{report.cpu_s:.0f} s of CPU: {report.accepted:,} accepted; refused {refused or 'none'}; slowest "
                  f"{report.slowest_s * 1e3:.1f} ms (input {report.slowest}); memory "
                  f"+{report.grown_MB:.0f} MB; {len(report.failures)} failures", flush=True)
            for failure in report.failures.values():
                print(f"           {failure}")
    if arguments.json:
        print(json.dumps([asdict(report) for report in found], indent=2))
    return 1 if any(report.failures for report in found) else 130 if watch.ended else 0


if __name__ == "__main__":
    sys.exit(main())
