"""The C backend: `reference.py`'s functions, computed by csrc/. With its recurrent half the
only file that touches cffi.

C is entered with arrays whose dtype, shape, strides and alignment were checked here, and by their
id(): see csrc/build_ffi.py. float32 and float64 are C's; every other dtype (integers, float16,
complex, foreign byte order) goes to the reference function of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count, takewhile
from typing import Any

import numpy as np

from . import reference
from ._c import ffi, lib
from .native_panels import panels  # noqa: F401
from .native_recurrent import (  # noqa: F401
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)

Array = np.ndarray
empty = np.empty
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
C_ORDER, F_ORDER, ALIGNED = 0x1, 0x2, 0x100  # bits of ndarray.flags.num
LARGE = 1 << 18  # numbers of a product that begins with a cache line


def available_isas() -> list[str]:
    """The instruction sets this build has and this processor runs, best first."""
    names = (lib.mg_isa_available(i) for i in count())
    return [ffi.string(name).decode() for name in takewhile(bool, names)]


def select_isa(name: str) -> None:
    """Compute with this instruction set from now on; ValueError where it is not available."""
    if lib.mg_select_isa(name.encode()):
        raise ValueError(f"select_isa: expected one of {', '.join(available_isas())}, got {name!r}")


def config() -> dict[str, Any]:
    """What `minigrad.show_config()` prints of this backend."""
    return {
        "backend": "c",
        "isa": ffi.string(lib.mg_isa()).decode(),
        "threads": get_num_threads(),
        "compiler": ffi.string(lib.mg_compiler()).decode(),
    }


def get_num_threads() -> int:
    """Threads that a kernel may use: the processors this process may run on, unless set."""
    return lib.mg_num_threads()


def set_num_threads(n: int) -> None:
    """From now on use at most n threads (256 are the most); results do not depend on it."""
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {n}")
    lib.mg_set_num_threads(min(n, 256))


def fail_allocation(k: int) -> None:
    """For tests: of the kernels' allocations in C from now on the k-th fails; 0: none does."""
    lib.mg_fail_allocation(k)


def live_allocations() -> int:
    """For tests: blocks of memory that kernels in C hold now; between calls, none."""
    return lib.mg_live_allocations()


def _start() -> None:
    """Reads the environment, and makes sure that C finds what numpy keeps in an array."""
    isa = os.environ.get("MINIGRAD_ISA") or available_isas()[0]
    if isa not in available_isas():
        raise ImportError(f"MINIGRAD_ISA={isa}: this machine has {', '.join(available_isas())}")
    select_isa(isa)
    threads = os.environ.get("MINIGRAD_NUM_THREADS")
    if threads is not None:
        if not threads.isdecimal() or int(threads) < 1:
            raise ImportError(f"MINIGRAD_NUM_THREADS={threads}: expected a number from 1 up")
        set_num_threads(int(threads))
    probe = np.empty(1)
    if int(ffi.cast("uintptr_t", lib.np_data(id(probe)))) != probe.ctypes.data:
        raise ImportError("this Python keeps a numpy array's address where C does not find it")
    lib.np_start(id(F32), id(F64), id(Array))


_start()


def _kernels(name: str) -> dict[np.dtype, Callable[..., Any]]:
    return {F32: getattr(lib, f"np_{name}_f32"), F64: getattr(lib, f"np_{name}_f64")}


def _ready(x: Array) -> Array:
    """x, or a C-contiguous, aligned copy of it in this machine's byte order."""
    return np.require(x, x.dtype.newbyteorder("="), ["C", "A"])


# ---- elementwise ----


def _unary(name: str) -> Callable[[Array], Array]:
    """The function `name` of one array; the result lies in memory the way x does."""
    kernels, fallback = _kernels(name), getattr(reference, name)
    direct = getattr(lib, f"direct_{name}")

    def function(x: Array) -> Array:
        if type(x) is Array:
            y = empty(x.shape, x.dtype)  # empty_like takes twice as long
            if direct(id(y), id(x)):
                return y
        x = np.asarray(x)
        kernel = kernels.get(x.dtype)
        if kernel is None:
            return fallback(x)
        flags = x.flags.num
        if not (flags & ALIGNED and flags & (C_ORDER | F_ORDER)):
            x = _ready(x)
        y = np.empty_like(x)
        kernel(id(y), id(x), x.size)
        return y

    function.__name__ = function.__qualname__ = name
    function.__doc__ = fallback.__doc__
    return function


