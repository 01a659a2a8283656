"""Tensor: an array with a history, and the names PyTorch gives to what one can do with it.

Operators and methods are sugar over `ops`: they bring arguments into one form (`dim` or numpy's
`axis`, sizes as several arguments or one tuple) and check them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import autograd
from .autograd import Value
from .ops import elementwise, indexing, linalg, reduction, shape

Dims = int | Sequence[int] | None

_default_dtype = np.dtype(np.float32)


def set_default_dtype(dtype: Any) -> None:
    """The dtype of tensors made from Python floats: float32 (at first) or float64."""
    global _default_dtype
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"set_default_dtype: expected float32 or float64, got {dtype}")
    _default_dtype = np.dtype(dtype)


def get_default_dtype() -> np.dtype:
    """The dtype of tensors made from Python floats."""
    return _default_dtype


class Tensor(Value):
    """An array with a history. Made by `tensor(...)`, `zeros(...)`, ..., or by an operation."""

    __slots__ = ()
    __hash__ = object.__hash__

    # -- what it is

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.node is None

    @property
    def T(self) -> Tensor:
        """y = x with its two axes exchanged"""
        if self.ndim > 2:
            raise ValueError(f"T: expected at most 2 axes, got shape {self.shape}; see mT")
        return self if self.ndim < 2 else shape.transpose(self, 0, 1)

    @property
    def mT(self) -> Tensor:
        """y = x with its last two axes exchanged"""
        if self.ndim < 2:
            raise ValueError(f"mT: expected at least 2 axes, got shape {self.shape}")
        return shape.transpose(self, -1, -2)

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
        body = np.array2string(self.data, separator=", ", prefix="tensor(", precision=4)
        parts = [body]
        if self.dtype not in (_default_dtype, np.int64, np.bool_):
            parts.append(f"dtype={self.dtype.name}")
        if self.node is not None:
            parts.append(f"grad_fn=<{self.node.plan.name}>")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

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
        return Tensor.box(self.data, None, self.version)

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
        plain = [a.data if isinstance(a, Tensor) else a for a in args]
        return getattr(ufunc, method)(*plain, **kwargs)

    def item(self) -> Any:
        """The one element, as a Python number."""
        if self.data.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return self.data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.data.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.item().__index__()

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

    # -- writing in place

    def __setitem__(self, index: Any, value: Any) -> None:
        self._writable("t[...] = v")
        self.data[_plain_index(index)] = value.data if isinstance(value, Tensor) else value
        self.version[0] += 1

    def copy_(self, value: Any) -> Tensor:
        """self[...] = value, broadcast; returns self."""
        self[...] = value
        return self

    def zero_(self) -> Tensor:
        """self[...] = 0; returns self."""
        return self.copy_(0)

    def _writable(self, what: str) -> None:
        if self.node is not None or (self.requires_grad and autograd.is_grad_enabled()):
            raise RuntimeError(
                f"{what} is not recorded, so a tensor that requires grad refuses it: build the "
                "result with where() or cat(), or write inside no_grad() to a leaf"
            )

    # -- operators

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
        return linalg.matmul(self, _operand(other))

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
        return linalg.matmul(_operand(other), self)

    def __neg__(self) -> Tensor:
        return elementwise.neg(self)

    def __abs__(self) -> Tensor:
        return elementwise.abs(self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return elementwise.eq(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return elementwise.ne(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return elementwise.lt(self, other)

    def __le__(self, other: Any) -> Tensor:
        return elementwise.le(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return elementwise.gt(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return elementwise.ge(self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return indexing.getitem(self, _plain_index(index))

    # -- functions of each element

    def exp(self) -> Tensor:
        """y = e^x"""
        return elementwise.exp(self)

    def log(self) -> Tensor:
        """y = ln x"""
        return elementwise.log(self)

    def sqrt(self) -> Tensor:
        """y = x^(1/2)"""
        return elementwise.sqrt(self)

    def tanh(self) -> Tensor:
        """y = tanh(x)"""
        return elementwise.tanh(self)

    def sigmoid(self) -> Tensor:
        """y = 1 / (1 + e^-x)"""
        return elementwise.sigmoid(self)

    def relu(self) -> Tensor:
        """y = max(x, 0)"""
        return elementwise.relu(self)

    def abs(self) -> Tensor:
        """y = |x|"""
        return elementwise.abs(self)

    def astype(self, dtype: Any) -> Tensor:
        """y = x in another dtype; x itself if it has that one"""
        return self if self.dtype == dtype else elementwise.astype(self, np.dtype(dtype))

    to = astype

    def float(self) -> Tensor:
        """y = x as float32"""
        return self.astype(np.float32)

    def double(self) -> Tensor:
        """y = x as float64"""
        return self.astype(np.float64)

    # -- reductions: over `dim` (numpy: `axis`), an int or several, None for all axes

    def sum(self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None,
            keepdims: bool = False) -> Tensor:  # fmt: skip
        """y = sum of x over `dim`"""
        return reduction.sum(self, _dims(self, dim, axis), keepdim or keepdims)

    def mean(self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None,
             keepdims: bool = False) -> Tensor:  # fmt: skip
        """y = mean of x over `dim`"""
        return reduction.mean(self, _dims(self, dim, axis), keepdim or keepdims)

    def amax(self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None,
             keepdims: bool = False) -> Tensor:  # fmt: skip
        """y = the largest element over `dim`; ties share the gradient equally"""
        return reduction.amax(self, _dims(self, dim, axis), keepdim or keepdims)

    def amin(self, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None,
             keepdims: bool = False) -> Tensor:  # fmt: skip
        """y = the smallest element over `dim`; ties share the gradient equally"""
        return reduction.amin(self, _dims(self, dim, axis), keepdim or keepdims)

    def logsumexp(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """y = ln sum e^x over `dim`"""
        return reduction.logsumexp(self, _dims(self, dim, None), keepdim)

    def log_softmax(self, dim: int) -> Tensor:
        """y = x - ln sum e^x along `dim`"""
        return reduction.log_softmax(self, _dim(self, dim))

    def softmax(self, dim: int) -> Tensor:
        """y = e^x / sum e^x along `dim`"""
        return reduction.softmax(self, _dim(self, dim))

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The (first) index of the largest element; int64, no gradient"""
        return Tensor.box(np.asarray(np.argmax(self.data, axis=dim, keepdims=keepdim)))

    # -- shapes

    def reshape(self, *sizes: Any) -> Tensor:
        """y = the same elements, in order, in another shape; one size may be -1"""
        return shape.reshape(self, _sizes(sizes))

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """y = x with the axes from start_dim to end_dim, both included, made one"""
        return shape.flatten(self, start_dim, end_dim)

    def permute(self, *dims: Any) -> Tensor:
        """y.shape[i] = x.shape[dims[i]]"""
        return shape.permute(self, _sizes(dims))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """y = x with two axes exchanged"""
        return shape.transpose(self, _dim(self, dim0), _dim(self, dim1))

    def squeeze(self, dim: Any = None) -> Tensor:
        """y = x without its axes of size 1, or without `dim` if that has size 1"""
        return shape.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """y = x with a new axis of size 1 at `dim`"""
        return shape.unsqueeze(self, dim)

    def broadcast_to(self, *sizes: Any) -> Tensor:
        """y = x repeated along new axes and those of size 1"""
        return shape.broadcast_to(self, _sizes(sizes))

    def flip(self, *dims: Any) -> Tensor:
        """y = x with the order along `dims` reversed"""
        return shape.flip(self, _sizes(dims))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """x cut along `dim` into that many pieces"""
        return shape.chunk(self, chunks, _dim(self, dim))

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """(x[0], x[1], ...) along `dim`, which disappears"""
        return shape.unbind(self, _dim(self, dim))

    def matmul(self, other: Any) -> Tensor:
        """y = self @ other"""
        return linalg.matmul(self, _operand(other))


