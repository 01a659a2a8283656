"""Schedulers made of schedulers: warm-up first, two at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from minigrad.optim.optimizer import Optimizer

from .base import LRScheduler, check_entries, checked_optimizer, count
from .plateau import ReduceLROnPlateau


class _Several(LRScheduler):
    """What SequentialLR and ChainedScheduler share: schedulers of one optimiser."""

    _apart = ("optimizer", "schedulers")

    def __init__(self, optimizer: Any, schedulers: Iterable[LRScheduler]) -> None:
        name, self.schedulers = type(self).__name__, list(schedulers)
        if not self.schedulers:
            raise ValueError(f"{name}: expected at least one scheduler")
        for i, s in enumerate(self.schedulers):
            if not isinstance(s, LRScheduler) or isinstance(s, ReduceLROnPlateau):
                raise TypeError(f"{name}: schedulers[{i}] is no scheduler whose step takes nothing")
            if optimizer is None:
                optimizer = s.optimizer
            if s.optimizer is not optimizer:
                raise ValueError(f"{name}: schedulers[{i}] belongs to another optimiser")
        self.optimizer = checked_optimizer(self, optimizer)
        self.last_epoch = 0

    def restart(self) -> None:
        self._set([group["initial_lr"] for group in self.optimizer.param_groups])
        self.begin()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "schedulers": [s.state_dict() for s in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        own = self.state_dict()
        check_entries(self, state_dict, own)
        if len(state_dict["schedulers"]) != len(own["schedulers"]):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: expected {len(own['schedulers'])} "
                f"schedulers, got {len(state_dict['schedulers'])}"
            )
        for s, new in zip(self.schedulers, state_dict["schedulers"], strict=True):
            check_entries(s, new, s.state_dict())
        for s, new in zip(self.schedulers, state_dict["schedulers"], strict=True):
            s.load_state_dict(new)
        vars(self).update({k: v for k, v in state_dict.items() if k != "schedulers"})


class SequentialLR(_Several):
    """One scheduler after the other: schedulers[i + 1] begins at step milestones[i]"""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Iterable[LRScheduler],
        milestones: Iterable[int],
    ) -> None:
        super().__init__(optimizer, schedulers)
        self.milestones = [count(self, "milestones", m) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedulers take turns at "
                f"{len(self.schedulers) - 1} milestones, got {len(self.milestones)}"
            )
        if sorted(set(self.milestones)) != self.milestones:
            raise ValueError(f"SequentialLR: milestones must increase, got {self.milestones}")
        self.restart()

    def begin(self) -> None:
        self.last_epoch = 0
        self.schedulers[0].begin()

    def step(self) -> None:
        self.last_epoch += 1
        turn = bisect_right(self.milestones, self.last_epoch)
        if turn and self.milestones[turn - 1] == self.last_epoch:
            self.schedulers[turn].restart()
        else:
            self.schedulers[turn].step()


class ChainedScheduler(_Several):
    """All schedulers at once: each changes the learning rates that the one before has left"""

    def __init__(
        self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        super().__init__(optimizer, schedulers)

    def begin(self) -> None:
        for s in self.schedulers:
            s.begin()

    def step(self) -> None:
        self.last_epoch += 1
        for s in self.schedulers:
            s.step()
