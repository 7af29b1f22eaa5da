"""A line with faults, for benches; the same that users get: :mod:`ionspike.host.faults`."""

from ionspike.host.faults import Faults
from ionspike.host.faulty_port import FaultyPort

__all__ = ["FaultyPort", "Faults"]
