"""Images to spikes: deterministic, integers only, so that every machine gets the same events."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["latency", "rate"]

_ONE = 1 << 16      # probability 1 of a spike per tick
_GOLDEN = 40503     # 2**16 over the golden ratio: its multiples spread evenly, however many


def _intensities(values: ArrayLike, ticks: int, top: int) -> NDArray[np.int64]:
    x = np.asarray(values)
    if ticks < 1:
        raise ValueError(f"ticks must be at least 1, not {ticks}")
    if x.ndim < 1 or not (np.isfinite(x).all() and (x == np.floor(x)).all()
                          and (x >= 0).all() and (x <= top).all()):
        raise ValueError(f"intensities must be an array of whole numbers from 0 to {top}")
    return x.astype(np.int64)


def rate(values: ArrayLike, ticks: int, *, peak: float = 0.5, top: int = 16) -> NDArray[np.bool_]:
    """Evenly spaced spikes, as many as the intensity asks for (error diffusion).

    Input ``i`` of intensity ``x`` spikes in tick ``t`` where
    ``floor(phase_i + (t + 1) p)`` exceeds ``floor(phase_i + t p)``, with ``p = peak x / top``
    spikes per tick. The phases are multiples of the golden ratio, so that equal intensities do
    not fire in step.

    Parameters
    ----------
    values : ``[..., inputs]``, whole numbers from 0 to ``top``.
    ticks : length of the presentation.
    peak : spikes per tick at ``top``, up to 1.

    Returns
    -------
    bool ``[..., ticks, inputs]``.
    """
    x = _intensities(values, ticks, top)
    if not 0 < peak <= 1:
        raise ValueError(f"peak must be above 0 and up to 1 spike per tick, not {peak!r}")
    step = x * round(peak * _ONE) // top
    phase = np.arange(x.shape[-1]) * _GOLDEN % _ONE
    edges = np.arange(ticks + 1)[:, None] * step[..., None, :] + phase
    return np.diff(edges // _ONE, axis=-2) > 0


def latency(values: ArrayLike, ticks: int, *, top: int = 16) -> NDArray[np.bool_]:
    """One spike per input, the earlier the brighter; none where the intensity is zero.

    Intensity ``x`` spikes in tick ``floor((top - x) ticks / top)``.

    Parameters and result as for :func:`rate`.
    """
    x = _intensities(values, ticks, top)
    when = np.where(x > 0, (top - x) * ticks // top, -1)
    return when[..., None, :] == np.arange(ticks)[:, None]
