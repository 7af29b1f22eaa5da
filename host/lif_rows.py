"""LIF neurons of one core whose weights have scales of their own.

What a core has once is the leak, what a filament adds to the residue, and the top of the residue; growth,
gap and constant drives are a neuron's own. So is, with them, the drive that a threshold is.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionspike.spec import formats as fmt
from ionspike.spec.lif import LifNeuron, Reset

__all__ = ["fitted"]

_V_TOP = (1 << fmt.G_BITS) - 1
_R_TOP = (1 << fmt.R_BITS) - 1
_ONE_MU = 1 << fmt.DRIVE_SHIFT
#: One less of theta, and as much less growth: 64 of a gap for a drive of 4095.
_MU_STEP = (1 << fmt.THETA_SHIFT) // 8
#: How far below the drive that a threshold may be it is looked for; how many of that an error of the
#: reset of one threshold is worth, and how many a range of drives that is all on one side.
_NARROW, _RESET_WORTH, _EVEN_WORTH = 0.85, 20.0, 0.2


def fitted(base: LifNeuron, *, inhibition: float, excitation: float, most: float,
           reset: Reset = "zero", reads: bool = False) -> LifNeuron:
    """A neuron for the core of ``base`` with as much drive to a threshold as there may be.

    With growth g = mu / 512 a test drives the filament to ``8 mu`` less a constant, so that each 8 of mu
    are one of theta, and the threshold stays where the residue ends. Growth, and the drives that
    integrate and restore, are chosen together so that the membrane rests where a reset leads to.

    Parameters
    ----------
    inhibition, excitation : largest sums of weights of a step, in thresholds.
    most : drive of a threshold at most.
    reads : it never fires: its gap is longer than its residue and its filament get.

    Returns
    -------
    ``base`` itself where nothing is nearer.
    """
    keep = 1 - base.kr / (1 << fmt.KR_BITS)
    loss = 1 - keep ** 3
    b = base.kb / (1 << fmt.KB_SHIFT)
    octave = -(-base.mu // _ONE_MU)
    room = base.r_max - (base.threshold >> fmt.R_LOW_BITS)
    free = _V_TOP - room / octave
    most = min(most, free / (inhibition + excitation))
    if reset == "subtract" and not reads:
        most = min(most, keep * _V_TOP)
    mu = np.arange(base.mu - (_MU_STEP if reads else 0), (octave - 1) * _ONE_MU, -_MU_STEP)[:, None]
    # Of the threshold itself; a reset ends the step after at zero, or lower by it.
    ahead = 1 / keep if reset == "subtract" else keep * keep
    per_drive: NDArray[Any] = keep * mu / _ONE_MU * b
    height: NDArray[Any]
    if reads:
        restore = np.array([[base.unit]])
        height = per_drive * np.linspace(_NARROW, 1, 64) * most
    else:
        restore = np.arange(max(1, int(_NARROW * most * ahead / base.unit)),
                            int(min(_V_TOP, most * ahead) / base.unit) + 1)[None] * base.unit
    if not mu.size or not restore.size:
        return base
    grown = (restore * mu >> fmt.DRIVE_SHIFT) * base.kb >> fmt.KB_SHIFT
    tested = (_V_TOP * mu >> fmt.DRIVE_SHIFT) * base.kb >> fmt.KB_SHIFT
    if not reads:
        height = keep ** 2 * grown / (1 if reset == "subtract" else 1 - loss)
    constant = (3.5 * base.kr / (1 << fmt.KR_BITS) - 0.5) * (1 + keep + keep ** 2)
    lost = 0.5 + 0.5 * b * (mu % _ONE_MU > 0)
    needed = (base.threshold - height) * loss - keep ** 2 * grown - tested - constant
    integrate = np.round((needed / keep + lost) / (mu / _ONE_MU * b) / base.unit) * base.unit
    rest = (keep ** 2 * grown + keep * (integrate * mu / _ONE_MU * b - lost) + tested + constant) / loss
    height = base.threshold - rest
    threshold = height / per_drive
    after = (1 - loss) * height - keep ** 2 * grown
    error = 0 * height if reads else after / height + (loss if reset == "subtract" else 0)
    restored = keep * base.threshold + grown
    reach = fmt.ONE + ((base.theta - (0 if reads else 1) * (base.mu - mu) // _MU_STEP) << fmt.THETA_SHIFT)
    start = np.round((keep * rest + grown) / keep)
    good = ((integrate >= inhibition * threshold) & (threshold <= most)
            & (integrate + excitation * threshold <= free)
            & (height > 0) & (rest > 0) & (start <= _R_TOP)
            & (tested >= (1 - keep) * base.threshold)
            & (restored < base.threshold + (room + 1 << fmt.R_LOW_BITS))
            & (restored / (1 << fmt.R_LOW_BITS) + restore * mu / _ONE_MU < reach))
    if not good.any():
        return base
    # What is left of the drive's range goes to inhibition and excitation alike.
    even = np.abs(integrate / free - inhibition / (inhibition + excitation))
    cost = np.where(good, 1 - threshold / most + _RESET_WORTH * np.abs(error) + _EVEN_WORTH * even, np.inf)
    at = np.unravel_index(np.argmin(cost), cost.shape)
    found = int(mu[at[0], 0])
    restored_by = np.broadcast_to(restore, cost.shape)[at]
    return replace(
        base, mu=found, theta=base.theta if reads else base.theta - (base.mu - found) // _MU_STEP,
        drives=(int(integrate[at]), _V_TOP, int(restored_by)), rest=float(rest[at]),
        start=int(start[at]), per_drive=float(per_drive[at[0], 0]), after_spike=float(after[at]))
