"""The losses: how far an input is from its target.

reduction: 'mean' and 'sum' make one number of the losses, 'none' leaves them as they are.
Unlike in PyTorch, input and target that would have to be broadcast are refused, not warned about.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.creation import as_tensor
from minigrad.functions import where
from minigrad.ops import activation, indexing, loss
from minigrad.ops.arguments import one_axis
from minigrad.tensor import Tensor

# ------------------------------------------------------------------------------- of distances


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """l = (x - t)^2"""
    d = input - _alike("mse_loss", input, target)
    return reduce(d * d, reduction)


def l1_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """l = |x - t|"""
    return reduce((input - _alike("l1_loss", input, target)).abs(), reduction)


def smooth_l1_loss(
    input: Tensor, target: Any, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """l = d^2 / (2 beta) where d = |x - t| < beta, else d - beta / 2

    Source: Girshick, Fast R-CNN, 2015.
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    d = input - _alike("smooth_l1_loss", input, target)
    near = np.abs(d.data) < beta
    return reduce(where(near, d * d * (0.5 / beta), d.abs() - 0.5 * beta), reduction)


def huber_loss(input: Tensor, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """l = d^2 / 2 where d = |x - t| < delta, else delta (d - delta / 2)

    Source: Huber 1964.
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    d = input - _alike("huber_loss", input, target)
    near = np.abs(d.data) < delta
    return reduce(where(near, d * d * 0.5, (d.abs() - 0.5 * delta) * delta), reduction)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """y = x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`; the two broadcast"""
    dim = one_axis("cosine_similarity", x1 if x1.ndim >= x2.ndim else x2, dim)
    dim -= max(x1.ndim, x2.ndim)
    products = (x1 * x2).sum(dim)
    return products / (x1.norm(2, dim).clamp(min=eps) * x2.norm(2, dim).clamp(min=eps))


# ---------------------------------------------------------------------------- of probabilities


def binary_cross_entropy(
    input: Tensor, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """l = -w (t ln x + (1 - t) ln(1 - x)), the logarithms at least -100; x within [0, 1]"""
    t = _alike("binary_cross_entropy", input, target)
    if input.data.size and not (input.data.min() >= 0 and input.data.max() <= 1):
        raise ValueError(
            "binary_cross_entropy: expected an input within [0, 1]; see ..._with_logits"
        )
    losses = loss.cross_entropy_of_two(input, t)
    return reduce(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """l = -w (p t ln sigmoid(x) + (1 - t) ln(1 - sigmoid(x))), without overflow

    weight w and pos_weight p broadcast.
    """
    t = _alike("binary_cross_entropy_with_logits", input, target)
    cost = activation.softplus(-input)  # -ln sigmoid(x)
    if pos_weight is not None:
        cost = cost * (1 + (as_tensor(pos_weight) - 1) * t)
    losses = (1 - t) * input + cost
    return reduce(losses if weight is None else losses * weight, reduction)


def kl_div(input: Tensor, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """l = t (ln t - x): x is the logarithm of a probability, and with log_target so is t

    reduction may also be 'batchmean': sum of the losses / size of axis 0.
    """
    t = _alike("kl_div", input, target)
    if log_target:
        losses = t.exp() * (t - input)
    else:
        zero = t.data == 0
        losses = where(zero, 0, t * where(zero, 1, t).log()) - t * input
    if reduction == "batchmean":
        return losses.sum() / input.size(0)
    return reduce(losses, reduction)


# ----------------------------------------------------------------------------------- of classes


def nll_loss(
    input: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """l = -w_t x_t; the mean is weighted: sum l / sum w_t

    input (N, C, ...) or (C): logarithms of probabilities; target (N, ...) or (): classes
    0 .. C-1, or `ignore_index` where there is nothing to learn; weight (C).
    """
    losses, w = _of_classes("nll_loss", input, target, weight, ignore_index)
    return reduce(losses, reduction, w.sum())


def cross_entropy(
    input: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """l = -w_t ln softmax(x)_t, in nats: nll_loss of log_softmax, with its arguments

    label_smoothing e mixes the target with the uniform one: (1 - e) l + e / C sum_c -w_c ln p_c.
    A target of floats in the input's shape gives a probability to each class:
    l = -sum_c w_c t_c ln softmax(x)_c, and the mean is not weighted.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing lies in [0, 1], got {label_smoothing}")
    axis = _class_axis("cross_entropy", input)
    classes = input.shape[axis]
    log_p = input.log_softmax(axis)
    w: Any = 1 if weight is None else weight.reshape(_across(input, axis))
    t = as_tensor(target)
    if t.dtype.kind not in "iub" and t.shape == input.shape:
        t = t * (1 - label_smoothing) + label_smoothing / classes
        losses = -(t * w * log_p).sum(axis)
        return reduce(losses, reduction)
    losses, w_target = _of_classes("cross_entropy", log_p, target, weight, ignore_index)
    if label_smoothing:
        used = (t.data != ignore_index).astype(input.dtype)
        even = (log_p * w).sum(axis) * used
        losses = (1 - label_smoothing) * losses - label_smoothing / classes * even
    return reduce(losses, reduction, w_target.sum())


def _of_classes(
    name: str, log_p: Tensor, target: Any, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, np.ndarray]:
    """(-w_t log_p_t, w_t), both (N, ...), both 0 where there is nothing to learn."""
    axis, target = _class_axis(name, log_p), np.asarray(target)
    _check_classes(name, log_p, target, axis, ignore_index)
    used = target != ignore_index
    picked = np.where(used, target, 0)
    w = used.astype(log_p.dtype)
    if weight is not None:
        if weight.shape != (log_p.shape[axis],):
            raise ValueError(
                f"{name}: weight has shape {weight.shape}, expected ({log_p.shape[axis]},)"
            )
        w = np.where(used, weight.data[picked], 0).astype(log_p.dtype)
    x = indexing.gather(log_p, axis, np.expand_dims(picked, axis)).squeeze(axis)
    return -where(used, x, 0) * w, w


def _class_axis(name: str, input: Tensor) -> int:
    if input.ndim == 0:
        raise ValueError(f"{name}: input has no axis of classes")
    return 1 if input.ndim > 1 else 0


def _check_classes(
    name: str, input: Tensor, target: np.ndarray, axis: int, ignore_index: int
) -> None:
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer classes, got {target.dtype} {target.shape}")
    expected = input.shape[:axis] + input.shape[axis + 1 :]
    if target.shape != expected:
        raise ValueError(
            f"{name}: input of shape {input.shape} has its classes on axis {axis}, so the "
            f"target must be {expected}, got {target.shape}"
        )
    wrong = target[(target != ignore_index) & ((target < 0) | (target >= input.shape[axis]))]
    if wrong.size:
        raise IndexError(f"{name}: class {wrong[0]} is outside 0 .. {input.shape[axis] - 1}")


# --------------------------------------------------------------------------------- what they share


def reduce(losses: Tensor, reduction: str, count: Any = None) -> Tensor:
    """mean: sum of the losses / count (default: how many); sum; none: as they are."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.sum() / (float(losses.numel()) if count is None else count)
    raise ValueError(f"reduction: expected mean, sum or none, got {reduction!r}")


def _alike(name: str, input: Tensor, target: Any) -> Tensor:
    """The target as a tensor; raises ValueError unless it has the input's shape."""
    t = as_tensor(target)
    if t.shape != input.shape:
        raise ValueError(f"{name}: input has shape {input.shape}, target {t.shape}")
    return t


def _across(input: Tensor, axis: int) -> tuple[int, ...]:
    """The shape in which (C) stands along `axis`."""
    return tuple(-1 if i == axis else 1 for i in range(input.ndim))
