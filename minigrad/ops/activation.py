"""Activation functions beyond tanh, sigmoid and relu; most are composed of other operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.autograd import primitive
from minigrad.dtypes import floating
from minigrad.quiet import quiet

from .elementwise import abs, erf, expm1, sigmoid, tanh, where


@primitive
@quiet
def softplus(x):
    """y = ln(1 + e^x), without overflow"""
    x = floating(x)
    return np.where(x.real > 0, x, 0) + np.log1p(np.exp(np.where(x.real > 0, -x, x)))


softplus.rules(x=lambda gy, x: gy * sigmoid(x))


def logsigmoid(x: Any) -> Any:
    """y = ln sigmoid(x) = -softplus(-x)"""
    return -softplus(-x)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """y = x where x > 0, else negative_slope x"""
    return where(x > 0, x, x * negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """y = x where x > 0, else alpha (e^x - 1)

    Source: Clevert, Unterthiner and Hochreiter 2015.
    """
    return where(x > 0, x, expm1(where(x > 0, 0, x)) * alpha)


def gelu(x: Any, approximate: str = "none") -> Any:
    """y = x (1 + erf(x / sqrt 2)) / 2; approximate='tanh': by a tanh instead

    Source: Hendrycks and Gimpel 2016.
    """
    if approximate == "none":
        return x * 0.5 * (1 + erf(x * math.sqrt(0.5)))
    if approximate == "tanh":
        return x * 0.5 * (1 + tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)))
    raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")


def silu(x: Any) -> Any:
    """y = x sigmoid(x)

    Source: Elfwing, Uchibe and Doya 2017.
    """
    return x * sigmoid(x)


def softsign(x: Any) -> Any:
    """y = x / (1 + |x|)"""
    return x / (1 + abs(x))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """y = x within [min_val, max_val]; at a bound the gradient is 0"""
    if not min_val <= max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is above max_val={max_val}")
    return where(x >= max_val, max_val, where(x <= min_val, min_val, x))


def hardsigmoid(x: Any) -> Any:
    """y = (x + 3) / 6 within [0, 1]; at a bound the gradient is 0"""
    return hardtanh(x + 3, 0.0, 6.0) / 6
