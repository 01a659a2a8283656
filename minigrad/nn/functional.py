"""The functions behind the layers and losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.creation import generator
from minigrad.functions import where
from minigrad.ops import indexing, linalg, reduction, shape
from minigrad.tensor import Tensor

from .loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_similarity,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)  # fmt: skip

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_similarity",
    "cross_entropy", "dropout", "elu", "embedding", "gelu", "hardsigmoid", "hardtanh", "huber_loss",
    "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid",
    "mse_loss", "nll_loss", "one_hot", "pad", "relu", "sigmoid", "silu", "smooth_l1_loss",
    "softmax", "softplus", "softsign", "tanh",
]  # fmt: skip

# ------------------------------------------------------------------------------- activations

elu = Tensor.elu
gelu = Tensor.gelu
hardsigmoid = Tensor.hardsigmoid
hardtanh = Tensor.hardtanh
leaky_relu = Tensor.leaky_relu
log_softmax = Tensor.log_softmax
logsigmoid = Tensor.logsigmoid
relu = Tensor.relu
sigmoid = Tensor.sigmoid
silu = Tensor.silu
softmax = Tensor.softmax
softplus = Tensor.softplus
softsign = Tensor.softsign
tanh = Tensor.tanh

# --------------------------------------------------------------------------- maps and tables


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b: (..., I), (O, I), (O) -> (..., O)"""
    return linalg.linear(input, weight, bias)


def embedding(input: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """y = weight[input]: integers (...), weight (N, E) -> (..., E)

    The row `padding_idx` gets no gradient. Raises IndexError for an integer outside 0 .. N-1.
    """
    index = input.data if isinstance(input, Tensor) else np.asarray(input)
    rows = weight.shape[0]
    if index.dtype.kind not in "iu":
        raise TypeError(f"embedding: expected integers, got {index.dtype}")
    unsigned = index.view(index.dtype.str.replace("i", "u"))  # what is negative is large there
    if index.size and unsigned.max() >= rows:
        worst = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"embedding: index {worst} is outside a table of {rows} rows")
    y = indexing.getitem(weight, index)
    if padding_idx is None:
        return y
    return where((index == padding_idx % rows)[..., None], y.detach(), y)


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """y[..., c] = 1 where the integer is c, else 0: (...) -> (..., C), int64

    C is num_classes, or one more than the largest integer.
    """
    index = np.asarray(tensor)
    if index.dtype.kind not in "iu":
        raise TypeError(f"one_hot: expected integers, got {index.dtype}")
    if num_classes == -1:
        if index.size == 0:
            raise ValueError("one_hot: num_classes cannot be guessed from no integers")
        num_classes = int(index.max()) + 1
    if index.size and (index.min() < 0 or index.max() >= num_classes):
        worst = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"one_hot: {worst} is outside 0 .. {num_classes - 1}")
    return Tensor.box((index[..., None] == np.arange(num_classes)).astype(np.int64))


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """y = x with elements added in front of and behind its axes, the last axis first

    pad: (before, after) of the last axis, then of the one before it, ...; negative: cut off.
    mode: constant (`value`, or 0), reflect, replicate or circular.
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad: {tuple(pad)} does not come in pairs for axes of {input.shape}")
    widths = [(0, 0)] * (input.ndim - len(pad) // 2)
    widths += [(int(a), int(b)) for a, b in zip(pad[-2::-2], pad[::-2], strict=True)]
    if mode == "constant":
        return _pad_constant(input, widths, 0 if value is None else value)
    modes = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    if mode not in modes:
        raise ValueError(f"pad: mode is constant, {', '.join(modes)}, not {mode!r}")
    for dim, (before, after) in enumerate(widths):
        size = input.shape[dim]
        most = {"reflect": size - 1, "circular": size}.get(mode, max(before, after, 0))
        if min(before, after) < 0 or max(before, after) > most or (size == 0 < before + after):
            raise ValueError(f"pad: {mode} by {(before, after)} on axis {dim} of size {size}")
        if before or after:
            index = np.pad(np.arange(size), (before, after), mode=modes[mode])  # type: ignore[call-overload]
            input = indexing.index_select(input, dim, index)
    return input


def _pad_constant(x: Tensor, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
    sizes = [n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]
    if min(sizes, default=0) < 0:
        raise ValueError(f"pad: {list(widths)} cuts off more than there is of {x.shape}")
    if any(min(w) < 0 for w in widths):
        cut = (slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True))
        x = indexing.getitem(x, tuple(cut))
    return shape.pad(x, tuple((max(a, 0), max(b, 0)) for a, b in widths), value)


# --------------------------------------------------------------------------------- by chance


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


# --------------------------------------------------------------------------------- normalised


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int] | int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean x) / sqrt(var x + eps) w + b, mean and variance over the last axes

    normalized_shape: the sizes of these axes, and the shape of weight and bias.
    Source: Ba, Kiros and Hinton 2016.
    """
    inner = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not inner or input.shape[-len(inner) :] != inner:
        raise ValueError(f"layer_norm: input {input.shape} does not end in {inner}")
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and p.shape != inner:
            raise ValueError(f"layer_norm: {name} has shape {p.shape}, expected {inner}")
    dims = tuple(range(input.ndim - len(inner), input.ndim))
    y = reduction.standardize(input, dims, eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean x) / sqrt(var x + eps) w + b, for each channel: (N, C, ...), w and b (C)

    Training (or without running statistics): mean and variance over all axes but 1; the running
    ones move towards them in place by `momentum`, with the variance's correction 1. Else the
    running ones. Source: Ioffe and Szegedy 2015.
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm: expected (N, C, ...), got shape {input.shape}")
    channels = input.shape[1]
    given = {
        "running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias
    }  # fmt: skip
    for name, p in given.items():
        if p is not None and p.shape != (channels,):
            raise ValueError(f"batch_norm: {name} has shape {p.shape}, expected ({channels},)")
    across = (1, channels, *(1,) * (input.ndim - 2))
    if training or running_mean is None or running_var is None:
        dims = tuple(i for i in range(input.ndim) if i != 1)
        count = math.prod(input.shape[i] for i in dims)
        if count < 2:
            raise ValueError(
                f"batch_norm: training needs more than {count} value(s) per channel, got shape "
                f"{input.shape}"
            )
        y = reduction.standardize(input, dims, eps)
        for running, now in ((running_mean, np.mean), (running_var, _unbiased)):
            if running is not None and training:
                running.copy_((1 - momentum) * running.data + momentum * now(input.data, dims))
    else:
        d = input - running_mean.reshape(across)
        y = d / (running_var.reshape(across) + eps).sqrt()
    y = y if weight is None else y * weight.reshape(across)
    return y if bias is None else y + bias.reshape(across)


def _unbiased(x: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    return x.var(dims, ddof=1)
