"""Which board is opened, and what stands behind it."""

import logging
import os
from collections.abc import Callable
from typing import Any

from ionspike.host.board import Board
from ionspike.host.errors import InputError, NoBoardError
from ionspike.host.fault_spec import FaultSpec
from ionspike.host.link import Link, LinkError
from ionspike.host.ports import candidates
from ionspike.host.replug import Replugging
from ionspike.host.tcp import SocketPort
from ionspike.spec.baud import SAFE_BAUD
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape
from ionspike.spec.wire import BAUD

__all__ = ["BACKENDS", "open_board", "open_port"]

log = logging.getLogger(__name__)

BACKENDS = ("serial", "virtual", "golden")
#: Of the virtual board, on a machine with other things to do.
_SLOWNESS = 40.0
Stage = Callable[[str], None]


def open_board(port: str | None, backend: str | None, *, shape: CoreShape | None,
               timeout_s: float, progress: Stage, faults: FaultSpec | None = None,
               baud: int | None = None) -> Board:
    """See :meth:`ionspike.host.board.Board.open`."""
    board = _opened(port, backend, shape, timeout_s, progress, faults)
    try:
        # Found at the safe rate, it is asked for its own all the same.
        if (wanted := board.hello.baud if baud is None else baud) != board.baud:
            try:
                board.change_rate(wanted)
            except InputError as error:
                if baud is not None:
                    raise
                log.warning("%s; going on at %s", error, f"{board.baud:,}")
        return board
    except LinkError as error:
        board.close()
        raise NoBoardError(str(error)) from error
    except BaseException:
        board.close()
        raise


def _opened(port: str | None, backend: str | None, shape: CoreShape | None, timeout_s: float,
            progress: Stage, faults: FaultSpec | None) -> Board:
    if port in ("virtual", "golden") and backend in (None, port):
        port, backend = None, port
    if backend not in (None, *BACKENDS):
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}")
    if port is not None and backend in ("virtual", "golden"):
        raise InputError(f"a {backend} board has no port; give either the port {port!r} or the "
                         f"backend")
    if shape is not None and (port is not None or backend == "serial"):
        raise InputError("the shape of a board is what its bitstream was built with; only virtual "
                         "and golden boards can be given one")
    if backend == "golden":
        return _golden(shape or DEFAULT_SHAPE, timeout_s, faults)
    if backend == "virtual":
        return _virtual(shape or DEFAULT_SHAPE, timeout_s, progress, faults)
    if port is not None:
        return _serial(port, timeout_s, faults)
    found = candidates()
    if not found:
        if backend == "serial":
            raise NoBoardError("no board found; `ionspike doctor` says what was looked for")
        return _virtual(shape or DEFAULT_SHAPE, timeout_s, progress, faults)
    return _discovered(found, timeout_s, faults)


def _discovered(found: list[Any], timeout_s: float, faults: FaultSpec | None) -> Board:
    boards: list[tuple[Any, Board]] = []
    refused = []
    for candidate in found:
        try:
            boards.append((candidate, _serial(candidate.port, timeout_s, faults)))
        except NoBoardError as error:
            refused.append(str(error))
    if len(boards) == 1:
        return boards[0][1]
    for _, board in boards:
        board.close()
    if boards:
        raise NoBoardError("several boards: " + ", ".join(str(c) for c, _ in boards)
                           + "; give one with --port")
    raise NoBoardError("; ".join(refused) + "; for the virtual board use --backend virtual")


def _link(port: Any, timeout_s: float, faults: FaultSpec | None) -> Link:
    """A link over a port that may vanish for a while, or is made to."""
    return Link(Replugging(port if faults is None else faults.wrap(port), limit_s=timeout_s))


def _open(port: str, timeout_s: float) -> Any:
    """A port by its name or address."""
    import serial
    try:
        if port.startswith("socket://"):
            return SocketPort(port, timeout_s)
        try:
            return serial.serial_for_url(port, baudrate=BAUD, timeout=timeout_s)
        except ValueError:      # an adapter that cannot do that
            return serial.serial_for_url(port, baudrate=SAFE_BAUD, timeout=timeout_s)
    except InputError:
        raise
    except (serial.SerialException, ValueError, OSError) as error:
        raise NoBoardError(_why(port, error)) from error


