"""The unrolled layer in C++, compiled on the user's machine where that is possible."""

import ctypes
import subprocess
from functools import cache as once
from pathlib import Path

import torch
from torch import Tensor

from ionspike.sim import cache
from ionspike.sim.compile import CompileError, cached, compiler_version, find_compiler

__all__ = ["Constants", "Native", "available"]

_SOURCE = Path(__file__).with_name("unroll.cpp")
# What a processor does not raise and nobody reads is not kept: without it, no loop is vectorised.
_FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
          "-shared", "-fPIC", "-DNDEBUG", "-w"]
_SECONDS = 300


class Constants(ctypes.Structure):
    """What neurons share, as in ``unroll.cpp``."""

    _fields_ = [*((name, ctypes.c_float) for name in (
        "kf", "kr", "kb", "r_max", "r_noise", "sigma", "level", "f_loss", "r_loss", "g_loss", "f_max",
        "v_max", "mean", "beyond", "sharpness", "open_slope", "drive_slope", "held")),
        ("entries", ctypes.c_int32), ("sustained", ctypes.c_int32)]


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("ticks", "batch", "neurons")]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


@once
def _library() -> ctypes.CDLL | None:
    try:
        compiler = [word for word in find_compiler() if word != "-mcpu=baseline"]
        key = cache.digest(_SOURCE.read_text(), *_FLAGS, *compiler, compiler_version(compiler),
                           _processor())
        path = cached("train", key, lambda folder: _compile(compiler, folder))
        return ctypes.CDLL(str(path))
    except (CompileError, OSError, subprocess.SubprocessError):
        return None


def _compile(compiler: list[str], folder: Path) -> None:
    subprocess.run([*compiler, *_FLAGS, "-o", str(folder / "model.so"), str(_SOURCE)], check=True,
                   capture_output=True, timeout=_SECONDS)


def available() -> bool:
    """Whether there is a C++ compiler that can make it; asking makes it."""
    return _library() is not None


def _at(tensor: Tensor | None) -> ctypes.c_void_p:
    if tensor is None:
        return ctypes.c_void_p()
    assert tensor.is_contiguous() and tensor.dtype in (torch.float32, torch.int32) and not tensor.is_cuda
    return ctypes.c_void_p(tensor.data_ptr())


class Native:
    """Forward and backward pass of :class:`~ionspike.train.unroll.Unroll`, on a CPU in float32."""

    def __init__(self, constants: Constants, noisy: bool):
        self.constants, self.noisy = constants, noisy

    def forward(self, drive: Tensor, kg: Tensor, growth: Tensor, limit: Tensor, table: Tensor,
                rest: Tensor, seed: int, weights: Tensor | None,
                delays: Tensor | None) -> tuple[Tensor, ...]:
        """Whole drives, spikes, and each tick's gates, slopes and bridges."""
        library = _library()
        assert library is not None
        d = drive.clone(memory_format=torch.contiguous_format)
        spikes, gates, slopes, bridges = (torch.empty_like(d) for _ in range(4))
        library.forward(ctypes.byref(_Sizes(*d.shape)), ctypes.byref(self.constants), _at(kg),
                        _at(growth), _at(limit), _at(table), _at(rest), _at(weights), _at(delays),
                        int(self.noisy), ctypes.c_uint64(seed), _at(d), _at(spikes), _at(gates),
                        _at(slopes), _at(bridges))
        return d, spikes, gates, slopes, bridges

    def backward(self, d_spikes: Tensor, d: Tensor, spikes: Tensor, gates: Tensor, slopes: Tensor,
                 bridges: Tensor, kg: Tensor, growth: Tensor, weights: Tensor | None,
                 delays: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of drive, kg, growth and weights."""
        library = _library()
        assert library is not None
        out, d_spikes = torch.empty_like(d), d_spikes.contiguous()
        turned = None if weights is None else weights.t().contiguous()
        d_kg, d_growth = torch.zeros_like(kg), torch.zeros_like(kg)
        d_weights = None if weights is None else torch.zeros_like(weights)
        library.backward(ctypes.byref(_Sizes(*d.shape)), ctypes.byref(self.constants), _at(kg),
                         _at(growth), _at(turned), _at(delays), _at(d), _at(spikes), _at(gates), _at(slopes),
                         _at(bridges), _at(d_spikes), _at(out), _at(d_kg), _at(d_growth),
                         _at(d_weights))
        return out, d_kg, d_growth, d_weights
