"""The neuron's integers with which a core computes leaky integrate-and-fire neurons.

The datapath is the memristor neuron's; see docs/nir.md for why this is one. A step of the LIF neuron
is three ticks, and the residue is its membrane.
"""

import math
from dataclasses import dataclass
from typing import Literal

from ionspike.spec import formats as fmt

__all__ = ["SPARE", "TICKS_PER_STEP", "LifError", "LifNeuron", "Reset", "lif"]

Reset = Literal["zero", "subtract"]

#: Integrate, test, restore.
TICKS_PER_STEP = 3

_V_TOP = (1 << fmt.G_BITS) - 1
_R_TOP = (1 << fmt.R_BITS) - 1
_R_HIGH_TOP = (1 << fmt.R_HIGH_BITS) - 1
_THETA_TOP = (1 << fmt.THETA_BITS - 1) - 1
#: Below this the band in which a membrane does not leak is wider than a tenth of the threshold.
_LEAST_LEAK = 10.0
#: A membrane that keeps less is as one that keeps this.
_LEAST_BETA = 1e-3
#: Drives of integrating and testing together, in thresholds: with less, the restoring one would be
#: above the mean of the three, and push membranes that are near the threshold into ``r_max``.
_LEAST_DRIVES = 2.2
#: Drive that is kept free for what a membrane keeps above the threshold when it is reset by
#: subtraction, in thresholds: else what is left there and the next inputs would fire a tick early.
SPARE = 0.5


class LifError(ValueError):
    """A LIF neuron that the datapath cannot be."""


@dataclass(frozen=True)
class LifNeuron:
    """One LIF neuron, ``u' = beta u + i``, in the neuron's integers.

    The residue r is the membrane, in the tick of the test ``r = rest + per_drive v``, where v is what
    inputs add to the drive. It rests where the leak of three ticks takes what three constant drives
    add, so drives below those are inhibition.

    Parameters
    ----------
    kr, kb, r_max, theta, mu : of the neuron's registers and coefficients; kf is as large as it gets.
    drives : constant drives of the three ticks: integrate, test, restore; multiples of ``unit``,
        but for the second, which is the largest drive there is.
    unit : drive of a weight of 1.
    rest : residue in the tick of the test without inputs.
    start : residue before the tick that is before the first step, so that it begins at rest.
    threshold : residue from which the neuron fires.
    per_drive : residue in the tick of the test for each unit of drive from inputs.
    after_spike : residue above ``rest`` that a membrane which has just reached the threshold is left
        with, one step on: zero but for rounding (``beta threshold`` less the threshold for
        ``subtract``).
    leaks : whether it does; of :mod:`ionspike.spec.integrate` it does not.
    """

    kr: int
    kb: int
    r_max: int
    theta: int
    mu: int
    drives: tuple[int, int, int]
    unit: int
    rest: float
    start: int
    threshold: int
    per_drive: float
    after_spike: float
    leaks: bool = True

    @property
    def beta(self) -> float:
        """What a membrane keeps from step to step."""
        return (1 - self.kr / (1 << fmt.KR_BITS)) ** TICKS_PER_STEP if self.leaks else 1.0

    @property
    def threshold_drive(self) -> float:
        """Drive that takes a membrane from rest to the threshold at once."""
        return (self.threshold - self.rest) / self.per_drive

    @property
    def still(self) -> float:
        """How far from rest the leak of a tick is lost in rounding, as a part of the threshold."""
        return 0.0 if not self.leaks else (1 << fmt.KR_BITS) / self.kr / (self.threshold - self.rest)


