"""The golden model behind a port: the same bytes as a board, without gateware or time."""

import time

from ionspike.host.errors import BoardError
from ionspike.host.hello import Hello
from ionspike.sim.interpreter import Interpreter
from ionspike.sim.link import BoardLink
from ionspike.spec import formats as fmt
from ionspike.spec import wire
from ionspike.spec.shape import DEFAULT_SHAPE, CoreShape

__all__ = ["GoldenPort"]

#: The board's counters by the names of the link's strobes.
_STROBES = {"crc_errors": "crc_error", "gaps": "gap", "overflows": "overflow", "resent": "resent"}
#: Ticks run at a time: bounds how long a call takes, so that Ctrl-C and progress come through.
_SLICE_TICKS = 64
#: Seconds after which frames that nobody acknowledges are sent again, as gateware does.
_RESEND_S = 0.022
#: Reports waiting for the host beyond which no more ticks are run.
_BACKLOG = 4096


class GoldenPort:
    """The part of :class:`serial.Serial` that the host library needs.

    It works when it is read or asked, in the caller's thread.

    Parameters
    ----------
    shape : sizes of the core.
    timeout : seconds; of which it never needs any while there is something to do.
    """

    name = "golden model"

    def __init__(self, shape: CoreShape = DEFAULT_SHAPE, timeout: float | None = None):
        self.timeout = timeout
        self.is_open = True
        self.link = BoardLink(Hello(
            digest=wire.digest(), board=wire.Board.GOLDEN, lanes=shape.lanes,
            delay_slots=shape.delay_slots, lfsr_width=fmt.LFSR_WIDTH, lfsr_leap=fmt.LFSR_LEAP,
            tx_slots=wire.TX_SLOTS, neurons=shape.neurons, inputs=shape.inputs,
            rx_bytes=wire.RX_BYTES, words=shape.words, clock_hz=24_000_000, baud=wire.BAUD,
            lfsr_taps=int.from_bytes(bytes(fmt.LFSR_TAPS), "little")))
        self.interpreter = Interpreter(shape, self._counters, self._clear)
        self._opened = 0
        self._out = bytearray()
        self._oldest: tuple[int | None, float] = None, 0.0

    @property
    def in_waiting(self) -> int:
        self._serve()
        return len(self._out)

    def read(self, size: int = 1) -> bytes:
        self._serve()
        if not self._out:
            self._resend()
        if not self._out and self.timeout != 0:
            # Whoever polls a board that has nothing to say need not keep a core busy.
            time.sleep(min(0.001, self.timeout or 0.001))
        data = bytes(self._out[:size])
        del self._out[:size]
        return data

    def write(self, data: bytes) -> int:
        self._require_open()
        self.link.feed(data)
        return len(data)

    def flush(self) -> None:
        self._serve()

    def reset_input_buffer(self) -> None:
        self._out.clear()

    def close(self) -> None:
        self.is_open = False

    def _require_open(self) -> None:
        if not self.is_open:
            raise OSError("the port is closed")

    def _serve(self) -> None:
        self._require_open()
        if self.link.opened != self._opened:
            self._opened = self.link.opened
            self.interpreter.restart()
        if not self.interpreter.busy:
            self.interpreter.feed(self.link.read())
        if self.interpreter.busy and self.link.backlog < _BACKLOG:
            try:
                self.link.write(self.interpreter.run(_SLICE_TICKS))
            except ValueError as error:
                self.interpreter.restart()
                raise BoardError(f"the golden model cannot run what was written to it: {error}") from error
        self._out += self.link.take()

    def _resend(self) -> None:
        oldest, since_s = self._oldest
        now_s = time.monotonic()
        if self.link.oldest is None or self.link.oldest != oldest:
            self._oldest = self.link.oldest, now_s
        elif now_s - since_s > _RESEND_S:
            self._oldest = oldest, now_s
            self.link.resend()
            self._out += self.link.take()

    def _counters(self) -> dict[str, int]:
        return {name: self.link.counters[strobe] for name, strobe in _STROBES.items()}

    def _clear(self) -> None:
        for strobe in _STROBES.values():
            self.link.counters[strobe] = 0
