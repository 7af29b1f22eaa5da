import hashlib
from importlib.resources import files

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ionspike.hdl.baud import BaudRate
from ionspike.hdl.engine import Engine
from ionspike.hdl.link import Link
from ionspike.hdl.stage import Stage
from ionspike.hdl.uart import UARTReceiver, UARTTransmitter
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.baud import SAFE_BAUD, bit_clocks
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["CLOCK_HZ", "Top", "build_hash", "hello"]

CLOCK_HZ = 24_000_000


def build_hash(shape: CoreShape, packages: tuple[str, ...] = (), **parameters) -> int:
    """32 bits that change with the sources of gateware, contract and ``packages``, or parameters."""
    sha = hashlib.sha256(repr((shape, sorted(parameters.items()))).encode())
    for package in ("ionspike.hdl", "ionspike.spec", *packages):
        for entry in sorted(files(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                sha.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return int.from_bytes(sha.digest()[:4], "little")


def hello(shape: CoreShape, *, board: wire.Board, clock_hz: int, baud: int, build: int) -> bytes:
    """Payload of HELLO, with a nonce of zero."""
    values = {
        "magic": wire.MAGIC, "major": wire.PROTOCOL[0], "minor": wire.PROTOCOL[1], "nonce": 0,
        "digest": wire.digest(), "build": build, "board": board,
        "lanes": shape.lanes, "delay_slots": shape.delay_slots,
        "lfsr_width": fmt.LFSR_WIDTH, "lfsr_leap": fmt.LFSR_LEAP, "tx_slots": wire.TX_SLOTS,
        "neurons": shape.neurons, "inputs": shape.inputs, "rx_bytes": wire.RX_BYTES,
        "words": shape.words, "clock_hz": clock_hz, "baud": baud,
        "lfsr_taps": int.from_bytes(bytes(fmt.LFSR_TAPS), "little")}
    return wire.pack_hello(values)


class Top(wiring.Component):
    """The whole board but its pins' names: an engine and its serial link.

    Parameters
    ----------
    shape : :class:`CoreShape`
    board : :class:`ionspike.spec.wire.Board`
        Who it says it is.
    clock_hz, baud : :class:`int`
        Rate of the ``sync`` domain, and the UART's after a reset; their ratio is at least 4.
    packages : tuple of :class:`str`
        Whose sources are around this in the bitstream, so that its hash covers them too.

    Members
    -------
    uart_rx, uart_tx : the serial line, idle high
    idle : :py:`Out(1)`
        Nothing would change without input.
    """

    uart_rx: In(1, init=1)
    uart_tx: Out(1, init=1)
    idle: Out(1)

    def __init__(self, shape: CoreShape = DEFAULT_SHAPE, *, board: wire.Board = wire.Board.VIRTUAL,
                 clock_hz: int = CLOCK_HZ, baud: int = wire.BAUD,
                 packages: tuple[str, ...] = ()):
        self.shape, self.packages = shape, packages
        self.board, self.clock_hz, self.baud = board, clock_hz, baud
        self.divisor = bit_clocks(clock_hz, baud)
        super().__init__()

    @property
    def build(self) -> int:
        """The build hash that HELLO reports."""
        return build_hash(self.shape, self.packages, clock_hz=self.clock_hz, baud=self.baud,
                          board=self.board)

    def elaborate(self, platform):
        m = Module()
        m.submodules.baud = baud = BaudRate(self.divisor, bit_clocks(self.clock_hz, SAFE_BAUD))
        m.submodules.receiver = receiver = UARTReceiver(baud.width)
        m.submodules.transmitter = transmitter = UARTTransmitter(baud.width)
        m.submodules.link = link = Link(hello(
            self.shape, board=self.board, clock_hz=self.clock_hz, baud=self.baud,
            build=self.build))
        m.submodules.engine = engine = Engine(self.shape)
        # Registers, for the longest paths of both sides would meet here.
        m.submodules.to_engine = to_engine = Stage(8)
        m.submodules.to_link = to_link = Stage(8)

        m.d.comb += [receiver.rx.eq(self.uart_rx), self.uart_tx.eq(transmitter.tx)]
        m.d.comb += [
            receiver.last.eq(baud.last), transmitter.last.eq(baud.last),
            baud.broken.eq(receiver.broken), baud.rests.eq(link.idle & transmitter.idle),
            baud.ask.eq(engine.bit_clocks_load), baud.value.eq(engine.bit_clocks)]
        connect(m, receiver.o, link.uart_i)
        connect(m, link.uart_o, transmitter.i)
        connect(m, link.o, to_engine.i)
        connect(m, to_engine.o, engine.i)
        connect(m, engine.o, to_link.i)
        connect(m, to_link.o, link.i)
        # Likewise. What is between the two in that clock is flushed; the link takes nothing from
        # the engine until HELLO is sent, and has nothing for it.
        opened = Signal()
        m.d.sync += opened.eq(link.opened)
        m.d.comb += [
            engine.opened.eq(opened), baud.opened.eq(opened),
            to_engine.flush.eq(link.opened | opened), to_link.flush.eq(link.opened | opened),
            link.uart_error.eq(receiver.error), engine.uart_errors.eq(receiver.error),
            engine.crc_errors.eq(link.crc_error), engine.gaps.eq(link.gap),
            engine.overflows.eq(link.overflow), engine.resent.eq(link.resent),
            engine.ring_quarters.eq(link.quarters), engine.frames_held.eq(link.held),
            self.idle.eq(receiver.idle & transmitter.idle & link.idle & engine.idle
                         & ~to_engine.o.valid & ~to_link.o.valid),
        ]
        return m
