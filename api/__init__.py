"""Memristor spiking neurons on a cheap FPGA, or on a virtual board.

The names below are what most programs need. They load on first use, so that
``import ionspike.spec`` costs nothing more than what it names.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ionspike.host.board import Board, Result
    from ionspike.host.network import Network
    from ionspike.host.spikes import Spikes

__all__ = ["Board", "Network", "Result", "Spikes"]

__version__ = version("ionspike")

_HOMES = {
    "Board": "ionspike.host.board",
    "Network": "ionspike.host.network",
    "Result": "ionspike.host.board",
    "Spikes": "ionspike.host.spikes",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
