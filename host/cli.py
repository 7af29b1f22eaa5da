"""The ``ionspike`` command.

Exit codes: 0 all well; 1 a comparison failed; 2 something given cannot be used; 3 no board, or its
link failed; 4 data were lost or late; 5 a bitstream missed its timing; 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from ionspike.host.errors import BoardError, InputError, LossError, NoBoardError, TimingError
from ionspike.spec.device import DeviceError

__all__ = ["main"]

OK, DIFFERS, USAGE, NO_BOARD, LOST, TOO_SLOW, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"ionspike: {message}; see `{self.prog} --help`\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = _build()
    arguments = parser.parse_args(argv)
    from ionspike.host.link import LinkError
    try:
        return int(arguments.verb(arguments))
    except LossError as error:
        return _fail(LOST, error)
    except TimingError as error:
        return _fail(TOO_SLOW, error)
    except (InputError, DeviceError) as error:
        return _fail(USAGE, error)
    except (NoBoardError, BoardError, LinkError) as error:
        return _fail(NO_BOARD, error)
    except BrokenPipeError:
        # The reader of our output went away; without this Python says so once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return _fail(INTERRUPTED, "interrupted")
    except OSError as error:
        return _fail(USAGE, error)


def _fail(code: int, error: object) -> int:
    print(f"ionspike: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _build() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ionspike", description="Memristor spiking neurons on a board or a virtual board.",
        epilog="Exit codes: 0 all well; 1 a comparison failed; 2 something given cannot be used; "
               "3 no board, or its link failed; 4 data were lost or late; 5 a bitstream missed its "
               "timing; 130 interrupted.")
    parser.add_argument("--version", action="version", version=f"ionspike {version('ionspike')}")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    from ionspike.host import (
        verb_build,
        verb_characterize,
        verb_demo,
        verb_device,
        verb_doctor,
        verb_encode,
        verb_fetch,
        verb_flash,
        verb_import,
        verb_info,
        verb_list,
        verb_loopback,
        verb_replay,
        verb_run,
        verb_serve,
        verb_train,
        verb_verify,
    )
    for module in (verb_list, verb_info, verb_demo, verb_import, verb_encode, verb_fetch, verb_run,
                   verb_replay, verb_verify, verb_characterize, verb_device, verb_build, verb_flash,
                   verb_loopback, verb_serve, verb_train, verb_doctor):
        module.add(verbs)
    return parser
