"""What can go wrong while a bitstream is made or loaded; each names its remedy."""

__all__ = ["BuildError", "FitError", "OutputError", "TimingError", "ToolError"]


class BuildError(Exception):
    """A design that is not what was written, or a tool that failed."""


class FitError(BuildError):
    """A shape that the device has no room for."""


class TimingError(BuildError):
    """A design that is slower than its clock."""


class ToolError(BuildError):
    """A tool that is missing, of another version, or that failed to load a board."""


class OutputError(BuildError):
    """A folder that cannot be written, or that holds something else."""
