"""``ionspike serve``: one board for others on the network."""

import argparse
import ipaddress
import os
import time
from typing import Any

from ionspike.host.arguments import add_board, add_json, verb
from ionspike.host.backends import open_port
from ionspike.host.console import emit, note, table
from ionspike.host.errors import InputError, NoBoardError
from ionspike.host.fault_spec import FaultSpec
from ionspike.host.serve import Server
from ionspike.host.tcp import TOKEN_VARIABLE, address_of

__all__ = ["add"]

LISTEN = "127.0.0.1:5333"


def add(verbs: Any) -> None:
    parser = verb(verbs, "serve", _serve, "Share a board over TCP, with one client at a time, until "
                  "Ctrl-C. Others open it as socket://HOST:PORT.")
    parser.add_argument("line", nargs="?", metavar="PORT", help="the same as --port")
    parser.add_argument("--listen", default=LISTEN, metavar="HOST:PORT",
                        help="where (default %(default)s); port 0 is any that is free")
    parser.add_argument("--token", metavar="TOKEN", help="let in only who opens socket://HOST:PORT?"
                        f"token=TOKEN; without it, what {TOKEN_VARIABLE} says. It is wanted where "
                        "other machines may come in, and travels unencrypted")
    add_board(parser, rate=False)
    add_json(parser)


def _serve(arguments: argparse.Namespace) -> int:
    if arguments.line is not None:
        if arguments.port not in (None, arguments.line):
            raise InputError(f"two ports: {arguments.line} and --port {arguments.port}; give one")
        arguments.port = arguments.line
    listen = address_of(arguments.listen, "--listen")
    token = arguments.token or os.environ.get(TOKEN_VARIABLE) or None
    if token is None and not _is_loopback(listen[0]):
        raise InputError(f"--listen {arguments.listen} lets other machines in: give --token TOKEN, "
                         f"or listen on 127.0.0.1")
    if token is not None and (not token.isprintable() or not token.isascii() or len(token) > 200):
        raise InputError("--token must be up to 200 printable ASCII characters")
    faults = None if arguments.faults is None else FaultSpec.parse(arguments.faults)
    port, where, close = open_port(
        arguments.port, arguments.backend, timeout_s=arguments.timeout, faults=faults,
        progress=lambda stage: note(f"virtual board, first use: {stage}"))
    try:
        try:
            server = Server(port, listen, token=token, say=note)
        except OSError as error:
            raise InputError(f"--listen {arguments.listen}: {error.strerror or error}") from None
        host, number = server.address
        shown = f"[{host}]" if ":" in host else host
        note(f"{where} at socket://{shown}:{number}" + ("?token=..." if token else "")
             + "; Ctrl-C ends it")
        begun_s = time.monotonic()
        try:
            server.run()
        except KeyboardInterrupt:
            pass    # how it is meant to end
        except OSError as error:
            raise NoBoardError(f"{where}: the board vanished ({error})") from error
    finally:
        close()
    facts = {"board": where, "listened": f"{shown}:{number}", "served": server.served,
             "refused": server.refused, "dropped": server.dropped,
             "seconds": round(time.monotonic() - begun_s, 1)}
    emit(facts, table(facts.items()), arguments.json)
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