Value.kind = Tensor

_UFUNCS = {
    np.add: elementwise.add, np.subtract: elementwise.sub, np.multiply: elementwise.mul,
    np.divide: elementwise.div, np.power: elementwise.pow, np.negative: elementwise.neg,
    np.exp: elementwise.exp, np.log: elementwise.log, np.sqrt: elementwise.sqrt,
    np.tanh: elementwise.tanh, np.absolute: elementwise.abs, np.sign: elementwise.sign,
    np.maximum: elementwise.maximum, np.minimum: elementwise.minimum, np.equal: elementwise.eq,
    np.not_equal: elementwise.ne, np.less: elementwise.lt, np.less_equal: elementwise.le,
    np.greater: elementwise.gt, np.greater_equal: elementwise.ge, np.matmul: linalg.matmul,
}  # fmt: skip


# --------------------------------------------------------------------------- making tensors


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of `data`: a number, nested sequences, an array or a tensor.

    dtype: given, or that of an array or tensor; for Python floats the default one (float32).
    """
    if isinstance(data, Tensor):
        data = data.data
    if dtype is None and not isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data)
        if array.dtype == np.float64:
            array = array.astype(_default_dtype)
    else:
        array = np.array(data, dtype=dtype)
    return from_numpy(array).requires_grad_(requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A leaf around `array` itself: the same memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy array, got {type(array).__name__}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds floats, integers or booleans, not {array.dtype}")
    return Tensor.box(array)


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """0 everywhere; sizes as several arguments or one tuple."""
    return full(_sizes(size), 0.0, dtype=dtype, requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """1 everywhere; sizes as several arguments or one tuple."""
    return full(_sizes(size), 1.0, dtype=dtype, requires_grad=requires_grad)


def full(size: Any, value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`value` everywhere."""
    if dtype is None and isinstance(value, float):
        dtype = _default_dtype
    return Tensor.box(np.full(_sizes((size,)), value, dtype)).requires_grad_(requires_grad)