def lif(beta: float, *, inhibition: float, excitation: float, unit: int,
        reset: Reset = "zero", most: float = math.inf, spare: float = 0.0) -> LifNeuron:
    """The integers of a LIF neuron.

    Parameters
    ----------
    beta : what a membrane keeps from step to step.
    inhibition, excitation : largest sums of weights of a step, in thresholds; beyond, drives saturate.
    unit : drive of a weight of 1.
    reset : to rest, or down by the threshold in the step after a spike.
    most : drive of a threshold at most, where weights have no steps for more.
    spare : drive that is kept free for what membranes keep above the threshold when they are reset by
        subtraction; at least half a threshold.

    Raises
    ------
    LifError
        For a leak too slow for the residue's bits, naming the slowest.
    """
    if not 0 <= beta < 1:
        raise LifError(f"beta must be from 0 to below 1, not {beta:g}")
    # Less is nothing of a threshold, and what nothing is kept of does not rest.
    beta = max(beta, _LEAST_BETA)
    kr = min(round((1 - beta ** (1 / TICKS_PER_STEP)) * (1 << fmt.KR_BITS)), (1 << fmt.KR_BITS) - 1)
    keep = 1 - kr / (1 << fmt.KR_BITS)
    loss = 1 - keep ** TICKS_PER_STEP
    ahead = 1 / keep if reset == "subtract" else keep * keep
    part = SPARE if reset == "subtract" else 0.0
    excitation = max(excitation, _LEAST_DRIVES - 2 * inhibition)
    per_threshold = min(most, _V_TOP / (inhibition + excitation + part),
                        (_V_TOP - spare) / (inhibition + excitation))
    spare = max(spare, part * per_threshold)
    if reset == "subtract":
        per_threshold = min(per_threshold, keep * _V_TOP)   # so that restoring is a drive too
    restore = max(1, round(per_threshold * ahead / unit)) * unit
    integrate = math.ceil(inhibition * per_threshold / unit) * unit
    # Both roundings are down, half of the last place on average, where none is made up for.
    constant = 3.5 * kr / (1 << fmt.KR_BITS) - 0.5
    for theta in range(_THETA_TOP, -_THETA_TOP, -1):
        for gain in range(1, 8):
            reach = fmt.ONE + (theta << fmt.THETA_SHIFT)
            high = reach - gain * _V_TOP
            room = int(gain * spare)
            if not 0 < high <= _R_HIGH_TOP - room:
                continue
            threshold = high << fmt.R_LOW_BITS
            weights = keep * keep * restore + keep * integrate + _V_TOP
            back = restore / keep if reset == "zero" else restore * keep * keep
            growth = (threshold * loss - constant * (1 + keep + keep * keep) + 0.5 * keep) / (
                weights + loss * back)
            kb = round(growth / gain * (1 << fmt.KB_SHIFT))
            if not 0 < kb < 1 << fmt.KB_BITS:
                continue
            added = [(gain * v * kb) >> fmt.KB_SHIFT for v in (integrate, _V_TOP, restore)]
            # What inputs add is rounded down as well.
            rest = (keep * keep * added[2] + keep * (added[0] - 0.5) + added[1]
                    + constant * (1 + keep + keep * keep)) / loss
            start = round((keep * rest + added[2]) / keep)
            # Just below the threshold, neither of the other ticks may bridge the gap or end at r_max.
            restored = keep * threshold + added[2]
            if start > _R_TOP or rest <= 0 or added[1] < (1 - keep) * threshold \
                    or restored >= threshold + (room << fmt.R_LOW_BITS) \
                    or restored / (1 << fmt.R_LOW_BITS) + gain * restore >= reach:
                continue
            found = LifNeuron(
                kr=kr, kb=kb, r_max=high + room, theta=theta,
                mu=gain << fmt.DRIVE_SHIFT, drives=(integrate, _V_TOP, restore), unit=unit,
                rest=rest, start=start, threshold=threshold,
                per_drive=keep * gain * kb / (1 << fmt.KB_SHIFT),
                after_spike=(1 - loss) * (threshold - rest) - keep * keep * added[2])
            if found.still * _LEAST_LEAK > 1:
                # The part goes with the square of the leak.
                most = 1 - (1 - beta) * math.sqrt(found.still * _LEAST_LEAK)
                raise LifError(f"beta {beta:g} leaks too slowly for the residue's {fmt.R_BITS} bits; "
                               f"with these inputs up to about {most:.3f} does")
            return found
    if reset == "subtract":
        raise LifError(f"beta {beta:g} keeps too little to be reset by subtraction; from about 0.15 on "
                       f"it can be, and reset to zero at all")
    raise LifError(f"beta {beta:g} with inhibition of {inhibition:g} and excitation of "
                   f"{excitation:g} thresholds: no setting of the neuron is one")
