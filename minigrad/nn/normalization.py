"""Layers that normalise: LayerNorm, BatchNorm1d."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.tensor import Tensor

from . import functional as F
from . import init
from .layers import parameter, positive
from .module import Module
from .parameter import Parameter


def _eps(layer: str, eps: Any) -> float:
    if not isinstance(eps, (int, float)) or not eps >= 0:
        raise ValueError(f"{layer}: eps must be a number of at least 0, got {eps!r}")
    return eps


class LayerNorm(Module):
    """y = (x - mean x) / sqrt(var x + eps) w + b, mean and variance over the last axes

    normalized_shape: the sizes of these axes; weight (1 at first) and bias (0) have this shape.
    Source: Ba, Kiros and Hinton, Layer normalization, 2016.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.normalized_shape = tuple(normalized_shape)
        if not self.normalized_shape:
            raise ValueError("LayerNorm: normalized_shape is empty")
        for size in self.normalized_shape:
            positive("LayerNorm", normalized_shape=size)
        self.eps, self.elementwise_affine = _eps("LayerNorm", eps), elementwise_affine
        shape, biased = self.normalized_shape, elementwise_affine and bias
        self.weight = parameter(*shape, dtype=dtype) if elementwise_affine else None
        self.bias = parameter(*shape, dtype=dtype) if biased else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """weight = 1, bias = 0"""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class BatchNorm1d(Module):
    """y = (x - mean x) / sqrt(var x + eps) w + b for each of C features: (N, C) or (N, C, L)

    Training: mean and variance of the batch; running_mean and running_var move towards them by
    `momentum` (None: they are the mean over all batches). Evaluation: those running ones, unless
    track_running_stats is off. weight is 1 and bias 0 at first.
    Source: Ioffe and Szegedy, Batch normalization, 2015.
    """

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        positive("BatchNorm1d", num_features=num_features)
        self.num_features, self.eps = num_features, _eps("BatchNorm1d", eps)
        self.momentum = momentum
        if momentum is not None:
            F.probability("BatchNorm1d: momentum", momentum)
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = parameter(num_features, dtype=dtype) if affine else None
        self.bias = parameter(num_features, dtype=dtype) if affine and bias else None
        mean, var = (parameter(num_features, dtype=dtype).detach() for _ in range(2))
        count = Tensor.box(np.zeros((), np.int64))
        self.register_buffer("running_mean", mean if track_running_stats else None)
        self.register_buffer("running_var", var if track_running_stats else None)
        self.register_buffer("num_batches_tracked", count if track_running_stats else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """weight = 1, bias = 0, and the running statistics as before any batch"""
        _reset(self)
        self.reset_running_stats()

    def reset_running_stats(self) -> None:
        """running_mean = 0, running_var = 1, num_batches_tracked = 0"""
        for buffer in self.buffers(recurse=False):
            init.constant_(buffer, 1.0 if buffer is self.running_var else 0.0)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (2, 3) or input.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm1d: expected (N, {self.num_features}) or (N, {self.num_features}, L), "
                f"got shape {input.shape}"
            )
        count, momentum = self.num_batches_tracked, self.momentum
        if momentum is None:
            momentum = 0.0 if count is None else 1 / (count.item() + 1)
        y = F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, self.training,
            momentum, self.eps,
        )  # fmt: skip
        if self.training and count is not None:
            count.copy_(count.item() + 1)
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


def _reset(layer: LayerNorm | BatchNorm1d) -> None:
    if layer.weight is not None:
        init.ones_(layer.weight)
    if layer.bias is not None:
        init.zeros_(layer.bias)
