"""Wire contract: frames, commands, results, addresses and registers, each written once.

Gateware, host library, golden model and firmware derive from these tables; nothing here imports
more than the standard library. docs/protocol.md explains them with a worked byte dump.

Two layers. *Frames* (:class:`Kind`) carry, each way, one reliable stream of bytes. *Records*
(:class:`Op`, :class:`Report`) are what the streams say. All integers are little-endian.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Literal

from ionspike.spec.shape import CoreShape

__all__ = [
    "AUX_PROBES", "BAUD", "Board", "COEFFICIENT", "CONTROL", "COUNTERS", "DIGEST_POLYNOMIAL",
    "FRAME_OVERHEAD", "HELLO", "HIGH_WATER", "HIGH_WATER_SHIFT",
    "Kind", "LIST_END", "LIST_SKIP", "MAGIC", "NARROW_SINCE", "Nack", "OFFSET_BITS", "Op", "PAYLOAD_BYTES",
    "PROTOCOL", "Policy", "REGISTERS", "Register", "Report", "RX_BYTES", "STATE", "STATE_STRIDE",
    "Space", "TICK_EVERY", "TX_SLOTS", "address", "digest", "digests", "hello_size",
    "pack_hello", "register",
]

#: Major and minor version. Hosts refuse another major version.
PROTOCOL = (1, 4)
#: Minor version since which descriptors have the bit ``narrow``; boards before pass over it.
NARROW_SINCE = 4
MAGIC = 0x534E4F49      # reads "IONS"
BAUD = 3_000_000

# ------------------------------------------------------------------------------------- frames --

#: A frame is ``COBS(kind u8 | seq u8 | payload | crc u32) 00``; crc is CRC-32 (that of zlib, PNG
#: and Ethernet) of everything before it. No frame is longer than one COBS block.
PAYLOAD_BYTES = 224
FRAME_OVERHEAD = 8      # COBS code, kind, seq, CRC, delimiter
RX_BYTES = 1024         # the board's receive ring, where the smallest board has it
TX_SLOTS = 2            # frames the board keeps until they are acknowledged


class Kind(IntEnum):
    """Kind of a frame. Only DATA frames have a place in the sequence."""

    OPEN = 0x01     # host: payload nonce u16. Both streams start anew at seq 0; answered by HELLO
    HELLO = 0x02    # board: payload see HELLO
    DATA = 0x03     # either: the stream's next bytes, or none; seq counts DATA frames, modulo 256
    ACK = 0x04      # either: seq is the next one expected; payload limit u16, reason u8 (Nack),
    #                 or nothing, which is OK and the limit as before


class Nack(IntEnum):
    """Why an ACK was sent. All but OK ask for everything from its ``seq`` on once more.

    The ``limit`` beside it is the credit: the sum, modulo 65536, of all DATA payload bytes since
    OPEN that the receiver has room for.
    """

    OK = 0
    CORRUPT = 1     # CRC or COBS error, or a UART framing error
    GAP = 2         # a DATA frame is missing
    FULL = 3        # a DATA frame was sent without credit


#: Payload of HELLO: name and size in bytes.
HELLO = (
    ("magic", 4), ("major", 1), ("minor", 1), ("nonce", 2),
    ("digest", 4),          # of this table, see digest()
    ("build", 4),           # of the gateware's sources and parameters
    ("board", 1),           # Board
    ("lanes", 1), ("delay_slots", 1), ("lfsr_width", 1), ("lfsr_leap", 1), ("tx_slots", 1),
    ("neurons", 2), ("inputs", 2), ("rx_bytes", 2),
    ("words", 4), ("clock_hz", 4), ("baud", 4),
    ("lfsr_taps", 4),       # four exponents, one a byte, highest first
)


class Board(IntEnum):
    """What answers; everything from 0x80 on is no hardware."""

    ICEBREAKER = 0x01
    UPDUINO_V3 = 0x02
    HX8K_EVN = 0x03
    ULX3S = 0x04
    ECPIX5 = 0x05
    TANG_NANO_9K = 0x06
    ARTY_A7 = 0x07
    VIRTUAL = 0x80
    GOLDEN = 0x81


# ------------------------------------------------------------------------------------ records --

class Op(IntEnum):
    """First byte of a record from the host. A record never spans frames.

    An event list is a run of bytes: ``d < LIST_SKIP``: an event, ``d`` sources beyond the one
    after the last; ``LIST_SKIP``: skip as many sources, no event; ``LIST_END``: the end.
    """

    WRITE = 0x10    # address u24, n u8, n x u16
    READ = 0x11     # address u24, n u8; answered by Report.READ
    EVENTS = 0x20   # tick u16, event list: these inputs fire in that tick
    BITMAP = 0x21   # tick u16, n u8, n bytes: likewise, bit i of byte k is input 8 k + i
    ADVANCE = 0x22  # tick u16: go on until that tick is the next one to run
    CLEAR = 0x30    # what u8: bit 0 state, pending spikes and tick number; bit 1 counters
    MARK = 0x31     # token u16; answered by Report.MARK once all before it is done
    ECHO = 0x32     # n u8, n bytes; answered by Report.ECHO


class Report(IntEnum):
    """First byte of a record from the board. ``tick`` is the low byte of the tick number; at least
    one record comes for every tick that is a multiple of TICK_EVERY, so the host can count the
    rest."""

    READ = 0x11     # address u24, n u8, n x u16
    SPIKES = 0x20   # tick u8, event list of neurons; used when they are fewer than bitmap bytes
    BITMAP = 0x21   # tick u8, n u8, n bytes
    TICK = 0x22     # tick u8: nothing fired (sent every TICK_EVERY ticks)
    DIGEST = 0x23   # tick u8, digest u32, lfsr u16: see sim.model.digest
    PROBES = 0x24   # tick u8, n u8, n x STATE
    MARK = 0x31     # token u16, tick u32
    ECHO = 0x32     # n u8, n bytes
    ERROR = 0x3F    # op u8: not a command; the rest of the stream is discarded until OPEN


#: Of Report.DIGEST, over GF(2), without its highest term; that of CRC-32.
DIGEST_POLYNOMIAL = 0x04C11DB7

TICK_EVERY = 128    # ticks; a power of two, at most half of what the tick byte tells apart

LIST_SKIP = 254
LIST_END = 255


class Policy(IntEnum):
    """What happens to events whose tick has begun; counted in ``late`` in every case."""

    DROP = 0        # they are dropped, and counted in ``dropped`` too
    NEXT = 1        # they are applied to the next tick
    HALT = 2        # they are dropped, and free-running ticks stop: the rest runs in lockstep


# ---------------------------------------------------------------------------------- addresses --

class Space(IntEnum):
    """Memories of 16-bit words. An address is ``space << OFFSET_BITS | offset``. What offsets beyond
    a memory's end do is not defined, but that they do no harm to the board; hosts refuse them."""

    REGISTERS = 0
    FEEDBACK = 1    # h table
    AUX = 2         # noise table; AUX_REGISTERS; from AUX_PROBES on, the neurons that are probed
    FANOUT = 3      # 2 source + half: descriptors, see CoreShape.descriptor_fields
    COEFFICIENTS = 4    # 2 neuron + half: COEFFICIENT
    STATE = 5       # 4 neuron + k: STATE
    ACCUMULATORS = 6    # (slot groups' + group) lanes + lane, groups' a power of two; read-only
    WEIGHTS = 7     # word lanes / 2 + k: two weights each, lower lane first. Of a narrow row the lower
    #                 half of a byte is a weight of the first of two groups, the upper one of the second,
    #                 each in units of 16


