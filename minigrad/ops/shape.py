"""Operations that move elements without changing them: each rule moves them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.autograd import primitive
from minigrad.dtypes import float64, promoted
from minigrad.quiet import quiet

from .elementwise import where
from .indexing import getitem


@primitive
def reshape(x, shape):
    """y = the same elements, in order, in another shape; one size may be -1"""
    try:
        return x.reshape(shape)
    except ValueError:
        raise ValueError(
            f"reshape: {x.shape}, of {x.size} elements, does not fit {shape}"
        ) from None


@primitive
def permute(x, dims):
    """y.shape[i] = x.shape[dims[i]]"""
    return x.transpose(dims)


@primitive
def broadcast_to(x, shape):
    """y = x repeated along new axes and those of size 1; the engine sums the gradient back"""
    try:
        return np.broadcast_to(x, shape)
    except ValueError:
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}") from None


@primitive
def repeated(x, shape):
    """y = broadcast_to(x, shape), in order in memory of its own, as the kernels take it"""
    y = np.empty(shape, x.dtype)
    y[...] = x
    return y


@primitive
def alias(x):
    """y = x, the same memory as a new vertex of the graph"""
    return x.view()


@primitive
def flip(x, dims):
    """y = x with the order along `dims` reversed"""
    return np.flip(x, dims if x.ndim else ())


@primitive
def roll(x, shifts, dims):
    """y = x moved by `shifts` along `dims`; what leaves at one end comes in at the other"""
    return np.roll(x, shifts, dims)


@primitive
@quiet
def pad(x, widths, value):
    """y = x with (before, after) elements `value` added to each axis"""
    return np.pad(x, widths, constant_values=value)


@primitive
def unfold(x, dim, size, step):
    """y = windows of `size` elements, every `step` along `dim`

    (..., n, ...) -> (..., w, ..., size), with w = (n - size) // step + 1
    """
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dim)
    return np.moveaxis(np.moveaxis(windows, dim, 0)[::step], 0, dim)


@primitive
def fold(g, dim, step, shape):
    """y = zeros of `shape`, with the windows g added where they came from: the rule of unfold"""
    y = np.zeros(shape, g.dtype)
    windows = np.moveaxis(y, dim, 0)
    parts = np.moveaxis(g, dim, 0)  # (w, ..., size)
    for k in range(g.shape[-1]):
        windows[k : k + step * len(parts) : step][: len(parts)] += parts[..., k]
    return y


@primitive
def cat(dim, *xs):
    """y = the xs one after the other along `dim`"""
    y = np.concatenate(xs, axis=dim)
    return y if y.dtype is not float64 else promoted(y, *xs)


@primitive
def split(x, sizes, dim):
    """(y_0, y_1, ...) = x cut along `dim` into pieces of these sizes"""
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=dim))


reshape.rules(x=lambda gy, x_shape: reshape(gy, x_shape))
permute.rules(x=lambda gy, dims: permute(gy, tuple(np.argsort(dims))))
broadcast_to.rules(x=lambda gy: gy)
repeated.rules(x=lambda gy: gy)
alias.rules(x=lambda gy: gy)
flip.rules(x=lambda gy, dims: flip(gy, dims))
roll.rules(x=lambda gy, shifts, dims: roll(gy, tuple(-n for n in shifts), dims))
pad.rules(
    x=lambda gy, x_shape, widths: getitem(
        gy, tuple(slice(w[0], w[0] + n) for w, n in zip(widths, x_shape, strict=True))
    )
)
unfold.rules(x=lambda gy, x_shape, dim, step: fold(gy, dim, step, x_shape))
fold.rules(g=lambda gy, g_shape, dim, step: unfold(gy, dim, g_shape[-1], step))


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
    if dims:
        dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return permute(x, tuple(dims))


def stack(xs: Sequence[Any], dim: int = 0) -> Any:
    """y = the xs, all of one shape, along a new axis `dim`"""
    return cat(dim, *[unsqueeze(x, dim) for x in xs])


def unbind(x: Any, dim: int = 0) -> tuple:
    """(x[0], x[1], ...) along `dim`, which disappears"""
    dim %= x.ndim
    if x.shape[dim] == 0:
        return ()
    return tuple(squeeze(piece, (dim,)) for piece in split(x, (1,) * x.shape[dim], dim))


def pieces(x: Any, size: int, dim: int) -> tuple:
    """x cut along `dim` into pieces of `size`, the last one smaller where it does not divide"""
    n = x.shape[dim]
    return split(x, tuple(min(size, n - i) for i in range(0, max(n, 1), size)), dim)


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple:
    """x cut along `dim` into that many pieces, the last ones smaller where it does not divide"""
    return pieces(x, max(1, -(-x.shape[dim] // chunks)), dim)


def unsqueeze(x: Any, dim: int) -> Any:
    """y = x with a new axis of size 1 at `dim`, counted from the front"""
    return reshape(x, (*x.shape[:dim], 1, *x.shape[dim:]))


def squeeze(x: Any, dims: Sequence[int] | None = None) -> Any:
    """y = x without its axes of size 1, or without those of `dims` that have size 1"""
    keep = (n for i, n in enumerate(x.shape) if n != 1 or (dims is not None and i not in dims))
    return reshape(x, tuple(keep))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """y = x with the axes from start_dim to end_dim, both included, made one"""
    if x.ndim == 0:
        return reshape(x, (1,))
    start, end = start_dim % x.ndim, end_dim % x.ndim + 1
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:]))


def repeat(x: Any, times: Sequence[int]) -> Any:
    """y = x laid `times` times along each axis, new axes in front: repeat((a, b), (2,)) is abab"""
    shape = (1,) * (len(times) - x.ndim) + tuple(x.shape)
    apart = tuple(m for n in shape for m in (1, n))
    spread = tuple(m for t, n in zip(times, shape, strict=True) for m in (t, n))
    y = broadcast_to(reshape(x, apart), spread)
    return reshape(y, tuple(t * n for t, n in zip(times, shape, strict=True)))


def tril(x: Any, diagonal: int = 0) -> Any:
    """y = x where column - row <= diagonal, else 0: the last two axes are rows and columns"""
    return where(_lower(x.shape, diagonal), x, 0)


def triu(x: Any, diagonal: int = 0) -> Any:
    """y = x where column - row >= diagonal, else 0: the last two axes are rows and columns"""
    return where(_lower(x.shape, diagonal - 1), 0, x)


def _lower(shape: Sequence[int], diagonal: int) -> np.ndarray:
    rows, columns = shape[-2:]
    return np.arange(columns) - np.arange(rows)[:, None] <= diagonal


def diagonal(x: Any, offset: int, dim1: int, dim2: int) -> Any:
    """y[..., i] = x at (i, i + offset) on the axes dim1, dim2, which go

    For a negative offset at (i - offset, i).
    """
    rest = [i for i in range(x.ndim) if i not in (dim1, dim2)]
    rows, columns = x.shape[dim1], x.shape[dim2]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    at = np.arange(n)
    y = permute(x, (*rest, dim1, dim2))
    return getitem(y, (..., at - min(offset, 0), at + max(offset, 0)))
