"""What a board says of itself when the link is opened."""

from dataclasses import dataclass

from ionspike.spec.wire import HELLO, MAGIC, PROTOCOL, hello_size, pack_hello

__all__ = ["Hello"]


@dataclass(frozen=True)
class Hello:
    """Payload of a HELLO frame, see :data:`ionspike.spec.wire.HELLO`."""

    digest: int
    build: int = 0
    board: int = 0
    lanes: int = 0
    delay_slots: int = 0
    lfsr_width: int = 0
    lfsr_leap: int = 0
    tx_slots: int = 0
    neurons: int = 0
    inputs: int = 0
    rx_bytes: int = 0
    words: int = 0
    clock_hz: int = 0
    baud: int = 0
    lfsr_taps: int = 0
    nonce: int = 0
    magic: int = MAGIC
    major: int = PROTOCOL[0]
    minor: int = PROTOCOL[1]

    def pack(self) -> bytes:
        """The payload."""
        return pack_hello(vars(self))

    @classmethod
    def unpack(cls, payload: bytes) -> "Hello":
        """The fields of a payload.

        Raises
        ------
        ValueError
            If it is too short. It may be longer: later minor versions append fields.
        """
        if len(payload) < hello_size():
            raise ValueError(f"HELLO has {len(payload)} bytes, {hello_size()} were expected")
        values, at = {}, 0
        for name, size in HELLO:
            values[name] = int.from_bytes(payload[at:at + size], "little")
            at += size
        return cls(**values)
