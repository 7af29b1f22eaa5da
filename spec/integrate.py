"""The neuron's integers with which a core computes integrate-and-fire neurons: see docs/nir.md.

Ticks and drives are those of :mod:`ionspike.spec.lif`. The residue's leak is a whole number, equal for all
residues between two multiples of ``2^16 / kr``: on such a plateau nothing leaks that a constant drive does
not bring back, to the last bit.
"""

import math
from collections.abc import Iterator

from ionspike.spec import formats as fmt
from ionspike.spec.lif import SPARE, LifError, LifNeuron, Reset

__all__ = ["integrate_and_fire"]

_V_TOP = (1 << fmt.G_BITS) - 1
_R_TOP = (1 << fmt.R_BITS) - 1
_R_HIGH_TOP = (1 << fmt.R_HIGH_BITS) - 1
_STEP = 1 << fmt.R_LOW_BITS
#: Residue of a step of a weight, of those tried; and what its drive may be: a sixteenth of the largest
#: drive is a weight of 127 at the least, and one of 127 holds no more than the largest.
_STEPS, _UNITS = range(16, 0, -1), range(32, 2, -1)
#: Thresholds with fewer steps of a weight are none.
_LEAST_LEVELS = 8
#: How much coarser weights are tried next, to where, and leaks how much above the least.
_COARSER, _COARSEST, _LEAKS = 0.97, 0.4, 1.3
#: Places of the threshold that are tried, and units with a step.
_THETAS, _TRIED = 16, 2
#: What a spike's time is worth: a step of a weight is rounded to half of itself, some at a time; a reset to
#: rest is off by up to 16 residues if what is above the threshold is less.
_ROUNDED, _LOW = 1.1, 375.0


def integrate_and_fire(*, inhibition: float, excitation: float, below: float, levels: float,
                       above: float = SPARE, reset: Reset = "zero") -> LifNeuron:
    """The integers of an IF neuron, ``u' = u + i``, in which a step of a weight is a whole residue.

    Parameters
    ----------
    inhibition, excitation : largest sums of weights of a step, in thresholds.
    below : how far under rest a membrane is not pulled back, in thresholds.
    levels : steps of a weight to the threshold, at most.
    above : what a membrane that is reset by subtraction keeps above the threshold, in thresholds.
    reset : to rest, where what is less than 16 residues above the threshold ends as much lower; or down by
        the threshold in the step after a spike.

    Raises
    ------
    LifError
        For sums that leave a threshold fewer than 8 steps.
    """
    spare = above if reset == "subtract" else 0.0
    levels = min(levels, (_V_TOP / min(_UNITS) - 1) / (inhibition + excitation + spare))
    most, least, best = levels, math.inf, None
    while levels >= _LEAST_LEVELS and (best is None or levels >= _COARSEST * most):
        for step in _STEPS:
            tried = 0
            for unit in _UNITS:
                if (step << fmt.KB_SHIFT) % unit or step << fmt.KB_SHIFT >= unit << fmt.KB_BITS \
                        or unit * ((inhibition + excitation + spare) * levels + 1) > _V_TOP:
                    continue
                # Leak and width of a plateau together are its residue.
                height = step * levels
                added = (inhibition + 1) * height + _V_TOP * step / unit
                if height * (1 + below + spare) * added / 3 > _R_TOP:
                    continue
                cost = _ROUNDED / levels + (0 if spare else _LOW / height ** 2)
                if cost < least and (found := next(_found(
                        step, unit, int(levels), inhibition, excitation, below, spare), None)):
                    least, best = cost, found
                # With smaller units tests add more, and leaks must be the larger.
                if (tried := tried + 1) == _TRIED:
                    break
        levels *= _COARSER
    if best is not None:
        return best
    raise LifError(f"an IF with inhibition of {inhibition:.3g} and excitation of {excitation:.3g} "
                   f"thresholds a step, and a membrane {below:.3g} below rest: a threshold would be less "
                   f"than {_LEAST_LEVELS} steps of a weight")


def _loss(low: int, high: int, kr: int) -> int | None:
    """Of a tick, if it is the same for all residues between."""
    first, last = ((r >> 3) * kr >> fmt.KR_SHIFT for r in (low, high))
    return first + 1 if first == last else None


def _found(step: int, unit: int, levels: int, inhibition: float, excitation: float, below: float,
           spare: float) -> Iterator[LifNeuron]:
    kb = (step << fmt.KB_SHIFT) // unit
    tested, restored = _V_TOP * kb >> fmt.KB_SHIFT, step * levels
    # A filament that was gone, after a spike, grows one less.
    less = -(-step // unit)
    # Nothing is kept above the last residue whose upper bits are the threshold's; what comes from there
    # ends at rest.
    height = restored + less - (0 if spare else _STEP - 1)
    room = -(-int(spare * height) // _STEP)
    deepest = int((1 + below) * height)
    least = step * (int(inhibition * levels) + 1)
    reset: Reset = "subtract" if spare else "zero"

    # The highest threshold that leaves the room, and some below it: the higher, the wider the plateaus.
    top_theta = (_R_HIGH_TOP - room + _V_TOP - fmt.ONE) >> fmt.THETA_SHIFT
    for theta in range(top_theta, top_theta - _THETAS, -1):
        high = fmt.ONE + (theta << fmt.THETA_SHIFT) - _V_TOP
        threshold = high << fmt.R_LOW_BITS
        low, top = threshold - deepest, threshold + (room << fmt.R_LOW_BITS) + _STEP - 1
        fewest = (least + tested + restored) // 3
        # A plateau is as wide as the membranes' range.
        for kr in range(max(1, ((fewest - 1) << fmt.KR_BITS) // threshold),
                        min(int(_LEAKS * (fewest << fmt.KR_BITS) / threshold),
                            ((1 << fmt.KR_BITS) + 8) // (top - low)) + 2):
            if (after := _loss(low, top, kr)) is None:
                continue
            shift = restored - after
            if (before := _loss(low + shift, threshold + shift, kr)) is None:
                continue
            for between in range(after - 4, after + 2):
                shift = between - tested
                if low + shift < 0 or _loss(low + shift, top + shift, kr) != between:
                    continue
                integrated = before + between + after - tested - restored
                drive = integrated // step * unit
                if integrated % step or integrated < least \
                        or drive + unit * (excitation + spare) * levels > _V_TOP:
                    continue
                rest = threshold - height
                first = rest - after + restored + less
                # Of the tick before the first, in which nothing is added.
                start = next(r for r in range(first, first + 2 * before)
                             if r - (_loss(r, r, kr) or 0) == first)
                yield LifNeuron(
                    kr=kr, kb=kb, r_max=high + room, theta=theta, mu=1 << fmt.DRIVE_SHIFT,
                    drives=(drive, _V_TOP, levels * unit), unit=unit, rest=rest,
                    start=start, threshold=threshold,
                    per_drive=step / unit, after_spike=0.0 if reset == "zero" else -float(height),
                    leaks=False)
