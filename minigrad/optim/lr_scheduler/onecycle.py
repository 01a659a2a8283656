"""One cycle: up, and further down."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minigrad.optim.optimizer import Optimizer, number

from .base import (
    LRScheduler,
    checked_optimizer,
    count,
    numbers,
    positive,
)


class OneCycleLR(LRScheduler):
    """eta_t from max_lr / div_factor up to max_lr, and down to the first / final_div_factor

    The first pct_start of the total_steps (or epochs * steps_per_epoch) go up; with three_phase as
    many go down to where it began, and the rest to the end. Between: a cosine or a line
    (anneal_strategy). With cycle_momentum, momentum (or betas[0]) runs against it, from
    max_momentum to base_momentum and back. Steps past the last raise.
    max_lr, base_momentum and max_momentum: a number, or one for each group.
    Source: Smith and Topin, Super-convergence, 2018.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        checked_optimizer(self, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = count(self, "epochs", epochs) * count(
                self, "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = count(self, "total_steps", total_steps)
        self.pct_start = number("OneCycleLR: pct_start", pct_start, 0, 1)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy must be cos or linear, got {anneal_strategy!r}"
            )
        self.anneal_strategy, self.three_phase = anneal_strategy, bool(three_phase)
        self.cycle_momentum = bool(cycle_momentum)
        div = positive(self, "div_factor", div_factor, math.inf)
        final = positive(self, "final_div_factor", final_div_factor, math.inf)
        tops = numbers(self, "max_lr", max_lr, optimizer, math.inf)
        high = numbers(self, "max_momentum", max_momentum, optimizer, 1)
        low = numbers(self, "base_momentum", base_momentum, optimizer, 1)
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor betas; say "
                "cycle_momentum=False"
            )
        for i, group in enumerate(optimizer.param_groups):
            first = tops[i] / div
            group.update(initial_lr=first, max_lr=tops[i], min_lr=first / final)
            if cycle_momentum:
                group.update(max_momentum=high[i], base_momentum=low[i])
        super().__init__(optimizer)

    def _phases(self) -> list[tuple[float, str, str, str, str]]:
        """(last step, learning rate from, to, momentum from, to) of each phase"""
        up, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        rise = (up, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if not self.three_phase:
            return [rise, (last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        back = 2 * self.pct_start * self.total_steps - 2
        return [
            rise,
            (back, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]

    def get_lr(self) -> list[float]:
        t, phases, start = self.last_epoch, self._phases(), 0.0
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} is past total_steps={self.total_steps}")
        for phase in phases:
            if t <= phase[0] or phase is phases[-1]:
                break
            start = phase[0]
        end, lr_from, lr_to, momentum_from, momentum_to = phase
        done = (t - start) / (end - start) if end != start else 1.0
        for group in self.optimizer.param_groups if self.cycle_momentum else ():
            momentum = self._between(group[momentum_from], group[momentum_to], done)
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
        groups = self.optimizer.param_groups
        return [self._between(group[lr_from], group[lr_to], done) for group in groups]

    def _between(self, start: float, end: float, done: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * done + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)