def _binary(name: str) -> Callable[[Array, Array], Array]:
    """The function `name` of two arrays of one shape, a gradient and an output."""
    kernels, fallback = _kernels(name), getattr(reference, name)
    direct = getattr(lib, f"direct_{name}")

    def function(gy: Array, y: Array) -> Array:
        if type(gy) is Array and type(y) is Array:
            gx = empty(gy.shape, gy.dtype)
            if direct(id(gx), id(gy), id(y)):
                return gx
        gy, y = np.asarray(gy), np.asarray(y)
        if gy.shape != y.shape:
            raise ValueError(f"{name}: gy has shape {gy.shape}, expected y's, {y.shape}")
        kernel = kernels.get(gy.dtype)
        if kernel is None or y.dtype != gy.dtype:
            return fallback(gy, y)
        if not gy.flags.num & y.flags.num & C_ORDER or not gy.flags.num & y.flags.num & ALIGNED:
            gy, y = _ready(gy), _ready(y)
        gx = np.empty_like(gy)
        kernel(id(gx), id(gy), id(y), gy.size)
        return gx

    function.__name__ = function.__qualname__ = name
    function.__doc__ = fallback.__doc__
    return function


tanh, tanh_grad = _unary("tanh"), _binary("tanh_grad")
sigmoid, sigmoid_grad = _unary("sigmoid"), _binary("sigmoid_grad")
relu, relu_grad = _unary("relu"), _binary("relu_grad")

# ---- along the last axis ----

_log_softmax, _log_softmax_grad = _kernels("log_softmax"), _kernels("log_softmax_grad")


