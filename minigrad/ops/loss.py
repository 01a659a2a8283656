"""Losses of each element that a composition of other operations would get wrong at the ends."""

from __future__ import annotations

import numpy as np

from minigrad.autograd import primitive
from minigrad.quiet import quiet

from .elementwise import log, log1p, maximum


@primitive
@quiet
def cross_entropy_of_two(x, t):
    """y = -t ln x - (1 - t) ln(1 - x), the logarithms at least -100, as in PyTorch

    The gradient of x is (x - t) / max(x (1 - x), 1e-12).
    """
    return (t - 1) * np.maximum(np.log1p(-x), -100) - t * np.maximum(np.log(x), -100)


cross_entropy_of_two.rules(
    x=lambda gy, x, t: gy * (x - t) / maximum(x * (1 - x), 1e-12),
    t=lambda gy, x: gy * (maximum(log1p(-x), -100) - maximum(log(x), -100)),
)
