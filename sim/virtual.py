"""The virtual board: the compiled top level, reached through the pins of its UART.

:class:`SimPort` is a port in this process and in simulated time, for tests and figures that repeat
exactly. :class:`VirtualBoard` puts the same model behind a pseudo-terminal, for any program.
"""

import ctypes
import os
import threading
import tty
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from ionspike.hdl.top import CLOCK_HZ, Top
from ionspike.sim import compile
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["DEFAULT_DIVISOR", "Model", "SimPort", "VirtualBoard", "library"]

DEFAULT_DIVISOR = 4
"""Clocks per bit: the virtual line's rate is a choice, and a faster line wastes fewer clocks."""

# Bounds how long another thread, or Ctrl-C, waits for a simulation to return.
_SLICE_CYCLES = 100_000

_FUNCTIONS = {
    # name: (result, arguments after the model)
    "model_destroy": (None, ()),
    "model_divisor": (ctypes.c_uint32, ()),
    "model_set_divisor": (None, (ctypes.c_uint32,)),
    "model_cycles": (ctypes.c_uint64, ()),
    "model_line_errors": (ctypes.c_uint64, ()),
    "model_quiet": (ctypes.c_int, ()),
    "model_unsent": (ctypes.c_size_t, ()),
    "model_received": (ctypes.c_size_t, ()),
    "model_send": (None, (ctypes.c_char_p, ctypes.c_size_t)),
    "model_receive": (ctypes.c_size_t, (ctypes.c_char_p, ctypes.c_size_t)),
    "model_run": (ctypes.c_uint64, (ctypes.c_uint64, ctypes.c_size_t)),
    "model_run_bare": (None, (ctypes.c_uint64,)),
    "model_serve": (ctypes.c_int, (ctypes.c_int, ctypes.c_int, ctypes.c_uint32)),
    "model_stop": (None, ()),
    "model_signals": (None, (ctypes.c_void_p,)),
    "model_watch": (ctypes.c_int, (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32,
                                   ctypes.c_uint32, ctypes.c_int)),
    "model_watch_start": (ctypes.c_int, (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint32,
                                         ctypes.c_uint32, ctypes.c_int, ctypes.c_uint64)),
    "model_watch_stop": (ctypes.c_int, ()),
}
_TELL = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_size_t)


