"""Operations that make one number of many along some axes, or run along one.

`dims` is a tuple of axes, counted from the front, or None for all of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import primitive
from minigrad.dtypes import floating
from minigrad.quiet import quiet

from .elementwise import abs, div, exp, pow, sqrt, where
from .indexing import gather, getitem
from .shape import broadcast_to, cat, flip, permute, repeated, reshape

Axes = tuple[int, ...] | None


def _kept(shape: tuple[int, ...], dims: Axes) -> tuple[int, ...]:
    """The shape with the reduced axes left in, at size 1."""
    return tuple(1 if dims is None or i in dims else n for i, n in enumerate(shape))


def _spread(g: Any, x_shape: tuple[int, ...], dims: Axes) -> Any:
    """A gradient of the reduced shape, repeated along the axes it lost

    numpy takes 5 us to make a view that repeats elements; to write a few is faster, and kernels can
    take them as they lie.
    """
    if dims is not None:
        g = reshape(g, _kept(x_shape, dims))
    return repeated(g, x_shape) if math.prod(x_shape) <= 4096 else broadcast_to(g, x_shape)


def _count(shape: tuple[int, ...], dims: Axes) -> int:
    """How many elements make one."""
    return math.prod(shape if dims is None else [shape[d] for d in dims])


def _wide(x: np.ndarray) -> Any:
    """The dtype to sum in: integers and booleans in int64."""
    return np.int64 if x.dtype.kind in "biu" else x.dtype


# ----------------------------------------------------------------------------- sums and extremes


@primitive
@quiet
def sum(x, dims, keepdim):
    """y = sum of x over `dims`; of integers and booleans in int64"""
    return x.sum(axis=dims, dtype=_wide(x), keepdims=keepdim)


@primitive
@quiet
def cumsum(x, dim):
    """y_i = x_0 + ... + x_i along `dim`"""
    return np.cumsum(x, axis=dim if x.ndim else None, dtype=_wide(x)).reshape(x.shape)


@primitive
def amax(x, dims, keepdim):
    """y = the largest element over `dims`; equal ones share the gradient equally"""
    return x.max(axis=dims, keepdims=keepdim)


@primitive
def amin(x, dims, keepdim):
    """y = the smallest element over `dims`; equal ones share the gradient equally"""
    return x.min(axis=dims, keepdims=keepdim)


@primitive
@quiet
def logsumexp(x, dims, keepdim):
    """y = ln sum e^x over `dims`, without overflow; -inf where every x is"""
    x = floating(x)
    top = x.max(axis=dims, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    y = np.log(np.exp(x - top).sum(axis=dims, keepdims=True)) + top
    return y if keepdim else y.squeeze(axis=dims)


def _extremum_rule(gy: Any, x: Any, y: Any, dims: Axes) -> Any:
    ties = x == reshape(y, _kept(x.shape, dims))
    share = reshape(gy, _kept(x.shape, dims)) / sum(ties, dims, True)
    return where(ties, share, 0)


def _logsumexp_rule(gy: Any, x: Any, y: Any, dims: Axes) -> Any:
    return reshape(gy, _kept(x.shape, dims)) * exp(x - reshape(y, _kept(x.shape, dims)))


sum.rules(x=lambda gy, x_shape, dims: _spread(gy, x_shape, dims))
cumsum.rules(x=lambda gy, dim: flip(cumsum(flip(gy, (dim,)), dim), (dim,)))
amax.rules(x=_extremum_rule)
amin.rules(x=_extremum_rule)
logsumexp.rules(x=_logsumexp_rule)

# --------------------------------------------------------------------------------- normalised


@primitive
@quiet
def log_softmax(x, dim):
    """y = x - ln sum e^x along `dim`"""
    x = floating(x)
    if x.shape[dim] == 0:
        return x
    return np.moveaxis(kernels.log_softmax(np.moveaxis(x, dim, -1)), -1, dim)


@primitive
@quiet
def log_softmax_grad(g, s, dim):
    """y = g - e^s sum g along `dim`, s = log_softmax(x): the rule of log_softmax in one sweep"""
    g, s = (np.moveaxis(a, dim, -1) for a in (g, s))
    return np.moveaxis(kernels.log_softmax_grad(g, s), -1, dim)


@primitive
@quiet
def softmax(x, dim):
    """y = e^x / sum e^x along `dim`"""
    x = floating(x)
    e = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=dim, keepdims=True)


@primitive
@quiet
def standardize(x, dims, eps):
    """y = (x - mean x) / sqrt(var x + eps) over `dims`, var with correction 0"""
    d = x - x.mean(axis=dims, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=dims, keepdims=True) + eps)


def _standardize_rule(gy: Any, x: Any, y: Any, dims: Axes, eps: float) -> Any:
    """(gy - mean gy - y mean(gy y)) / sqrt(var x + eps)"""
    inner = gy - mean(gy, dims, True) - y * mean(gy * y, dims, True)
    return inner / sqrt(var(x, dims, 0, True) + eps)


log_softmax.rules(x=lambda gy, y, dim: log_softmax_grad(gy, y, dim))
log_softmax_grad.rules(
    g=lambda gy, s, dim: gy - sum(gy * exp(s), (dim,), True),
    s=lambda gy, g, s, dim: -gy * exp(s) * sum(g, (dim,), True),
)
softmax.rules(x=lambda gy, y, dim: (gy - sum(gy * y, (dim,), True)) * y)
standardize.rules(x=_standardize_rule)

# ----------------------------------------------------------------------- positions: no gradient


@primitive
def argmax(x, dim, keepdim):
    """y = the first index of the largest element along `dim`; None: in all of x, flattened"""
    return np.asarray(np.argmax(x, axis=dim if x.ndim else None, keepdims=keepdim), np.int64)


@primitive
def argmin(x, dim, keepdim):
    """y = the first index of the smallest element along `dim`; None: in all of x, flattened"""
    return np.asarray(np.argmin(x, axis=dim if x.ndim else None, keepdims=keepdim), np.int64)


@primitive
def argsort(x, dim, descending):
    """y = the indices that put x in order along `dim`; equal elements stay in theirs"""
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    backwards = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(backwards, dim)


# --------------------------------------------------------------------------- made of these


def mean(x: Any, dims: Axes, keepdim: bool) -> Any:
    """y = sum of x over `dims` / how many; of nothing it is NaN"""
    return div(sum(x, dims, keepdim), float(_count(x.shape, dims)))


def var(x: Any, dims: Axes, correction: float, keepdim: bool) -> Any:
    """y = sum of (x - mean x)^2 over `dims` / (how many - correction); NaN for 0 / 0"""
    d = x - mean(x, dims, True)
    return div(sum(d * d, dims, keepdim), max(0.0, _count(x.shape, dims) - correction))


def std(x: Any, dims: Axes, correction: float, keepdim: bool) -> Any:
    """y = sqrt(var x); where that is 0, so is the gradient"""
    return _root(var(x, dims, correction, keepdim), 2)


def _root(x: Any, p: float) -> Any:
    """y = x^(1/p); where x is 0, so is the gradient"""
    safe = where(x == 0, 1, x)
    return where(x == 0, 0, sqrt(safe) if p == 2 else pow(safe, 1 / p))


def norm(x: Any, p: float, dims: Axes, keepdim: bool) -> Any:
    """y = (sum |x|^p)^(1/p) over `dims`; p = inf and -inf: the largest and the smallest |x|

    p = 0 counts what is not 0. Where the norm is 0, so is the gradient; equal elements share that
    of p = inf and -inf equally.
    """
    if p == 2:
        return _root(sum(x * x, dims, keepdim), 2)
    if p == 1:
        return sum(abs(x), dims, keepdim)
    if math.isinf(p):
        return (amax if p > 0 else amin)(abs(x), dims, keepdim)
    if p == 0:
        return sum(where(x == 0, 0 * x, 1), dims, keepdim)
    powers = where(x == 0, 0, pow(abs(where(x == 0, 1, x)), p)) if p < 1 else pow(abs(x), p)
    return _root(sum(powers, dims, keepdim), p)


def prod(x: Any, dims: Axes, keepdim: bool) -> Any:
    """y = product of x over `dims`, two halves at a time: so zeros need no rule of their own"""
    keep = [i for i in range(x.ndim) if dims is not None and i not in dims]
    last = [i for i in range(x.ndim) if i not in keep]
    shape = _kept(x.shape, dims) if keepdim else tuple(x.shape[i] for i in keep)
    y = permute(x, (*keep, *last))
    y = reshape(y, (*(x.shape[i] for i in keep), _count(x.shape, dims)))
    while (n := y.shape[-1]) != 1:
        if n % 2 or n == 0:
            y = cat(y.ndim - 1, y, np.ones((*y.shape[:-1], 1), y.dtype))
            n += 1
        if n > 1:
            y = getitem(y, (..., slice(0, n // 2))) * getitem(y, (..., slice(n // 2, n)))
    return reshape(y, shape)


def extremum(x: Any, dim: int, keepdim: bool, largest: bool) -> tuple[Any, Any]:
    """(the largest or smallest element along `dim`, its first index): it has all the gradient"""
    at = (argmax if largest else argmin)(x, dim, True)
    y = gather(x, dim, at)
    if not keepdim and x.ndim:
        shape = (*x.shape[:dim], *x.shape[dim + 1 :])
        return reshape(y, shape), reshape(at, shape)
    return y, at


def sort(x: Any, dim: int, descending: bool, k: int | None = None) -> tuple[Any, Any]:
    """(x in order along `dim`, the first k of it; the indices where they came from)"""
    at = argsort(x, dim, descending)
    if k is not None and x.ndim:
        at = getitem(at, (*(slice(None),) * dim, slice(k)))
    return gather(x, dim, at), at
