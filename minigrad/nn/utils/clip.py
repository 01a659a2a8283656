"""Clips gradients in place, between backward and the optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigrad.tensor import Tensor
from minigrad.writes import written


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """g *= min(1, max_norm / (norm + 1e-6)), with one norm over all gradients together

    norm = (sum |g|^norm_type)^(1 / norm_type), or the largest |g| for inf. Returns the norm from
    before, a tensor without axes. Raises RuntimeError, and clips nothing, if the norm is not
    finite and `error_if_nonfinite`; otherwise an infinite norm gives 0 (NaN for what is infinite),
    and NaN gives NaN.
    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent networks, 2013.
    """
    max_norm, norm_type = _number("max_norm", max_norm), _number("norm_type", norm_type)
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be at least 0, got {max_norm}")
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be above 0, got {norm_type}")
    grads = _gradients("clip_grad_norm_", parameters)
    norm = _norm([g.data for g in grads], norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}")
    scale = max_norm / (norm + 1e-6)
    with np.errstate(all="ignore"):
        for g in grads if not scale >= 1 else ():  # NaN is not
            g.data *= scale
            written(g.data)
        return Tensor.box(np.asarray(norm, grads[0].dtype if grads else np.float32))


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """g = min(max(g, -clip_value), clip_value)"""
    clip_value = _number("clip_value", clip_value)
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value must be at least 0, got {clip_value}")
    for g in _gradients("clip_grad_value_", parameters):
        np.clip(g.data, -clip_value, clip_value, out=g.data)
        written(g.data)


def _norm(arrays: list[np.ndarray], p: float) -> float:
    if p == 2:
        total = sum(float(np.vdot(a, a)) for a in arrays)
        if 1e-30 < total < math.inf:  # or else squares may have left the range of their dtype
            return math.sqrt(total)
    top = float(np.max([_largest(a) for a in arrays], initial=0.0))
    if p == math.inf or not 0 < top < math.inf:
        return top
    return top * sum(float((np.abs(a / top) ** p).sum(dtype=float)) for a in arrays) ** (1 / p)


def _largest(a: np.ndarray) -> float:
    """max |a|, NaN if one is"""
    return float(np.maximum(a.max(initial=0), -a.min(initial=0)))


def _gradients(name: str, parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in parameters:
        if not isinstance(p, Tensor):
            raise TypeError(f"{name}: parameters must be tensors, got {type(p).__name__}")
    return [p.grad for p in parameters if p.grad is not None]


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"clipping: {name} must be a number, got {value!r}") from None
