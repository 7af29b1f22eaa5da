"""The six properties of the paper's neuron, and what a network without one of them is."""

from ionspike.host.errors import InputError
from ionspike.spec.device import Device

__all__ = ["PROPERTIES", "without"]

#: Named as the experiments of :mod:`ionspike.fidelity` are.
PROPERTIES = ("integration", "threshold", "cascade", "plasticity", "refractory", "stochasticity")

_LEAST_RATE_PER_S = 1e-6    # the least that a device may have
_LEAST_OHM = 1.0


def without(device: Device, name: str) -> Device:
    """The device without a property; all else that can stay the same does.

    ==============  ==============================================================================
    integration     nothing leaks: gamma1 = 1e-6 /s, so a filament loses only what becomes residue
    threshold       the field hardly grows as the gap closes: alpha = 1, so growth doubles instead
                    of rising 64-fold; growth is such that V_th(0) stays what it is
    cascade         no neuron reaches another; that is the network's affair, the device is the same
    plasticity      no residue: beta = 0 and no noise of it; gamma1 grows by beta, so filaments
                    dissolve as fast as before
    refractory      Rc = 1 ohm: a gate is discharged in the tick after the spike
    stochasticity   sigma1 = 0 and residue_noise = 0
    ==============  ==============================================================================

    Raises
    ------
    InputError
        For a property that is none of the six.
    """
    plain = device.with_(figures={})
    alpha = device.alpha_eff
    match name:
        case "integration":
            return plain.with_(gamma1_per_s=_LEAST_RATE_PER_S)
        case "threshold":
            level = 1 + device.gap
            kept = ((level + 1) / (level + alpha)) ** 2
            return plain.with_(alpha=1.0, alpha_gain=1.0, growth_gain=device.growth_gain * kept)
        case "cascade":
            return plain
        case "plasticity":
            return plain.with_(residue_gain=0.0, residue_noise=0.0, residue_jitter=0.0,
                               gamma1_per_s=device.rate_per_s)
        case "refractory":
            return plain.with_(r_control_ohm=_LEAST_OHM)
        case "stochasticity":
            return plain.with_(sigma1=0.0, residue_noise=0.0, residue_jitter=0.0)
    raise InputError(f"no property is called {name!r}; there are {', '.join(PROPERTIES)}")
