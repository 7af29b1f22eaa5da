"""``ionspike doctor``: what is there, what is missing, and how to get it."""

import argparse
from dataclasses import asdict
from typing import Any

from ionspike.host.arguments import add_json, verb
from ionspike.host.console import emit, note

__all__ = ["add"]


def add(verbs: Any) -> None:
    parser = verb(verbs, "doctor", _doctor, "Check tools, permissions, ports and the virtual board, "
                  "and say how to get what is missing; exit code 3 if something needed is.")
    parser.add_argument("--quick", action="store_true", help="leave out the virtual board, which "
                        "takes a minute the first time")
    add_json(parser)


def _doctor(arguments: argparse.Namespace) -> int:
    from ionspike.host.doctor import examine
    checks = examine(quick=arguments.quick,
                     progress=lambda stage: note(f"virtual board, first use: {stage}"))
    bad = [check for check in checks if check.status == "bad"]
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status:<6}  {check.name:<{width}}  {check.found}")
        if check.remedy:
            lines.append(f"{'':6}  {'':{width}}  -> {check.remedy}")
    lines.append("all that is needed is there" if not bad
                 else f"{len(bad)} to mend: {', '.join(check.name for check in bad)}")
    emit({"checks": [asdict(check) for check in checks], "ok": not bad}, lines, arguments.json)
    return 3 if bad else 0
