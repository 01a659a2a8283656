"""Operations that move elements without changing them: each rule moves them back."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.autograd import primitive


@primitive
def reshape(x, shape):
    """y = the same elements, in order, in another shape; one size may be -1"""
    return x.reshape(shape)


@primitive
def permute(x, dims):
    """y.shape[i] = x.shape[dims[i]]"""
    return x.transpose(dims)


@primitive
def broadcast_to(x, shape):
    """y = x repeated along new axes and those of size 1; the engine sums the gradient back"""
    return np.broadcast_to(x, shape)


@primitive
def alias(x):
    """y = x, the same memory as a new vertex of the graph"""
    return x.view()


@primitive
def flip(x, dims):
    """y = x with the order along `dims` reversed"""
    return np.flip(x, dims)


@primitive
def cat(dim, *xs):
    """y = the xs one after the other along `dim`"""
    return np.concatenate(xs, axis=dim)


@primitive
def split(x, sizes, dim):
    """(y_0, y_1, ...) = x cut along `dim` into pieces of these sizes"""
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=dim))


reshape.rules(x=lambda gy, x_shape: reshape(gy, x_shape))
permute.rules(x=lambda gy, dims: permute(gy, tuple(np.argsort([d % len(dims) for d in dims]))))
broadcast_to.rules(x=lambda gy: gy)
alias.rules(x=lambda gy: gy)
flip.rules(x=lambda gy, dims: flip(gy, dims))


@split.joint_rule("x")
def _split_rule(gy: list, x_shape: tuple[int, ...], sizes: Sequence[int], dim: int) -> tuple:
    dim %= len(x_shape)
    dtype = next(g.dtype for g in gy if g is not None)
    shapes = [(*x_shape[:dim], n, *x_shape[dim + 1 :]) for n in sizes]
    pieces = [np.zeros(n, dtype) if g is None else g for g, n in zip(gy, shapes, strict=True)]
    return (cat(dim, *pieces),)


@cat.joint_rule("xs")
def _cat_rule(gy: Any, dim: int, xs_shape: list[tuple[int, ...]]) -> Any:
    return split(gy, tuple(shape[dim] for shape in xs_shape), dim)


# --------------------------------------------------------------------------- made of these


def transpose(x: Any, dim0: int, dim1: int) -> Any:
    """y = x with two axes exchanged"""
    dims = list(range(x.ndim))
    dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return permute(x, tuple(dims))


def stack(xs: Sequence[Any], dim: int = 0) -> Any:
    """y = the xs, all of one shape, along a new axis `dim`"""
    return cat(dim, *[unsqueeze(x, dim) for x in xs])


def unbind(x: Any, dim: int = 0) -> tuple:
    """(x[0], x[1], ...) along `dim`, which disappears"""
    if x.shape[dim] == 0:
        return ()
    return tuple(squeeze(piece, dim) for piece in split(x, (1,) * x.shape[dim], dim))


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple:
    """x cut along `dim` into that many pieces, the last ones smaller where it does not divide"""
    n = x.shape[dim]
    size = max(1, -(-n // chunks))
    return split(x, tuple(min(size, n - i) for i in range(0, max(n, 1), size)), dim)


def unsqueeze(x: Any, dim: int) -> Any:
    """y = x with a new axis of size 1 at `dim`"""
    at = dim + x.ndim + 1 if dim < 0 else dim
    if not 0 <= at <= x.ndim:
        raise IndexError(f"unsqueeze: dim {dim} is out of range for shape {x.shape}")
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


def squeeze(x: Any, dim: int | tuple[int, ...] | None = None) -> Any:
    """y = x without its axes of size 1, or without `dim` if that has size 1"""
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    drop = {d % x.ndim for d in dims if x.shape[d] == 1}
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """y = x with the axes from start_dim to end_dim, both included, made one"""
    if x.ndim == 0:
        return reshape(x, (1,))
    start, end = start_dim % x.ndim, end_dim % x.ndim + 1
    return reshape(x, (*x.shape[:start], builtins.int(np.prod(x.shape[start:end])), *x.shape[end:]))
