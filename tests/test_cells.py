"""Models of hard cells against plain arithmetic, a clock at a time, on random pins."""

import ctypes
import random
import subprocess

import pytest
from amaranth import Shape
from amaranth.sim import Simulator
from conftest import require_compiler

from ionspike.hdl.multiplier import Multiplier, parameters
from ionspike.sim import compile, gates, ice40

#: Two multipliers of our netlists, and ones that reach every choice of the output stage.
NETLIST = dict.fromkeys(ice40.MAC16_MODE, 0) | {
    "BOTADDSUB_LOWERINPUT": 2, "BOTADDSUB_UPPERINPUT": 1, "BOTOUTPUT_SELECT": 3,
    "TOPADDSUB_LOWERINPUT": 2, "TOPADDSUB_UPPERINPUT": 1, "TOPOUTPUT_SELECT": 3,
    "TOPADDSUB_CARRYSELECT": 3}
PIPELINED = {"BOT_8x8_MULT_REG": 1, "TOP_8x8_MULT_REG": 1, "PIPELINE_16x16_MULT_REG1": 1}
SIGNED = {"A_SIGNED": 1, "B_SIGNED": 1}
ACCUMULATE = {"TOPOUTPUT_SELECT": 1, "BOTOUTPUT_SELECT": 1, "TOPADDSUB_UPPERINPUT": 0,
              "BOTADDSUB_UPPERINPUT": 0, "TOPADDSUB_CARRYSELECT": 2}


class Bench:
    """A cell in a shared library: set fields, evaluate, clock."""

    def __init__(self, folder, kind, arguments, fields):
        text = gates._MODELS.read_text() + "using namespace cxxrtl_design;\nextern \"C\" {\n"
        text += f"void *make() {{ return new {kind}{{{', '.join(map(str, arguments))}}}; }}\n"
        for name in fields:
            text += (f"void set_{name}(void *p, uint64_t x) {{ (({kind} *)p)->{name} = x; }}\n"
                     f"uint64_t get_{name}(void *p) {{ return (({kind} *)p)->{name}; }}\n")
        text += f"void evaluate(void *p) {{ (({kind} *)p)->evaluate(); }}\n"
        text += f"int edge(void *p) {{ return (({kind} *)p)->edge(); }}\n}}\n"
        source = folder / "cell.cpp"
        source.write_text(text)
        subprocess.run([*compile.find_compiler(), "-std=c++17", "-shared", "-fPIC", "-w", "-o",
                        str(folder / "cell.so"), str(source)], check=True)
        self._library = ctypes.CDLL(str(folder / "cell.so"))
        self._library.make.restype = ctypes.c_void_p
        self._cell = ctypes.c_void_p(self._library.make())
        for name in fields:
            getattr(self._library, f"get_{name}").restype = ctypes.c_uint64

    def set(self, **values):
        for name, value in values.items():
            getattr(self._library, f"set_{name}")(self._cell, ctypes.c_uint64(value))

    def get(self, name):
        self._library.evaluate(self._cell)
        return getattr(self._library, f"get_{name}")(self._cell)

    def edge(self):
        return self._library.edge(self._cell)


@pytest.fixture
def bench(tmp_path):
    require_compiler()
    return lambda *arguments: Bench(tmp_path, *arguments)


def signed(value, bits, is_signed=True):
    return value - (1 << bits) if is_signed and value >> bits - 1 else value


@pytest.mark.parametrize("changes", [
    {}, SIGNED, {"A_SIGNED": 1}, {"B_SIGNED": 1}, PIPELINED, PIPELINED | SIGNED, {"B_REG": 1},
    {"A_REG": 1, "B_REG": 1} | SIGNED, PIPELINED | SIGNED | {"B_REG": 1},
    PIPELINED | {"PIPELINE_16x16_MULT_REG2": 1, "A_REG": 1, "B_REG": 1} | SIGNED])
def test_multiplier_multiplies(bench, changes):
    """Its product, as late as its registers say; A and B may have different delays."""
    mode = NETLIST | changes
    cell = bench("Mac16", [mode[name] for name in ice40.MAC16_MODE], [*ice40.MAC16_INPUTS, "O"])
    rng, a_was, b_was, products = random.Random(1), [0] * 8, [0] * 8, []
    late = mode["PIPELINE_16x16_MULT_REG1"] + mode["PIPELINE_16x16_MULT_REG2"]
    cell.set(CE=1)
    for clock in range(300):
        a, b = (rng.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF, rng.getrandbits(16)]) for _ in range(2))
        cell.set(A=a, B=b)
        a_was, b_was = [a, *a_was][:8], [b, *b_was][:8]
        x = signed(a_was[mode["A_REG"]], 16, mode["A_SIGNED"])
        y = signed(b_was[mode["B_REG"]], 16, mode["B_SIGNED"])
        products = [x * y & 0xFFFFFFFF, *products]
        if clock > 4:
            assert cell.get("O") == products[late], clock
        cell.edge()


