"""Operations that make one number of many along some axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import primitive

from .elementwise import exp, quiet
from .shape import broadcast_to, reshape


def _kept(shape: tuple[int, ...], dims: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape with the reduced axes left in, at size 1."""
    if dims is None:
        return (1,) * len(shape)
    drop = {d % len(shape) for d in dims}
    return tuple(1 if i in drop else n for i, n in enumerate(shape))


def _spread(g: Any, x_shape: tuple[int, ...], dims: tuple[int, ...] | None) -> Any:
    """A gradient of the reduced shape, broadcast back over the axes it lost."""
    return broadcast_to(reshape(g, _kept(x_shape, dims)), x_shape)


@primitive
def sum(x, dims, keepdim):
    """y = sum of x over `dims` (None: all)"""
    return x.sum(axis=dims, keepdims=keepdim)


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
    top = x.max(axis=dims, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    y = np.log(np.exp(x - top).sum(axis=dims, keepdims=True)) + top
    return y if keepdim else y.reshape(x.sum(axis=dims).shape)


def _extremum_rule(gy: Any, x: Any, y: Any, dims: Any) -> Any:
    ties = (x == reshape(y, _kept(x.shape, dims))) * np.ones((), gy.dtype)
    return reshape(gy, _kept(x.shape, dims)) * ties / sum(ties, dims, True)


def _softmax_rule(gy: Any, x: Any, y: Any, dims: Any) -> Any:
    return reshape(gy, _kept(x.shape, dims)) * exp(x - reshape(y, _kept(x.shape, dims)))


sum.rules(x=lambda gy, x_shape, dims: _spread(gy, x_shape, dims))
amax.rules(x=_extremum_rule)
amin.rules(x=_extremum_rule)
logsumexp.rules(x=_softmax_rule)


@primitive
@quiet
def log_softmax(x, dim):
    """y = x - ln sum e^x along `dim`"""
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


log_softmax.rules(x=lambda gy, y, dim: gy - exp(y) * sum(gy, (dim,), True))

# --------------------------------------------------------------------------- made of these


def mean(x: Any, dims: tuple[int, ...] | None, keepdim: bool) -> Any:
    """y = sum of x over `dims` / how many"""
    total = sum(x, dims, keepdim)
    return total / (np.prod(x.shape, dtype=int) // max(1, np.prod(total.shape, dtype=int)))


def softmax(x: Any, dim: int) -> Any:
    """y = e^x / sum e^x along `dim`"""
    return exp(log_softmax(x, dim))