def _serial(port: str, timeout_s: float, faults: FaultSpec | None) -> Board:
    line = _open(port, timeout_s)
    where = port.partition("?")[0]      # a token is not for messages
    try:
        # Whoever serves a board opens its port again; a connection that ended is over.
        bare = faults is None and isinstance(line, SocketPort)
        return Board(Link(line) if bare else _link(line, timeout_s, faults), backend="serial",
                     where=where, timeout_s=timeout_s, on_close=line.close)
    except (LinkError, OSError) as error:
        line.close()
        raise NoBoardError(str(error)) from error   # which names the port
    except BaseException:
        line.close()
        raise


def _why(port: str, error: Exception) -> str:
    code = getattr(error, "errno", None)
    port = port.partition("?token=")[0]
    if isinstance(error, (ConnectionRefusedError, TimeoutError)):
        return f"{port}: nobody answers there; is `ionspike serve` running, and is this its address?"
    if "://" not in port and not os.path.exists(port) and os.name == "posix":
        return f"{port}: no such port; `ionspike list` shows what there is"
    if code == 13 or "Permission" in str(error):
        return f"{port}: permission denied; `ionspike doctor` says how to get it"
    if code in (11, 16) or "busy" in str(error):
        return f"{port}: in use by another program"
    return f"{port}: cannot be opened ({str(error).splitlines()[0]})"


def _golden(shape: CoreShape, timeout_s: float, faults: FaultSpec | None) -> Board:
    from ionspike.sim.golden import GoldenPort
    port = GoldenPort(shape)
    link = Link(port) if faults is None else _link(port, timeout_s, faults)
    return Board(link, backend="golden", where="golden model", timeout_s=timeout_s,
                 on_close=port.close)


def _virtual(shape: CoreShape, timeout_s: float, progress: Stage,
             faults: FaultSpec | None) -> Board:
    line, virtual = _virtual_port(shape, timeout_s, progress)

    def close() -> None:
        line.close()
        virtual.close()

    try:
        link = Link(line) if faults is None else _link(line, timeout_s, faults)
        link.is_slow(_SLOWNESS)
        board = Board(link, backend="virtual", where="virtual board", timeout_s=timeout_s,
                      on_close=close)
        board.simulated = virtual.model
        return board
    except LinkError as error:
        close()
        raise NoBoardError(f"virtual board: {error}") from error
    except BaseException:
        close()
        raise


def _virtual_port(shape: CoreShape, timeout_s: float, progress: Stage) -> tuple[Any, Any]:
    """A virtual board, and its terminal, open."""
    import serial

    from ionspike.hdl.top import CLOCK_HZ, Top
    from ionspike.sim.compile import CompileError, build
    from ionspike.sim.virtual import DEFAULT_DIVISOR, VirtualBoard
    top = Top(shape, baud=CLOCK_HZ // DEFAULT_DIVISOR)
    try:
        virtual = VirtualBoard(build(top, progress=progress), top.divisor)
    except CompileError as error:
        raise NoBoardError(str(error)) from error
    try:
        return serial.Serial(virtual.port, top.baud, timeout=timeout_s), virtual
    except BaseException:
        virtual.close()
        raise


def open_port(port: str | None, backend: str | None, *, timeout_s: float, progress: Stage,
              faults: FaultSpec | None = None) -> tuple[Any, str, Callable[[], None]]:
    """A board's bytes without a link: the port, its name, and what closes it.

    Without a port and a backend it is the one board that is plugged in, or the virtual board. Who
    is there is not asked. It never blocks when it is written to.

    Raises
    ------
    NoBoardError
        If there is none, or several.
    """
    if port in ("virtual", "golden") and backend in (None, port):
        port, backend = None, port
    if port is not None and backend in ("virtual", "golden"):
        raise InputError(f"a {backend} board has no port; give either the port {port!r} or the "
                         f"backend")
    found = [] if port is not None or backend in ("virtual", "golden") else candidates()
    if len(found) > 1:
        raise NoBoardError("several boards: " + ", ".join(map(str, found)) + "; name one")
    if backend == "serial" and port is None and not found:
        raise NoBoardError("no board found; `ionspike doctor` says what was looked for")
    if backend == "golden":
        from ionspike.sim.golden import GoldenPort
        line: Any = GoldenPort()
        where, close = "golden model", line.close
    elif port is None and not found:
        line, virtual = _virtual_port(DEFAULT_SHAPE, timeout_s, progress)
        where = "virtual board"

        def close() -> None:
            line.close()
            virtual.close()
    else:
        where = port or found[0].port
        line = _open(where, timeout_s)
        close = line.close
    if hasattr(line, "write_timeout"):
        line.write_timeout = 0
    return (Replugging(line if faults is None else faults.wrap(line), limit_s=timeout_s),
            where.partition("?")[0], close)
