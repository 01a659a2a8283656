"""Sums, extremes and orders along axes: see `ops.reduction`.

`dim` is one axis, several, or None for all; `keepdim` leaves reduced axes in, at size 1.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from minigrad.autograd import Value
from minigrad.ops import elementwise, logic, reduction
from minigrad.ops.arguments import Dims, axes, nonempty, one_axis

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Picked(NamedTuple):
    """Elements that were chosen along an axis, and where they stood on it."""

    values: Tensor
    indices: Tensor


class Reduction(Value):
    """What Tensor can do along its axes."""

    __slots__ = ()

    # -- sums

    def sum(
        self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None,
        keepdims: bool = False,
    ) -> Tensor:  # fmt: skip
        """y = sum of x over `dim`; of integers and booleans in int64, unless `dtype` says another

        With `dtype`, here as in mean, prod and cumsum, x is brought to it first.
        """
        x = _cast(self, dtype)
        return _cast(reduction.sum(x, axes("sum", self, dim, axis), keepdim or keepdims), dtype)

    def mean(
        self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None,
        keepdims: bool = False,
    ) -> Tensor:  # fmt: skip
        """y = mean of x over `dim`; of nothing it is NaN"""
        x = _cast(self, dtype)
        _of_floats("mean", x)
        return reduction.mean(x, axes("mean", self, dim, axis), keepdim or keepdims)

    def var(
        self,
        dim: Dims = None,
        *,
        correction: float = 1,
        keepdim: bool = False,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Tensor:
        """y = sum of (x - mean x)^2 over `dim` / (how many - correction); NaN for 0 / 0"""
        _of_floats("var", self)
        dims = axes("var", self, dim, axis)
        return reduction.var(self, dims, correction, keepdim or keepdims)

    def std(
        self,
        dim: Dims = None,
        *,
        correction: float = 1,
        keepdim: bool = False,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Tensor:
        """y = sqrt(var x); where that is 0, so is the gradient"""
        _of_floats("std", self)
        dims = axes("std", self, dim, axis)
        return reduction.std(self, dims, correction, keepdim or keepdims)

    def prod(
        self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None,
        keepdims: bool = False,
    ) -> Tensor:  # fmt: skip
        """y = product of x over `dim`; of integers and booleans in int64"""
        x = _cast(self, dtype)
        x = x if x.dtype.kind in "fc" else _cast(x, np.int64)
        return _cast(reduction.prod(x, axes("prod", self, dim, axis), keepdim or keepdims), dtype)

    def norm(
        self,
        p: float | str = "fro",
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Tensor:
        """y = (sum |x|^p)^(1/p) over `dim`; 'fro' is p = 2, inf the largest |x|

        p = 0 counts what is not 0. Where the norm is 0, so is the gradient.
        """
        _of_floats("norm", self)
        if isinstance(p, str) and p != "fro":
            raise ValueError(f"norm: p is a number or 'fro', not {p!r}")
        dims = axes("norm", self, dim, axis)
        power = 2.0 if isinstance(p, str) else float(p)
        if power in (np.inf, -np.inf):
            nonempty("norm", self, dims)
        return reduction.norm(self, power, dims, keepdim or keepdims)

    def logsumexp(
        self, dim: Dims, keepdim: bool = False, *, keepdims: bool = False
    ) -> Tensor:  # fmt: skip
        """y = ln sum e^x over `dim`, without overflow; -inf where every x is"""
        return reduction.logsumexp(self, axes("logsumexp", self, dim), keepdim or keepdims)

    def cumsum(
        self, dim: int | None = None, *, dtype: Any = None, axis: int | None = None
    ) -> Tensor:  # fmt: skip
        """y_i = x_0 + ... + x_i along `dim`; of integers in int64, unless `dtype` says another"""
        x = _cast(self, dtype)
        return _cast(reduction.cumsum(x, one_axis("cumsum", self, dim, axis)), dtype)

    def all(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False
    ) -> Tensor:
        """y = whether every element over `dim` is not 0"""
        return logic.all(self, axes("all", self, dim, axis), keepdim or keepdims)

    def any(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False
    ) -> Tensor:
        """y = whether some element over `dim` is not 0"""
        return logic.any(self, axes("any", self, dim, axis), keepdim or keepdims)

    # -- normalised

    def softmax(self, dim: int | None = None, *, axis: int | None = None) -> Tensor:
        """y = e^x / sum e^x along `dim`"""
        dim = one_axis("softmax", self, dim, axis)
        return reduction.softmax(self, dim) if self.shape else elementwise.exp(self - self)  # type: ignore[operator]

    def log_softmax(self, dim: int | None = None, *, axis: int | None = None) -> Tensor:
        """y = x - ln sum e^x along `dim`"""
        dim = one_axis("log_softmax", self, dim, axis)
        return reduction.log_softmax(self, dim) if self.shape else self - self  # type: ignore[operator]

    # -- extremes and order

    def amax(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False
    ) -> Tensor:
        """y = the largest element over `dim`; equal ones share the gradient equally"""
        dims = axes("amax", self, dim, axis)
        nonempty("amax", self, dims)
        return reduction.amax(self, dims, keepdim or keepdims)

    def amin(
        self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False
    ) -> Tensor:
        """y = the smallest element over `dim`; equal ones share the gradient equally"""
        dims = axes("amin", self, dim, axis)
        nonempty("amin", self, dims)
        return reduction.amin(self, dims, keepdim or keepdims)

    @overload
    def max(self, dim: int, keepdim: bool = False, *, keepdims: bool = False) -> Picked: ...
    @overload
    def max(self, *, keepdim: bool = False, axis: int, keepdims: bool = False) -> Picked: ...
    @overload
    def max(
        self, dim: Value | np.ndarray | None = None, keepdim: bool = False, *, axis: None = None,
        keepdims: bool = False,
    ) -> Tensor: ...  # fmt: skip
    def max(
        self, dim: Any = None, keepdim: bool = False, *, axis: int | None = None,
        keepdims: bool = False,
    ) -> Any:  # fmt: skip
        """y = amax of all; with `dim` (values, indices) along it; with a tensor: `maximum`

        Along an axis the first of equal elements has all the gradient, over all they share it.
        """
        return _extreme(self, "max", dim, keepdim or keepdims, axis)

    @overload
    def min(self, dim: int, keepdim: bool = False, *, keepdims: bool = False) -> Picked: ...
    @overload
    def min(self, *, keepdim: bool = False, axis: int, keepdims: bool = False) -> Picked: ...
    @overload
    def min(
        self, dim: Value | np.ndarray | None = None, keepdim: bool = False, *, axis: None = None,
        keepdims: bool = False,
    ) -> Tensor: ...  # fmt: skip
    def min(
        self, dim: Any = None, keepdim: bool = False, *, axis: int | None = None,
        keepdims: bool = False,
    ) -> Any:  # fmt: skip
        """y = amin of all; with `dim` (values, indices) along it; with a tensor: `minimum`

        Along an axis the first of equal elements has all the gradient, over all they share it.
        """
        return _extreme(self, "min", dim, keepdim or keepdims, axis)

    def argmax(
        self, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None,
        keepdims: bool = False,
    ) -> Tensor:  # fmt: skip
        """y = the first index of the largest element along `dim`; None: in x flattened"""
        return reduction.argmax(self, _place("argmax", self, dim, axis), keepdim or keepdims)

    def argmin(
        self, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None,
        keepdims: bool = False,
    ) -> Tensor:  # fmt: skip
        """y = the first index of the smallest element along `dim`; None: in x flattened"""
        return reduction.argmin(self, _place("argmin", self, dim, axis), keepdim or keepdims)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Picked:
        """(values, indices): x in order along `dim`; equal elements keep theirs, NaN is largest"""
        return Picked(*reduction.sort(self, one_axis("sort", self, dim), descending))

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
        """y = the indices of `sort`"""
        return reduction.argsort(self, one_axis("argsort", self, dim), descending)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Picked:
        """(values, indices): the k largest (or smallest) elements along `dim`, in order"""
        dim, k = one_axis("topk", self, dim), operator.index(k)
        size = self.shape[dim] if self.shape else 1
        if not 0 <= k <= size:
            raise ValueError(f"topk: k={k} of axis {dim} of size {size}")
        return Picked(*reduction.sort(self, dim, largest, k))


def _extreme(x: Any, name: str, dim: Any, keepdim: bool, axis: int | None) -> Any:
    largest = name == "max"
    if isinstance(dim, (Value, np.ndarray)):
        return (elementwise.maximum if largest else elementwise.minimum)(x, dim)
    if dim is None and axis is None:
        nonempty(name, x, None)
        return (reduction.amax if largest else reduction.amin)(x, None, keepdim)
    dim = one_axis(name, x, dim, axis)
    nonempty(name, x, (dim,))
    return Picked(*reduction.extremum(x, dim, keepdim, largest))


def _place(name: str, x: Any, dim: int | None, axis: int | None) -> int | None:
    where = None if dim is None and axis is None else one_axis(name, x, dim, axis)
    nonempty(name, x, None if where is None else (where,))
    return where


def _cast(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.astype(dtype)


def _of_floats(name: str, x: Any) -> None:
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name}: expected floating-point elements, got {x.dtype}; see astype")
