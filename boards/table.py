"""The boards: what each is, and what is built for it by default. Knows no gateware."""

import difflib
from dataclasses import dataclass

from ionspike.boards.errors import BuildError
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import Board

__all__ = ["BOARDS", "BoardFacts", "find"]


@dataclass(frozen=True)
class BoardFacts:
    """One board.

    Parameters
    ----------
    name : as on the command line; its platform is ``ionspike.boards.<module>.Platform``.
    family : ``ice40``, ``ecp5``, ``gowin`` or ``xilinx``.
    device : as the place and route tool calls it.
    clock_Hz : of the core; the board's file makes it from the oscillator.
    flash : commands that load ``{bitstream}``, in order of preference.
    usb : ``vendor:product`` of what the board enumerates as.
    uart : what carries the serial line, and what it needs.
    """

    name: str
    title: str
    board: Board
    family: str
    device: str
    clock_Hz: int
    shape: CoreShape
    flash: tuple[tuple[str, ...], ...]
    usb: str
    uart: str
    module: str = ""

    @property
    def platform(self) -> str:
        """Module and class of the platform."""
        module, _, name = (self.module or self.name).partition(":")
        return f"ionspike.boards.{module}:{name or 'Platform'}"

    @property
    def flow(self) -> str:
        """Tools and their options: of the family, or of an iCE40's size."""
        return self.device if self.family == "ice40" else self.family


_UP5K = CoreShape()
_85F = CoreShape(neurons=1024, inputs=512, lanes=16, words=16384, delay_slots=4)
_25F = CoreShape(neurons=512, inputs=256, lanes=8, words=4096, delay_slots=4)
_HX8K = CoreShape(neurons=128, inputs=128, lanes=8, words=512, delay_slots=2)
_GW1NR9 = CoreShape(neurons=128, inputs=128, lanes=8, words=2048, delay_slots=4)
_A7 = CoreShape(neurons=512, inputs=256, lanes=8, words=16384, delay_slots=4)

_ICEPROG = ("iceprog", "{bitstream}")
_ULX3S_FLASH = (("openFPGALoader", "-b", "ulx3s", "{bitstream}"), ("fujprog", "{bitstream}"),
                ("dfu-util", "-a", "0", "-D", "{bitstream}"))

BOARDS = {facts.name: facts for facts in (
    BoardFacts(
        "icebreaker", "iCEBreaker 1.0 and 1.1", Board.ICEBREAKER, "ice40", "up5k", 24_000_000,
        _UP5K, (_ICEPROG, ("openFPGALoader", "-b", "ice40_generic", "{bitstream}")), "0403:6010",
        "FT2232H, channel B: pins 6 (in) and 9 (out)"),
    BoardFacts(
        "upduino_v3", "UPduino 3.0 and 3.1", Board.UPDUINO_V3, "ice40", "up5k", 24_000_000,
        _UP5K, (_ICEPROG, ("openFPGALoader", "-b", "ice40_generic", "{bitstream}")), "0403:6014",
        "FT232H, whose two pins are the flash's: 15 (in, SPI clock) and 14 (out, SPI data); the "
        "flash is deselected by pin 16. Needs the OSC jumper (12 MHz on pin 20)"),
    BoardFacts(
        "hx8k_evn", "iCE40HX-8K breakout board (EVN)", Board.HX8K_EVN, "ice40", "hx8k", 24_000_000,
        _HX8K, (_ICEPROG, ("openFPGALoader", "-b", "ice40_generic", "{bitstream}")), "0403:6010",
        "FT2232H, channel B: pins B10 (in) and B12 (out)"),
    BoardFacts(
        "ulx3s_25f", "ULX3S 25F", Board.ULX3S, "ecp5", "25k", 45_000_000, _25F, _ULX3S_FLASH,
        "0403:6015", "FT231X: pins M1 (in) and L4 (out)", "ulx3s:Platform25F"),
    BoardFacts(
        "ulx3s_85f", "ULX3S 85F", Board.ULX3S, "ecp5", "85k", 60_000_000, _85F, _ULX3S_FLASH,
        "0403:6015", "FT231X: pins M1 (in) and L4 (out)", "ulx3s:Platform85F"),
    BoardFacts(
        "ecpix5", "ECPIX-5 85F", Board.ECPIX5, "ecp5", "um5g-85k", 60_000_000, _85F,
        (("ecpprog", "-S", "{bitstream}"), ("openFPGALoader", "-b", "ecpix5", "{bitstream}")),
        "0403:6010", "FT2232H, channel B: pins R26 (in) and R24 (out)"),
    BoardFacts(
        "tang_nano_9k", "Tang Nano 9K", Board.TANG_NANO_9K, "gowin", "GW1NR-LV9QN88PC6/I5",
        27_000_000, _GW1NR9, (("openFPGALoader", "-b", "tangnano9k", "{bitstream}"),),
        "0403:6010", "BL702, which acts as an FT2232H, channel B: pins 18 (in) and 17 (out)"),
    BoardFacts(
        "arty_a7", "Arty A7-35T", Board.ARTY_A7, "xilinx", "xc7a35ticsg324-1L", 48_000_000, _A7,
        (("openFPGALoader", "-b", "arty_a7_35t", "{bitstream}"),), "0403:6010",
        "FT2232H, channel B: pins A9 (in) and D10 (out)"),
)}


def find(name: str) -> BoardFacts:
    """The board of that name.

    Raises
    ------
    BuildError
        If there is none; names the nearest.
    """
    key = name.lower().replace("-", "_")
    if key in BOARDS:
        return BOARDS[key]
    near = difflib.get_close_matches(key, BOARDS, 3, 0.5) or sorted(
        board for board in BOARDS if key and key in board)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(BOARDS)}"
    raise BuildError(f"no board is called {name!r}; {hint}")
