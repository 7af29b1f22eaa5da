"""Energy and area of the emulated chip: estimates from what the host knows of a run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ionspike.host.devices import Devices
from ionspike.host.drive import drives_V
from ionspike.host.meter import Meter
from ionspike.host.spikes import Spikes

if TYPE_CHECKING:
    from ionspike.host.network import Network

__all__ = ["FORMULAS", "Estimate", "estimate"]

#: V is the drive, Vg the gate voltage, x the bridged part of the gap.
FORMULAS = {
    "charging_J": "sum of Cg V (V - Vg) over the charges of gates",
    "conduction_on_J": "sum of V^2 / Rc dt while the memristor is bridged",
    "conduction_off_J": "sum of V (V - Vg) / Rd dt while it is not; Rd = Ron x + "
                        "Roff (e^((1-x)/lambda) - 1) / (e^(1/lambda) - 1)",
    "chip_J": "charging_J + conduction_on_J + conduction_off_J",
    "per_spike_J": "chip_J / spikes",
    "bench_J": "sum of Vdd^2 / Rload dt while Vg > V_T, for Rc Cg ln(V / V_T) after a spike",
    "area_um2": "neurons x area of one",
}


@dataclass(frozen=True)
class Estimate:
    """What a run would take on the emulated chip: calculated, not measured.

    Parameters
    ----------
    device, title : whose parameters the numbers are made of.
    neurons, spikes, duration_s : of the run; the time is that of the chip. One that is sustained is one spike.
    charging_J : from the drives into gates. Half of it heats the memristors at once, the other half
        is stored, and heats the control resistors later.
    conduction_on_J, conduction_off_J : from the drives through bridged memristors, and through
        those that are not.
    bench_J : of the outputs' load resistors, which are the measurement's and not the neuron's.
    area_um2 : of the neurons, without synapses and wires.
    """

    device: str
    title: str
    neurons: int
    spikes: int
    duration_s: float
    charging_J: float
    conduction_on_J: float
    conduction_off_J: float
    bench_J: float
    area_um2: float

    @property
    def conduction_J(self) -> float:
        """Through the memristors in both their states."""
        return self.conduction_on_J + self.conduction_off_J

    @property
    def chip_J(self) -> float:
        """All that neurons take from their drives."""
        return self.charging_J + self.conduction_J

    @property
    def per_spike_J(self) -> float | None:
        """``chip_J`` over the spikes; None without any."""
        return self.chip_J / self.spikes if self.spikes else None

    @property
    def formulas(self) -> dict[str, str]:
        """How the numbers are made."""
        return dict(FORMULAS)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**vars(self), "conduction_J": self.conduction_J, "chip_J": self.chip_J,
                "per_spike_J": self.per_spike_J, "formulas": self.formulas,
                "note": f"estimates for device {self.device!r}, not measurements"}

    def lines(self) -> list[tuple[str, str]]:
        """For people."""
        each = "no spikes" if self.per_spike_J is None else f"{_si(self.per_spike_J)}J a spike"
        return [
            ("estimated energy",
             f"{each}, {_si(self.chip_J)}J in all: charging {_si(self.charging_J)}J, conduction "
             f"{_si(self.conduction_J)}J; on a bench its load {_si(self.bench_J)}J more"),
            ("estimated area", f"{self.area_um2:,.6g} um^2 of {self.device}; estimates, not "
                               f"measurements")]


def estimate(network: "Network", inputs: Spikes, spikes: Spikes,
             state: NDArray[np.uint16] | None = None) -> Estimate:
    """Estimate what a run would take on the emulated chip.

    Parameters
    ----------
    inputs, spikes : of the run.
    state : what it began from, see ``wire.STATE``; without it, neurons at rest.
    """
    device = network.device
    meter = Meter(device, network.dt_s, Devices.of(network), state)
    at, begun = 0, spikes.raster
    if device.sustained:
        before = np.zeros_like(begun[:1]) if state is None else state[None, :, 1] >> 15 != 0
        begun = begun & ~np.concatenate([before, begun[:-1]])
    for drive in drives_V(network, inputs, spikes):
        for v, fired in zip(drive, begun[at:at + len(drive)], strict=True):
            meter.tick(v, fired)
        at += len(drive)
    return Estimate(
        device=device.name, title=device.title, neurons=network.neurons, spikes=int(np.count_nonzero(begun)),
        duration_s=spikes.ticks * network.dt_s, charging_J=float(meter.charging_J.sum()),
        conduction_on_J=float(meter.on_J.sum()), conduction_off_J=float(meter.off_J.sum()),
        bench_J=float(meter.bench_J.sum()), area_um2=device.area_um2 * network.neurons)


def _si(value: float) -> str:
    """Three digits, a blank and a prefix."""
    power = 3 * int(np.floor(np.log10(abs(value)) / 3)) if value else 0
    power = max(-18, min(0, power))
    return f"{value / 10.0 ** power:.3g} {'afpnum'[(power + 18) // 3] if power else ''}"
