"""Products of matrices, batched over leading axes; a matrix's `mT` exchanges its last two axes."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import primitive
from minigrad.dtypes import float32, float64, promoted
from minigrad.quiet import quiet

from .reduction import sum
from .shape import broadcast_to, diagonal, permute, reshape


@primitive
def gemm(a, b):
    """y = a b: (..., M, K) @ (..., K, N) -> (..., M, N), leading axes broadcast"""
    y = kernels.matmul(a, b)
    return y if y.dtype is not float64 else promoted(y, a, b)


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
    if b.ndim <= 2 < a.ndim and a.shape[-1]:  # one product of all rows, and one for b's gradient
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


@primitive
@quiet
def affine(x, w, b):
    """y = x W^T + b: (..., I), (O, I), (O) or None -> (..., O)"""
    y = kernels.matmul(_rows(x), w.T)
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], len(w))


affine.rules(
    x=lambda gy, w: matmul(gy, w), w=lambda gy, x: gemm(_rows(gy).mT, _rows(x)), b=lambda gy: gy
)


def _rows(x: Any) -> Any:
    """(..., I) -> (N, I)"""
    return reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b: (..., I), (O, I), (O) -> (..., O)"""
    dtype = x.dtype
    known = dtype in (float32, float64) and weight.dtype is dtype
    fits = bias is None or (bias.dtype is dtype and bias.shape == weight.shape[:1])
    if known and fits and x.ndim and weight.ndim == 2:
        return affine(x, weight, bias)
    y = matmul(x, weight.mT)
    return y if bias is None else y + bias


# ----------------------------------------------------------------------------------- einsum


@primitive
@quiet
def contract(a, b, left, right, out):
    """y[out] = sum over the letters not in `out` of a[left] b[right]

    A string of letters names the axes of each; every letter stands in two of them or in all three.
    """
    y = np.asarray(np.einsum(f"{left},{right}->{out}", a, b, optimize=True))
    return y if y.dtype is not float64 else promoted(y, a, b)


contract.rules(  # each operand changes places with y
    a=lambda gy, b, left, right, out: contract(gy, b, out, right, left),
    b=lambda gy, a, left, right, out: contract(a, gy, left, out, right),
)


def einsum(equation: str, xs: Sequence[Any]) -> Any:
    """y = the sum of products that `equation` says, as in numpy: 'ij,jk->ik', '...ii->...i'

    Without '->' the letters that stand once come out, in alphabetical order, after '...'.
    More than two operands are multiplied from left to right.
    """
    names, out = _parsed(equation, [x.ndim for x in xs])
    sizes: dict[str, int] = {}
    for letters, x in zip(names, xs, strict=True):
        for n, size in zip(letters, x.shape, strict=True):
            if size != 1 and sizes.setdefault(n, size) != size:
                raise ValueError(
                    f"einsum: {equation!r} gives the letter {n!r} to axes of {sizes[n]} and {size}"
                )
    xs = [  # an axis of size 1 broadcasts
        broadcast_to(x, tuple(sizes.get(n, 1) for n in letters))
        for letters, x in zip(names, xs, strict=True)
    ]
    left, y = _simplified(names[0], xs[0], "".join([out, *names[1:]]))
    for i in range(1, len(xs)):
        later = "".join([out, *names[i + 1 :]])
        right, x = _simplified(names[i], xs[i], left + later)
        left, y = _simplified(left, y, right + later)
        together = "".join(n for n in dict.fromkeys(left + right) if n in later)
        y, left = contract(y, x, left, right, together), together
    return permute(y, tuple(left.index(n) for n in out))


def _simplified(letters: str, x: Any, used: str) -> tuple[str, Any]:
    """x with one axis per letter (its diagonal where one stands twice), those not `used` summed."""
    for n in dict.fromkeys(letters):
        while letters.count(n) > 1:
            i = letters.index(n)
            k = letters.index(n, i + 1)
            x = diagonal(x, 0, i, k)
            letters = "".join(m for j, m in enumerate(letters) if j not in (i, k)) + n
    alone = tuple(i for i, n in enumerate(letters) if n not in used)
    if alone:
        x = sum(x, alone, False)
    return "".join(n for n in letters if n in used), x


def _parsed(equation: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The letters of the axes of each operand and of the result, '...' written out."""
    left, arrow, out = equation.replace(" ", "").partition("->")
    names = left.split(",")
    if len(names) != len(ndims):
        raise ValueError(f"einsum: {equation!r} names {len(names)} operands, got {len(ndims)}")
    spare = [n for n in string.ascii_letters if n not in equation]
    open_ends = (n - len(s) + 3 for s, n in zip(names, ndims, strict=True) if "..." in s)
    dots = "".join(spare[: max(0, max(open_ends, default=0))])
    for i, (s, ndim) in enumerate(zip(names, ndims, strict=True)):
        count = ndim - len(s) + 3  # axes that '...' stands for
        names[i] = s.replace("...", dots[len(dots) - count :] if 0 < count <= len(dots) else "")
        if len(names[i]) != ndim or not all(n.isalpha() for n in names[i]):
            raise ValueError(f"einsum: {s!r} in {equation!r} does not name {ndim} axes")
    everything = "".join(names)
    if not arrow:
        once = sorted(n for n in set(everything) - set(dots) if everything.count(n) == 1)
        return names, dots + "".join(once)
    out = out.replace("...", dots)
    if len(set(out)) < len(out) or not set(out) <= set(everything):
        raise ValueError(f"einsum: the result of {equation!r} repeats a letter or has a new one")
    return names, out