@pytest.mark.parametrize("is_signed", [0, 1])
def test_multiplier_accumulates(bench, is_signed):
    mode = NETLIST | ACCUMULATE | {"A_SIGNED": is_signed, "B_SIGNED": is_signed}
    cell = bench("Mac16", [mode[name] for name in ice40.MAC16_MODE], [*ice40.MAC16_INPUTS, "O"])
    rng, total = random.Random(2), 0
    for _ in range(300):
        a, b = rng.getrandbits(16), rng.getrandbits(16)
        enable, hold, clear = rng.random() < 0.8, rng.random() < 0.2, rng.random() < 0.05
        cell.set(A=a, B=b, CE=enable, OHOLDTOP=hold, OHOLDBOT=hold, ORSTTOP=clear, ORSTBOT=clear)
        cell.edge()
        if clear:
            total = 0
        elif enable and not hold:
            total += signed(a, 16, is_signed) * signed(b, 16, is_signed)
        assert cell.get("O") == total & 0xFFFFFFFF


@pytest.mark.parametrize("options", [
    {"b_stages": 1}, {"a_stages": 1, "b_stages": 1, "product_stages": 2},
    {"held": True, "product_stages": 1}, {"held": True, "product_stages": 2, "spare": 2},
    {"a_stages": 1, "spare": 1},
    {"a_stages": 1, "b_stages": 1, "product_stages": 2, "sum_stages": 1, "spare": 2},
    {"a_stages": 1, "c_stages": 1, "add": "+"},
    {"held": True, "c_stages": 1, "sum_stages": 1, "add": "+"},
    {"held": True, "product_stages": 1, "sum_stages": 1, "spare": 2, "add": "~"},
    {"product_stages": 1, "add": "~"}, {"product_stages": 1, "add": "+"}, {"a_stages": 1, "add": "-"},
    {"held": True, "a_stages": 1, "c_stages": 1, "sum_stages": 1, "add": "-"}],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()))
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_written_multiplier_is_what_other_targets_infer(bench, options, is_signed):
    dut = Multiplier(Shape(16, is_signed), 16, **options)
    mode = dict.fromkeys(ice40.MAC16_MODE, 0) | parameters(dut)
    assert list(mode) == list(ice40.MAC16_MODE)
    cell = bench("Mac16", list(mode.values()), [*ice40.MAC16_INPUTS, "O", "CO"])
    minus = int(dut.add in ("-", "~"))
    cell.set(CE=1, OLOADBOT=int(dut.spare > 0), ADDSUBTOP=minus, ADDSUBBOT=minus)
    rng, reach = random.Random(6), set()

    async def testbench(ctx):
        for clock in range(400):
            a, b = (rng.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF, rng.getrandbits(16)])
                    for _ in range(2))
            c, i, load = (rng.choice([0, 1, 0xFFFFFFFF, rng.getrandbits(32)]), rng.getrandbits(16),
                          rng.random() < 0.3 or clock == 0)
            ctx.set(dut.a, signed(a, 16, is_signed))
            ctx.set(dut.b, b)
            cell.set(A=a, B=b)
            if dut.held:
                ctx.set(dut.load, load)
                cell.set(BHOLD=not load)
            if dut.has_c:
                ctx.set(dut.c, c)
                cell.set(C=c >> 16, D=c & 0xFFFF)
            if dut.spare:
                ctx.set(dut.i, i)
                cell.set(D=i)
            if clock > 4:
                o, expected = cell.get("O"), ctx.get(dut.o)
                if dut.spare:
                    expected |= ctx.get(dut.delayed)
                assert o == expected, clock
                if dut.add == "+":
                    assert cell.get("CO") == ctx.get(dut.carry)
                    reach.add(ctx.get(dut.carry))
                reach.add(o)
            cell.edge()
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    assert len(reach) > 50


