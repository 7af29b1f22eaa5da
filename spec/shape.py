"""Sizes of a core, and the field widths that follow from them."""

from dataclasses import dataclass

__all__ = ["CoreShape", "DEFAULT_SHAPE"]


@dataclass(frozen=True)
class CoreShape:
    """Sizes of one time-multiplexed core; fixed when a bitstream is built.

    Sources are numbered inputs first, then neurons: source ``inputs + n`` is neuron ``n``.

    Parameters
    ----------
    neurons : neurons, a multiple of ``lanes``.
    inputs : external inputs.
    lanes : weights per memory word = synapses served per cycle; 8 or 16.
    words : words of weight memory, each of ``lanes`` signed 8-bit weights, or of twice as many of 4 bits.
    delay_slots : accumulator slots; axonal delays reach ``delay_slots - 1`` ticks.

    Raises
    ------
    ValueError
        For sizes that the descriptor or the wire format cannot carry.
    """

    neurons: int = 512
    inputs: int = 256
    lanes: int = 8
    words: int = 16384
    delay_slots: int = 4

    def __post_init__(self) -> None:
        for name, low, high, power in (
                ("lanes", 8, 16, True), ("neurons", self.lanes, 2040, False),
                ("inputs", self.lanes, 1024, False), ("words", 16, 1 << 18, True),
                ("delay_slots", 2, 16, True)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {value}")
            if power and value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value}")
        for name in ("neurons", "inputs"):
            if getattr(self, name) % self.lanes:
                raise ValueError(f"{name} must be a multiple of the {self.lanes} lanes, "
                                 f"not {getattr(self, name)}")
        if (bits := sum(width for _, width in self.descriptor_fields)) > 32:
            raise ValueError(f"a fan-out descriptor of this shape needs {bits} bits, 32 exist; "
                             f"take fewer words, neurons or delay slots")

    @property
    def groups(self) -> int:
        """Rows of ``lanes`` neurons."""
        return self.neurons // self.lanes

    @property
    def sources(self) -> int:
        return self.inputs + self.neurons

    @property
    def group_bits(self) -> int:
        return max(1, (self.groups - 1).bit_length())

    @property
    def word_bits(self) -> int:
        return (self.words - 1).bit_length()

    @property
    def slot_bits(self) -> int:
        return (self.delay_slots - 1).bit_length()

    @property
    def descriptor_fields(self) -> tuple[tuple[str, int], ...]:
        """Fields of a fan-out descriptor, least significant first.

        ``base``: first weight word; ``first``: first target group; ``length``: target groups less
        one; ``delay``: ticks; ``more``: the next source's descriptor belongs to this source too;
        ``enable``: whether the row exists at all; ``narrow``: its weights have 4 bits, those of two
        groups share a word.
        """
        return (("base", self.word_bits), ("first", self.group_bits),
                ("length", self.group_bits), ("delay", self.slot_bits),
                ("more", 1), ("enable", 1), ("narrow", 1))

    def mask(self, field: str) -> int:
        """The bits of a field in a fan-out descriptor."""
        at = 0
        for name, width in self.descriptor_fields:
            if name == field:
                return (1 << width) - 1 << at
            at += width
        raise KeyError(field)


#: What fits an iCE40UP5K: 131,072 synapses in its four SPRAMs.
DEFAULT_SHAPE = CoreShape()
