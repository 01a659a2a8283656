"""The functions behind the layers and losses."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minigrad.creation import generator
from minigrad.functions import where
from minigrad.ops import elementwise, indexing, linalg
from minigrad.tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b: (..., I), (O, I), (O) -> (..., O)"""
    return linalg.linear(input, weight, bias)


def embedding(input: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """y = weight[input]: integers (...), weight (N, E) -> (..., E)

    The row `padding_idx` gets no gradient. Raises IndexError for an integer outside 0 .. N-1.
    """
    index = np.asarray(input)
    rows = weight.shape[0]
    if index.dtype.kind not in "iu":
        raise TypeError(f"embedding: expected integers, got {index.dtype}")
    if index.size and (index.min() < 0 or index.max() >= rows):
        worst = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"embedding: index {worst} is outside a table of {rows} rows")
    y = indexing.getitem(weight, index)
    if padding_idx is None:
        return y
    return where((index == padding_idx)[..., None], y.detach(), y)


def probability(name: str, p: float) -> float:
    """p itself; raises unless it lies in [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: expected a probability in [0, 1], got {p}")
    return float(p)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """y = x m / (1 - p), with m = 0 with probability p and else 1; y = x unless training"""
    if probability("dropout", p) == 0 or not training:
        return input
    keep = generator().random(input.shape) >= p
    return input * (keep / max(1 - p, np.finfo(float).tiny)).astype(input.dtype)


def cross_entropy(
    input: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """l = -w_t ln softmax(x)_t, in nats; the mean is weighted: sum l / sum w_t

    input (N, C, ...) or (C): unnormalised scores; target (N, ...) or (): classes 0 .. C-1, or
    `ignore_index` where there is nothing to learn. weight (C). reduction: mean, sum or none.
    label_smoothing e mixes the target with the uniform one: (1 - e) l + e / C sum_c -w_c ln p_c.
    """
    axis = 1 if input.ndim > 1 else 0
    target = np.asarray(target)
    _check_classes(input, target, axis, ignore_index)
    log_p = input.log_softmax(axis)
    used = target != ignore_index
    w = np.ones((), input.dtype) if weight is None else np.asarray(weight.detach())
    picked = np.where(used, target, 0)
    w_target = np.where(used, w[picked] if w.ndim else w, 0).astype(input.dtype)  # (N, ...)
    loss = -w_target * indexing.gather(log_p, axis, np.expand_dims(picked, axis)).squeeze(axis)
    if label_smoothing:
        across = [1] * input.ndim
        across[axis] = -1
        even = (log_p * w.reshape(across if w.ndim else ())).sum(axis) * used.astype(input.dtype)
        smooth = probability("cross_entropy: label_smoothing", label_smoothing)
        loss = (1 - smooth) * loss - smooth / input.shape[axis] * even
    return reduce(loss, reduction, w_target.sum())


def reduce(loss: Tensor, reduction: str, count: Any = None) -> Tensor:
    """mean: sum of the losses / count (default: how many); sum; none: as they are."""
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / (loss.numel() if count is None else count)
    raise ValueError(f"reduction: expected mean, sum or none, got {reduction!r}")


def _check_classes(input: Tensor, target: np.ndarray, axis: int, ignore_index: int) -> None:
    if input.ndim == 0:
        raise ValueError("cross_entropy: input has no axis of classes")
    if target.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: expected integer classes, got {target.dtype}")
    expected = input.shape[:axis] + input.shape[axis + 1 :]
    if target.shape != expected:
        raise ValueError(
            f"cross_entropy: input of shape {input.shape} has its classes on axis {axis}, so the "
            f"target must be {expected}, got {target.shape}"
        )
    wrong = target[(target != ignore_index) & ((target < 0) | (target >= input.shape[axis]))]
    if wrong.size:
        raise IndexError(f"cross_entropy: class {wrong[0]} is outside 0 .. {input.shape[axis] - 1}")


relu, tanh, sigmoid = elementwise.relu, elementwise.tanh, elementwise.sigmoid


def softmax(input: Tensor, dim: int) -> Tensor:
    """y = e^x / sum e^x along `dim`"""
    return input.softmax(operator.index(dim))


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """y = x - ln sum e^x along `dim`"""
    return input.log_softmax(operator.index(dim))
