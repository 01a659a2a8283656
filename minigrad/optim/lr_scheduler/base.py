"""What schedulers share, and the checks of what they are given."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.optim.optimizer import Optimizer, number


class LRScheduler:
    """eta_t = get_lr(), which may start from eta_{t-1}; so schedulers of one optimiser multiply

    A subclass sets its options, calls `super().__init__`, and defines `get_lr`.
    """

    _apart: tuple[str, ...] = ("optimizer",)  # attributes that are not part of the state

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.begin()

    def get_lr(self) -> list[float]:
        """The learning rates at `last_epoch`, given those of the groups at the step before."""
        raise TypeError(f"{type(self).__name__} defines no get_lr")

    def closed_form(self) -> list[float]:
        """The learning rates at `last_epoch` from the first ones alone."""
        return self.get_lr()

    def begin(self) -> None:
        """Sets the learning rates of step 0, given the first ones."""
        self.last_epoch = 0
        self._set(self.get_lr())

    def restart(self) -> None:
        """Sets the learning rates of step 0, whatever they are now."""
        self.last_epoch = 0
        self._set(self.closed_form())

    def step(self) -> None:
        """Sets the learning rates of the next step."""
        self.last_epoch += 1
        try:
            lrs = self.get_lr()
        except Exception:
            self.last_epoch -= 1
            raise
        self._set(lrs)

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All that makes up the scheduler, but not the optimiser nor functions it was given."""
        return copy.deepcopy({k: v for k, v in vars(self).items() if k not in self._apart})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave; raises, unchanged, if it is another scheduler's."""
        check_entries(self, state_dict, self.state_dict())
        vars(self).update(copy.deepcopy(dict(state_dict)))

    def _scaled(self, factor: float) -> list[float]:
        return [lr * factor for lr in self.get_last_lr()]

    def _set(self, lrs: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = float(lr)


def checked_optimizer(scheduler: Any, optimizer: Any) -> Optimizer:
    """optimizer itself; raises unless it is an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        raise TypeError(f"{type(scheduler).__name__}: optimizer must be an Optimizer, got {kind}")
    return optimizer


def count(scheduler: Any, name: str, value: Any, least: int = 1) -> int:
    """value itself; raises unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"{type(scheduler).__name__}: {name} must be an int of at least {least}, got {value!r}"
        )
    return value


def positive(scheduler: Any, name: str, value: Any, high: float = 1.0) -> float:
    """value itself; raises unless it lies above 0, and is at most `high`."""
    if number(f"{type(scheduler).__name__}: {name}", value, 0, high) == 0:
        raise ValueError(f"{type(scheduler).__name__}: {name} must be above 0")
    return value


def for_groups(scheduler: Any, name: str, value: Any, optimizer: Any) -> list:
    """value for each group, or one each if it is a list or tuple."""
    groups = len(checked_optimizer(scheduler, optimizer).param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{type(scheduler).__name__}: {name} has {len(value)} entries for {groups} groups"
        )
    return list(value)


def numbers(scheduler: Any, name: str, value: Any, optimizer: Any, high: float) -> list:
    """value for each group: numbers from 0 to `high`."""
    values = for_groups(scheduler, name, value, optimizer)
    return [number(f"{type(scheduler).__name__}: {name}", v, 0, high) for v in values]


def check_entries(scheduler: Any, new: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raises unless both have the same keys."""
    if set(new) != set(own):
        raise ValueError(
            f"{type(scheduler).__name__}.load_state_dict: expected {sorted(own)}, got {sorted(new)}"
        )
