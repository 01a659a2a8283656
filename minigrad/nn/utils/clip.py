"""Clips gradients in place, between backward and the optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigrad.tensor import Tensor


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """g *= min(1, max_norm / (norm + 1e-6)), with one norm over all gradients together

    Returns the norm from before, a tensor without axes. Raises RuntimeError, and clips nothing, if
    the norm is not finite and `error_if_nonfinite`.
    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent networks, 2013.
    """
    grads = _gradients(parameters)
    if norm_type == math.inf:
        norm = max((float(np.abs(g.data).max(initial=0)) for g in grads), default=0.0)
    elif norm_type == 2:
        norm = math.sqrt(sum(float(np.vdot(g.data, g.data)) for g in grads))
    elif norm_type > 0:
        norm = sum(float((np.abs(g.data) ** norm_type).sum()) for g in grads) ** (1 / norm_type)
    else:
        raise ValueError(f"clip_grad_norm_: expected norm_type above 0, got {norm_type}")
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}")
    scale = min(1.0, max_norm / (norm + 1e-6)) if not math.isnan(norm) else math.nan
    if scale != 1.0:
        for g in grads:
            g.data *= scale
            g.version[0] += 1
    return Tensor.box(np.asarray(norm, grads[0].dtype if grads else np.float32))


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """g = min(max(g, -clip_value), clip_value)"""
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: expected a clip_value of at least 0, got {clip_value}")
    for g in _gradients(parameters):
        np.clip(g.data, -clip_value, clip_value, out=g.data)
        g.version[0] += 1


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in parameters if p.grad is not None]
