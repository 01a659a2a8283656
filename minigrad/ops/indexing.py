"""Operations that pick elements: each rule adds the gradient up where the element came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import primitive


@primitive
def getitem(x, index):
    """y = x[index], all of numpy's indexing; repeated indices add up in the gradient"""
    return x[index]


@primitive
def scatter(g, index, shape):
    """y = zeros of `shape`, with g added at `index`: the rule of getitem"""
    y = np.zeros(shape, g.dtype)
    if _is_basic(index):
        y[index] = g
    else:
        np.add.at(y, index, g)
    return y


def _is_basic(index: Any) -> bool:
    """Whether numpy makes a view for this index, so that no element is picked twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        i is None or i is Ellipsis or isinstance(i, (slice, int, np.integer)) for i in parts
    ) and not any(isinstance(i, bool) for i in parts)


getitem.rules(x=lambda gy, x_shape, index: scatter(gy, index, x_shape))
scatter.rules(g=lambda gy, index: getitem(gy, index))


@primitive
def gather(x, dim, index):
    """y[i][j][k] = x[i][index[i][j][k]][k] for dim = 1, and alike: index has as many axes as x"""
    return np.take_along_axis(x, index, dim)


@primitive
def scatter_add(x, dim, index, src):
    """y = x with src[i][j][k] added at [i][index[i][j][k]][k] for dim = 1, and alike"""
    y, at = x.copy(), list(np.ix_(*[np.arange(n) for n in index.shape]))
    at[dim] = index
    np.add.at(y, tuple(at), src[tuple(slice(n) for n in index.shape)])
    return y


gather.rules(
    x=lambda gy, x_shape, dim, index: scatter_add(np.zeros(x_shape, gy.dtype), dim, index, gy)
)
scatter_add.rules(x=lambda gy: gy, src=lambda gy, dim, index: gather(gy, dim, index))
