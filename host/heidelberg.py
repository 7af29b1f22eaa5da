"""Heidelberg Digits: a folder of ``lang-LANGUAGE_speaker-NN_trial-N_digit-N.flac``."""

import re
from dataclasses import dataclass
from pathlib import Path

from ionspike.host.audio import Audio, load
from ionspike.host.errors import InputError

__all__ = ["Recording", "recordings"]

_NAME = re.compile(r"lang-(english|german)_speaker-([0-9]{1,4})_trial-([0-9]{1,6})_digit-([0-9])"
                   r"\.(?:flac|wav)", re.ASCII)


@dataclass(frozen=True)
class Recording:
    path: Path
    language: str
    speaker: int
    trial: int
    digit: int

    @property
    def label(self) -> int:
        """As of the data sets made of them: English digits, then German ones."""
        return self.digit + 10 * (self.language == "german")

    def load(self) -> Audio:
        return load(self.path)


def recordings(folder: str | Path) -> list[Recording]:
    """Recordings anywhere in a folder, by label, speaker and trial.

    Raises
    ------
    InputError
        For a folder that is none, or without a file named so.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    named = [(path, _NAME.fullmatch(path.name)) for path in sorted(folder.rglob("*"))]
    found = [Recording(path, name[1], int(name[2]), int(name[3]), int(name[4]))
             for path, name in named if name is not None]
    if not found:
        raise InputError(f"{folder}: holds no recordings named as the Heidelberg Digits are: "
                         f"lang-english_speaker-01_trial-5_digit-3.flac")
    return sorted(found, key=lambda each: (each.label, each.speaker, each.trial, each.path))
