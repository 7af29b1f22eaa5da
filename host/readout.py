"""Membranes that are read: what LI neurons of a NIR graph are for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.clipping import INTEGRATES
from ionspike.host.errors import InputError
from ionspike.spec import formats as fmt
from ionspike.spec.strict_json import shown

if TYPE_CHECKING:
    from ionspike.host.network import Network
    from ionspike.host.result import Probes

__all__ = ["Readout"]

_KEY = "readout"
_FIELDS = ("neurons", "rest", "per_residue", "v_leak")


@dataclass(frozen=True)
class Readout:
    """Neurons whose membranes are the answer: ``v = v_leak + per_residue (r - rest)``.

    Parameters
    ----------
    neurons : their indices, ``[N]``.
    rest, per_residue, v_leak : float64 ``[N]``; r is the residue as an integer, in the tick of a step in
        which others test theirs.
    """

    neurons: NDArray[np.int64]
    rest: NDArray[np.float64]
    per_residue: NDArray[np.float64]
    v_leak: NDArray[np.float64]

    @classmethod
    def of(cls, network: "Network") -> "Readout | None":
        """That of a network, from its metadata; None if it has none.

        Raises
        ------
        InputError
        """
        given = network.metadata.get(_KEY)
        if given is None:
            return None
        try:
            neurons, *others = (np.asarray(given[name]) for name in _FIELDS)
            values = [each.astype(np.float64) for each in others]
            if neurons.ndim != 1 or neurons.dtype.kind != "i" or not neurons.size \
                    or neurons.min() < 0 or neurons.max() >= network.neurons \
                    or any(each.shape != neurons.shape or not np.isfinite(each).all() for each in values):
                raise ValueError
        except (TypeError, KeyError, ValueError, OverflowError):
            raise InputError(f"metadata: {_KEY} must be {', '.join(_FIELDS)}, of neurons of the network, "
                             f"not {shown(given)}") from None
        return cls(neurons, *values)

    def metadata(self) -> dict[str, Any]:
        """As a network's metadata has it."""
        return {_KEY: {name: getattr(self, name).tolist() for name in _FIELDS}}

    def membranes(self, probes: "Probes", ticks_per_step: int, first_tick: int = 0) -> NDArray[np.float64]:
        """``[steps, N]``, from the probes of a run.

        Parameters
        ----------
        probes : of these neurons, others among them.
        first_tick : number of the run's first.

        Raises
        ------
        InputError
            If one of them was not probed.
        """
        at = {int(neuron): k for k, neuron in enumerate(probes.neurons)}
        if missing := [int(n) for n in self.neurons if int(n) not in at]:
            raise InputError(f"neuron {missing[0]}, whose membrane is to be read, was not probed: "
                             f"probes=Readout.of(network).neurons")
        tested = probes.words[(INTEGRATES + 1 - first_tick) % ticks_per_step::ticks_per_step]
        words = tested[:, [at[int(n)] for n in self.neurons]].astype(np.int64)
        residue = (words[..., 1] & 0x7FFF) << fmt.R_LOW_BITS | words[..., 2] >> fmt.G_BITS
        found: NDArray[np.float64] = self.v_leak + self.per_residue * (residue - self.rest)
        return found
