"""Learning rates by a formula in t."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from minigrad.optim.optimizer import Optimizer, number

from .base import (
    LRScheduler,
    count,
    for_groups,
    positive,
)


class LambdaLR(LRScheduler):
    """eta_t = eta lr_lambda(t)

    lr_lambda  a function, or one for each group
    """

    _apart = ("optimizer", "lr_lambdas")

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable | Sequence[Callable]) -> None:
        self.lr_lambdas = for_groups(self, "lr_lambda", lr_lambda, optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"LambdaLR: lr_lambda must be a function, got {function!r}")
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in pairs]


class StepLR(LRScheduler):
    """eta_t = eta gamma^floor(t / step_size)"""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count(self, "step_size", step_size)
        self.gamma = number("StepLR: gamma", gamma, 0, math.inf)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self._scaled(self.gamma if due else 1.0)

    def closed_form(self) -> list[float]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """eta_t = eta gamma^(number of milestones <= t)"""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = [count(self, "milestones", m, least=0) for m in milestones]
        self.milestones.sort()
        self.gamma = number("MultiStepLR: gamma", gamma, 0, math.inf)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        return self._scaled(self.gamma ** self.milestones.count(self.last_epoch))

    def closed_form(self) -> list[float]:
        passed = bisect_right(self.milestones, self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """eta_t = eta gamma^t"""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number("ExponentialLR: gamma", gamma, 0, math.inf)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        return self._scaled(self.gamma if self.last_epoch else 1.0)

    def closed_form(self) -> list[float]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class ConstantLR(LRScheduler):
    """eta_t = factor eta before total_iters, eta from then on"""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5) -> None:
        self.factor = positive(self, "factor", factor)
        self.total_iters = count(self, "total_iters", total_iters, least=0)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._scaled(self.factor)
        return self._scaled(1 / self.factor if self.last_epoch == self.total_iters else 1.0)

    def closed_form(self) -> list[float]:
        over = self.last_epoch >= self.total_iters
        return [lr * (self.factor + over * (1 - self.factor)) for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """eta_t = eta f,  f from start_factor to end_factor on a line, in total_iters steps"""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = positive(self, "start_factor", start_factor)
        self.end_factor = number("LinearLR: end_factor", end_factor, 0, 1)
        self.total_iters = count(self, "total_iters", total_iters)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        t, start, rise = self.last_epoch, self.start_factor, self.end_factor - self.start_factor
        if t == 0:
            return self._scaled(start)
        if t > self.total_iters:
            return self._scaled(1.0)
        return self._scaled(1.0 + rise / (self.total_iters * start + (t - 1) * rise))

    def closed_form(self) -> list[float]:
        t, rise = min(self.total_iters, self.last_epoch), self.end_factor - self.start_factor
        return [lr * (self.start_factor + rise * t / self.total_iters) for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """eta_t = eta_min + (eta - eta_min) (1 + cos(pi t / T_max)) / 2

    Source: Loshchilov and Hutter, SGDR, 2017.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = count(self, "T_max", T_max)
        self.eta_min = number("CosineAnnealingLR: eta_min", eta_min, 0, math.inf)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        t, T, low, now = self.last_epoch, self.T_max, self.eta_min, self.get_last_lr()
        if t == 0:
            return now
        if (t - 1 - T) % (2 * T) == 0:  # at the bottom: the quotient below is 0 / 0
            rise = [(lr - low) * (1 - math.cos(math.pi / T)) / 2 for lr in self.base_lrs]
            return [lr + up for lr, up in zip(now, rise, strict=True)]
        ratio = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [ratio * (lr - low) + low for lr in now]

    def closed_form(self) -> list[float]:
        cos = math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (lr - self.eta_min) * (1 + cos) / 2 for lr in self.base_lrs]
