"""The small kernels of `reference.py` in numpy: matrix products, softmax, activations."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
quiet = np.errstate(all="ignore")  # as in C: inf and NaN come without a warning


@quiet
def log_softmax(x: Array) -> Array:
    """y = x - ln sum exp(x) along the last axis, which has at least one element."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@quiet
def log_softmax_grad(gy: Array, y: Array) -> Array:
    """gx = gy - exp(y) sum(gy) along the last axis, with y = log_softmax(x)."""
    return gy - np.exp(y) * gy.sum(axis=-1, keepdims=True)


@quiet
def matmul(a: Array, b: Array) -> Array:
    """y = a @ b: (..., M, K) @ (..., K, N) -> (..., M, N), the leading axes broadcast."""
    return np.matmul(a, b)


def tanh(x: Array) -> Array:
    """y = tanh(x), any shape."""
    return np.tanh(x)


def tanh_grad(gy: Array, y: Array) -> Array:
    """gx = gy (1 - y^2), with y = tanh(x)."""
    return gy * (1 - y * y)


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x)), any shape; exp is only taken of what is not positive."""
    positive = x.real >= 0
    e = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1, e) / (1 + e)


def sigmoid_grad(gy: Array, y: Array) -> Array:
    """gx = gy y (1 - y), with y = sigmoid(x)."""
    return gy * y * (1 - y)


def relu(x: Array) -> Array:
    """y = max(x, 0), any shape; NaN stays NaN."""
    return np.where(x.real <= 0, np.zeros((), x.dtype), x)


def relu_grad(gy: Array, y: Array) -> Array:
    """gx = 0 where y <= 0, else gy, with y = relu(x): at the kink the gradient is 0."""
    return np.where(y.real <= 0, np.zeros((), gy.dtype), gy)
