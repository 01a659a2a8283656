"""Brings arguments into one form, or raises an error that names the axis and the sizes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

Dims = int | Sequence[int] | None


def one_axis(name: str, x: Any, dim: Any, axis: Any = None) -> int:
    """The axis `dim` (numpy: `axis`), counted from the front; a 0-d array has an axis 0, as a row.

    Raises TypeError for what is no integer, IndexError for an axis that x has not.
    """
    if dim is None:
        dim = axis
    if dim is None or isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}: expected an integer dim, got {dim!r}")
    ndim, i = max(x.ndim, 1), operator.index(dim)
    if not -ndim <= i < ndim:
        raise IndexError(f"{name}: dim {i} is out of range for shape {tuple(x.shape)}")
    return i % ndim


def new_axis(name: str, ndim: int, dim: int) -> int:
    """Where a new axis goes: 0 .. ndim, counted from the front."""
    at = operator.index(dim)
    if not -ndim - 1 <= at <= ndim:
        raise IndexError(f"{name}: dim {dim} is out of range for a new axis beside {ndim}")
    return at % (ndim + 1)


def axes(name: str, x: Any, dim: Dims, axis: Dims = None) -> tuple[int, ...] | None:
    """One or several axes, counted from the front; None (all) where none is given."""
    dims = axis if dim is None else dim
    if dims is None:
        return None
    if not isinstance(dims, Sequence):
        found: tuple[int, ...] = (one_axis(name, x, dims),)
    else:
        found = tuple(one_axis(name, x, d) for d in dims)
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: dim {dims} names an axis of shape {tuple(x.shape)} twice")
    return found[: x.ndim] or None


def sizes(given: tuple) -> tuple[int, ...]:
    """(2, 3) and ((2, 3),) alike."""
    if len(given) == 1 and isinstance(given[0], Sequence):
        given = tuple(given[0])
    return tuple(operator.index(n) for n in given)


def tensors(name: str, given: Any) -> list:
    """A list of at least one."""
    found = list(given)
    if not found:
        raise ValueError(f"{name}: expected at least one tensor")
    return found


def nonempty(name: str, x: Any, dims: tuple[int, ...] | None) -> None:
    """Raises where there would be no element to choose from."""
    for d in range(x.ndim) if dims is None else dims:
        if x.shape and x.shape[d] == 0:
            raise IndexError(f"{name}: axis {d} of shape {tuple(x.shape)} has no elements")