def log_softmax(x: Array) -> Array:
    """y = x - ln sum exp(x) along the last axis, which has at least one element."""
    kernel = _log_softmax.get(x.dtype)
    if kernel is None or x.size == 0:
        return reference.log_softmax(x)
    x = _ready(x)
    y = empty(x.shape, x.dtype)
    kernel(id(y), id(x), x.size // x.shape[-1], x.shape[-1])
    return y


def log_softmax_grad(gy: Array, y: Array) -> Array:
    """gx = gy - exp(y) sum(gy) along the last axis, with y = log_softmax(x)."""
    if gy.shape != y.shape:
        raise ValueError(f"log_softmax_grad: gy has shape {gy.shape}, expected y's, {y.shape}")
    kernel = _log_softmax_grad.get(gy.dtype)
    if kernel is None or y.dtype != gy.dtype or y.size == 0:
        return reference.log_softmax_grad(gy, y)
    gy, y = _ready(gy), _ready(y)
    gx = empty(y.shape, y.dtype)
    kernel(id(gx), id(gy), id(y), y.size // y.shape[-1], y.shape[-1])
    return gx


# ---- matrix product ----

_matmul, direct_matmul = _kernels("matmul"), lib.direct_matmul


def matmul(a: Array, b: Array) -> Array:
    """y = a @ b: (..., M, K) @ (..., K, N) -> (..., M, N), the leading axes broadcast.

    Strides go to C as they are: transposed, broadcast and reversed views are not copied. Mixed
    dtypes are promoted as numpy does. A 1-D a is a row, a 1-D b a column, as in numpy.
    """
    a = a if type(a) is Array else np.asarray(a)
    b = b if type(b) is Array else np.asarray(b)
    if a.ndim == b.ndim == 2:
        m, n = len(a), b.shape[1]
        large = m * n >= LARGE and a.dtype.kind == "f"
        y = _empty_aligned(m, n, a.dtype) if large else empty((m, n), a.dtype)
        done = direct_matmul(id(y), id(a), id(b))
        if done > 0:
            return y
        if done < 0:
            raise MemoryError("matmul: out of memory")
    if a.dtype != b.dtype:
        dtype = np.result_type(a, b)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    kernel = _matmul.get(a.dtype)
    if kernel is None:
        return reference.matmul(a, b)
    if a.ndim < 2 or b.ndim < 2:
        return _matmul_vectors(a, b)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: b has size {b.shape[-2]} on axis -2, expected {a.shape[-1]}, the size of "
            f"a's last axis: {a.shape} @ {b.shape}"
        )
    if a.flags.num & b.flags.num & (ALIGNED | C_ORDER) != ALIGNED | C_ORDER:
        a, b = _walkable(a), _walkable(b)
    if b.ndim > 2 or (a.ndim > 2 and not a.flags.num & C_ORDER):
        return _matmul_batch(kernel, a, b)
    n, k = b.shape[1], b.shape[0]
    y = np.empty((*a.shape[:-1], n), a.dtype)
    if y.size:
        _product(kernel, y, a if a.ndim == 2 else a.reshape(y.size // n, k), b, 1, 0, 0)
    return y


def _empty_aligned(m: int, n: int, dtype: np.dtype) -> Array:
    """An empty (m, n) that begins with a cache line of 64 bytes.

    numpy's begin 16 bytes behind one, and every vector written then touches two: (1024, 16) @
    (16, 1024) gains 1.1, in float64 1.25. It takes a microsecond.
    """
    line = 64 // dtype.itemsize
    memory = np.empty(m * n + line, dtype)
    skip = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[skip : skip + m * n].reshape(m, n)


def _walkable(x: Array) -> Array:
    """x, or a copy where its elements are misaligned or not a whole number of elements apart."""
    flags = x.flags.num
    if flags & ALIGNED and (flags & C_ORDER or not any(s % x.itemsize for s in x.strides)):
        return x
    return _ready(x)


def _product(
    kernel: Callable[..., int], y: Array, a: Array, b: Array, count: int, step_a: int, step_b: int
) -> None:
    """y = a @ b over the last two axes, `count` times, with steps, in bytes, from each matrix of a
    and of b to the next."""
    size = a.itemsize
    m, k = a.shape
    rs_a, cs_a = a.strides
    rs_b, cs_b = b.strides
    if kernel(
        id(y),
        id(a),
        step_a // size,
        rs_a // size,
        cs_a // size,
        id(b),
        step_b // size,
        rs_b // size,
        cs_b // size,
        count,
        m,
        b.shape[1],
        k,
    ):
        raise MemoryError("matmul: out of memory")


def _matmul_vectors(a: Array, b: Array) -> Array:
    """The product where a, b or both are vectors."""
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: expected at least one axis, got {a.shape} @ {b.shape}")
    y = matmul(a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b)
    if b.ndim == 1:
        y = y[..., 0]
    return y[..., 0] if a.ndim == b.ndim == 1 else y[..., 0, :] if a.ndim == 1 else y


def _matmul_batch(kernel: Callable[..., int], a: Array, b: Array) -> Array:
    """The product of stacks of matrices, in as few calls as their strides allow."""
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"matmul: the leading axes do not broadcast: {a.shape} @ {b.shape}"
        ) from None
    y = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    if y.size == 0:
        return y
    axes = tuple(0 if size == 1 else slice(None) for size in batch)  # what is 1 needs no step
    out = y[axes]
    a = np.broadcast_to(a, (*batch, *a.shape[-2:]))[axes]
    b = np.broadcast_to(b, (*batch, *b.shape[-2:]))[axes]
    outer, count, step_a, step_b = out.ndim - 2, 1, 0, 0
    while outer > 0:  # take in axes from the last, while one step leads through all their matrices
        next_a, next_b = a.strides[outer - 1], b.strides[outer - 1]
        if count == 1:
            step_a, step_b = next_a, next_b
        elif (next_a, next_b) != (step_a * count, step_b * count):
            break
        outer -= 1
        count *= out.shape[outer]
    first = (0,) * (out.ndim - 2 - outer)
    for index in np.ndindex(out.shape[:outer]):
        at = index + first  # the first matrix of each run
        _product(kernel, out[at], a[at], b[at], count, step_a, step_b)
    return y
