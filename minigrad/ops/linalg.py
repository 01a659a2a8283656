"""Products of matrices, batched over leading axes; a matrix's `mT` exchanges its last two axes."""

from __future__ import annotations

from typing import Any

from minigrad import kernels
from minigrad.autograd import primitive

from .shape import reshape


@primitive
def gemm(a, b):
    """y = a b: (..., M, K) @ (..., K, N) -> (..., M, N), leading axes broadcast"""
    return kernels.matmul(a, b)


gemm.rules(a=lambda gy, b: gemm(gy, b.mT), b=lambda gy, a: gemm(a.mT, gy))


def matmul(a: Any, b: Any) -> Any:
    """y = a b; a vector on the left counts as a row, one on the right as a column

    (..., M, K) @ (..., K, N) -> (..., M, N); (K) @ (..., K, N) -> (..., N);
    (..., M, K) @ (K) -> (..., M); (K) @ (K) -> ()
    """
    if a.ndim == 2 and b.ndim == 2:
        return gemm(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: expected at least one axis each, got {a.shape} and {b.shape}")
    if b.ndim <= 2 < a.ndim:  # one product of all rows, and one for b's gradient
        rows = matmul(reshape(a, (-1, a.shape[-1])), b)
        return reshape(rows, (*a.shape[:-1], *rows.shape[1:]))
    y = gemm(
        reshape(a, (1, a.shape[0])) if a.ndim == 1 else a,
        reshape(b, (b.shape[0], 1)) if b.ndim == 1 else b,
    )
    shape = list(y.shape)
    if b.ndim == 1:
        del shape[-1]
    if a.ndim == 1:
        del shape[-1 if b.ndim == 1 else -2]
    return reshape(y, tuple(shape))


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b: (..., I), (O, I), (O) -> (..., O)"""
    y = matmul(x, weight.mT)
    return y if bias is None else y + bias
