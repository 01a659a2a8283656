"""Operations on each element by itself; two operands broadcast against each other.

y = f(a, b) has the gradients gy df/da and gy df/db, summed by the engine over broadcast axes.
Where f has a kink or a tie, the convention is PyTorch's and stands in the docstring. At the end of
a function's domain (1/0, ln 0, the root of -1) the answer is inf or NaN, without a warning.
Functions with values between the integers take integers too, as the default dtype.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import primitive
from minigrad.dtypes import float64, floating, promoted
from minigrad.quiet import quiet

# ---------------------------------------------------------------------------- arithmetic


@primitive
@quiet
def add(a, b):
    """y = a + b"""
    y = a + b
    return y if y.dtype is not float64 else promoted(y, a, b)


@primitive
@quiet
def sub(a, b):
    """y = a - b"""
    y = a - b
    return y if y.dtype is not float64 else promoted(y, a, b)


@primitive
@quiet
def mul(a, b):
    """y = a b"""
    y = a * b
    return y if y.dtype is not float64 else promoted(y, a, b)


@primitive
@quiet
def div(a, b):
    """y = a / b; of integers in the default dtype"""
    y = a / b
    return y if y.dtype is not float64 else promoted(y, a, b, 1.0)


@primitive
@quiet
def pow(a, b):
    """y = a^b; where a = 0 the gradient of b is 0 for b >= 0, and where b = 0 that of a is 0"""
    y = a**b
    return y if y.dtype is not float64 else promoted(y, a, b)


@primitive
def neg(x):
    """y = -x"""
    return -x


@primitive
@quiet
def astype(x, dtype):
    """y = x in another dtype, in memory of its own; the gradient comes back in x's"""
    return x.astype(dtype, order="C")


def zero(gy: Any) -> Any:
    """0 in the shape of gy, also where gy is inf or NaN: the gradient of a step"""
    return where(False, gy, 0)


def _power_rule(a: Any, b: Any) -> Any:
    """d a^b / da = b a^(b-1), also at a = b = 0"""
    if isinstance(b, (builtins.int, builtins.float)):  # a plain number leaves the dtype to a
        return b * pow(a, b - 1) if b else zero(a)
    return b * pow(a, where((b == 0) & (a == 0), 1, b) - 1)


def _log_of_base(y: Any, a: Any, b: Any) -> Any:
    """ln a as in d a^b / db = a^b ln a, which is 0 where a = 0 <= b; in y's dtype"""
    base = a.astype(y.dtype) if hasattr(a, "dtype") else np.full((), a, y.dtype)
    return log(where((b >= 0) & (base == 0), 1, base))


add.rules(a=lambda gy: gy, b=lambda gy: gy)
sub.rules(a=lambda gy: gy, b=lambda gy: -gy)
mul.rules(a=lambda gy, b: gy * b, b=lambda gy, a: gy * a)
div.rules(a=lambda gy, b: gy / b, b=lambda gy, y, b: -gy * y / b)
pow.rules(
    a=lambda gy, a, b: gy * _power_rule(a, b),
    b=lambda gy, y, a, b: gy * y * _log_of_base(y, a, b),
)
neg.rules(x=lambda gy: -gy)
astype.rules(x=lambda gy: gy)  # the engine brings it to x's dtype

# -------------------------------------------------------------- exponentials and logarithms


@primitive
@quiet
def exp(x):
    """y = e^x"""
    return np.exp(floating(x))


@primitive
@quiet
def expm1(x):
    """y = e^x - 1, exact for small x"""
    return np.expm1(floating(x))


@primitive
@quiet
def log(x):
    """y = ln x; NaN below 0"""
    return np.log(floating(x))


@primitive
@quiet
def log1p(x):
    """y = ln(1 + x), exact for small x; NaN below -1"""
    return np.log1p(floating(x))


@primitive
@quiet
def sqrt(x):
    """y = x^(1/2); the gradient at 0 is inf"""
    return np.sqrt(floating(x))


exp.rules(x=lambda gy, y: gy * y)
expm1.rules(x=lambda gy, y: gy * (y + 1))
log.rules(x=lambda gy, x: gy / x)
log1p.rules(x=lambda gy, x: gy / (1 + x))
sqrt.rules(x=lambda gy, y: gy / (2 * y))


def square(x: Any) -> Any:
    """y = x^2"""
    return x * x


def reciprocal(x: Any) -> Any:
    """y = 1 / x"""
    return div(1, x)


def rsqrt(x: Any) -> Any:
    """y = x^(-1/2)"""
    return div(1, sqrt(x))


# ---------------------------------------------------------------------------- trigonometry


@primitive
@quiet
def sin(x):
    """y = sin x"""
    return np.sin(floating(x))


@primitive
@quiet
def cos(x):
    """y = cos x"""
    return np.cos(floating(x))


@primitive
@quiet
def tan(x):
    """y = tan x"""
    return np.tan(floating(x))


@primitive
@quiet
def asin(x):
    """y = the angle whose sine is x; NaN outside [-1, 1], with the gradient inf at either end"""
    return np.arcsin(floating(x))


@primitive
@quiet
def acos(x):
    """y = the angle whose cosine is x; NaN outside [-1, 1], with the gradient -inf at either end"""
    return np.arccos(floating(x))


@primitive
@quiet
def atan(x):
    """y = the angle whose tangent is x"""
    return np.arctan(floating(x))


@primitive
def atan2(a, b):
    """y = the angle of the point (b, a), in [-pi, pi]; the gradient at (0, 0) is 0"""
    y = np.arctan2(a, b)
    return y if y.dtype is not float64 else promoted(y, a, b, 1.0)


