"""How a tensor looks: as in PyTorch, four digits after the point and one width for all elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import get_default_dtype


def show(tensor: Any) -> str:
    """tensor([[1., 2.], [3., 4.]], dtype=..., grad_fn=<...>): what is not obvious is named"""
    text, suffixes = "tensor(" + _elements(tensor.data), []
    if tensor.data.size == 0 and tensor.shape != (0,):
        suffixes.append(f"size={tensor.shape}")
    if tensor.dtype not in (get_default_dtype(), np.int64, np.bool_):
        suffixes.append(f"dtype={tensor.dtype.name}")
    if tensor.node is not None:
        suffixes.append(f"grad_fn=<{tensor.node.plan.name}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    for suffix in suffixes:
        room = 78 - (len(text) - text.rfind("\n")) - len(suffix)
        text += (", " if room >= 0 else ",\n" + " " * len("tensor(")) + suffix
    return text + ")"


def _elements(array: np.ndarray) -> str:
    if array.size == 0:
        return "[]"
    shown = array  # the elements that will be seen decide how
    if array.size > 1000:
        for axis, n in enumerate(array.shape):
            if n > 6:
                shown = np.take(shown, [0, 1, 2, -3, -2, -1], axis)
    one = _float_format(shown) if array.dtype.kind == "f" else str
    width = max(len(one(x)) for x in shown.ravel())
    text = np.array2string(
        array,
        formatter={"all": lambda x: one(x).rjust(width)},
        max_line_width=80,
        threshold=1000,
        edgeitems=3,
        separator=", ",
        prefix="tensor(",
    )
    return text.replace(", ..., ", ",  ..., ")


def _float_format(array: np.ndarray) -> Callable[[Any], str]:
    """1. where all are whole numbers, else 1.2345, or 1.2345e+08 where sizes differ much."""
    finite = np.abs(array[np.isfinite(array) & (array != 0)]).astype(np.float64)
    if finite.size == 0:
        return lambda x: f"{x:.0f}." if np.isfinite(x) else str(x)
    low, high = float(finite.min()), float(finite.max())
    whole = bool((finite == np.floor(finite)).all())
    scientific = high > 1000 * low or high > 1e8 or low < 1e-4
    digits = ".4e" if scientific else ".0f" if whole else ".4f"
    point = "." if digits == ".0f" else ""
    return lambda x: f"{x:{digits}}{point}" if np.isfinite(x) else str(x)
