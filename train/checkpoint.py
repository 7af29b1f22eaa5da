"""Files that a training goes on from: tensors, numbers and words, never objects."""

import pickle
from pathlib import Path
from typing import Any

import torch

from ionspike.host.errors import InputError
from ionspike.host.files import replacing

__all__ = ["FORMAT", "load", "save"]

FORMAT = "ionspike checkpoint 1"


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as file:
        torch.save({"format": FORMAT, **content}, file)


def load(path: Path, device: str) -> dict[str, Any]:
    """Read a file; code that it may hold is never run.

    Raises
    ------
    InputError
        For a file that is not there, damaged, or no checkpoint.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no checkpoint is there to go on from") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError,
            TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: not a checkpoint, or damaged "
                         f"({(str(error).splitlines() or [''])[0][:120]})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint of this version of ionspike")
    return content
