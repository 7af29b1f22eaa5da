"""Free Spoken Digit Dataset: a folder of ``DIGIT_SPEAKER_NUMBER.wav``."""

import re
from dataclasses import dataclass
from pathlib import Path

from ionspike.host.audio import Audio, load
from ionspike.host.errors import InputError

__all__ = ["Recording", "recordings"]

_NAME = re.compile(r"([0-9])_([A-Za-z]+)_([0-9]{1,6})\.wav", re.ASCII)
#: Recordings of this number and up are the official training part.
_FIRST_OF_TRAINING = 5


@dataclass(frozen=True)
class Recording:
    path: Path
    digit: int
    speaker: str
    number: int

    @property
    def label(self) -> int:
        """As of the Heidelberg data sets: English digits are the classes 0 to 9."""
        return self.digit

    @property
    def is_test(self) -> bool:
        return self.number < _FIRST_OF_TRAINING

    def load(self) -> Audio:
        return load(self.path)


def recordings(folder: str | Path) -> list[Recording]:
    """Recordings of a folder, or of ``recordings`` in it, by digit, speaker and number.

    Raises
    ------
    InputError
        For a folder that is none, or without a file named so.
    """
    folder = Path(folder)
    if (folder / "recordings").is_dir():
        folder = folder / "recordings"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found = [Recording(path, int(match[1]), match[2], int(match[3]))
             for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    if not found:
        raise InputError(f"{folder}: no files named DIGIT_SPEAKER_NUMBER.wav, as 7_jackson_0.wav")
    return sorted(found, key=lambda one: (one.digit, one.speaker, one.number))
