"""Operations on each element by itself; two operands broadcast against each other.

y = f(a, b) has the gradients gy df/da and gy df/db, summed by the engine over broadcast axes.
Where f has a kink or a tie, the convention is PyTorch's and stands in the docstring. At the end of
a function's domain (1/0, ln 0, the root of -1) the answer is inf or NaN, without a warning.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import primitive

quiet = np.errstate(all="ignore")

# ---------------------------------------------------------------------------- arithmetic


@primitive
def add(a, b):
    """y = a + b"""
    return a + b


@primitive
def sub(a, b):
    """y = a - b"""
    return a - b


@primitive
def mul(a, b):
    """y = a b"""
    return a * b


@primitive
@quiet
def div(a, b):
    """y = a / b"""
    return a / b


@primitive
def neg(x):
    """y = -x"""
    return -x


@primitive
@quiet
def pow(a, b):
    """y = a^b; where a = 0 the gradient of b is 0 for b >= 0, and where b = 0 that of a is 0"""
    return a**b


add.rules(a=lambda gy: gy, b=lambda gy: gy)
sub.rules(a=lambda gy: gy, b=lambda gy: -gy)
mul.rules(a=lambda gy, b: gy * b, b=lambda gy, a: gy * a)
div.rules(a=lambda gy, b: gy / b, b=lambda gy, y, b: -gy * y / b)
neg.rules(x=lambda gy: -gy)
pow.rules(
    a=lambda gy, a, b: gy * _power_rule(a, b),
    b=lambda gy, y, a, b: gy * y * log(where((a == 0) & (b >= 0), 1, a)),
)


def _power_rule(a: Any, b: Any) -> Any:
    """d a^b / da = b a^(b-1), also at a = b = 0"""
    if isinstance(b, (int, float)):  # stays a plain number, which leaves the dtype to a
        return b * pow(a, b - 1) if b else a * 0
    return b * pow(a, where(b == 0, 1, b) - 1)


# --------------------------------------------------------------- functions of one variable


@primitive
@quiet
def exp(x):
    """y = e^x"""
    return np.exp(x)


@primitive
@quiet
def log(x):
    """y = ln x; NaN below 0"""
    return np.log(x)


@primitive
@quiet
def sqrt(x):
    """y = x^(1/2); the gradient at 0 is inf, as in PyTorch"""
    return np.sqrt(x)


@primitive
def abs(x):
    """y = |x|; the gradient at 0 is 0"""
    return np.abs(x)


@primitive
def sign(x):
    """y = 1, 0 or -1; the gradient is 0"""
    return np.sign(x)


@primitive
def tanh(x):
    """y = tanh(x)"""
    return kernels.tanh(x)


@primitive
def tanh_grad(g, t):
    """y = g (1 - t^2), with t = tanh(x): the rule of tanh in one sweep"""
    return kernels.tanh_grad(g, t)


@primitive
def sigmoid(x):
    """y = 1 / (1 + e^-x)"""
    return kernels.sigmoid(x)


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
def astype(x, dtype):
    """y = x in another dtype; the gradient comes back in x's own"""
    return x.astype(dtype)


exp.rules(x=lambda gy, y: gy * y)
log.rules(x=lambda gy, x: gy / x)
sqrt.rules(x=lambda gy, y: gy / (2 * y))
abs.rules(x=lambda gy, x: gy * sign(x))
sign.rules(x=lambda gy: 0 * gy)
tanh.rules(x=lambda gy, y: tanh_grad(gy, y))
tanh_grad.rules(g=lambda gy, t: tanh_grad(gy, t), t=lambda gy, g, t: -2 * gy * g * t)
sigmoid.rules(x=lambda gy, y: sigmoid_grad(gy, y))
sigmoid_grad.rules(g=lambda gy, s: sigmoid_grad(gy, s), s=lambda gy, g, s: gy * g * (1 - 2 * s))
relu.rules(x=lambda gy, y: relu_grad(gy, y))
relu_grad.rules(g=lambda gy, r: relu_grad(gy, r))
astype.rules(x=lambda gy: gy)  # the engine brings it to x's dtype

# ------------------------------------------------------------------------ choosing between two


@primitive
def maximum(a, b):
    """y = the larger one, NaN if either is; a tie shares the gradient equally"""
    return np.maximum(a, b)


@primitive
def minimum(a, b):
    """y = the smaller one, NaN if either is; a tie shares the gradient equally"""
    return np.minimum(a, b)


@primitive
def where(condition, a, b):
    """y = a where the condition holds, b elsewhere"""
    return np.where(condition, a, b)


maximum.rules(
    a=lambda gy, a, b: where(a > b, gy, where(a == b, gy / 2, 0)),
    b=lambda gy, a, b: where(b > a, gy, where(a == b, gy / 2, 0)),
)
minimum.rules(
    a=lambda gy, a, b: where(a < b, gy, where(a == b, gy / 2, 0)),
    b=lambda gy, a, b: where(b < a, gy, where(a == b, gy / 2, 0)),
)
where.rules(
    a=lambda gy, condition: where(condition, gy, 0),
    b=lambda gy, condition: where(condition, 0, gy),
)

# ---------------------------------------------------------------- comparisons: no gradient


@primitive
def eq(a, b):
    """y = (a == b)"""
    return np.equal(a, b)


@primitive
def ne(a, b):
    """y = (a != b)"""
    return np.not_equal(a, b)


@primitive
def lt(a, b):
    """y = (a < b)"""
    return np.less(a, b)


@primitive
def le(a, b):
    """y = (a <= b)"""
    return np.less_equal(a, b)


@primitive
def gt(a, b):
    """y = (a > b)"""
    return np.greater(a, b)


@primitive
def ge(a, b):
    """y = (a >= b)"""
    return np.greater_equal(a, b)
