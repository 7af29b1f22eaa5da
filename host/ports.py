"""Serial ports that a board may be behind."""

import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Candidate", "candidates"]

#: USB identities of the boards' serial converters. An FT2232H has two ports, the UART is the
#: second; the same chip sits on several boards, so that only HELLO tells for sure.
_KNOWN = {
    (0x0403, 0x6010): ("iCEBreaker, iCEstick, HX8K or Arty", True),
    (0x0403, 0x6014): ("UPduino", False),
    (0x0403, 0x6015): ("ULX3S", False),
}


@dataclass(frozen=True)
class Candidate:
    """A port and what its USB identity says."""

    port: str
    name: str
    usb: str

    def __str__(self) -> str:
        return f"{self.port} ({self.name}, USB {self.usb})"


def candidates(ports: list[Any] | None = None) -> list[Candidate]:
    """Ports by VID:PID and interface, in order of name.

    Parameters
    ----------
    ports : entries of :func:`serial.tools.list_ports.comports`, which is asked without them.
    """
    if ports is None:
        from serial.tools.list_ports import comports
        ports = list(comports())
    found = []
    for entry in ports:
        if (identity := (entry.vid, entry.pid)) not in _KNOWN:
            continue
        name, second = _KNOWN[identity]
        if second and not _is_second(entry):
            continue
        found.append(Candidate(entry.device, name, f"{entry.vid:04x}:{entry.pid:04x}"))
    return sorted(found, key=lambda c: c.port)


def _is_second(entry: Any) -> bool:
    """Whether a port of a two-port chip is its second, or cannot be told."""
    # Linux counts interfaces at the end of the location: 1-2:1.0 and 1-2:1.1.
    if match := re.search(r":\d+\.(\d+)$", entry.location or ""):
        return match[1] == "1"
    # Windows appends A or B to the serial number, macOS 0 or 1 (or A or B) to the name.
    if match := re.search(r"([AB])$", entry.serial_number or ""):
        return match[1] == "B"
    if match := re.search(r"usbserial-.*([01AB])$", entry.device or ""):
        return match[1] in "1B"
    return True
