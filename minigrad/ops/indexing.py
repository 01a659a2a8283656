"""Operations that pick elements: each rule adds the gradient up where the element came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.autograd import primitive
from minigrad.quiet import quiet

# -------------------------------------------------------------------------------- x[index]


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
    elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.size:
        _add_rows(y, index.ravel() % shape[0], g.reshape(-1, *shape[1:]))
    else:
        np.add.at(y, index, g)
    return y


def _is_basic(index: Any) -> bool:
    """Whether numpy makes a view for this index, so that no element is picked twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        i is None or i is Ellipsis or isinstance(i, (slice, int, np.integer)) for i in parts
    ) and not any(isinstance(i, bool) for i in parts)


def _add_rows(y: np.ndarray, rows: np.ndarray, g: np.ndarray) -> None:
    """y[rows[i]] += g[i]: sorted, equal rows stand together and are summed in one sweep."""
    order = np.argsort(rows, kind="stable")
    found, starts = np.unique(rows[order], return_index=True)
    y[found] = np.add.reduceat(g[order], starts, axis=0)


getitem.rules(x=lambda gy, x_shape, index: scatter(gy, index, x_shape))
scatter.rules(g=lambda gy, index: getitem(gy, index))

# ---------------------------------------------------------------- one index per element, one axis


@primitive
def gather(x, dim, index):
    """y[i][j][k] = x[i][index[i][j][k]][k] for dim = 1, and alike

    index has as many axes as x, none longer but `dim`.
    """
    return x[_places(dim, index)]


@primitive
@quiet
def scatter_add(x, dim, index, src):
    """y = x with src[i][j][k] added at [i][index[i][j][k]][k] for dim = 1, and alike"""
    y = x.copy()
    np.add.at(y, _places(dim, index), src)
    return y


def _places(dim: int, index: np.ndarray) -> tuple[Any, ...]:
    """One index per axis: `index` along `dim`, its own position along the others."""
    at = list(np.ix_(*[np.arange(n) for n in index.shape]))
    if at:
        at[dim] = index
    return tuple(at)


gather.rules(
    x=lambda gy, x_shape, dim, index: scatter_add(np.zeros(x_shape, gy.dtype), dim, index, gy)
)
scatter_add.rules(x=lambda gy: gy, src=lambda gy, dim, index: gather(gy, dim, index))


def check_places(name: str, x: Any, dim: int, index: np.ndarray) -> None:
    """Raises unless `index` picks elements of x along `dim`."""
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected an index of integers, got {index.dtype}")
    if index.ndim != x.ndim:
        raise ValueError(
            f"{name}: expected an index of {x.ndim} axes, as the input has, got shape {index.shape}"
        )
    for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)):
        if i != dim and n > m:
            raise ValueError(f"{name}: axis {i} of the index has size {n}, that of the input {m}")
    size = x.shape[dim] if x.ndim else 1
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"{name}: index {wrong} is outside axis {dim} of size {size}")


def index_select(x: Any, dim: int, index: np.ndarray) -> Any:
    """y = x[:, index] for dim = 1, and alike: whole slices, index (n)"""
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise TypeError(
            f"index_select: expected integers on one axis, got {index.dtype} {index.shape}"
        )
    return getitem(x, (*(slice(None),) * dim, index))
