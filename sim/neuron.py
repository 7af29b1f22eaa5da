"""Golden model of :mod:`ionspike.hdl.neuron`: the memristor neuron in integers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.spec import formats as fmt

__all__ = ["Neuron", "State", "noise_index", "unpack_coefficients"]

_V_MAX = (1 << fmt.G_BITS) - 1

#: Neurons updated at a time, so that what a tick touches of them stays in the cache.
_CHUNK = 1 << 14

I32 = NDArray[np.int32]

# Constants are arrays without dimensions, which NumPy takes several times as fast as Python's
# integers; `clip` between them is faster than `minimum` or `maximum` with either.
_BY = [np.array(bits, np.int32) for bits in range(32)]
_ZERO, _ONE = _BY[:2]
_V_TOP, _F_TOP, _R_TOP, _GAP_TOP = (np.array(top, np.int32) for top in (
    (1 << fmt.G_BITS) - 1, (1 << fmt.F_BITS) - 1, (1 << fmt.R_BITS) - 1, (1 << fmt.F_BITS) - 1))
_add, _sub, _mul = np.add, np.subtract, np.multiply
_shift, _and, _xor = np.right_shift, np.bitwise_and, np.bitwise_xor


@dataclass
class State:
    """State of neurons, int32 arrays of one shape; formats in :mod:`ionspike.spec.formats`."""

    f: I32
    r: I32
    g: I32
    on: NDArray[np.bool_]

    @classmethod
    def from_words(cls, words: NDArray[np.uint16]) -> "State":
        """From ``[..., 3]`` words as :data:`ionspike.spec.wire.STATE` lays them out."""
        w = np.ascontiguousarray(words).astype(np.int32)
        return cls(f=w[..., 0].copy(),
                   r=(w[..., 1] & 0x7FFF) << fmt.R_LOW_BITS | w[..., 2] >> fmt.G_BITS,
                   g=w[..., 2] & _V_MAX, on=w[..., 1] >> 15 != 0)

    def words(self) -> NDArray[np.uint16]:
        """The same as uint16 ``[..., 3]``."""
        low = self.r & ((1 << fmt.R_LOW_BITS) - 1)
        return np.stack([self.f, self.r >> fmt.R_LOW_BITS | self.on.astype(np.int32) << 15,
                         self.g | low << fmt.G_BITS], axis=-1).astype(np.uint16)


def noise_index(m: NDArray[np.int64]) -> NDArray[np.int64]:
    """Noise bin of ``|df| = m``: 0 to 3 are their own, then four bins an octave."""
    length = np.frexp(m.astype(np.float64))[1]
    shift = np.maximum(length - 3, 0)
    return np.where(m < 4, m, 4 * (length - 2) + ((m >> shift) & 3))


def unpack_coefficients(words: NDArray[np.uint32]) -> tuple[I32, I32, I32]:
    """``kg, mu, theta`` of packed coefficients; theta is signed."""
    w = words.astype(np.int64)
    theta = w >> (fmt.KG_BITS + fmt.MU_BITS) & 0xFF
    return ((w & 0xFFF).astype(np.int32), (w >> fmt.KG_BITS & 0xFFF).astype(np.int32),
            (theta - ((theta & 0x80) << 1)).astype(np.int32))


class Neuron:
    """The update of all neurons of one tick.

    With ``acc`` the accumulated weights, ``w`` the neuron's LFSR word, all shifts arithmetic::

        v   = clip(acc scale >> 8, 0, 4095)              drive, volts
        e   = max(0, v - g)                              what is left across the memristor
        gap = max(0, theta' - f - (r >> 4)),  theta' = 2^15 + 64 theta, 0 if theta = -128
        d   = min(65535, (e h[gap >> 7] >> 8) mu >> 9)   growth
        df  = d - (f kf >> 16) - 1
        f'  = clip(f + df + (xi noise[bin |df|] >> 4), 0, 65535),  xi = sum of w's nibbles - 30
        r'  = clip(max(0, r - ((r >> 3) kr >> 13) - 1) + (f' kb >> 12) + (xi_r r_noise << 3),
                   0, r_max),     xi_r = the nibbles with alternating signs
        gap'= max(0, theta' - (r' >> 4)),  bridged = f' >= gap'
        bridged:  f = gap', g' = max(g, v)  else:  f = f', g' = max(0, g - (g kg >> 12) - 1)
        if theta = -128:  g' = v            stuck on: it hands the drive through, up and down
        on' = g' >= spike_level,  spike = on' and not on, or on' if sustained

    |df| is taken as df's one's complement where df is negative. The losses are rounded down and
    one is taken off, so that nothing lingers for ever; that costs no carry in the gateware.

    Parameters
    ----------
    registers : ``kf, kr, kb, scale, r_max, spike_level, r_noise, sustained``.
    coefficients : uint32 ``[neurons]``, see ``wire.COEFFICIENT``.
    feedback, noise : the tables.
    """

    def __init__(self, registers: dict[str, int], coefficients: NDArray[np.uint32],
                 feedback: NDArray[np.uint16], noise: NDArray[np.uint16]):
        self.kf, self.kr, self.kb = (np.array(registers[k], np.uint32) for k in ("kf", "kr", "kb"))
        self.scale = np.array(registers["scale"], np.int32)
        self.r_max = np.array((registers["r_max"] + 1 << fmt.R_LOW_BITS) - 1, np.int32)
        self.kg, self.mu, theta = unpack_coefficients(coefficients)
        self.theta = np.where(theta == fmt.THETA_STUCK, 0,
                              fmt.ONE + (theta << fmt.THETA_SHIFT)).astype(np.int32)
        self.stuck = theta == fmt.THETA_STUCK
        self.any_stuck = bool(self.stuck.any())
        self.level = np.array(registers["spike_level"], np.int32)
        # The tables, spread out so that one gather replaces clipping, binning and scaling.
        gains = feedback.astype(np.int32) & ((1 << fmt.H_BITS) - 1)
        self.feedback = np.concatenate([np.repeat(gains, 1 << fmt.GAP_SHIFT),
                                        np.full(1 << 15, gains[-1], np.int32)])
        self.noise = (noise[noise_index(np.arange(1 << 16))] & ((1 << fmt.NOISE_BITS) - 1)
                      ).astype(np.int32)
        nibbles = np.arange(1 << 16)[:, None] >> np.arange(0, 16, 4) & 15
        self.xi = (nibbles.sum(axis=1) - fmt.XI_MEAN).astype(np.int32)
        self.jitter = ((nibbles * [1, -1, 1, -1]).sum(axis=1) * registers["r_noise"]
                       << fmt.R_NOISE_SHIFT).astype(np.int32)
        self.jitters, self.sustained = bool(registers["r_noise"]), bool(registers["sustained"])
        self._work = np.empty((4, 0, 0), np.int32)

    def step(self, s: State, acc: I32, words: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Update ``s`` in place; arrays ``[trials, neurons]``; returns the spikes."""
        for name in ("f", "r", "g", "on"):      # so that reshaping them makes no copies
            setattr(s, name, np.ascontiguousarray(getattr(s, name)))
        spikes = np.empty(s.f.shape, bool)
        if not spikes.size:     # a board before anything is loaded
            return spikes
        arrays: list[NDArray[Any]] = [s.f, s.r, s.g, s.on, acc, words, spikes]
        arrays = [x.reshape(-1, x.shape[-1]) for x in arrays]
        trials = max(1, _CHUNK // arrays[0].shape[1])
        for start in range(0, len(arrays[0]), trials):
            self._update(*[x[start:start + trials] for x in arrays])
        return spikes

    def _update(self, f: I32, r: I32, g: I32, on: NDArray[np.bool_], acc: I32,
                words: NDArray[np.uint16], spikes: NDArray[np.bool_]) -> None:
        """The equations above, without a temporary array and without a branch."""
        if self._work.shape[1:] != f.shape:
            self._work = np.empty((4, *f.shape), np.int32)
        v, d, a, b = self._work
        _mul(acc, self.scale, v)
        _shift(v, _BY[fmt.SCALE_SHIFT], v)
        v.clip(_ZERO, _V_TOP, out=v)
        _sub(v, g, d)
        d.clip(_ZERO, _V_TOP, out=d)                # e
        _shift(r, _BY[fmt.R_LOW_BITS], a)
        _sub(self.theta, a, a)
        _sub(a, f, a)                               # gap, which `take` cuts at zero
        self.feedback.take(a, out=b, mode="clip")
        _mul(d, b, d)
        _shift(d, _BY[fmt.EH_SHIFT], d)
        _mul(d, self.mu, d)
        _shift(d, _BY[fmt.DRIVE_SHIFT], d)
        d.clip(_ZERO, _F_TOP, out=d)
        _scale(f, self.kf, _BY[16], a)
        _sub(d, a, d)
        _sub(d, _ONE, d)                            # df
        _shift(d, _BY[31], a)
        _xor(d, a, a)
        self.noise.take(a, out=b, mode="clip")
        self.xi.take(words, out=a, mode="clip")
        _mul(a, b, a)
        _shift(a, _BY[fmt.NOISE_FRAC], a)
        _add(d, a, d)
        _add(f, d, f)
        f.clip(_ZERO, _F_TOP, out=f)                # f'
        _shift(r, _BY[3], a)
        _scale(a, self.kr, _BY[fmt.KR_SHIFT], a)
        _sub(r, a, r)
        _sub(r, _ONE, r)
        r.clip(_ZERO, _R_TOP, out=r)
        _scale(f, self.kb, _BY[fmt.KB_SHIFT], a)
        _add(r, a, r)
        if self.jitters:
            self.jitter.take(words, out=a, mode="clip")
            _add(r, a, r)
        r.clip(_ZERO, self.r_max, out=r)            # r'
        _shift(r, _BY[fmt.R_LOW_BITS], a)
        _sub(self.theta, a, a)
        a.clip(_ZERO, _GAP_TOP, out=a)              # gap'
        _sub(a, f, b)
        _sub(b, _ONE, b)
        _shift(b, _BY[31], b)                       # all ones where bridged, else zero
        np.minimum(f, a, out=f)                     # which is gap' exactly where bridged
        np.maximum(v, g, out=d)
        _and(d, b, d)
        _mul(g, self.kg, a)
        _shift(a, _BY[fmt.KG_BITS], a)
        _sub(g, a, g)
        _sub(g, _ONE, g)
        np.maximum(g, d, out=g)                     # never below d, zero where not bridged
        if self.any_stuck:
            np.copyto(g, v, where=self.stuck)
        now = g >= self.level
        np.greater(now, False if self.sustained else on, spikes)
        on[:] = now


def _scale(x: I32, k: NDArray[np.uint32], shift: I32, out: I32) -> None:
    """``x k >> shift`` of 16-bit factors, whose product needs the sign bit."""
    product = out.view(np.uint32)
    _mul(x.view(np.uint32), k, product)
    _shift(product, shift.view(np.uint32), product)
