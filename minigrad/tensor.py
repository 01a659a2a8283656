"""Tensor: an array with a history, and the names PyTorch gives to what one can do with it.

Here is what a tensor is, how it meets numpy, how it is written in place, and its operators. What it
can compute stands in `methods`, a family a file; how tensors are made, in `creation.py`.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import autograd, printing
from .methods.elementwise import Elementwise
from .methods.products import Products
from .methods.reduction import Reduction
from .methods.shape import Shape
from .ops import elementwise, indexing, linalg, logic, shape
from .tape import results_are
from .writes import written


class Tensor(Elementwise, Reduction, Shape, Products):
    """An array with a history. Made by `tensor(...)`, `zeros(...)`, ..., or by an operation."""

    __slots__ = ()
    __hash__ = object.__hash__
    grad: Tensor | None

    # -- what it is

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.node is None

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of axis `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.data.size

    def __repr__(self) -> str:
        return printing.show(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.ndim == 0 else repr(self)

    # -- its history

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """x.grad += gradient . d self/dx for every leaf x; see `autograd.backward`."""
        autograd.backward(self, gradient if gradient is None else (gradient,), retain_graph,
                          create_graph)  # fmt: skip

    def detach(self) -> Tensor:
        """The same memory without its history: no gradient flows through."""
        return Tensor.box(self.data)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets whether gradients are wanted for this leaf; returns it."""
        if self.node is not None:
            raise RuntimeError("requires_grad_: only for a leaf; detach() makes one")
        if requires_grad:
            _check_floating(self.data)
        self.requires_grad = requires_grad
        return self

    def register_hook(self, hook: Any) -> autograd.Hook:
        """Calls hook(gradient of this tensor) in each backward; its result, if any, goes on."""
        return autograd.register_hook(self, hook)

    def retain_grad(self) -> None:
        """Keeps the gradient of this tensor in `.grad` too, though it is no leaf."""
        if self.node is not None:
            kept = weakref.ref(self)  # a hook that held the tensor would hold its whole graph
            autograd.register_hook(self, lambda g: _keep_grad(kept(), g))

    # -- as numbers and arrays

    def numpy(self) -> np.ndarray:
        """The array itself, same memory; refused where that would drop a history."""
        if self.requires_grad:
            raise RuntimeError("numpy(): this tensor requires grad; say detach().numpy()")
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        """numpy's operators and functions: those that are operations here record themselves."""
        operation = _UFUNCS.get(ufunc)
        if operation is not None and method == "__call__" and not kwargs:
            return operation(*args)
        if any(isinstance(a, Tensor) and a.requires_grad for a in args):
            raise TypeError(f"numpy's {ufunc.__name__} would drop the graph; detach() the tensor")
        if any(isinstance(a, Tensor) for a in kwargs.get("out", ())):
            raise TypeError(f"numpy's {ufunc.__name__} cannot write into a tensor; say t[...] = y")
        plain = [a.data if isinstance(a, Tensor) else a for a in args]
        return getattr(ufunc, method)(*plain, **kwargs)

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()

    def item(self) -> Any:
        """The one element, as a Python number."""
        if self.data.size != 1:
            raise ValueError(f"expected one element, got shape {self.shape}")
        return self.data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.data.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a tensor without axes")
        return iter(shape.unbind(self))

    def __contains__(self, element: Any) -> bool:
        return bool((self.data == getattr(element, "data", element)).any())

    # -- copies

    def clone(self) -> Tensor:
        """y = x in memory of its own; the gradient flows through"""
        return elementwise.astype(self, self.dtype)

    def contiguous(self) -> Tensor:
        """y = x with its elements in order in memory; x itself if they are"""
        return self if self.data.flags.c_contiguous else self.clone()

    def __deepcopy__(self, memo: dict) -> Tensor:
        if self.node is not None:
            raise RuntimeError("deepcopy: only leaves can be copied; detach() makes one")
        copy = type(self).box(self.data.copy())
        copy.requires_grad = self.requires_grad
        if self.grad is not None:
            copy.grad = Tensor.box(self.grad.data.copy())
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> Any:
        if self.node is not None:
            raise RuntimeError("pickle: only leaves can be stored; detach() makes one")
        return _rebuild, (type(self), self.data, self.requires_grad)

    # -- writing in place: not recorded, so refused where a gradient would get lost

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.node is not None or autograd.recording(self, value):
            raise RuntimeError(
                "writing in place is not recorded, so it is refused where a gradient would get "
                "lost: build the result with where() or cat(), or write inside no_grad() to a leaf"
            )
        with np.errstate(over="ignore"):  # 1e39 is inf in float32
            self.data[_plain_index(index)] = value.data if isinstance(value, Tensor) else value
        written(self.data)

    def copy_(self, value: Any) -> Tensor:
        """self[...] = value, broadcast; returns self."""
        self[...] = value
        return self

    def fill_(self, value: Any) -> Tensor:
        """self[...] = value; returns self."""
        return self.copy_(value)

    def zero_(self) -> Tensor:
        """self[...] = 0; returns self."""
        return self.copy_(0)

    def _assign(self, operation: Callable, other: Any) -> Tensor:
        """x += other and alike: in place, or where that is to be recorded a new tensor."""
        if self.node is None and self.requires_grad and autograd.is_grad_enabled():
            raise RuntimeError("a leaf that requires grad cannot be changed while recording")
        y = operation(self, other)
        if self.node is not None or y.requires_grad:
            return y
        if not np.can_cast(y.dtype, self.dtype, "same_kind"):
            raise TypeError(f"the result is {y.dtype}, which does not go into {self.dtype}")
        return self.copy_(y)

    def __iadd__(self, other: Any) -> Tensor:
        return self._assign(elementwise.add, other)

    def __isub__(self, other: Any) -> Tensor:
        return self._assign(elementwise.sub, other)

    def __imul__(self, other: Any) -> Tensor:
        return self._assign(elementwise.mul, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._assign(elementwise.div, other)

    # -- operators

    def __getitem__(self, index: Any) -> Tensor:
        return indexing.getitem(self, _plain_index(index))

    def __add__(self, other: Any) -> Tensor:
        return elementwise.add(self, other)

    def __sub__(self, other: Any) -> Tensor:
        return elementwise.sub(self, other)

    def __mul__(self, other: Any) -> Tensor:
        return elementwise.mul(self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return elementwise.div(self, other)

    def __pow__(self, other: Any) -> Tensor:
        return elementwise.pow(self, other)

    def __matmul__(self, other: Any) -> Tensor:
        if isinstance(other, Tensor) and self.data.ndim == other.data.ndim == 2:
            return linalg.gemm(self, other)
        return linalg.matmul(self, other if isinstance(other, Tensor) else np.asarray(other))

    def __radd__(self, other: Any) -> Tensor:
        return elementwise.add(other, self)

    def __rsub__(self, other: Any) -> Tensor:
        return elementwise.sub(other, self)

    def __rmul__(self, other: Any) -> Tensor:
        return elementwise.mul(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return elementwise.div(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return elementwise.pow(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return linalg.matmul(np.asarray(other), self)

    def __neg__(self) -> Tensor:
        return elementwise.neg(self)

    def __abs__(self) -> Tensor:
        return elementwise.abs(self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return logic.eq(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return logic.ne(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return logic.lt(self, other)

    def __le__(self, other: Any) -> Tensor:
        return logic.le(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return logic.gt(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return logic.ge(self, other)

    def __and__(self, other: Any) -> Tensor:
        return logic.bitwise_and(self, other)

    def __or__(self, other: Any) -> Tensor:
        return logic.bitwise_or(self, other)

    def __xor__(self, other: Any) -> Tensor:
        return logic.bitwise_xor(self, other)

    def __rand__(self, other: Any) -> Tensor:
        return logic.bitwise_and(other, self)

    def __ror__(self, other: Any) -> Tensor:
        return logic.bitwise_or(other, self)

    def __rxor__(self, other: Any) -> Tensor:
        return logic.bitwise_xor(other, self)

    def __invert__(self) -> Tensor:
        return logic.bitwise_not(self)


results_are(Tensor)

_UFUNCS: dict[Any, Callable] = {
    np.add: elementwise.add, np.subtract: elementwise.sub, np.multiply: elementwise.mul,
    np.divide: elementwise.div, np.power: elementwise.pow, np.negative: elementwise.neg,
    np.exp: elementwise.exp, np.expm1: elementwise.expm1, np.log: elementwise.log,
    np.log1p: elementwise.log1p, np.sqrt: elementwise.sqrt, np.square: elementwise.square,
    np.reciprocal: elementwise.reciprocal, np.sin: elementwise.sin, np.cos: elementwise.cos,
    np.tan: elementwise.tan, np.arcsin: elementwise.asin, np.arccos: elementwise.acos,
    np.arctan: elementwise.atan, np.arctan2: elementwise.atan2, np.sinh: elementwise.sinh,
    np.cosh: elementwise.cosh, np.tanh: elementwise.tanh, np.absolute: elementwise.abs,
    np.sign: elementwise.sign, np.floor: elementwise.floor, np.ceil: elementwise.ceil,
    np.maximum: elementwise.maximum, np.minimum: elementwise.minimum, np.matmul: Products.matmul,
    np.equal: logic.eq, np.not_equal: logic.ne, np.less: logic.lt, np.less_equal: logic.le,
    np.greater: logic.gt, np.greater_equal: logic.ge, np.logical_and: logic.logical_and,
    np.logical_or: logic.logical_or, np.logical_xor: logic.logical_xor,
    np.logical_not: logic.logical_not, np.bitwise_and: logic.bitwise_and,
    np.bitwise_or: logic.bitwise_or, np.bitwise_xor: logic.bitwise_xor,
    np.invert: logic.bitwise_not, np.isnan: logic.isnan, np.isinf: logic.isinf,
    np.isfinite: logic.isfinite,
}  # fmt: skip


def _plain_index(index: Any) -> Any:
    """An index with the arrays of its tensors."""
    if isinstance(index, tuple):
        return tuple(i.data if isinstance(i, Tensor) else i for i in index)
    return index.data if isinstance(index, Tensor) else index


def _keep_grad(tensor: Tensor | None, g: Tensor) -> None:
    if tensor is not None:
        tensor.grad = g if tensor.grad is None else tensor.grad + g


def _check_floating(array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        raise TypeError(f"only floating-point tensors can require grad, not {array.dtype}")


def _rebuild(kind: type[Tensor], data: np.ndarray, requires_grad: bool) -> Tensor:
    leaf = kind.box(data)
    leaf.requires_grad = requires_grad
    return leaf
