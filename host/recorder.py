"""Writes a session to a file while it goes on: docs/recordings.md."""

import json
import os
import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from ionspike.host import blocks
from ionspike.host.compiler import Compiled
from ionspike.host.errors import InputError
from ionspike.host.ionfile import dump

__all__ = ["FORMAT", "SUFFIX", "Kind", "Recorder", "check_file"]

FORMAT = "ionspike recording"
SUFFIX = ".ionrec"
#: Bytes and seconds after which what has come is written; a killed recording lacks no more.
_BYTES, _SECONDS = 1 << 16, 0.25
#: Seconds after which what is written is on the disk, even if the computer fails.
_SYNC_S = 1.0


class Kind(IntEnum):
    """First byte of a block."""

    HEADER = 1      # JSON: what recorded, and on what
    NETWORK = 2     # a .ion file: what is loaded next
    PLACEMENT = 3   # JSON: where its neurons are in the core
    BEGIN = 4       # JSON: what follows was asked for
    SENT = 5        # records to the board, see wire.Op
    RECEIVED = 6    # its answer, see wire.Report
    END = 7         # JSON: all was answered
    CLOSE = 8       # JSON: the recording ended as it should


def check_file(path: Path, overwrite: bool = False) -> None:
    """Found out before the run rather than after it."""
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: recordings are written as {SUFFIX}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; give another name, or --force (overwrite=True) to "
                         f"replace it")


class Recorder:
    """A file that a session is written to.

    Parameters
    ----------
    path : a ``.ionrec`` file.
    header : as JSON holds it.
    overwrite : whether a file of that name is replaced.
    clock : seconds; for tests.

    Members
    -------
    ended : whether it takes no more, for it was closed or an exchange was cut short.
    blocks, size : written so far; ``size`` in bytes.

    Raises
    ------
    InputError
        For a file that cannot be written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, overwrite: bool = False,
                 clock: Callable[[], float] = time.monotonic):
        check_file(path, overwrite)
        self.path, self.ended, self.blocks, self.size = path, False, 0, 0
        self._clock = clock
        self._sent, self._received = bytearray(), bytearray()
        self._written_s = self._synced_s = clock()
        self._inside = False
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                                 | (os.O_TRUNC if overwrite else os.O_EXCL), 0o666)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        self._write(blocks.preamble())
        self._json(Kind.HEADER, {"format": FORMAT, **header})

    def load(self, compiled: Compiled) -> None:
        """A network that is loaded next."""
        self._require()
        self._block(Kind.NETWORK, dump(compiled.network))
        self._json(Kind.PLACEMENT, {
            "image_digest": compiled.image.digest(), "neurons": compiled.image.neurons,
            "neuron_slots": compiled.neuron_slots.tolist(),
            "input_slots": compiled.input_slots.tolist()})

    def begin(self, facts: Mapping[str, Any]) -> None:
        """An exchange: what was asked for, ``restart`` and the number of the next ``tick``."""
        self._require()
        self._json(Kind.BEGIN, facts)
        self._inside = True

    def sent(self, record: bytes) -> None:
        """A record to the board."""
        self._sent += record
        if len(self._sent) > _BYTES:
            self._flush()

    def received(self, data: bytes) -> None:
        """Bytes of its answer."""
        self._received += data
        if len(self._received) > _BYTES or self._clock() - self._written_s > _SECONDS:
            self._flush()

    def end(self, facts: Mapping[str, Any]) -> None:
        """The exchange has ended."""
        self._flush()
        self._json(Kind.END, facts)
        self._inside = False

    def close(self) -> None:
        """No more; an exchange under way was cut short, and so is the recording."""
        if self.ended:
            return
        self.ended = True
        try:
            self._flush()
            if not self._inside:
                self._json(Kind.CLOSE, {"blocks": self.blocks})
            os.fsync(self._file)
        except OSError as error:
            raise self._full(error) from None
        finally:
            os.close(self._file)

    def _require(self) -> None:
        if self.ended or self._inside:
            raise InputError(f"{self.path}: the recording ended where a run was cut short; "
                             f"begin another")

    def _flush(self) -> None:
        # Commands first: no answer stands in the file without what it answers.
        for kind, waiting in ((Kind.SENT, self._sent), (Kind.RECEIVED, self._received)):
            for at in range(0, len(waiting), blocks.MOST_BYTES):
                self._block(kind, bytes(waiting[at:at + blocks.MOST_BYTES]))
            waiting.clear()
        self._written_s = self._clock()

    def _json(self, kind: Kind, facts: Mapping[str, Any]) -> None:
        self._block(kind, json.dumps(facts, sort_keys=True, allow_nan=False).encode())

    def _block(self, kind: Kind, payload: bytes) -> None:
        self._write(blocks.pack(kind, self.blocks, payload))
        self.blocks += 1
        if (now_s := self._clock()) - self._synced_s > _SYNC_S:
            self._synced_s = now_s
            os.fdatasync(self._file)

    def _write(self, data: bytes) -> None:
        # Straight to the system: what it has taken outlives this program.
        try:
            while data:
                written = os.write(self._file, data)
                self.size += written
                data = data[written:]
        except OSError as error:
            raise self._full(error) from None

    def _full(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: cannot be written ({error.strerror}); the recording ends "
                          f"there")
