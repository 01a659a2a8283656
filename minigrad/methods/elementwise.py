"""Functions of each element: see `ops.elementwise`, `ops.activation` and `ops.logic`."""

from __future__ import annotations

import builtins
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.autograd import Value
from minigrad.broadcasting import common_shape
from minigrad.ops import activation, elementwise, logic

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Number = builtins.float | builtins.int
Operand = Any  # a tensor, an array or a number


class Elementwise(Value):
    """What Tensor can do to each element by itself; other operands broadcast."""

    __slots__ = ()

    # -- arithmetic

    def add(self, other: Operand, *, alpha: Number = 1) -> Tensor:
        """y = x + alpha other"""
        return elementwise.add(self, _times(other, alpha))

    def sub(self, other: Operand, *, alpha: Number = 1) -> Tensor:
        """y = x - alpha other"""
        return elementwise.sub(self, _times(other, alpha))

    def mul(self, other: Operand) -> Tensor:
        """y = x other"""
        return elementwise.mul(self, other)

    def div(self, other: Operand) -> Tensor:
        """y = x / other; of integers in the default dtype"""
        return elementwise.div(self, other)

    def pow(self, exponent: Operand) -> Tensor:
        """y = x^exponent"""
        return elementwise.pow(self, exponent)

    def neg(self) -> Tensor:
        """y = -x"""
        return elementwise.neg(self)

    def square(self) -> Tensor:
        """y = x^2"""
        return elementwise.square(self)

    def reciprocal(self) -> Tensor:
        """y = 1 / x"""
        return elementwise.reciprocal(self)

    def maximum(self, other: Operand) -> Tensor:
        """y = the larger of x and other, NaN if either is; a tie shares the gradient equally"""
        return elementwise.maximum(self, other)

    def minimum(self, other: Operand) -> Tensor:
        """y = the smaller of x and other, NaN if either is; a tie shares the gradient equally"""
        return elementwise.minimum(self, other)

    def clamp(self, min: Operand = None, max: Operand = None) -> Tensor:
        """y = x within [min, max], either of which may be missing; at a bound x has the gradient"""
        return elementwise.clamp(self, min, max)

    clip = clamp

    def where(self, condition: Operand, other: Operand) -> Tensor:
        """y = x where the condition holds, other elsewhere"""
        return elementwise.where(condition, self, other)

    def masked_fill(self, mask: Operand, value: Operand) -> Tensor:
        """y = value where the boolean mask is true, x elsewhere"""
        mask = np.asarray(mask)
        if mask.dtype != np.bool_:
            raise TypeError(f"masked_fill: expected a mask of booleans, got {mask.dtype}")
        if common_shape("masked_fill", mask.shape, self.shape) != self.shape:
            raise ValueError(f"masked_fill: a mask {mask.shape} does not broadcast to {self.shape}")
        return elementwise.astype(elementwise.where(mask, value, self), self.dtype)

    # -- exponentials, logarithms, roots

    def exp(self) -> Tensor:
        """y = e^x"""
        return elementwise.exp(self)

    def expm1(self) -> Tensor:
        """y = e^x - 1, exact for small x"""
        return elementwise.expm1(self)

    def log(self) -> Tensor:
        """y = ln x; NaN below 0"""
        return elementwise.log(self)

    def log1p(self) -> Tensor:
        """y = ln(1 + x), exact for small x; NaN below -1"""
        return elementwise.log1p(self)

    def sqrt(self) -> Tensor:
        """y = x^(1/2); the gradient at 0 is inf"""
        return elementwise.sqrt(self)

    def rsqrt(self) -> Tensor:
        """y = x^(-1/2)"""
        return elementwise.rsqrt(self)

    # -- trigonometry

    def sin(self) -> Tensor:
        """y = sin x"""
        return elementwise.sin(self)

    def cos(self) -> Tensor:
        """y = cos x"""
        return elementwise.cos(self)

    def tan(self) -> Tensor:
        """y = tan x"""
        return elementwise.tan(self)

    def asin(self) -> Tensor:
        """y = the angle whose sine is x; NaN outside [-1, 1]"""
        return elementwise.asin(self)

    def acos(self) -> Tensor:
        """y = the angle whose cosine is x; NaN outside [-1, 1]"""
        return elementwise.acos(self)

    def atan(self) -> Tensor:
        """y = the angle whose tangent is x"""
        return elementwise.atan(self)

    def atan2(self, other: Operand) -> Tensor:
        """y = the angle of the point (other, x), in [-pi, pi]"""
        return elementwise.atan2(self, other)

    def sinh(self) -> Tensor:
        """y = (e^x - e^-x) / 2"""
        return elementwise.sinh(self)

    def cosh(self) -> Tensor:
        """y = (e^x + e^-x) / 2"""
        return elementwise.cosh(self)

    # -- curves of neurons

    def tanh(self) -> Tensor:
        """y = tanh(x)"""
        return elementwise.tanh(self)

    def sigmoid(self) -> Tensor:
        """y = 1 / (1 + e^-x)"""
        return elementwise.sigmoid(self)

    def relu(self) -> Tensor:
        """y = max(x, 0); the gradient at 0 is 0"""
        return elementwise.relu(self)

    def erf(self) -> Tensor:
        """y = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x"""
        return elementwise.erf(self)

    def logsigmoid(self) -> Tensor:
        """y = ln sigmoid(x)"""
        return activation.logsigmoid(self)

    def softplus(self, beta: Number = 1.0) -> Tensor:
        """y = ln(1 + e^(beta x)) / beta: exact everywhere, so without PyTorch's threshold"""
        if beta == 1:
            return activation.softplus(self)
        return activation.softplus(elementwise.mul(self, beta)) / beta

    def leaky_relu(self, negative_slope: Number = 0.01) -> Tensor:
        """y = x where x > 0, else negative_slope x"""
        return activation.leaky_relu(self, negative_slope)

    def elu(self, alpha: Number = 1.0) -> Tensor:
        """y = x where x > 0, else alpha (e^x - 1)"""
        return activation.elu(self, alpha)

    def gelu(self, approximate: str = "none") -> Tensor:
        """y = x (1 + erf(x / sqrt 2)) / 2; approximate='tanh': by a tanh instead"""
        return activation.gelu(self, approximate)

    def silu(self) -> Tensor:
        """y = x sigmoid(x)"""
        return activation.silu(self)

    def softsign(self) -> Tensor:
        """y = x / (1 + |x|)"""
        return activation.softsign(self)

    def hardsigmoid(self) -> Tensor:
        """y = (x + 3) / 6 within [0, 1]; at a bound the gradient is 0"""
        return activation.hardsigmoid(self)

    def hardtanh(self, min_val: Number = -1.0, max_val: Number = 1.0) -> Tensor:
        """y = x within [min_val, max_val]; at a bound the gradient is 0"""
        return activation.hardtanh(self, min_val, max_val)

    # -- steps: their gradient is 0, that of abs is sign

    def abs(self) -> Tensor:
        """y = |x|; the gradient at 0 is 0"""
        return elementwise.abs(self)

    def sign(self) -> Tensor:
        """y = 1, 0 or -1"""
        return elementwise.sign(self)

    def floor(self) -> Tensor:
        """y = the largest integer not above x"""
        return elementwise.floor(self)

    def ceil(self) -> Tensor:
        """y = the smallest integer not below x"""
        return elementwise.ceil(self)

    def round(self, decimals: builtins.int = 0) -> Tensor:
        """y = x to so many decimals, a half to the even neighbour"""
        return elementwise.round(self, operator.index(decimals))

    # -- comparisons and logic: booleans come out, no gradient goes back

    def eq(self, other: Operand) -> Tensor:
        """y = (x == other)"""
        return logic.eq(self, other)

    def ne(self, other: Operand) -> Tensor:
        """y = (x != other)"""
        return logic.ne(self, other)

    def lt(self, other: Operand) -> Tensor:
        """y = (x < other)"""
        return logic.lt(self, other)

    def le(self, other: Operand) -> Tensor:
        """y = (x <= other)"""
        return logic.le(self, other)

    def gt(self, other: Operand) -> Tensor:
        """y = (x > other)"""
        return logic.gt(self, other)

    def ge(self, other: Operand) -> Tensor:
        """y = (x >= other)"""
        return logic.ge(self, other)

    def logical_and(self, other: Operand) -> Tensor:
        """y = x and other; what is not 0 counts as true"""
        return logic.logical_and(self, other)

    def logical_or(self, other: Operand) -> Tensor:
        """y = x or other; what is not 0 counts as true"""
        return logic.logical_or(self, other)

    def logical_xor(self, other: Operand) -> Tensor:
        """y = x or other, but not both; what is not 0 counts as true"""
        return logic.logical_xor(self, other)

    def logical_not(self) -> Tensor:
        """y = (x == 0)"""
        return logic.logical_not(self)

    def isnan(self) -> Tensor:
        """y = whether x is not a number"""
        return logic.isnan(self)

    def isinf(self) -> Tensor:
        """y = whether x is inf or -inf"""
        return logic.isinf(self)

    def isfinite(self) -> Tensor:
        """y = whether x is neither inf, -inf nor NaN"""
        return logic.isfinite(self)

    # -- other dtypes; these names hide Python's own, so they stand last

    def astype(self, dtype: Any) -> Tensor:
        """y = x in another dtype; x itself if it has that one. Integers have no history"""
        x: Any = self
        if self.dtype == dtype:
            return x
        x = x if np.dtype(dtype).kind in "fc" else x.detach()
        return elementwise.astype(x, np.dtype(dtype))

    to = type = astype

    def float(self) -> Tensor:
        """y = x as float32"""
        return self.astype(np.float32)

    def double(self) -> Tensor:
        """y = x as float64"""
        return self.astype(np.float64)

    def int(self) -> Tensor:
        """y = x as int32, what follows the point cut off"""
        return self.astype(np.int32)

    def long(self) -> Tensor:
        """y = x as int64, what follows the point cut off"""
        return self.astype(np.int64)

    def bool(self) -> Tensor:
        """y = (x != 0)"""
        return self.astype(np.bool_)


def _times(other: Operand, alpha: Number) -> Operand:
    """alpha other: of a plain number a plain number, which leaves the dtype to x."""
    if alpha == 1:
        return other
    plain = isinstance(other, builtins.float | builtins.int)
    return other * alpha if plain else elementwise.mul(other, alpha)
