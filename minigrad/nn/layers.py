"""Layers without a memory of their own: Linear, Embedding, Dropout."""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd import no_grad
from minigrad.creation import zeros
from minigrad.tensor import Tensor

from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

LINE = 64  # bytes


def positive(layer: str, **sizes: int) -> None:
    """Raises unless every size is a whole number of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"{layer}: {name} must be an int, got {size!r}")
        if size < 1:
            raise ValueError(f"{layer}: {name} must be at least 1, got {size}")


def parameter(*shape: int, dtype: Any = None) -> Parameter:
    """A parameter still to be filled, whose memory begins with a line of the cache.

    numpy's begins 16 bytes behind one, so that every vector of 64 bytes lies in two: one step of
    inference, which takes as long as its weights take to be read, is 1.2 times as fast.
    """
    room = zeros(math.prod(shape) + LINE, dtype=dtype).data
    start = -room.ctypes.data % LINE // room.itemsize
    return Parameter(Tensor.box(room[start : start + math.prod(shape)].reshape(shape)))


class Linear(Module):
    """y = x W^T + b: (..., in_features) -> (..., out_features)

    weight (out_features, in_features) and bias (out_features), both U(-k, k) with
    k = 1 / sqrt(in_features).
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None
    ) -> None:
        super().__init__()
        positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = parameter(out_features, in_features, dtype=dtype)
        self.bias = parameter(out_features, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        k = 1 / math.sqrt(self.in_features)
        for p in self.parameters():
            init.uniform_(p, -k, k)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim == 0 or input.shape[-1] != self.in_features:
            raise ValueError(
                f"Linear: input of shape {input.shape} has not in_features={self.in_features} "
                "on its last axis"
            )
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Embedding(Module):
    """y = weight[index]: integers of any shape (...) -> (..., embedding_dim)

    weight (num_embeddings, embedding_dim), N(0, 1). The row `padding_idx` is 0 and stays it.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        positive("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is no row of {num_embeddings}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = parameter(num_embeddings, embedding_dim, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Any) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """y = x m / (1 - p), with m = 0 with probability p and else 1; y = x in evaluation mode"""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = F.probability("Dropout", p)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
