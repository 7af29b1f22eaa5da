"""Images and signals to spikes: deterministic, the same events on every machine."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["delta", "latency", "rate"]

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


def delta(values: ArrayLike, step: float) -> NDArray[np.bool_]:
    """Spikes where a signal has moved by ``step``: up in one channel, down in another.

    A level ``L`` follows signal ``i``, from its first value. In tick ``t`` channel ``i`` spikes and
    ``L`` rises by ``step`` if ``x[t] - L >= step``; channel ``signals + i`` spikes and ``L`` falls
    by ``step`` if ``L - x[t] >= step``. One step a tick: what is faster is followed later.

    Parameters
    ----------
    values : ``[..., ticks, signals]``, finite.
    step : above 0, in the signal's unit.

    Returns
    -------
    bool ``[..., ticks, 2 signals]``.
    """
    x = np.asarray(values)
    if x.ndim < 2 or x.dtype.kind not in "iuf" or not np.isfinite(x).all():
        raise ValueError("signals must be an array [..., ticks, signals] of finite numbers")
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step must be a finite number above 0, not {step!r}")
    x = x.astype(np.float64)
    spikes = np.zeros((*x.shape[:-1], 2, x.shape[-1]), bool)
    # Counted in steps: sums of steps would drift.
    level = np.zeros_like(x[..., 0, :])
    for t in range(x.shape[-2]):
        moved = x[..., t, :] - x[..., 0, :] - level * step
        up, down = moved >= step, -moved >= step
        spikes[..., t, 0, :], spikes[..., t, 1, :] = up, down
        level += up.astype(np.float64) - down
    return spikes.reshape(*x.shape[:-1], -1)
