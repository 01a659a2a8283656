"""How tensors are made: of data, of one value, of chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dtypes import float64, get_default_dtype, int64
from .ops.arguments import sizes
from .tensor import Tensor

# ------------------------------------------------------------------------------------- of data


overflow_is_inf = np.errstate(over="ignore")  # without a warning: 1e39 in float32


@overflow_is_inf
def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of `data`: a number, nested sequences, an array or a tensor.

    dtype: given, or that of an array or tensor; for Python floats the default one (float32).
    """
    if isinstance(data, Tensor):
        data = data.data
    if dtype is None and not isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data)
        if array.dtype == float64:
            array = array.astype(get_default_dtype())
    else:
        array = np.array(data, dtype=dtype)
    return from_numpy(array).requires_grad_(requires_grad)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` itself if it is a tensor, a leaf around it if it is an array, else `tensor(data)`."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.astype(dtype)
    if isinstance(data, np.ndarray) and dtype in (None, data.dtype):
        return from_numpy(data)
    return tensor(data, dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A leaf around `array` itself: the same memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy array, got {type(array).__name__}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds floats, integers or booleans, not {array.dtype}")
    return Tensor.box(array)


def from_dlpack(array: Any) -> Tensor:
    """A leaf around the memory of whatever speaks DLPack: an array of another library."""
    return from_numpy(np.from_dlpack(array))


# -------------------------------------------------------------------------------- of one value


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """0 everywhere; sizes as several arguments or one tuple."""
    return full(sizes(size), 0.0, dtype=dtype, requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """1 everywhere; sizes as several arguments or one tuple."""
    return full(sizes(size), 1.0, dtype=dtype, requires_grad=requires_grad)


@overflow_is_inf
def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere."""
    if dtype is None and isinstance(fill_value, float):
        dtype = get_default_dtype()
    return Tensor.box(np.full(sizes((size,)), fill_value, dtype)).requires_grad_(requires_grad)


def zeros_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """0 in the shape and dtype of a tensor."""
    return full_like(input, 0, dtype=dtype, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """1 in the shape and dtype of a tensor."""
    return full_like(input, 1, dtype=dtype, requires_grad=requires_grad)


@overflow_is_inf
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """`fill_value` in the shape and dtype of a tensor."""
    array = np.full(input.shape, fill_value, dtype or input.dtype)
    return Tensor.box(array).requires_grad_(requires_grad)


@overflow_is_inf
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... up to but without `end`; arange(n) starts at 0."""
    start, end = (0, start) if end is None else (start, end)
    if dtype is None:
        floats = any(isinstance(v, float) for v in (start, end, step))
        dtype = get_default_dtype() if floats else int64
    array: np.ndarray = np.arange(start, end, step).astype(dtype)
    return Tensor.box(array).requires_grad_(requires_grad)


@overflow_is_inf
def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers from start to end, both included, equally far apart."""
    array = np.linspace(start, end, steps, dtype=dtype or get_default_dtype())
    return Tensor.box(array).requires_grad_(requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """1 on the diagonal, 0 elsewhere: (n, m or n)."""
    array = np.eye(n, m, dtype=dtype or get_default_dtype())
    return Tensor.box(array).requires_grad_(requires_grad)


# ----------------------------------------------------------------------------------- of chance

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Starts the one generator that all random numbers here come from; returns it."""
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def generator() -> np.random.Generator:
    """The generator that all random numbers here come from."""
    return _generator


def rand(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform on [0, 1)."""
    return _drawn(_generator.random(sizes(size)), dtype, requires_grad)


def randn(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Normal, mean 0 and variance 1."""
    return _drawn(_generator.standard_normal(sizes(size)), dtype, requires_grad)


def randint(low: int, high: Any = None, size: Any = ()) -> Tensor:
    """Integers from low up to but without high, all as likely; randint(n, size) starts at 0."""
    if isinstance(high, Sequence):
        low, high, size = 0, low, high
    low, high = (0, low) if high is None else (low, high)
    return Tensor.box(np.asarray(_generator.integers(low, high, sizes((size,)))))


def randperm(n: int) -> Tensor:
    """0 .. n - 1 in an order drawn by chance."""
    return Tensor.box(_generator.permutation(n))


def _drawn(array: Any, dtype: Any, requires_grad: bool) -> Tensor:
    drawn = Tensor.box(np.asarray(array, dtype or get_default_dtype()))
    return drawn.requires_grad_(requires_grad)


__all__ = [
    "arange", "as_tensor", "eye", "from_dlpack", "from_numpy", "full", "full_like",
    "generator", "linspace", "manual_seed", "ones", "ones_like", "rand", "randint", "randn",
    "randperm", "tensor", "zeros", "zeros_like",
]  # fmt: skip
