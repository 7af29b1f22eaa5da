"""Where along the channels a layer looks for its features."""

from dataclasses import dataclass

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Places along groups of channels, with the same features at each.

    Parameters
    ----------
    groups, levels : of the inputs, which are sorted by level.
    features : how many at each place.
    width, stride : groups that each sees, and groups from place to place.
    """

    groups: int
    levels: int
    features: int
    width: int
    stride: int

    @property
    def count(self) -> int:
        return -(-self.groups // self.stride)

    @property
    def neurons(self) -> int:
        return self.count * self.features
