"""One thing that ``ionspike doctor`` looked at."""

from dataclasses import dataclass

__all__ = ["Check"]


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Parameters
    ----------
    status : ``ok``; ``absent``, for what only some need; or ``bad``.
    remedy : a command, where there is one.
    """

    name: str
    status: str
    found: str
    remedy: str = ""
