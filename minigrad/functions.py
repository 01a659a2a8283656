"""PyTorch's functions of tensors: `softmax(x, dim)` is `x.softmax(dim)`, and so on for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .ops import elementwise, linalg, shape
from .ops.arguments import new_axis, one_axis, tensors
from .tensor import Tensor


def cat(tensors_: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """y = the tensors one after the other along `dim`; their other sizes must agree"""
    xs = tensors("cat", tensors_)
    at = one_axis("cat", xs[0], dim if axis is None else axis)
    for x in xs:
        others = [(*t.shape[:at], *t.shape[at + 1 :]) for t in (xs[0], x)]
        if x.ndim == 0 or x.ndim != xs[0].ndim or others[0] != others[1]:
            raise ValueError(f"cat: {xs[0].shape} and {x.shape} do not agree beside axis {at}")
    return shape.cat(at, *xs)


def stack(tensors_: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """y = the tensors, all of one shape, along a new axis `dim`"""
    xs = tensors("stack", tensors_)
    for x in xs:
        if x.shape != xs[0].shape:
            raise ValueError(f"stack: shapes {xs[0].shape} and {x.shape} are not the same")
    return shape.stack(xs, new_axis("stack", xs[0].ndim, dim if axis is None else axis))


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """y = input where the condition holds, other elsewhere; all three broadcast"""
    return elementwise.where(condition, input, other)


def einsum(equation: str, *operands: Any) -> Tensor:
    """y = the sum of products that `equation` says: 'ij,jk->ik', '...ii->...i'; see ops.linalg"""
    xs = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    return linalg.einsum(equation, tensors("einsum", xs))


abs = Tensor.abs
acos = Tensor.acos
add = Tensor.add
all = Tensor.all
amax = Tensor.amax
amin = Tensor.amin
any = Tensor.any
argmax = Tensor.argmax
argmin = Tensor.argmin
argsort = Tensor.argsort
asin = Tensor.asin
atan = Tensor.atan
atan2 = Tensor.atan2
bmm = Tensor.bmm
broadcast_to = Tensor.broadcast_to
ceil = Tensor.ceil
chunk = Tensor.chunk
clamp = Tensor.clamp
clip = Tensor.clip
clone = Tensor.clone
cos = Tensor.cos
cosh = Tensor.cosh
cumsum = Tensor.cumsum
diagonal = Tensor.diagonal
div = Tensor.div
dot = Tensor.dot
eq = Tensor.eq
erf = Tensor.erf
exp = Tensor.exp
expm1 = Tensor.expm1
flatten = Tensor.flatten
flip = Tensor.flip
floor = Tensor.floor
gather = Tensor.gather
ge = Tensor.ge
gt = Tensor.gt
index_select = Tensor.index_select
isfinite = Tensor.isfinite
isinf = Tensor.isinf
isnan = Tensor.isnan
le = Tensor.le
log = Tensor.log
log1p = Tensor.log1p
log_softmax = Tensor.log_softmax
logical_and = Tensor.logical_and
logical_not = Tensor.logical_not
logical_or = Tensor.logical_or
logical_xor = Tensor.logical_xor
logsumexp = Tensor.logsumexp
lt = Tensor.lt
masked_fill = Tensor.masked_fill
matmul = Tensor.matmul
max = Tensor.max
maximum = Tensor.maximum
mean = Tensor.mean
min = Tensor.min
minimum = Tensor.minimum
mm = Tensor.mm
mul = Tensor.mul
mv = Tensor.mv
ne = Tensor.ne
neg = Tensor.neg
norm = Tensor.norm
outer = Tensor.outer
permute = Tensor.permute
pow = Tensor.pow
prod = Tensor.prod
reciprocal = Tensor.reciprocal
relu = Tensor.relu
reshape = Tensor.reshape
roll = Tensor.roll
round = Tensor.round
rsqrt = Tensor.rsqrt
scatter_add = Tensor.scatter_add
sigmoid = Tensor.sigmoid
sign = Tensor.sign
sin = Tensor.sin
sinh = Tensor.sinh
softmax = Tensor.softmax
sort = Tensor.sort
split = Tensor.split
sqrt = Tensor.sqrt
square = Tensor.square
squeeze = Tensor.squeeze
std = Tensor.std
sub = Tensor.sub
sum = Tensor.sum
swapaxes = Tensor.swapaxes
take_along_dim = Tensor.take_along_dim
tan = Tensor.tan
tanh = Tensor.tanh
tile = Tensor.tile
topk = Tensor.topk
transpose = Tensor.transpose
tril = Tensor.tril
triu = Tensor.triu
unbind = Tensor.unbind
unsqueeze = Tensor.unsqueeze
var = Tensor.var

__all__ = [
    "abs", "acos", "add", "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "asin",
    "atan", "atan2", "bmm", "broadcast_to", "cat", "ceil", "chunk", "clamp", "clip", "clone",
    "cos", "cosh", "cumsum", "diagonal", "div", "dot", "einsum", "eq", "erf", "exp", "expm1",
    "flatten", "flip", "floor", "gather", "ge", "gt", "index_select", "isfinite", "isinf",
    "isnan", "le", "log", "log1p", "log_softmax", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logsumexp", "lt", "masked_fill", "matmul", "max", "maximum", "mean", "min",
    "minimum", "mm", "mul", "mv", "ne", "neg", "norm", "outer", "permute", "pow", "prod",
    "reciprocal", "relu", "reshape", "roll", "round", "rsqrt", "scatter_add", "sigmoid", "sign",
    "sin", "sinh", "softmax", "sort", "split", "sqrt", "square", "squeeze", "stack", "std",
    "sub", "sum", "swapaxes", "take_along_dim", "tan", "tanh", "tile", "topk", "transpose",
    "tril", "triu", "unbind", "unsqueeze", "var", "where",
]  # fmt: skip
