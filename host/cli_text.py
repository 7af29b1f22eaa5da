"""Results in words."""

from ionspike.host.console import table
from ionspike.host.result import Result

__all__ = ["origin", "result_lines"]


def origin(is_hardware: bool, backend: str) -> str:
    """What it was that ran, so that nobody takes a model for hardware."""
    if is_hardware:
        return "hardware"
    return {"virtual": "virtual board, not hardware",
            "golden": "golden model, not hardware"}.get(backend, "virtual board, not hardware")


def result_lines(result: Result) -> list[str]:
    """A run for people."""
    nonzero = {name: value for name, value in result.counters.items() if value}
    link = {name: value for name, value in result.link.items() if value}
    faults = result.network.faults
    return table([
        ("ran on", f"{result.board}: {origin(result.is_hardware, result.backend)}"),
        ("mode", result.mode),
        ("ticks", f"{result.ticks:,} of {result.spikes.dt_s:g} s in {result.wall_s:.3g} s, "
                  f"{result.ticks / max(result.wall_s, 1e-9):,.0f} ticks/s"),
        ("spikes", f"{result.spikes.count:,}"),
        *([] if result.estimate is None else result.estimate.lines()),
        *([] if faults is None else [("faults", str(faults))]),
        *([("jitter", "residues drawn from 0 to "
            f"{result.network.device.residue_jitter:g}")] if result.jitter else []),
        *([] if result.clipped_drives is None else [(
            "drives clipped", f"{result.clipped_drives:,}, of LIF neurons in their steps")]),
        ("lost or late", ", ".join(f"{k} {v}" for k, v in result.losses.items()) or "nothing"),
        *result.timing.lines(),
        ("counters", ", ".join(f"{k} {v:,}" for k, v in nonzero.items()) or "all zero"),
        ("link", ", ".join(f"{k} {v:,}" for k, v in link.items()) or "-"),
        ("seed", result.seed), ("image", result.image_digest[:16]), ("build", result.build)])