def zeros_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """0 in the shape and dtype of x."""
    return Tensor.box(np.zeros(x.shape, dtype or x.dtype)).requires_grad_(requires_grad)


def ones_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """1 in the shape and dtype of x."""
    return Tensor.box(np.ones(x.shape, dtype or x.dtype)).requires_grad_(requires_grad)


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None) -> Tensor:
    """start, start + step, ... up to but without `end`; arange(n) starts at 0."""
    start, end = (0, start) if end is None else (start, end)
    if dtype is None and any(isinstance(v, float) for v in (start, end, step)):
        dtype = _default_dtype
    array: np.ndarray = np.arange(start, end, step, dtype)  # type: ignore[call-overload]
    return Tensor.box(array)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None) -> Tensor:
    """`steps` numbers from start to end, both included, equally far apart."""
    return Tensor.box(np.linspace(start, end, steps, dtype=dtype or _default_dtype))


def eye(n: int, m: int | None = None, *, dtype: Any = None) -> Tensor:
    """1 on the diagonal, 0 elsewhere: (n, m or n)."""
    return Tensor.box(np.eye(n, m, dtype=dtype or _default_dtype))


# ---------------------------------------------------------------------------------- chance

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Starts the one generator that all random numbers here come from; returns it."""
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def generator() -> np.random.Generator:
    """The generator that all random numbers here come from."""
    return _generator


def rand(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform on [0, 1)."""
    return _drawn(_generator.random(_sizes(size)), dtype, requires_grad)


def randn(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Normal, mean 0 and variance 1."""
    return _drawn(_generator.standard_normal(_sizes(size)), dtype, requires_grad)


def randint(low: int, high: int | None = None, size: Any = ()) -> Tensor:
    """Integers from low up to but without high, all as likely; randint(n, size=...) starts at 0."""
    low, high = (0, low) if high is None else (low, high)
    return Tensor.box(np.asarray(_generator.integers(low, high, _sizes((size,)))))


def _drawn(array: Any, dtype: Any, requires_grad: bool) -> Tensor:
    return Tensor.box(np.asarray(array, dtype or _default_dtype)).requires_grad_(requires_grad)


# --------------------------------------------------------------------------- over several


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """y = the tensors one after the other along `dim`; their other sizes must agree"""
    tensors = _list("cat", tensors)
    return shape.cat(_dim(tensors[0], dim), *tensors)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """y = the tensors, all of one shape, along a new axis `dim`"""
    return shape.stack(_list("stack", tensors), dim)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """y = a where the condition holds, b elsewhere; all three broadcast"""
    return elementwise.where(condition, a, b)


def maximum(a: Any, b: Any) -> Tensor:
    """y = the larger one; a tie shares the gradient equally"""
    return elementwise.maximum(a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """y = the smaller one; a tie shares the gradient equally"""
    return elementwise.minimum(a, b)


# ------------------------------------------------------------------- bringing into one form


def _list(name: str, tensors: Any) -> list[Tensor]:
    tensors = list(tensors)
    if not tensors:
        raise ValueError(f"{name}: expected at least one tensor")
    return tensors


def _operand(x: Any) -> Any:
    return x if isinstance(x, (Tensor, np.ndarray)) else np.asarray(x)


def _plain_index(index: Any) -> Any:
    """An index with the arrays of its tensors."""
    if isinstance(index, tuple):
        return tuple(_plain_index(i) for i in index)
    return index.data if isinstance(index, Tensor) else index


def _sizes(sizes: tuple) -> tuple[int, ...]:
    """(2, 3) and ((2, 3),) alike."""
    if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)):
        sizes = tuple(sizes[0])
    return tuple(int(n) for n in sizes)


def _dim(x: Tensor, dim: int) -> int:
    """The axis, counted from the front."""
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(f"dim {dim} is out of range for shape {x.shape}")
    return dim % x.ndim


def _dims(x: Tensor, dim: Dims, axis: Dims) -> tuple[int, ...] | None:
    dim = axis if dim is None else dim
    if dim is None or isinstance(dim, (int, np.integer)):
        return None if dim is None else (_dim(x, dim),)
    return tuple(_dim(x, d) for d in dim) or None


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
