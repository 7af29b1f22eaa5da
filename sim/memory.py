"""What a core's memories and registers hold, around the golden model of its ticks."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ionspike.host.image import Image
from ionspike.sim.model import Model
from ionspike.spec import formats as fmt
from ionspike.spec.shape import CoreShape
from ionspike.spec.wire import (
    AUX_PROBES,
    AUX_REGISTERS,
    COUNTER_LIMIT,
    COUNTERS,
    OFFSET_BITS,
    REGISTERS,
    STATE_STRIDE,
    WORDS_LIMIT,
    Space,
    register,
)

__all__ = ["BoardMemory"]

_BY_OFFSET = {r.offset: r for r in REGISTERS}
#: Registers that the model has for constants.
_CONSTANTS = ("groups_used", "kf", "kr", "kb", "scale", "r_max",
              "spike_level", "r_noise", "sustained")
_COUNTED_HERE = ("late", "dropped", "overruns")


class BoardMemory:
    """Every address of a board, and the model that works on what they hold.

    The model is made anew when something that it takes for constant has been written; its state
    goes over.

    Parameters
    ----------
    shape : sizes of the core.
    link_counters : the board's counters of its link, by name.
    clear_link : what zeroes them.

    Members
    -------
    registers : values by name, of those that only a host writes.
    counters : of events that were late or not applied.
    """

    def __init__(self, shape: CoreShape, link_counters: Callable[[], dict[str, int]],
                 clear_link: Callable[[], None]):
        self.shape = shape
        self._link_counters, self._clear_link = link_counters, clear_link
        self.registers = {r.name: r.init for r in REGISTERS}
        self.counters = dict.fromkeys(_COUNTED_HERE, 0)
        self._memory = {
            Space.FEEDBACK: np.zeros(fmt.H_ENTRIES, np.uint16),
            Space.AUX: np.zeros(2 * AUX_PROBES, np.uint16),
            Space.FANOUT: np.zeros(2 * shape.sources, np.uint16),
            Space.COEFFICIENTS: np.zeros(2 * shape.neurons, np.uint16),
            Space.WEIGHTS: np.zeros(shape.words * shape.lanes // 2, np.uint16)}
        bits = sum(width for _, width in shape.descriptor_fields)
        self._masks = {Space.FEEDBACK: [(1 << fmt.H_BITS) - 1], Space.AUX: [0xFFFF],
                       Space.FANOUT: [0xFFFF, (1 << max(0, bits - 16)) - 1],
                       Space.COEFFICIENTS: [0xFFFF], Space.WEIGHTS: [0xFFFF]}
        self._state = np.zeros((shape.neurons, 3), np.uint16)
        self._model = self._build(1)
        self._digest: int | None = 0

    @property
    def digest(self) -> int:
        """Digest of the state that the last tick left, whatever was written since."""
        return int(self._model.digest[0]) if self._digest is None else self._digest

    def step(self, inputs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """One tick: bool ``[inputs]`` in, bool ``[neurons]`` out."""
        spikes = self.core.step(inputs[None])[0]
        # Computed when asked for: it costs about as much as the tick.
        self._digest = None
        return spikes

    def clear(self, state: bool, counters: bool) -> None:
        """What CLEAR does."""
        if state:
            self._digest = self.digest
            self._state[:] = 0
            self.core.clear()
        if counters:
            self.core.clear(state=False, counters=True)
            self.counters = dict.fromkeys(_COUNTED_HERE, 0)
            self._clear_link()

    def probed(self) -> NDArray[np.uint16]:
        """State of the neurons to be probed, uint16 ``[probes, 3]``."""
        count = self.registers["probe_count"]
        chosen = self._memory[Space.AUX][AUX_PROBES:AUX_PROBES + count]
        return self._all_state()[chosen % self.shape.neurons]

    @property
    def core(self) -> Model:
        """The model of what is loaded."""
        if self._stale:
            self._digest = self.digest
            old, new = self._model, self._build(int(self._model.lfsr[0]))
            new.state = self._all_state()[None, :new.image.neurons]
            new.tick, new.counters = old.tick, old.counters
            new.fanout.adopt(old.fanout.accumulators)
            # Spikes on their way arrive, of neurons that are no longer updated too.
            new._spikes = old._spikes
            self._model = new
        return self._model

    def _build(self, lfsr: int) -> Model:
        registers = {name: self.registers[name] for name in _CONSTANTS}
        registers["groups_used"] = min(registers["groups_used"], self.shape.groups)
        count = registers["groups_used"] * self.shape.lanes
        memory = self._memory
        image = Image(
            shape=self.shape, registers=registers,
            weights=memory[Space.WEIGHTS].astype("<u2").view(np.int8).reshape(
                -1, self.shape.lanes).copy(),
            fanout=memory[Space.FANOUT].astype("<u2").view("<u4").astype(np.uint32),
            coefficients=memory[Space.COEFFICIENTS].astype("<u2").view("<u4").astype(
                np.uint32)[:count],
            feedback=memory[Space.FEEDBACK].copy(),
            noise=memory[Space.AUX][:fmt.NOISE_ENTRIES].copy())
        model = Model(image, np.array([lfsr], np.uint64))
        self._stale = False
        return model

    def _all_state(self) -> NDArray[np.uint16]:
        """State of all neurons, those that no tick updates too."""
        self._state[:self._model.image.neurons] = self._model.state[0]
        return self._state

    def write(self, address: int, words: NDArray[np.uint16]) -> None:
        """Write consecutive words; what is not there, or only to be read, is ignored."""
        space, offset = address >> OFFSET_BITS, address & ((1 << OFFSET_BITS) - 1)
        if space == Space.REGISTERS:
            for k, value in enumerate(words.tolist()):
                self._write_register(offset + k, value)
        elif space == Space.STATE:
            neuron, word, values = self._state_places(offset, words)
            core = self.core
            self._digest = self.digest
            self._all_state()[neuron, word] = values
            core.state = self._state[None, :core.image.neurons]
        elif space in self._memory:
            memory, masks = self._memory[Space(space)], self._masks[Space(space)]
            count = max(0, min(len(words), len(memory) - offset))
            where = np.arange(offset, offset + count)
            memory[where] = words[:count] & np.array(masks, np.uint16)[where % len(masks)]
            # What lies beyond the noise table is the list of probes, which the model has not.
            if space != Space.AUX or offset < AUX_PROBES:
                self._stale = True

    def _write_register(self, offset: int, value: int) -> None:
        if offset < 32:
            self._memory[Space.AUX][AUX_REGISTERS + offset] = value
        entry = _BY_OFFSET.get(offset)
        if entry is None or entry.access != "rw":
            return
        if entry.name.startswith("lfsr_"):
            core = self.core
            lfsr = int(core.lfsr[0]) << 16 & (1 << fmt.LFSR_WIDTH) - 1 | value
            core.lfsr = np.array([lfsr], np.uint64)
            return
        self.registers[entry.name] = value & (1 << entry.width) - 1
        if entry.name in _CONSTANTS:
            self._stale = True

    def read(self, address: int, count: int) -> NDArray[np.uint16]:
        """Read consecutive words; what is not there reads as zero."""
        space, offset = address >> OFFSET_BITS, address & ((1 << OFFSET_BITS) - 1)
        words = np.zeros(count, np.uint16)
        if space == Space.REGISTERS:
            words[:] = [self._read_register(offset + k) for k in range(count)]
        elif space == Space.STATE:
            padded = np.zeros((self.shape.neurons, STATE_STRIDE), np.uint16)
            padded[:, :3] = self._all_state()
            found = padded.ravel()[offset:offset + count]
            words[:len(found)] = found
        elif space == Space.ACCUMULATORS:
            slot, neuron, exist = self._accumulator_places(offset, count)
            accumulators = self.core.fanout.accumulators[0, slot, neuron]
            words[exist] = accumulators.astype(np.int16).view(np.uint16)
        elif space in self._memory:
            found = self._memory[Space(space)][offset:offset + count]
            words[:len(found)] = found
        return words

    def _read_register(self, offset: int) -> int:
        entry = _BY_OFFSET.get(offset)
        if offset < 32 and (entry is None or not entry.is_live):
            return int(self._memory[Space.AUX][AUX_REGISTERS + offset])
        if entry is None:
            return 0
        core, name = self.core, entry.name
        if name.startswith("lfsr_"):
            return int(core.lfsr[0]) >> 16 * int(name[-1]) & 0xFFFF
        for prefix, value in (("tick", core.tick),
                              ("words", min(WORDS_LIMIT, int(core.counters["words"]))),
                              ("digest", self.digest)):
            if name in (f"{prefix}_low", f"{prefix}_high"):
                return int(value) >> (16 if name.endswith("high") else 0) & 0xFFFF
        if offset >= register(COUNTERS[0][0]).offset:
            counters = {**self._link_counters(), **self.counters,
                        "saturated": core.counters["saturated"]}
            return min(COUNTER_LIMIT, int(counters.get(name, 0)))
        return self.registers[name]

    def _state_places(self, offset: int, words: NDArray[np.uint16]) -> tuple[
            NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]:
        neuron, word = np.divmod(np.arange(offset, offset + len(words)), STATE_STRIDE)
        exist = (neuron < self.shape.neurons) & (word < 3)
        return neuron[exist], word[exist], words[exist]

    def _accumulator_places(self, offset: int, count: int) -> tuple[
            NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        stride = self.shape.lanes << self.shape.group_bits
        slot, neuron = np.divmod(np.arange(offset, offset + count), stride)
        exist = (slot < self.shape.delay_slots) & (neuron < self.shape.neurons)
        return slot[exist], neuron[exist], exist