def library(shape: CoreShape = DEFAULT_SHAPE, divisor: int = DEFAULT_DIVISOR, *,
            progress: Callable[[str], None] | None = None) -> Path:
    """The compiled top level of the board, from the cache if it is there."""
    return compile.build(lambda: Top(shape, clock_hz=CLOCK_HZ, baud=CLOCK_HZ // divisor),
                         identity=f"Top({shape!r}, {CLOCK_HZ}, {divisor})", progress=progress)


@cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.model_create.restype = ctypes.c_void_p
    library.model_create.argtypes = [ctypes.c_uint32]
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, [ctypes.c_void_p, *arguments]
    return library


def _checked(divisor: int) -> int:
    if not 2 <= divisor < 1 << 16:
        raise ValueError(f"a bit lasts 2 to 65535 clocks, not {divisor}")
    return divisor


class Model:
    """One running instance of a library made by :func:`ionspike.sim.compile.build`.

    It is not to be used by two threads at a time; :attr:`cycles` and :attr:`divisor` are.
    """

    def __init__(self, library: Path, divisor: int = DEFAULT_DIVISOR):
        self._library = _load(library)
        self._model = self._library.model_create(_checked(divisor))
        weakref.finalize(self, self._library.model_destroy, self._model)

    @property
    def divisor(self) -> int:
        """Clocks per bit of the line; both directions, from their next bit on."""
        return self._library.model_divisor(self._model)

    @divisor.setter
    def divisor(self, divisor: int) -> None:
        self._library.model_set_divisor(self._model, _checked(divisor))

    @property
    def cycles(self) -> int:
        """Clocks simulated since power-up."""
        return self._library.model_cycles(self._model)

    @property
    def line_errors(self) -> int:
        """Characters from the board without a stop bit, which were dropped."""
        return self._library.model_line_errors(self._model)

    @property
    def quiet(self) -> bool:
        """Nothing will happen without input, as far as can be told from outside."""
        return bool(self._library.model_quiet(self._model))

    @property
    def unsent(self) -> int:
        """Bytes that wait to be driven onto the line."""
        return self._library.model_unsent(self._model)

    @property
    def received(self) -> int:
        """Bytes from the board that wait to be taken."""
        return self._library.model_received(self._model)

    def send(self, data: bytes) -> None:
        self._library.model_send(self._model, bytes(data), len(data))

    def receive(self, size: int) -> bytes:
        """Take up to ``size`` received bytes."""
        buffer = ctypes.create_string_buffer(size)
        count = self._library.model_receive(self._model, buffer, size)
        return buffer.raw[:count]

    def run(self, cycles: int, *, until: int | None = None) -> int:
        """Simulate so many clocks, or fewer if ``until`` bytes wait earlier; returns how many."""
        wanted = ctypes.c_size_t(-1) if until is None else until
        done = 0
        while done < cycles and (until is None or self.received < until):
            limit = min(cycles - done, _SLICE_CYCLES)
            done += self._library.model_run(self._model, limit, wanted)
        return done

    def run_bare(self, cycles: int) -> None:
        """Simulate without the line, for measuring; this clock is not counted."""
        self._library.model_run_bare(self._model, cycles)

    def serve(self, terminal: int, wake: int) -> int:
        """Serve a pseudo-terminal until :meth:`stop`; returns an ``errno`` or 0.

        The line keeps the terminal's speed, as :class:`VirtualBoard` says.
        """
        return self._library.model_serve(self._model, terminal, wake, CLOCK_HZ)

    def stop(self) -> None:
        self._library.model_stop(self._model)

    # Unlike all else, the following may be used while another thread runs the model.

    def signals(self) -> dict[str, tuple[int, int]]:
        """What can be watched: names in the gateware, and how many bits and words each has."""
        found = {}

        def tell(name: bytes, bits: int, words: int) -> None:
            found[name.decode()] = (bits, words)

        self._library.model_signals(self._model, _TELL(tell))
        return found

    def watch(self, name: str, *, word: int = 0, low: int = 0, bits: int = 1,
              at_rest: bool = False) -> None:
        """One more signal whose changes :meth:`watch_start` logs; they are numbered from 0.

        Parameters
        ----------
        word : of a memory.
        low, bits : the part of it that counts, up to 64 bits.
        at_rest : whether it is looked at only while the ``busy`` signal is zero.
        """
        if not self._library.model_watch(self._model, name.encode(), word, low, bits, at_rest):
            raise LookupError(f"the model has no {bits} bits from {low} on in word {word} of {name}")

    def watch_start(self, tick: str, busy: str, ticks: tuple[int, int], file: int,
                    most: int) -> None:
        """Log changes to a file, as pairs of 64-bit integers: clock and 16 bits of number; value.

        Parameters
        ----------
        tick, busy : names of the signals that say which tick it is, and that there is no rest.
        ticks : the first tick that is logged, and the first that no longer is.
        file : its descriptor; it must not be closed before :meth:`watch_stop`.
        most : changes after which nothing more is logged.
        """
        last = (1 << 32) - 1
        if not self._library.model_watch_start(self._model, tick.encode(), busy.encode(),
                                               ticks[0], min(ticks[1], last), file, most):
            raise LookupError(f"the model has no signal {tick} or {busy}")

    def watch_stop(self) -> bool:
        """Stop logging and forget what was watched; returns whether all changes are in the log."""
        error = self._library.model_watch_stop(self._model)
        if error > 0:
            raise OSError(error, f"the waves do not fit the disk: {os.strerror(error)}")
        return not error


class SimPort:
    """The part of :class:`serial.Serial` that the host library needs, in simulated time.

    Reading simulates until enough bytes are there or ``timeout`` simulated seconds have passed, so
    a program gets the same bytes at the same clocks in every run. Without a timeout, reading from
    a board that has gone quiet raises :class:`TimeoutError` instead of hanging.
    """

    def __init__(self, model: Model, *, clock_Hz: float = 12e6, timeout: float | None = 1.0):
        self.model = model
        self.clock_Hz = clock_Hz
        self.timeout = timeout
        self.is_open = True
        # A reading and a writing thread are allowed, as with a real port.
        self._lock = threading.Lock()

    @property
    def cycles(self) -> int:
        return self.model.cycles

    @property
    def baudrate(self) -> int:
        """Of the host's UART; the board's is its own affair."""
        return round(self.clock_Hz / self.model.divisor)

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        with self._lock:
            self.model.divisor = round(self.clock_Hz / baud)

    @property
    def in_waiting(self) -> int:
        with self._lock:
            return self.model.received

    @property
    def out_waiting(self) -> int:
        with self._lock:
            return self.model.unsent

    def run(self, cycles: int) -> None:
        """Let simulated time pass."""
        with self._lock:
            self.model.run(cycles)

    def read(self, size: int = 1) -> bytes:
        limit = None if self.timeout is None else int(self.timeout * self.clock_Hz)
        while True:
            with self._lock:
                if not self.is_open:
                    raise OSError("the port is closed")
                missing = size - self.model.received
                if missing <= 0 or limit == 0:
                    return self.model.receive(size)
                if limit is None and self.model.quiet:
                    raise TimeoutError(f"the board is quiet and {missing} of {size} bytes are missing")
                step = _SLICE_CYCLES if limit is None else min(limit, _SLICE_CYCLES)
                done = self.model.run(step, until=size)
            limit = None if limit is None else limit - done

    def write(self, data: bytes) -> int:
        with self._lock:
            if not self.is_open:
                raise OSError("the port is closed")
            self.model.send(data)
        return len(data)

    def flush(self) -> None:
        """Simulate until the last byte written has begun to leave."""
        while self.out_waiting:
            self.run(10 * self.model.divisor)

    def reset_input_buffer(self) -> None:
        with self._lock:
            self.model.receive(self.model.received)

    def close(self) -> None:
        self.is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


class VirtualBoard:
    """A model behind a pseudo-terminal, served by a thread of its own.

    It runs as fast as it can while the line or the board has something to do, and sleeps
    otherwise. What a slow program does not read stays where it is: the board's clock stands still
    until there is room, and no byte is lost.

    A program that changes the terminal's speed changes the line's, as on a real port: from then on a bit
    lasts CLOCK_HZ / speed clocks, to the nearest. The speed at which the first bytes come, whatever
    it is, stands for ``divisor``.

    Members
    -------
    port : str
        Name of the terminal, for :class:`serial.Serial` or any other program.
    model : Model
        While the board is open, only its ``cycles`` and ``divisor`` are usable.
    """

    def __init__(self, library: Path, divisor: int = DEFAULT_DIVISOR):
        self.model = Model(library, divisor)
        terminal, client = os.openpty()
        wake = os.eventfd(0, os.EFD_CLOEXEC)
        # The client's side stays open, so that the terminal outlives each program that uses it.
        tty.setraw(terminal)
        tty.setraw(client)
        os.set_blocking(terminal, False)
        self.port = os.ttyname(client)
        # The thread must not hold this object, or nobody could ever drop it.
        thread = threading.Thread(target=self.model.serve, args=(terminal, wake), daemon=True,
                                  name=f"ionspike virtual board {self.port}")
        self._finish = weakref.finalize(self, _finish, self.model, thread, terminal, client, wake)
        thread.start()

    @classmethod
    def open(cls, shape: CoreShape = DEFAULT_SHAPE, divisor: int = DEFAULT_DIVISOR, *,
             progress: Callable[[str], None] | None = None) -> Self:
        """A virtual board of a given size; :func:`library` and then this class."""
        return cls(library(shape, divisor, progress=progress), divisor)

    def close(self) -> None:
        """Stop and free everything; a program that has the port open finds it gone."""
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


def _finish(model: Model, thread: threading.Thread, *files: int) -> None:
    model.stop()
    os.eventfd_write(files[-1], 1)
    thread.join()
    for file in files:
        os.close(file)