OFFSET_BITS = 20
AUX_PROBES = 128
#: Every write to the registers is kept here too, at this place + the register's offset: from there
#: they are read, as wide as they were written, but for those that the board itself changes.
AUX_REGISTERS = 64
#: Per-neuron coefficients (name, bits), least significant first; theta is signed.
COEFFICIENT = (("kg", 12), ("mu", 12), ("theta", 8))
#: Per-neuron state (name, bits), least significant first: three 16-bit words.
STATE = (("f", 16), ("r_high", 15), ("on", 1), ("g", 12), ("r_low", 4))
STATE_STRIDE = 4


@dataclass(frozen=True)
class Register:
    """One 16-bit register."""

    offset: int
    name: str
    width: int
    access: Literal["ro", "rw"]
    doc: str
    init: int = 0
    since: int = 1      # minor version of the protocol

    @property
    def is_live(self) -> bool:
        """Whether the board itself changes it, so that it is not what was written last."""
        return self.access == "ro" or self.name == "control" or self.name.startswith("lfsr_")


#: Bits of the ``control`` register, lowest first, and their widths.
CONTROL = (("free_running", 1), ("policy", 2), ("report_digest", 1), ("report_probes", 1),
           ("halt_on_overrun", 1))

#: Counters (name, doc), which stop here instead of wrapping; cleared by CLEAR, in every result.
COUNTER_LIMIT = 1 << 15
WORDS_LIMIT = 1 << 31
#: High-water marks since CLEAR, in this order from bit HIGH_WATER_SHIFT of their register on: one bit
#: for each level from 1 on that was reached.
HIGH_WATER = (
    ("frames_held", TX_SLOTS),  # frames to the host that were not acknowledged
    # Borders of quarters of the receive ring between the first byte that waited and the last: k of
    # them are more than k - 1 quarters and less than k + 1.
    ("ring_quarters", 3),
)
HIGH_WATER_SHIFT = 8
COUNTERS = (
    ("saturated", "accumulator additions that were clamped"),
    ("late", "events that came after their tick"),
    ("dropped", "events not applied: late ones, or inputs that do not exist"),
    ("overruns", "free-running ticks that began late because the one before had not ended"),
    ("crc_errors", "frames with a wrong CRC or broken COBS"),
    ("uart_errors", "bytes without a stop bit"),
    ("gaps", "DATA frames that were out of order"),
    ("overflows", "DATA frames refused because the ring was full"),
    ("resent", "DATA frames sent again"),
)

REGISTERS = (
    Register(0x00, "control", 6, "rw", "See CONTROL."),
    Register(0x01, "groups_used", 10, "rw", "Groups of neurons that a tick updates."),
    Register(0x02, "kf", 16, "rw", "Filament loss per tick, 2**-16."),
    Register(0x03, "kr", 16, "rw", "Residue loss per tick, 2**-16."),
    Register(0x04, "kb", 16, "rw", "Filament to residue per tick, 2**-16."),
    Register(0x05, "scale", 15, "rw", "Volts per weight unit, 2**-19 V."),
    Register(0x06, "r_max", 15, "rw", "Largest residue, 2**-15."),
    Register(0x07, "probe_count", 7, "rw", "Neurons listed from AUX_PROBES on."),
    Register(0x08, "period_low", 16, "rw", "Clocks per free-running tick."),
    Register(0x09, "period_high", 8, "rw", "Bits 16 to 23 of the same."),
    # In the order in which Report.DIGEST sends them.
    Register(0x0A, "digest_low", 16, "ro", "Digest of the last tick's state."),
    Register(0x0B, "digest_high", 16, "ro", "Bits 16 to 31 of the same."),
    # A write to any of them shifts the LFSR by 16 bits, up, and its low bits become what is written:
    # all four are written one after the other, bits 48 to 63 first.
    *(Register(0x0C + k, f"lfsr_{k}", 16, "rw", f"LFSR state, bits {16 * k} to {16 * k + 15}.",
               int(k == 0)) for k in range(4)),
    Register(0x10, "tick_low", 16, "ro", "Number of the next tick."),
    Register(0x11, "tick_high", 16, "ro", "Bits 16 to 31 of the same."),
    Register(0x12, "words_low", 16, "ro", "Groups of weights added up since CLEAR."),
    Register(0x13, "words_high", 16, "ro", "Bits 16 to 31 of the same."),
    Register(0x14, "spike_level", 12, "rw", "Gate voltage of a spike, 2**-11 V."),
    Register(0x15, "r_noise", 8, "rw", "Noise of the residue, 2**-16 per unit of xi2."),
    # A tick that lasts into the period after it counts as one clock less than its own.
    Register(0x16, "longest_low", 16, "ro", "Clocks from when a free-running tick fell due to its "
             "last, at most, since CLEAR.", since=2),
    Register(0x17, "longest_high", 8, "ro", "Bits 16 to 23 of the same.", since=2),
    Register(0x18, "high_water", 16, "ro", "See HIGH_WATER.", since=2),
    Register(0x19, "sustained", 1, "rw", "Neurons fire in every tick that their gate ends at spike_level "
             "or above, not in the first alone.", since=3),
    # Takes effect when the board has answered and its line rests; whoever writes it says nothing
    # more until then.
    Register(0x1C, "bit_clocks", 16, "rw", "Clocks per bit of the serial line, less one.",
             since=2),
    *(Register(0x20 + k, name, 16, "ro", doc[0].upper() + doc[1:] + ".")
      for k, (name, doc) in enumerate(COUNTERS)),
)


def register(name: str) -> Register:
    """The register of that name; KeyError if there is none."""
    for entry in REGISTERS:
        if entry.name == name:
            return entry
    raise KeyError(f"no register named {name!r}; there are {', '.join(r.name for r in REGISTERS)}")


def address(space: Space, offset: int = 0) -> int:
    """The 24-bit address of a word of a space."""
    return space << OFFSET_BITS | offset


def hello_size() -> int:
    return sum(size for _, size in HELLO)


def pack_hello(values: Mapping[str, int]) -> bytes:
    """Payload of HELLO with these values by name."""
    return b"".join(values[name].to_bytes(size, "little") for name, size in HELLO)


@cache
def digest(shape: CoreShape | None = None, minor: int = PROTOCOL[1]) -> int:
    """32-bit digest of this contract (without a shape), so that two sides can tell they agree; or
    of what it was in an earlier minor version, from 1 on."""
    from ionspike.spec import formats
    parts = [(PROTOCOL[0], minor), MAGIC, PAYLOAD_BYTES, HELLO, LIST_SKIP, LIST_END, OFFSET_BITS, AUX_PROBES,
             AUX_REGISTERS, COEFFICIENT, STATE, STATE_STRIDE, CONTROL, COUNTERS, COUNTER_LIMIT,
             WORDS_LIMIT,
             [(r.offset, r.name, r.width, r.access, r.init) for r in REGISTERS if r.since <= minor],
             [[(e.name, int(e)) for e in enum] for enum in (Kind, Nack, Op, Report, Policy, Space)],
             [(name, getattr(formats, name)) for name in formats.__all__]]
    if minor >= register("high_water").since:
        parts += [HIGH_WATER, HIGH_WATER_SHIFT]
    if minor >= NARROW_SINCE:
        parts += [formats.NARROW_BITS]
    if shape is not None:
        parts.append(shape)
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")


def digests() -> dict[int, int]:
    """Digests of this contract and of the earlier ones that it goes on from, by minor version."""
    return {minor: digest(minor=minor) for minor in range(1, PROTOCOL[1] + 1)}
