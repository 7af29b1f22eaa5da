"""A port in front of another."""

from typing import Any

__all__ = ["Behind"]


class Behind:
    """A port that does with the one behind it what it does not do itself.

    Parameters
    ----------
    port : the port behind.
    """

    def __init__(self, port: Any):
        self.port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    # What is set goes there too.

    @property
    def timeout(self) -> float | None:
        return self.port.timeout

    @timeout.setter
    def timeout(self, timeout: float | None) -> None:
        self.port.timeout = timeout

    @property
    def baudrate(self) -> int:
        """Only where the port behind has one."""
        return int(self.port.baudrate)

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        self.port.baudrate = baud
