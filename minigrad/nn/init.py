"""Fills a tensor in place with its first values; every function returns the tensor."""

from __future__ import annotations

from minigrad.autograd import no_grad
from minigrad.tensor import Tensor, generator


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """U(a, b)"""
    return tensor.copy_(generator().uniform(a, b, tensor.shape))


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """N(mean, std^2)"""
    return tensor.copy_(generator().normal(mean, std, tensor.shape))


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """val everywhere"""
    return tensor.copy_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere"""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere"""
    return constant_(tensor, 1.0)
