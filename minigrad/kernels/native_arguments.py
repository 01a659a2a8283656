"""What the recurrent kernels in C are given: every array is checked here before C sees it.

One call looks at all of them in C, where that takes 0.3 us. Only where it finds something -- an
array that has to be copied first, packed sequences, an error -- are they gone through by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._c import lib

Array = np.ndarray
KERNELS = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
fit = lib.np_fit


class Kernel:
    """np_{name}_f32 and _f64 of csrc/, and the axes of the arrays that they take, in C's order.

    axes: letters for the sizes, T steps, B batch, I inputs, H hidden, P projected, N the rows of x
    (T B, or those of packed sequences), M = B + N; "4H" is four times one, and "?" says that None
    will do.
    """

    def __init__(self, name: str, **axes: str) -> None:
        self.name, self.axes = name, axes
        self.form = "".join(a if a[-1] == "?" else a + "," for a in axes.values()).encode()
        self.functions = {d: getattr(lib, f"np_{name}_{kind}") for d, kind in KERNELS.items()}
        self.at_x, self.at_h0 = (list(axes).index(argument) for argument in ("x", "h0"))
        self.at_w_hr = list(axes).index("w_hr") if "w_hr" in axes else None

    def checked(self, batch_sizes: Array | None, *arrays: Any) -> tuple:
        """first, N, T, B, I, H and the arrays as C takes them, contiguous; None stays None.

        first (T+1): the rows of x where steps begin, or None: B rows each. ValueError says which
        argument is wrong, and where C could not count a layer's bytes.
        """
        x, h0 = arrays[self.at_x], arrays[self.at_h0]
        w_hr = None if self.at_w_hr is None else arrays[self.at_w_hr]
        if batch_sizes is None and fit(self.form, [*map(id, arrays)]):
            T, B, I = x.shape
            H = (h0 if w_hr is None else w_hr).shape[1]
            return None, T * B, T, B, I, H, arrays
        first, N, T, B, I, H = _sizes(self.name, x, h0, w_hr, batch_sizes)
        sizes = {"T": T, "B": B, "I": I, "H": H, "P": h0.shape[1], "N": N, "M": B + N}
        return first, N, T, B, I, H, self._by_name(x.dtype, sizes, batch_sizes is not None, arrays)

    def _by_name(self, dtype: np.dtype, sizes: dict, packed: bool, arrays: Sequence) -> list:
        """The arrays, contiguous; ValueError names the first that is not as `axes` says."""
        found = []
        for (argument, axes), x in zip(self.axes.items(), arrays, strict=True):
            if x is not None:
                wanted = re.findall(r"(\d?)([A-Z])", axes.replace("TB", "N") if packed else axes)
                shape = tuple(int(times or 1) * sizes[letter] for times, letter in wanted)
                if x.dtype != dtype:
                    raise ValueError(
                        f"{self.name}: {argument} is {x.dtype}, expected {dtype}, as x is"
                    )
                if x.shape != shape:
                    raise ValueError(
                        f"{self.name}: {argument} has shape {x.shape}, expected {shape}"
                    )
                x = np.require(x, dtype, ["C", "A"])
            elif axes[-1] != "?":
                raise ValueError(f"{self.name}: {argument} is None, expected an array")
            found.append(x)
        return found

    def __call__(self, dtype: np.dtype, arrays: Sequence[Array | None], *numbers: int) -> None:
        """Calls C: arrays go by their id(), id(None) is NULL there."""
        if self.functions[dtype](*map(id, arrays), *numbers):
            raise MemoryError(f"{self.name}: out of memory")


def _sizes(
    name: str, x: Array, h0: Array, w_hr: Array | None, batch_sizes: Array | None
) -> tuple[Array | None, int, int, int, int, int]:
    """first, N, T, B, I, H; first (T+1): the rows of x where steps begin, or None: B rows each.

    ValueError where the batch sizes are not those of packed rows, and where C could not count the
    bytes of a layer's arrays.
    """
    packed = batch_sizes is not None
    if x.ndim != 3 - packed or h0.ndim != 2:
        raise ValueError(
            f"{name}: expected x {'(N, I)' if packed else '(T, B, I)'} and h0 (B, H), got "
            f"{x.ndim} and {h0.ndim} axes"
        )
    if w_hr is not None and w_hr.ndim != 2:
        raise ValueError(f"{name}: expected w_hr (P, H), got {w_hr.ndim} axes")
    I, H = x.shape[-1], (h0 if w_hr is None else w_hr).shape[1]
    most = max(H, h0.shape[1])
    T, B = x.shape[:2] if batch_sizes is None else (_steps(name, batch_sizes, h0), len(h0))
    if max((T + 1) * (B + 256) * (6 * most + I + 64), (4 * most + 256) * (I + most + 1024)) > 2**56:
        raise ValueError(f"{name}: T={T}, B={B}, I={I}, H={H} is too large")
    if batch_sizes is None:
        return None, T * B, T, B, I, H
    first = np.zeros(T + 1, np.uintp)
    first[1:] = np.cumsum(batch_sizes)
    if first[-1] != x.shape[0]:
        raise ValueError(f"{name}: batch_sizes add up to {first[-1]}, x has {x.shape[0]} rows")
    return first, x.shape[0], T, B, I, H


def _steps(name: str, batch_sizes: Array, h0: Array) -> int:
    """T; ValueError unless the sizes are integers from B down to 1 that never grow."""
    if batch_sizes.ndim != 1 or batch_sizes.dtype.kind not in "iu" or len(batch_sizes) == 0:
        raise ValueError(
            f"{name}: expected batch_sizes to be integers (T), got {batch_sizes.dtype} of shape "
            f"{batch_sizes.shape}"
        )
    most, least = batch_sizes[0], batch_sizes[-1]
    if most > len(h0) or least < 1 or (batch_sizes[1:] > batch_sizes[:-1]).any():
        raise ValueError(
            f"{name}: batch_sizes must be at most B={len(h0)}, at least 1 and never grow, got "
            f"{batch_sizes}"
        )
    return len(batch_sizes)
