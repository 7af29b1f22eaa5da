"""What can be learnt from, by the names that `ionspike train` gives it."""

import os
from pathlib import Path

from ionspike.host.errors import InputError
from ionspike.train import arrays, braille, digit_images, speech
from ionspike.train.events import Events

__all__ = ["load"]


def load(data: str, file: str | None = None,
         hold_out: str | None = None) -> tuple[Events, tuple[int, ...] | None]:
    """Events, and the groups that are held out, for :meth:`Events.split`.

    Parameters
    ----------
    data : ``digits``, ``speech``, ``braille``, or the path of a file.
    file : where speech or braille lie; without it, in the folder ``IONSPIKE_DATA``.
    hold_out : numbers of groups with commas between, or ``none``; without it, those of the data.

    Raises
    ------
    InputError
        For data that are not there, or cannot be learnt from.
    """
    held_out: tuple[int, ...] | None = None if hold_out == "none" else ()
    if hold_out not in (None, "none"):
        try:
            held_out = tuple(int(word) for word in str(hold_out).split(","))
        except ValueError:
            raise InputError(f"--hold-out takes numbers of groups with commas between, or none, not "
                             f"{hold_out!r}") from None
    if data == "digits":
        return digit_images.load(), (1,) if held_out == () else held_out
    if data not in ("speech", "braille"):
        if file is not None:
            raise InputError(f"--data says where speech or braille lie; {data} is a file already")
        return arrays.load(Path(data)), held_out
    module = speech if data == "speech" else braille
    folder = os.environ.get("IONSPIKE_DATA")
    if file is None and folder is None:
        raise InputError(f"{data} needs {' or '.join(module.FILES)}: give it by --data, or its folder "
                         f"by IONSPIKE_DATA")
    paths = [Path(str(folder)) / name for name in module.FILES]
    events = module.load(Path(file) if file is not None
                         else next((path for path in paths if path.exists()), paths[0]))
    return events, speech.HELD_OUT if held_out == () and module is speech and events.groups is not None else held_out
