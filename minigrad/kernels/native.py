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

lstm_forward = reference.lstm_forward
lstm_backward = reference.lstm_backward
