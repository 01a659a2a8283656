"""The C backend: `reference.py`'s functions, computed by csrc/. The only file that touches cffi."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import reference
from ._c import ffi, lib

Array = np.ndarray
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def config() -> dict[str, Any]:
    """What `minigrad.show_config()` prints of this backend."""
    return {
        "backend": "c",
        "isa": ffi.string(lib.mg_isa()).decode(),
        "threads": lib.mg_num_threads(),
        "compiler": ffi.string(lib.mg_compiler()).decode(),
    }


def get_num_threads() -> int:
    return lib.mg_num_threads()


def set_num_threads(n: int) -> None:
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {n}")
    lib.mg_set_num_threads(n)


def _ready(x: Array) -> Array:
    """x, or a C-contiguous, aligned copy of it in this machine's byte order."""
    return np.require(x, x.dtype.newbyteorder("="), ["C", "A"])


def _pointer(x: Array) -> Any:
    return ffi.cast("void *", x.ctypes.data)


def tanh(x: Array) -> Array:
    """y = tanh(x), any shape."""
    if x.dtype not in (F32, F64):
        return reference.tanh(x)
    x = _ready(x)
    y = np.empty_like(x)
    (lib.mg_tanh_f32 if x.dtype == F32 else lib.mg_tanh_f64)(_pointer(y), _pointer(x), x.size)
    return y


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x)), any shape."""
    if x.dtype not in (F32, F64):
        return reference.sigmoid(x)
    x = _ready(x)
    y = np.empty_like(x)
    (lib.mg_sigmoid_f32 if x.dtype == F32 else lib.mg_sigmoid_f64)(_pointer(y), _pointer(x), x.size)
    return y


matmul = reference.matmul
tanh_grad = reference.tanh_grad
sigmoid_grad = reference.sigmoid_grad
relu = reference.relu
relu_grad = reference.relu_grad

# ---- LSTM ----


def _check(name: str, wanted: dict[str, tuple[Array | None, tuple[int, ...]]]) -> list[Any]:
    """The arrays as C wants them (None stays None), or ValueError naming what is wrong.

    All dtypes must be that of the first array.
    """
    arrays = []
    dtype = next(iter(wanted.values()))[0].dtype  # type: ignore[union-attr]
    for argument, (x, shape) in wanted.items():
        if x is not None:
            if x.dtype != dtype:
                raise ValueError(f"{name}: {argument} is {x.dtype}, expected {dtype}")
            if x.shape != shape:
                raise ValueError(f"{name}: {argument} has shape {x.shape}, expected {shape}")
            x = _ready(x)
        arrays.append(x)
    return arrays


def _sizes(name: str, x: Array, h0: Array) -> tuple[int, int, int, int]:
    """T, B, I, H; ValueError where the arrays of a layer could not be counted in bytes."""
    if x.ndim != 3 or h0.ndim != 2:
        raise ValueError(
            f"{name}: expected x (T, B, I) and h0 (B, H), got {x.ndim} and {h0.ndim} axes"
        )
    T, B, I, H = *x.shape, h0.shape[1]
    if max((T + 1) * (B + 1) * (4 * H + I + 64), (4 * H + 256) * (I + H + 512)) > 2**59:
        raise ValueError(f"{name}: T={T}, B={B}, I={I}, H={H} is too large")
    return T, B, I, H


def _run(name: str, dtype: np.dtype, *arguments: Any) -> None:
    """Calls mg_{name}_f32 or _f64; arrays go as addresses, None as NULL."""
    function = getattr(lib, f"mg_{name}_{'f32' if dtype == F32 else 'f64'}")
    addresses = [
        _pointer(a) if isinstance(a, Array) else ffi.NULL if a is None else a for a in arguments
    ]
    if function(*addresses):
        raise MemoryError(f"{name}: out of memory")


def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    keep: bool,
) -> tuple[Array, Array, Any]:
    """One LSTM layer over a whole sequence: see `reference.lstm_forward`.

    Kept for backward are the gates (T, B, 4H) and the cell states (T+1, B, H): with the output
    itself 6 numbers for each step, row and unit.
    """
    if x.dtype not in (F32, F64):
        return reference.lstm_forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, keep)
    T, B, I, H = _sizes("lstm_forward", x, h0)
    inputs = _check(
        "lstm_forward",
        {
            "x": (x, (T, B, I)),
            "h0": (h0, (B, H)),
            "c0": (c0, (B, H)),
            "w_ih": (w_ih, (4 * H, I)),
            "w_hh": (w_hh, (4 * H, H)),
            "b_ih": (b_ih, (4 * H,)),
            "b_hh": (b_hh, (4 * H,)),
        },
    )
    output, c_n = np.empty((T, B, H), x.dtype), np.empty((B, H), x.dtype)
    gates = np.empty((T, B, 4 * H), x.dtype) if keep else None
    cells = np.empty((T + 1, B, H), x.dtype) if keep else None
    _run("lstm_forward", x.dtype, output, c_n, gates, cells, *inputs, T, B, I, H)
    return output, c_n, (gates, cells) if keep else None


def lstm_backward(
    gy: Array | None,
    gh_n: Array | None,
    gc_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `lstm_forward`, backward through time: see `reference.lstm_backward`."""
    if x.dtype not in (F32, F64):
        return reference.lstm_backward(
            gy, gh_n, gc_n, x, h0, w_ih, w_hh, output, saved, need_x, reuse
        )
    T, B, I, H = _sizes("lstm_backward", x, h0)
    gates, cells = saved
    inputs = _check(
        "lstm_backward",
        {
            "x": (x, (T, B, I)),
            "h0": (h0, (B, H)),
            "w_ih": (w_ih, (4 * H, I)),
            "w_hh": (w_hh, (4 * H, H)),
            "output": (output, (T, B, H)),
            "gates": (gates, (T, B, 4 * H)),
            "cells": (cells, (T + 1, B, H)),
        },
    )
    gy, gh_n, gc_n = _check(
        "lstm_backward",
        {
            "x": (x, (T, B, I)),
            "gy": (gy, (T, B, H)),
            "gh_n": (gh_n, (B, H)),
            "gc_n": (gc_n, (B, H)),
        },
    )[1:]
    gx = np.empty((T, B, I), x.dtype) if need_x else None
    gh0, gc0 = np.empty((B, H), x.dtype), np.empty((B, H), x.dtype)
    gw_ih, gw_hh = np.empty((4 * H, I), x.dtype), np.empty((4 * H, H), x.dtype)
    gb = np.empty(4 * H, x.dtype)
    ggates = inputs[5] if reuse else np.empty((T, B, 4 * H), x.dtype)
    gradients = gx, gh0, gc0, gw_ih, gw_hh, gb
    _run("lstm_backward", x.dtype, *gradients, ggates, gy, gh_n, gc_n, *inputs, T, B, I, H)
    return gradients
