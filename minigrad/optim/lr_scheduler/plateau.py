"""Learning rates that follow a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.optim.optimizer import Optimizer, number

from .base import (
    LRScheduler,
    count,
    numbers,
)


class ReduceLROnPlateau(LRScheduler):
    """eta <- max(factor eta, min_lr) when a metric has not got better for `patience` steps

    Better than the best so far: by more than `threshold`, times the best ('rel') or as it is
    ('abs'). After a reduction, `cooldown` steps do not count. Changes of at most eps are not made.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be min or max, got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode must be rel or abs, got {threshold_mode!r}"
            )
        if number("ReduceLROnPlateau: factor", factor, 0, 1) == 1:
            raise ValueError("ReduceLROnPlateau: factor must be below 1")
        self.mode, self.threshold_mode, self.factor = mode, threshold_mode, factor
        self.patience = count(self, "patience", patience, least=0)
        self.cooldown = count(self, "cooldown", cooldown, least=0)
        self.threshold = number("ReduceLROnPlateau: threshold", threshold, 0, math.inf)
        self.eps = number("ReduceLROnPlateau: eps", eps, 0, math.inf)
        self.min_lrs = numbers(self, "min_lr", min_lr, optimizer, math.inf)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        if not self.num_bad_epochs > self.patience:
            return self.get_last_lr()
        pairs = zip(self.get_last_lr(), self.min_lrs, strict=True)
        reduced = [(lr, max(lr * self.factor, low)) for lr, low in pairs]
        return [new if lr - new > self.eps else lr for lr, new in reduced]

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Counts one step whose metric, a number or a tensor of one element, is this."""
        metric = float(metrics)
        self.last_epoch += 1
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        self._set(self.get_lr())
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _better(self, metric: float) -> bool:
        if self.mode == "min":
            relative = self.threshold_mode == "rel"
            best = self.best * (1 - self.threshold) if relative else self.best - self.threshold
            return metric < best
        relative = self.threshold_mode == "rel"
        best = self.best * (self.threshold + 1) if relative else self.best + self.threshold
        return metric > best
