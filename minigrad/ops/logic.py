"""Comparisons and logic: booleans come out, and no gradient goes back."""

from __future__ import annotations

import numpy as np

from minigrad.autograd import primitive
from minigrad.quiet import quiet


@primitive
@quiet
def eq(a, b):
    """y = (a == b)"""
    return np.equal(a, b)


@primitive
@quiet
def ne(a, b):
    """y = (a != b)"""
    return np.not_equal(a, b)


@primitive
@quiet
def lt(a, b):
    """y = (a < b)"""
    return np.less(a, b)


@primitive
@quiet
def le(a, b):
    """y = (a <= b)"""
    return np.less_equal(a, b)


@primitive
@quiet
def gt(a, b):
    """y = (a > b)"""
    return np.greater(a, b)


@primitive
@quiet
def ge(a, b):
    """y = (a >= b)"""
    return np.greater_equal(a, b)


@primitive
def logical_and(a, b):
    """y = a and b; what is not 0 counts as true"""
    return np.logical_and(a, b)


@primitive
def logical_or(a, b):
    """y = a or b; what is not 0 counts as true"""
    return np.logical_or(a, b)


@primitive
def logical_xor(a, b):
    """y = a or b, but not both; what is not 0 counts as true"""
    return np.logical_xor(a, b)


@primitive
def logical_not(x):
    """y = (x == 0)"""
    return np.logical_not(x)


@primitive
def bitwise_and(a, b):
    """y = a & b: booleans, or the bits of integers"""
    return np.bitwise_and(a, b)


@primitive
def bitwise_or(a, b):
    """y = a | b: booleans, or the bits of integers"""
    return np.bitwise_or(a, b)


@primitive
def bitwise_xor(a, b):
    """y = a ^ b: booleans, or the bits of integers"""
    return np.bitwise_xor(a, b)


@primitive
def bitwise_not(x):
    """y = ~x: booleans, or the bits of integers"""
    return np.bitwise_not(x)


@primitive
def isnan(x):
    """y = whether x is not a number"""
    return np.isnan(x)


@primitive
def isinf(x):
    """y = whether x is inf or -inf"""
    return np.isinf(x)


@primitive
def isfinite(x):
    """y = whether x is neither inf, -inf nor NaN"""
    return np.isfinite(x)


@primitive
def all(x, dims, keepdim):
    """y = whether every element over `dims` is not 0"""
    return np.all(x, axis=dims, keepdims=keepdim)


@primitive
def any(x, dims, keepdim):
    """y = whether some element over `dims` is not 0"""
    return np.any(x, axis=dims, keepdims=keepdim)
