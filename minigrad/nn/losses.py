"""Losses as modules."""

from __future__ import annotations

from typing import Any

from minigrad.tensor import Tensor

from . import functional as F
from .module import Module


class CrossEntropyLoss(Module):
    """l = -w_t ln softmax(x)_t: see `functional.cross_entropy`"""

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )
