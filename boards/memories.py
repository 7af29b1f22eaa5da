"""How much block RAM a shape needs, from the design itself and before synthesis."""

import re
from math import ceil
from pathlib import Path

from amaranth.back import rtlil

from ionspike.boards.table import BoardFacts
from ionspike.hdl.top import Top
from ionspike.spec.shape import CoreShape

__all__ = ["ROOM", "fits", "need"]

#: What each board's chip has.
ROOM = {
    "icebreaker": {"block RAM": 30, "SPRAM": 4}, "upduino_v3": {"block RAM": 30, "SPRAM": 4},
    "hx8k_evn": {"block RAM": 32}, "ulx3s_25f": {"block RAM": 56}, "ulx3s_85f": {"block RAM": 208},
    "ecpix5": {"block RAM": 208}, "tang_nano_9k": {"block RAM": 26},
}

#: Depth and width of a block, as Yosys maps memories with separate read and write ports.
_BLOCKS = {"up5k": ((256, 16), (512, 8), (1024, 4), (2048, 2)),
           "ecp5": ((1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
           "gowin": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))}
_BLOCKS["hx8k"] = _BLOCKS["up5k"]
#: Smaller memories, in bits, may become logic, so they are not counted.
_SMALL = 512


def need(design: Path | str, flow: str) -> dict[str, int]:
    """Blocks that the memories of an RTLIL file take, at most."""
    text = design if isinstance(design, str) else design.read_text()
    count = 0
    for width, depth in re.findall(r"^\s*memory width (\d+) size (\d+)", text, re.MULTILINE):
        if int(width) * int(depth) > _SMALL:
            count += min(ceil(int(width) / w) * ceil(int(depth) / d) for d, w in _BLOCKS[flow])
    found = {"block RAM": count}
    if spram := len(re.findall(r"^\s*cell \\SB_SPRAM256KA ", text, re.MULTILINE)):
        found["SPRAM"] = spram
    return found


class _Chip:
    """What the gateware asks of a platform."""

    def __init__(self, device: str):
        self.device = device

    def get_io_buffer(self, buffer):
        raise NotImplementedError


def fits(facts: BoardFacts, shape: CoreShape) -> bool:
    """Whether there are blocks enough for a shape."""
    top = Top(shape, board=facts.board, clock_hz=facts.clock_Hz)
    chip = _Chip("iCE40UP5K" if facts.flow == "up5k" else "")
    text = rtlil.convert(top, platform=chip, emit_src=False)
    return all(count <= ROOM[facts.name].get(kind, 0)
               for kind, count in need(text, facts.flow).items())
