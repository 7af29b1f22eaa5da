"""Netlists of look-up tables, flip-flops and hard cells, and the C++ that simulates them.

Most of a netlist is at rest in most clocks. So the gates are cut, in topological order, into
pieces of a few dozen, and a piece is evaluated only in clocks in which something that it reads
has changed: what it costs to simulate a clock is what happens in it.

All flip-flops and cells see one clock, of which every call of ``eval`` is one rising edge.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = ["HIGH", "LOW", "Cell", "Flop", "Lut", "Netlist", "NetlistError", "reduced", "simplified",
           "source"]

#: Nets that are constant; all others are numbered from 2.
LOW, HIGH = 0, 1

_MODELS = Path(__file__).with_name("gates.hpp")

# On the HX8K's netlist 8 and 16 gates a piece were equally fast.
_PIECE = 16

# Words of marks up to which it costs less to mark for nothing than to branch.
_BRANCHLESS = 3


class NetlistError(Exception):
    """A netlist that cannot be simulated, or not what was expected."""


@dataclass(frozen=True)
class Lut:
    """``out`` is bit ``sum(inputs[k] << k)`` of ``table``."""

    out: int
    table: int
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Flop:
    """A flip-flop; ``gated`` if its synchronous reset, to ``value``, wants ``enable``."""

    q: int
    d: int
    enable: int = HIGH
    reset: int = LOW
    value: int = 0
    gated: bool = True
    initial: int = 0


@dataclass(frozen=True)
class Cell:
    """A hard cell: class ``kind`` of ``gates.hpp``, whose fields are loaded from nets.

    Outputs follow inputs without a clock if ``through``, else only the clock's edge changes them.
    """

    name: str
    kind: str
    arguments: tuple[int | str, ...]
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    through: bool = False


@dataclass
class Netlist:
    inputs: dict[str, int]
    outputs: dict[str, int]
    luts: list[Lut] = field(default_factory=list)
    flops: list[Flop] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)


_Node = Lut | Flop | Cell


def _reads(node: _Node) -> Iterator[int]:
    match node:
        case Lut():
            yield from node.inputs
        case Flop():
            yield from (node.d, node.enable, node.reset)
        case Cell():
            for nets in node.inputs.values():
                yield from nets


def _order(netlist: Netlist) -> list[_Node]:
    """All nodes that matter, each after what it reads in the same clock, neighbours together."""
    # An input that its table ignores is no dependency: nextpnr has tables that read themselves.
    netlist = replace(netlist, luts=[reduced(lut) for lut in netlist.luts])
    driver: dict[int, _Node] = {}
    state = {LOW, HIGH, *netlist.inputs.values()}
    for flop in netlist.flops:
        state.add(flop.q)
    for cell in netlist.cells:
        for nets in cell.outputs.values():
            for net in nets:
                if cell.through:
                    driver[net] = cell
                else:
                    state.add(net)
    for lut in netlist.luts:
        if lut.out in driver or lut.out in state:
            raise NetlistError(f"net {lut.out} is driven twice")
        driver[lut.out] = lut

    order: list[_Node] = []
    done: set[int] = set()      # ids of nodes
    open_: set[int] = set()

    def visit(root: _Node) -> None:
        stack: list[tuple[_Node, Iterator[int]]] = []

        def push(node: _Node) -> None:
            open_.add(id(node))
            stack.append((node, _reads(node)))

        if id(root) not in done:
            push(root)
        while stack:
            node, reads = stack[-1]
            for net in reads:
                if net in state:
                    continue
                if net not in driver:
                    raise NetlistError(f"nothing drives net {net}, which {node} reads")
                needed = driver[net]
                if id(needed) in open_:
                    raise NetlistError(f"a loop without a flip-flop through net {net}")
                if id(needed) not in done:
                    push(needed)
                    break
            else:
                stack.pop()
                open_.discard(id(node))
                done.add(id(node))
                order.append(node)

    # Flip-flops that are enabled and reset together belong together.
    for flop in sorted(netlist.flops, key=lambda flop: (flop.enable, flop.reset)):
        visit(flop)
    for cell in netlist.cells:
        visit(cell)
    for net in netlist.outputs.values():
        if net in driver:
            visit(driver[net])
        elif net not in state:
            raise NetlistError(f"nothing drives the output net {net}")
    return order


def reduced(lut: Lut, alias: Mapping[int, int] | None = None) -> Lut:
    """The same function of the fewest inputs."""
    table, inputs = lut.table, [(alias or {}).get(net, net) for net in lut.inputs]
    k = 0
    while k < len(inputs):
        size = 1 << len(inputs)
        low = sum((table >> i & 1) << (i & ((1 << k) - 1) | i >> 1 & ~((1 << k) - 1))
                  for i in range(size) if not i >> k & 1)
        high = sum((table >> i & 1) << (i & ((1 << k) - 1) | i >> 1 & ~((1 << k) - 1))
                   for i in range(size) if i >> k & 1)
        if inputs[k] in (LOW, HIGH) or low == high:
            table = high if inputs[k] == HIGH else low
        elif inputs[k] in inputs[:k]:
            j = inputs.index(inputs[k])
            table = sum(((high if i >> j & 1 else low) >> i & 1) << i for i in range(size // 2))
        else:
            k += 1
            continue
        del inputs[k]
        k = 0
    return Lut(lut.out, table, tuple(inputs))


def simplified(netlist: Netlist) -> Netlist:
    """The same without constants, buffers and what nothing depends on."""
    alias: dict[int, int] = {}
    luts, flops, cells = [], [], []
    for node in _order(netlist):
        if isinstance(node, Lut):
            lut = reduced(node, alias)
            if not lut.inputs:
                alias[lut.out] = HIGH if lut.table else LOW
            elif len(lut.inputs) == 1 and lut.table == 2:
                alias[lut.out] = lut.inputs[0]
            else:
                luts.append(lut)

    def now(net: int) -> int:
        return alias.get(net, net)

    for flop in netlist.flops:
        flops.append(replace(flop, d=now(flop.d), enable=now(flop.enable), reset=now(flop.reset)))
    for cell in netlist.cells:
        cells.append(replace(cell, inputs={name: tuple(now(net) for net in nets)
                                           for name, nets in cell.inputs.items()}))
    outputs = {name: now(net) for name, net in netlist.outputs.items()}
    luts, flops, cells = _live(outputs, luts, flops, cells)
    return Netlist(netlist.inputs, outputs, luts, flops, cells)


def _live(outputs: dict[str, int], luts: list[Lut], flops: list[Flop],
          cells: list[Cell]) -> tuple[list[Lut], list[Flop], list[Cell]]:
    driver: dict[int, _Node] = {lut.out: lut for lut in luts}
    driver.update((flop.q, flop) for flop in flops)
    driver.update((net, cell) for cell in cells for nets in cell.outputs.values() for net in nets)
    wanted, seen = list(outputs.values()), set()
    while wanted:
        node = driver.get(wanted.pop())
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            wanted.extend(_reads(node))
    return ([lut for lut in luts if id(lut) in seen], [flop for flop in flops if id(flop) in seen],
            [cell for cell in cells if id(cell) in seen])


def _expression(table: int, names: list[str]) -> str:
    """C++ of a look-up table, of variables that are 0 or 1."""
    if not names:
        return str(table & 1)
    half = 1 << len(names) - 1
    ones = (1 << half) - 1
    low, high = table & ones, table >> half & ones
    *rest, last = names
    if low == high:
        return _expression(low, rest)
    if low ^ high == ones:
        return f"({last} ^ {_expression(low, rest)})" if low else last
    if high == 0:
        return f"({last} ^ 1)" if low == ones else f"(({last} ^ 1) & {_expression(low, rest)})"
    if low == 0:
        return last if high == ones else f"({last} & {_expression(high, rest)})"
    if high == ones:
        return f"({last} | {_expression(low, rest)})"
    if low == ones:
        return f"(({last} ^ 1) | {_expression(high, rest)})"
    # Bits change at random: a branch would be mispredicted half of the time.
    return f"(({last} & {_expression(high, rest)}) | (({last} ^ 1) & {_expression(low, rest)}))"


class _Writer:
    def __init__(self, netlist: Netlist):
        self.netlist = netlist
        self.pieces = list(_pieces(_order(netlist)))
        made = {lut.out: k for k, piece in enumerate(self.pieces)
                for lut in piece if isinstance(lut, Lut)}
        self.readers: dict[int, list[int]] = {}
        for k, piece in enumerate(self.pieces):
            for net in {net for node in piece for net in _reads(node)} - {LOW, HIGH}:
                if made.get(net) != k:
                    self.readers.setdefault(net, []).append(k)
        kept = [*netlist.inputs.values(), *netlist.outputs.values(), *self.readers,
                *(flop.q for flop in netlist.flops),
                *(net for cell in netlist.cells for nets in cell.outputs.values() for net in nets)]
        # Nets that are remembered from clock to clock; all others live within a piece.
        self.place = {net: k for k, net in enumerate(dict.fromkeys([LOW, HIGH, *kept]))}
        self.words = (len(self.pieces) + 63) // 64

    def store(self, net: int, value: str) -> str:
        at, masks = self.place[net], dict[int, int]()
        for piece in self.readers.get(net, []):
            masks[piece >> 6] = masks.get(piece >> 6, 0) | 1 << (piece & 63)
        if len(masks) > _BRANCHLESS:
            marks = " ".join(f"t.dirty[{word}] |= {mask:#x}ull;" for word, mask in masks.items())
            return f"if (t.v[{at}] != {value}) {{ t.v[{at}] = {value}; {marks} }}"
        marks = " ".join(f"t.dirty[{word}] |= changed & {mask:#x}ull;" for word, mask in masks.items())
        return (f"{{ uint64_t changed = -uint64_t(t.v[{at}] ^ {value}); t.v[{at}] = {value}; "
                f"{marks} }}")

    def scatter(self, cell: Cell, name: str) -> Iterator[str]:
        for port, nets in cell.outputs.items():
            for k, net in enumerate(nets):
                if net in self.readers or net in self.netlist.outputs.values():
                    yield f"{{ uint8_t x = t.{name}.{port} >> {k} & 1; {self.store(net, 'x')} }}"

    def piece(self, k: int, piece: list[_Node]) -> Iterator[str]:
        loaded: dict[int, str] = {LOW: "0", HIGH: "1"}
        lines: list[str] = []

        def value(net: int) -> str:
            if net not in loaded:
                loaded[net] = f"n{net}"
                lines.append(f"uint32_t n{net} = t.v[{self.place[net]}];")
            return loaded[net]

        for node in piece:
            match node:
                case Lut():
                    text = _expression(node.table, [value(net) for net in node.inputs])
                    lines.append(f"uint32_t n{node.out} = {text};")
                    loaded[node.out] = f"n{node.out}"
                    if node.out in self.place:
                        lines.append(self.store(node.out, f"n{node.out}"))
                case Flop():
                    at = self.place[node.q]
                    d, enable, reset = (value(net) for net in (node.d, node.enable, node.reset))
                    if reset != "0":
                        d = f"({reset} | {d})" if node.value else f"(({reset} ^ 1) & {d})"
                        if not node.gated and enable != "1":
                            enable = f"({enable} | {reset})"
                    lines.append(f"t.toggles[t.toggled] = {at}; "
                                 f"t.toggled += {enable} & ({d} ^ t.v[{at}]);")
                case Cell():
                    for port, nets in node.inputs.items():
                        parts = [f"{value(net)} << {j}" for j, net in enumerate(nets) if net != LOW]
                        lines.append(f"t.c{k}.{port} = {' | '.join(parts) or '0'};")
                    if node.through:
                        lines.append(f"t.c{k}.evaluate();")
                        lines += self.scatter(node, f"c{k}")
                    lines.append(f"t.edges[t.edged++] = edge{k};")
        if isinstance(piece[0], Cell):
            yield f"static void edge{k}(p_top &);"
        yield f"static void piece{k}(p_top &t) {{"
        yield from lines
        yield "}"
        if isinstance(cell := piece[0], Cell):
            again = f"t.dirty[{k >> 6}] |= {1 << (k & 63):#x}ull;"
            yield f"static void edge{k}(p_top &t) {{\nif (t.c{k}.edge()) {again}"
            if not cell.through:
                yield f"t.c{k}.evaluate();"
                yield from self.scatter(cell, f"c{k}")
            yield "}"

    def text(self) -> Iterator[str]:
        netlist, place = self.netlist, self.place
        yield _MODELS.read_text()
        yield "namespace cxxrtl_design {"
        cells = [(k, piece[0]) for k, piece in enumerate(self.pieces) if isinstance(piece[0], Cell)]
        yield f"struct p_top : Gates<{len(place)}, {self.words}, {len(netlist.flops)}, {len(cells)}> {{"
        for k, cell in cells:
            yield f"{cell.kind} c{k}{{{', '.join(map(str, cell.arguments))}}};"
        yield "p_top();\nbool eval();\nbool step() { return eval(); }\n};"
        for k, piece in enumerate(self.pieces):
            yield from self.piece(k, piece)
        yield "static void (*const pieces[])(p_top &) = {"
        yield "".join(f"piece{k}, " for k in range(len(self.pieces))) + "};"
        first, fan = [0], list[int]()
        for net in place:
            fan += self.readers.get(net, [])
            first.append(len(fan))
        yield f"static const uint32_t first[] = {{{', '.join(map(str, first))}}};"
        yield f"static const uint16_t fan[] = {{{', '.join(map(str, [*fan, 0]))}}};"
        yield "p_top::p_top() {\nv[1] = 1;"
        for flop in netlist.flops:
            if flop.initial:
                yield f"v[{place[flop.q]}] = 1;"
        yield f"for (unsigned k = 0; k < {len(self.pieces)}; ++k) dirty[k >> 6] |= 1ull << (k & 63);"
        yield "}\nbool p_top::eval() {"
        for name, net in netlist.inputs.items():
            pin = "p_" + name.replace("_", "__")
            yield f"set(*this, first, fan, {place[net]}, {pin}.data[0]);"
        yield "settle(*this, pieces);"
        for name, net in netlist.outputs.items():
            yield f"p_{name.replace('_', '__')}.data[0] = v[{place[net]}];"
        yield "advance(*this, first, fan);\nreturn true;\n}\n}"


def _pieces(order: Iterable[_Node]) -> Iterator[list[_Node]]:
    piece: list[_Node] = []
    for node in order:
        if isinstance(node, Cell) or len(piece) == _PIECE:
            if piece:
                yield piece
            piece = []
        if isinstance(node, Cell):
            yield [node]
        else:
            piece.append(node)
    if piece:
        yield piece


def source(netlist: Netlist) -> str:
    """C++ with the interface that ``virtual.cpp`` wants of a top level."""
    return "\n".join(_Writer(simplified(netlist)).text()) + "\n"