@pytest.mark.parametrize("mode", range(4))
def test_block_ram_holds_words(bench, mode):
    """Written and read in one mode, as 256 << mode words; a clash of addresses reads wrong."""
    fields = [*ice40.RAM_INPUTS, "RDATA"]
    cell = bench("Ram40", (mode, mode, '""'), fields)
    rng, words, width = random.Random(mode), [0] * (256 << mode), 16 >> mode
    # Pins of the port that carry data in this mode, lowest first.
    pins = [range(16), range(0, 16, 2), range(1, 16, 4), range(3, 16, 8)][mode]
    expected, clashes = 0, 0
    for _ in range(4000):
        # Few rows, so that words meet again.
        write, read = (rng.randrange(8) | rng.randrange(1 << mode) << 8 for _ in range(2))
        value, mask = rng.getrandbits(width), rng.getrandbits(16) if mode == 0 else 0
        on = {name: int(rng.random() < 0.8) for name in ("RE", "RCLKE", "WE", "WCLKE")}
        cell.set(RADDR=read, WADDR=write, MASK=mask, **on,
                 WDATA=sum((value >> k & 1) << pin for k, pin in enumerate(pins)))
        cell.edge()
        writes = on["WE"] and on["WCLKE"]
        changed = (1 << width) - 1 & ~mask if writes else 0
        if on["RE"] and on["RCLKE"]:
            expected = words[read]
            if read == write and changed:
                expected, clashes = expected ^ changed, clashes + 1
        found = cell.get("RDATA")
        assert sum((found >> pin & 1) << k for k, pin in enumerate(pins)) == expected
        assert found & ~sum(1 << pin for pin in pins) == 0
        words[write] = words[write] & ~changed | value & changed
    assert clashes > 10


def test_large_memory_holds_words_and_spoils_its_output_when_written(bench):
    cell = bench("Spram", (), [*ice40.SPRAM_INPUTS, "DATAOUT"])
    rng, words, known = random.Random(3), {}, None
    cell.set(POWEROFF=1)
    for _ in range(4000):
        address, data, mask = rng.randrange(16) * 1023, rng.getrandbits(16), rng.getrandbits(4)
        select, write = rng.random() < 0.8, rng.random() < 0.4
        if address not in words:
            write, mask = True, 15
        cell.set(ADDRESS=address, DATAIN=data, MASKWREN=mask, WREN=write, CHIPSELECT=select)
        before = cell.get("DATAOUT")
        cell.edge()
        if select and write:
            bits = sum(15 << 4 * k for k in range(4) if mask >> k & 1)
            words[address] = words.get(address, 0) & ~bits | data & bits
            assert cell.get("DATAOUT") != before
            known = None
        elif select:
            known = words[address]
        if known is not None:
            assert cell.get("DATAOUT") == known


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (0, 1), (1, 0)])
def test_ecp5_multiplier(bench, a, b):
    cell, rng = bench("Mult18", (), ["A", "B", "SIGNEDA", "SIGNEDB", "P"]), random.Random(4)
    for _ in range(300):
        x, y = (rng.choice([0, 0x1FFFF, 0x20000, 0x3FFFF, rng.getrandbits(18)]) for _ in range(2))
        cell.set(A=x, B=y, SIGNEDA=a, SIGNEDB=b)
        assert cell.get("P") == signed(x, 18, a) * signed(y, 18, b) & (1 << 36) - 1


@pytest.mark.parametrize("width", [9, 18, 36])
def test_ecp5_block_ram(bench, width):
    fields = ["ADA", "DIA", "CEA", "WEA", "ADB", "DIB", "CEB", "DOA", "DOB"]
    cell, rng = bench("Dp16", (width, width), fields), random.Random(width)
    parts, shift = width // 9, {9: 3, 18: 4, 36: 5}[width]
    words, expected, clashes = [0] * (1 << 14 - shift), 0, 0
    for _ in range(4000):
        write, read = rng.randrange(8), rng.randrange(8)
        data, enable = rng.getrandbits(width), rng.getrandbits(parts) if width > 9 else 1
        a, wea, b = (int(rng.random() < 0.8) for _ in range(3))
        cell.set(ADA=write << shift | (enable if width > 9 else 0), DIA=data & 0x3FFFF, CEA=a,
                 WEA=wea, ADB=read << shift, DIB=data >> 18, CEB=b)
        cell.edge()
        changed = sum(0x1FF << 9 * k for k in range(parts) if enable >> k & 1) if a and wea else 0
        if b:
            expected = words[read]
            if read == write and changed:
                expected, clashes = expected ^ changed, clashes + 1
        found = cell.get("DOB") << 18 | cell.get("DOA") if width == 36 else cell.get("DOB")
        assert found == expected
        words[write] = words[write] & ~changed | data & changed
    assert clashes > 10


def test_ecp5_distributed_ram(bench):
    cell, rng, words = bench("Dpr16", (), ["RAD", "WAD", "DI", "WRE", "DO"]), random.Random(5), [0] * 16
    for _ in range(1000):
        read, write, data, enable = (rng.getrandbits(4), rng.getrandbits(4), rng.getrandbits(4),
                                     rng.getrandbits(1))
        cell.set(RAD=read, WAD=write, DI=data, WRE=enable)
        assert cell.get("DO") == words[read]
        cell.edge()
        if enable:
            words[write] = data
