"""Errors that a user can do something about; the command line turns each into its exit code."""

__all__ = ["BoardError", "InputError", "LossError", "NoBoardError", "TimingError"]


class InputError(ValueError):
    """Something given by the user cannot be used: a file, an array, a network too large."""


class NoBoardError(ConnectionError):
    """No board, or not the one expected."""


class BoardError(RuntimeError):
    """A board that answers, but not with what it should."""


class LossError(BoardError):
    """Data were lost or late, and whoever asked wanted none to be."""


class TimingError(RuntimeError):
    """A bitstream that would be slower than its clock."""
