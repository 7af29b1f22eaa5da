"""What the paper measured, point by point.

Source: Zhao et al., Nat. Electron. 8, 1211-1221 (2025), main text and figures, **as transcribed by
one third party**; some values are readings off plots. We have not read the figures themselves.
The protocols' voltages, widths and resistors are the paper's as well.
"""

from dataclasses import dataclass

__all__ = ["C_GATE_F", "FIRST_SPIKE_S", "INTEGRATION", "PLASTICITY", "REFRACTORY", "THRESHOLD", "Points"]


@dataclass(frozen=True)
class Points:
    """One curve: ``y`` over ``x``, in SI units or as a fraction."""

    figure: str
    x: tuple[float, ...]
    y: tuple[float, ...]


#: Gate capacitance of the chip (SI Table 1).
C_GATE_F = 10e-12
#: 0.8 V pulses of 1 ms every 2 ms at 250 MOhm: time of the first spike (Fig. 2e).
FIRST_SPIKE_S = 88e-3
#: 0.9 V pulses of 1 ms: gap between them, pulses to the first spike (Fig. 3b).
INTEGRATION = Points("3b", (0.4e-3, 0.6e-3, 0.8e-3, 1.0e-3, 1.2e-3), (140, 160, 180, 215, 260))
#: One pulse of 15 ms: volts, how often it fires (Fig. 3c, d).
THRESHOLD = Points("3c,d", (0.8, 0.9, 1.0), (0.05, 0.76, 0.95))
#: Two pulses of 2 V and 20 ms: gap between them, by how much sooner the second fires (Fig. 4a, b).
PLASTICITY = Points("4a,b", (3e-3, 30e-3, 80e-3, 200e-3, 1.0),
                    (5.7e-3, 4.5e-3, 3.2e-3, 2.4e-3, 0.2e-3))
#: The stimulus of Fig. 2e: control resistor, mean interval between spikes (Fig. 4c, d).
REFRACTORY = Points("4c,d", (50e6, 100e6, 250e6, 500e6, 1000e6),
                    (2.25e-3, 2.3e-3, 4.0e-3, 8.0e-3, 23.8e-3))
