import hashlib
from importlib.resources import files

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ionspike.hdl.core import Core
from ionspike.hdl.interpreter import Interpreter
from ionspike.hdl.link import Link
from ionspike.hdl.registers import RegisterFile
from ionspike.hdl.stage import Stage
from ionspike.hdl.ticker import Ticker
from ionspike.hdl.uart import UARTReceiver, UARTTransmitter
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["CLOCK_HZ", "Top", "build_hash", "hello"]

CLOCK_HZ = 24_000_000


def build_hash(shape: CoreShape, **parameters) -> int:
    """32 bits that change with the gateware's sources or parameters."""
    sha = hashlib.sha256(repr((shape, sorted(parameters.items()))).encode())
    for package in ("ionspike.hdl", "ionspike.spec"):
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
    return b"".join(int(values[name]).to_bytes(size, "little") for name, size in wire.HELLO)


class Top(wiring.Component):
    """The whole board but its pins' names: a core, its interpreter, and the serial link.

    Parameters
    ----------
    shape : :class:`CoreShape`
    board : :class:`ionspike.spec.wire.Board`
        Who it says it is.
    clock_hz, baud : :class:`int`
        Rate of the ``sync`` domain and of the UART; their ratio is at least 4.

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
                 clock_hz: int = CLOCK_HZ, baud: int = wire.BAUD):
        self.shape = shape
        self.board, self.clock_hz, self.baud = board, clock_hz, baud
        self.divisor = round(clock_hz / baud)
        if abs(clock_hz / baud / self.divisor - 1) > 0.02:
            raise ValueError(f"{baud} baud cannot be made from {clock_hz} Hz: the nearest is "
                             f"{clock_hz / self.divisor:.0f}")
        super().__init__()

    @property
    def build(self) -> int:
        """The build hash that HELLO reports."""
        return build_hash(self.shape, clock_hz=self.clock_hz, baud=self.baud, board=self.board)

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UARTTransmitter(self.divisor)
        m.submodules.link = link = Link(hello(
            self.shape, board=self.board, clock_hz=self.clock_hz, baud=self.baud,
            build=self.build))
        m.submodules.interpreter = interpreter = Interpreter(self.shape)
        m.submodules.ticker = ticker = Ticker()
        m.submodules.core = core = Core(self.shape)
        m.submodules.registers = registers = RegisterFile(
            saturated_bits=len(core.saturated))

        m.d.comb += [receiver.rx.eq(self.uart_rx), self.uart_tx.eq(transmitter.tx)]
        connect(m, receiver.o, link.uart_i)
        connect(m, link.uart_o, transmitter.i)
        connect(m, link.o, interpreter.i)
        m.submodules.stage = stage = Stage(8)
        connect(m, interpreter.o, stage.i)
        connect(m, stage.o, link.i)
        m.d.comb += stage.flush.eq(link.opened)
        connect(m, interpreter.events, core.events)
        connect(m, core.groups, interpreter.groups)
        connect(m, core.spikes, interpreter.spikes)

        for name in ("space", "offset", "write", "w_data"):
            for slave in (core, registers):
                m.d.comb += getattr(slave.bus, name).eq(getattr(interpreter.bus, name))
        m.d.comb += interpreter.bus.r_data.eq(core.bus.r_data | registers.bus.r_data)

        for name in ("start", "last_event", "clear", "rewind", "expand"):
            m.d.comb += getattr(core, name).eq(getattr(interpreter, name))
        for name in ("tick", "spikes_done", "spike_count"):
            m.d.comb += getattr(interpreter, name).eq(getattr(core, name))
        for name in ("groups_used", "kf", "kr", "kb", "scale", "r_max"):
            m.d.comb += getattr(core, name).eq(getattr(registers, name))
        m.d.comb += [
            interpreter.core_idle.eq(core.idle), interpreter.opened.eq(link.opened),
            interpreter.control.eq(registers.control),
            interpreter.groups_used.eq(registers.groups_used),
            interpreter.probe_count.eq(registers.probe_count),
            ticker.run.eq(registers.control.free_running),
            ticker.period.eq(Cat(registers.period_low, registers.period_high)),
            ticker.take.eq(interpreter.take), ticker.busy.eq(interpreter.busy),
            interpreter.due.eq(ticker.due),
            core.lfsr_load.eq(registers.lfsr_load),
            registers.lfsr.eq(core.lfsr), registers.tick.eq(core.tick),
            registers.digest.eq(core.digest),
            registers.word.eq(core.word), registers.saturated.eq(core.saturated),
            registers.late.eq(interpreter.late), registers.dropped.eq(interpreter.dropped),
            registers.overruns.eq(ticker.overrun),
            registers.crc_errors.eq(link.crc_error), registers.uart_errors.eq(receiver.error),
            registers.gaps.eq(link.gap), registers.overflows.eq(link.overflow),
            registers.resent.eq(link.resent), link.uart_error.eq(receiver.error),
            registers.clear_counters.eq(interpreter.clear_counters),
            registers.halt.eq(interpreter.halt
                              | (ticker.overrun & registers.control.halt_on_overrun)),
            self.idle.eq(receiver.idle & transmitter.idle & link.idle & interpreter.idle
                         & core.idle & ~stage.o.valid & ~registers.control.free_running),
        ]
        return m