@primitive
@quiet
def sinh(x):
    """y = (e^x - e^-x) / 2"""
    return np.sinh(floating(x))


@primitive
@quiet
def cosh(x):
    """y = (e^x + e^-x) / 2"""
    return np.cosh(floating(x))


def _square_of_radius(a: Any, b: Any) -> Any:
    """a^2 + b^2, or 1 at the origin, where no angle is nearer than another"""
    square_of_radius = a * a + b * b
    return where(square_of_radius == 0, 1, square_of_radius)


sin.rules(x=lambda gy, x: gy * cos(x))
cos.rules(x=lambda gy, x: -gy * sin(x))
tan.rules(x=lambda gy, y: gy * (1 + y * y))
asin.rules(x=lambda gy, x: gy * rsqrt((1 - x) * (1 + x)))
acos.rules(x=lambda gy, x: -gy * rsqrt((1 - x) * (1 + x)))
atan.rules(x=lambda gy, x: gy / (1 + x * x))
atan2.rules(
    a=lambda gy, a, b: gy * b / _square_of_radius(a, b),
    b=lambda gy, a, b: -gy * a / _square_of_radius(a, b),
)
sinh.rules(x=lambda gy, x: gy * cosh(x))
cosh.rules(x=lambda gy, x: gy * sinh(x))

# --------------------------------------------------------------------------- curves of neurons


@primitive
def tanh(x):
    """y = tanh(x)"""
    return kernels.tanh(floating(x))


@primitive
def tanh_grad(g, t):
    """y = g (1 - t^2), with t = tanh(x): the rule of tanh in one sweep"""
    return kernels.tanh_grad(g, t)


@primitive
def sigmoid(x):
    """y = 1 / (1 + e^-x)"""
    return kernels.sigmoid(floating(x))


@primitive
def sigmoid_grad(g, s):
    """y = g s (1 - s), with s = sigmoid(x): the rule of sigmoid in one sweep"""
    return kernels.sigmoid_grad(g, s)


@primitive
def relu(x):
    """y = max(x, 0); the gradient at 0 is 0"""
    return kernels.relu(x)


@primitive
def relu_grad(g, r):
    """y = g where r > 0, else 0, with r = relu(x): the rule of relu in one sweep"""
    return kernels.relu_grad(g, r)


@primitive
def erf(x):
    """y = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x"""
    x = floating(x)
    return np.asarray(_erf(x), x.dtype)


_erf = np.vectorize(math.erf, otypes=[np.float64])

tanh.rules(x=lambda gy, y: tanh_grad(gy, y))
tanh_grad.rules(g=lambda gy, t: tanh_grad(gy, t), t=lambda gy, g, t: -2 * gy * g * t)
sigmoid.rules(x=lambda gy, y: sigmoid_grad(gy, y))
sigmoid_grad.rules(g=lambda gy, s: sigmoid_grad(gy, s), s=lambda gy, g, s: gy * g * (1 - 2 * s))
relu.rules(x=lambda gy, y: relu_grad(gy, y))
relu_grad.rules(g=lambda gy, r: relu_grad(gy, r))
erf.rules(x=lambda gy, x: gy * exp(-x * x) * (2 / math.sqrt(math.pi)))

# ---------------------------------------------------------------- steps: their gradient is 0


@primitive
def abs(x):
    """y = |x|; the gradient at 0 is 0"""
    return np.abs(x)


@primitive
def sign(x):
    """y = 1, 0 or -1; the gradient is 0"""
    return np.sign(x)


@primitive
def floor(x):
    """y = the largest integer not above x; the gradient is 0"""
    return np.floor(x)


@primitive
def ceil(x):
    """y = the smallest integer not below x; the gradient is 0"""
    return np.ceil(x)


@primitive
@quiet
def round(x, decimals):
    """y = x to so many decimals, a half to the even neighbour; the gradient is 0"""
    return np.round(x, decimals)


abs.rules(x=lambda gy, x: gy * sign(x))
sign.rules(x=zero)
floor.rules(x=zero)
ceil.rules(x=zero)
round.rules(x=zero)

# ------------------------------------------------------------------------ choosing between two


@primitive
def maximum(a, b):
    """y = the larger one, NaN if either is; a tie shares the gradient equally"""
    y = np.maximum(a, b)
    return y if y.dtype is not float64 else promoted(y, a, b)


@primitive
def minimum(a, b):
    """y = the smaller one, NaN if either is; a tie shares the gradient equally"""
    y = np.minimum(a, b)
    return y if y.dtype is not float64 else promoted(y, a, b)


@primitive
@quiet
def where(condition, a, b):
    """y = a where the condition holds, b elsewhere"""
    y = np.where(condition, a, b)
    return y if y.dtype is not float64 else promoted(y, a, b)


maximum.rules(
    a=lambda gy, a, b: where(a == b, gy / 2, where(a < b, 0, gy)),
    b=lambda gy, a, b: where(a == b, gy / 2, where(b < a, 0, gy)),
)
minimum.rules(
    a=lambda gy, a, b: where(a == b, gy / 2, where(a > b, 0, gy)),
    b=lambda gy, a, b: where(a == b, gy / 2, where(b > a, 0, gy)),
)
where.rules(
    a=lambda gy, condition: where(condition, gy, 0),
    b=lambda gy, condition: where(condition, 0, gy),
)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """y = x within [min, max], either of which may be missing; at a bound x has all the gradient"""
    if min is None and max is None:
        raise ValueError("clamp: expected min, max or both")
    if min is not None:
        x = where(x < min, min, x)
    return x if max is None else where(x > max, max, x)
