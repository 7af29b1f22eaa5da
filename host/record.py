"""A recording around what a board does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ionspike.host.errors import InputError
from ionspike.host.recorder import Recorder
from ionspike.spec import wire

__all__ = ["recorded"]

_LFSR = wire.register("lfsr_0").offset


@contextmanager
def recorded(board: Any, path: Path, overwrite: bool) -> Iterator[dict[str, Any]]:
    """See :meth:`ionspike.host.board.Board.record`."""
    session = board._session
    if session.recorder is not None:
        raise InputError(f"{path}: this board is being recorded already, to "
                         f"{session.recorder.path}")
    lfsr = board.read(wire.Space.REGISTERS, _LFSR, 4)
    recorder = Recorder(path, {
        "versions": board.versions, "contract": board.hello.digest, "build": board.build,
        "backend": board.backend, "board": board.name, "is_hardware": board.is_hardware,
        "shape": asdict(board.shape), "clock_hz": board.hello.clock_hz,
        "lfsr": f"{sum(int(word) << 16 * k for k, word in enumerate(lfsr)):#018x}",
        "begun": datetime.now(UTC).isoformat(timespec="seconds")}, overwrite=overwrite)
    session.recorder = recorder
    facts: dict[str, Any] = {"path": str(path)}
    try:
        # What a board does follows from what it is told from here on, so it is told everything.
        if board.compiled is not None:
            board.load(board.compiled)
        # Highest bits first: the LFSR shifts.
        board.write(wire.Space.REGISTERS, _LFSR, lfsr[::-1])
        yield facts
    finally:
        session.recorder = None
        recorder.close()
        facts["bytes"] = recorder.size
