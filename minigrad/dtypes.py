"""The dtypes of tensors, and which one the result of several operands has: PyTorch's rules."""

from __future__ import annotations

from typing import Any

import numpy as np

float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
int32, int64, uint8 = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint8)

_default_dtype = float32
_CATEGORIES = "biufc"  # the later of two decides; i and u are one


def set_default_dtype(dtype: Any) -> None:
    """The dtype of tensors made from Python floats: float32 (at first) or float64."""
    global _default_dtype
    if np.dtype(dtype) not in (float32, float64):
        raise TypeError(f"set_default_dtype: expected float32 or float64, got {dtype}")
    _default_dtype = np.dtype(dtype)


def get_default_dtype() -> np.dtype:
    """The dtype of tensors made from Python floats."""
    return _default_dtype


def result_type(*operands: Any) -> np.dtype:
    """The dtype of an arithmetic result: bool < integers < floats, then float32 < float64.

    Within one of these categories arrays with axes decide, then 0-d ones, then Python's numbers,
    a float among which counts as the default dtype.
    """
    ranks: tuple[list, list, list] = ([], [], [])
    for x in operands:
        if not hasattr(x, "dtype"):
            ranks[2].append(_of_number(x))
        else:
            ranks[0 if x.ndim else 1].append(x.dtype)
    highest = max(_category(dtype) for dtypes in ranks for dtype in dtypes)
    deciding = ([d for d in dtypes if _category(d) == highest] for dtypes in ranks)
    return np.result_type(*next(dtypes for dtypes in deciding if dtypes))


def promoted(y: Any, *operands: Any) -> Any:
    """y, which numpy made float64, in the dtype its operands ask for."""
    for x in operands:
        if getattr(x, "dtype", None) is float64 and x.ndim:
            return y
    if {x.dtype for x in operands if hasattr(x, "dtype")} == {float64}:
        return y
    dtype = result_type(*operands)
    return y if dtype is float64 else y.astype(dtype)


def floating(x: Any) -> Any:
    """x; integers and booleans in the default dtype."""
    if x.dtype is float32 or x.dtype.kind in "fc":
        return x
    return x.astype(_default_dtype)


def _of_number(x: Any) -> np.dtype:
    dtype = np.asarray(x).dtype
    return _default_dtype if dtype == float64 else dtype


def _category(dtype: np.dtype) -> int:
    return _CATEGORIES.index(dtype.kind if dtype.kind != "u" else "i")
