"""What optimisers share: groups of parameters, their options, and state per parameter."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.autograd import enable_grad
from minigrad.tensor import Tensor
from minigrad.writes import written

BLOCK = 32768  # elements of each array worked on at once: they stay in a core's cache

_MAXIMA = {"rho": 1.0}  # of the numbers among the options; all lie between 0 and this or infinity
_NUMBERS = (
    "lr", "eps", "weight_decay", "momentum", "alpha", "rho", "lr_decay", "momentum_decay",
    "initial_accumulator_value",
)  # fmt: skip
_FLAGS = ("maximize", "nesterov", "centered", "amsgrad", "decoupled_weight_decay")


class Optimizer:
    """p <- p - step(p.grad), for every parameter of every group

    params    parameters, or dicts {'params': ..., option: value}: groups with options of their own
    defaults  the options of groups that do not give them: 'lr', 'weight_decay', 'maximize', ...

    A subclass defines `fresh` and `update`. Left out of PyTorch's: foreach, fused, capturable,
    differentiable.
    """

    def __init__(self, params: Iterable, defaults: dict[str, Any]) -> None:
        name = type(self).__name__
        if isinstance(params, (Tensor, Mapping)):
            raise TypeError(f"{name}: params must be an iterable of tensors or of groups, not one")
        groups = list(params)
        if not groups:
            raise ValueError(f"{name}: params is empty, nothing to optimise")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._scratch: dict[np.dtype, np.ndarray] = {}
        for group in groups:
            self.add_param_group(group)

    def __repr__(self) -> str:
        groups = [
            ", ".join(f"{k}={v!r}" for k, v in {**g, "params": len(g["params"])}.items())
            for g in self.param_groups
        ]
        return f"{type(self).__name__}(" + "; ".join(groups) + ")"

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Adds {'params': ..., option: value}; options not given are the optimiser's defaults."""
        name = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{name}: a group must be a dict with 'params', got {group!r}")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for p in self._all()}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: params[{i}] must be a tensor, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{name}: params[{i}] was made by an operation: not a leaf")
            if p.dtype.kind != "f":
                raise TypeError(f"{name}: params[{i}] must be of floating point, got {p.dtype}")
            if id(p) in known:
                raise ValueError(f"{name}: params[{i}] appears a second time")
            known.add(id(p))
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        for option, value in group.items():
            if isinstance(value, np.generic):  # which would decide the dtype of the step
                group[option] = value.item()
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raises for options that make no sense."""
        name = type(self).__name__
        for option in _NUMBERS:
            if option in group:
                number(f"{name}: {option}", group[option], 0.0, _MAXIMA.get(option, math.inf))
        for option in _FLAGS:
            if option in group and not isinstance(group[option], bool):
                raise TypeError(f"{name}: {option} must be a bool, got {group[option]!r}")
        if "betas" in group:
            if not isinstance(group["betas"], (tuple, list)) or len(group["betas"]) != 2:
                raise TypeError(f"{name}: betas must be two numbers, got {group['betas']!r}")
            for i, beta in enumerate(group["betas"]):
                if number(f"{name}: betas[{i}]", beta, 0.0, 1.0) == 1:
                    raise ValueError(f"{name}: betas[{i}] must be below 1, got {beta}")

    # -- the step

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        """What is kept for a parameter between steps, as it is before the first."""
        raise TypeError(f"{type(self).__name__} defines no fresh")

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Changes the array `param` in place, given its gradient, and what `state` keeps."""
        raise TypeError(f"{type(self).__name__} defines no update")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step for every parameter that has a gradient; returns what `closure` does.

        closure  computes the loss, gradients included, before the step
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for i, p in enumerate(self._all()):
            self._check_gradient(i, p)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p not in self.state:
                    self.state[p] = self.fresh(p.data, group)
                if "step" in self.state[p]:
                    self.state[p]["step"] += 1
                data = p.data
                with np.errstate(all="ignore"):
                    self.update(data, p.grad.data, self.state[p], group)
                written(data)
        return loss

    def blocks(
        self, param: np.ndarray, grad: np.ndarray, group: dict[str, Any], *state: np.ndarray
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """(p, g, scratch, *state) for one block of rows after the other

        g is what the step is made of: -grad to maximise, with weight_decay p added; or, where that
        is decoupled, p shrunk by 1 - lr weight_decay first. All blocks are of one shape.
        """
        arrays = [a.reshape(-1) if a.ndim == 0 else a for a in (param, grad, *state)]
        row = math.prod(arrays[0].shape[1:])
        rows = max(1, BLOCK // max(1, row))
        scratch = self._scratch.get(param.dtype)
        if scratch is None or scratch.shape[1] < rows * row:
            scratch = self._scratch[param.dtype] = np.empty((2, rows * row), param.dtype)
        decay, decoupled = group["weight_decay"], group.get("decoupled_weight_decay", False)
        for start in range(0, len(arrays[0]), rows):
            p, g, *kept = (a[start : start + rows] for a in arrays)
            free, changed = (s[: p.size].reshape(p.shape) for s in scratch)
            if group["maximize"]:
                g = np.negative(g, out=changed)
            if decay and decoupled:
                p *= 1 - group["lr"] * decay
            elif decay:
                np.multiply(p, decay, out=free)
                g = np.add(g, free, out=changed)
            yield p, g, free, *kept

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, or sets them to 0."""
        for p in self._all():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad = Tensor.box(np.zeros_like(p.data))

    # -- state

    def state_dict(self) -> dict[str, Any]:
        """Options and states, arrays as tensors of the same memory

        Parameters stand as their index, counted through the groups.
        """
        order = {id(p): i for i, p in enumerate(self._all())}
        return {
            "state": {
                order[id(p)]: {
                    n: Tensor.box(v) if isinstance(v, np.ndarray) else v for n, v in s.items()
                }
                for p, s in self.state.items()
            },
            "param_groups": [
                {**g, "params": [order[id(p)] for p in g["params"]]} for g in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a copy of what `state_dict` gave; raises, unchanged, if it does not fit."""
        name = f"{type(self).__name__}.load_state_dict"
        for key in ("state", "param_groups"):
            if key not in state_dict:
                raise ValueError(f"{name}: expected the entries state and param_groups, no {key}")
        groups = state_dict["param_groups"]
        sizes = [len(g["params"]) for g in groups]
        expected = [len(g["params"]) for g in self.param_groups]
        if sizes != expected:
            raise ValueError(f"{name}: expected groups of {expected} parameters, got {sizes}")
        options = []
        for i, group in enumerate(groups):
            missing = [n for n in self.defaults if n not in group]
            if missing:
                raise ValueError(f"{name}: group {i} has no {', '.join(missing)}")
            self.check(group)
            options.append({k: copy.deepcopy(v) for k, v in group.items() if k != "params"})
        places = [(p, i) for i, g in enumerate(self.param_groups) for p in g["params"]]
        saved = dict(zip((i for g in groups for i in g["params"]), places, strict=True))
        state = {}
        for key, entries in state_dict["state"].items():
            if key not in saved:
                raise ValueError(f"{name}: there is no parameter {key!r}, but a state for it")
            p, i = saved[key]
            fresh = self.fresh(p.data, {**self.param_groups[i], **options[i]})
            state[p] = _state(f"{name}: state of parameter {key}", entries, fresh, p.data)
        for own, new in zip(self.param_groups, options, strict=True):
            own.update(new)
        self.state = state

    def _check_gradient(self, i: int, p: Tensor) -> None:
        g, name = p.grad, type(self).__name__
        if g is None:
            return
        if not isinstance(g, Tensor):
            raise TypeError(f"{name}: grad of parameter {i} is no tensor, but {type(g).__name__}")
        if g.shape != p.shape or g.dtype != p.dtype:
            raise ValueError(
                f"{name}: parameter {i} is {p.shape} {p.dtype}, its grad is {g.shape} {g.dtype}"
            )

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]


def number(name: str, value: Any, low: float, high: float) -> float:
    """value itself; raises unless it is a finite number from low to high."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not low <= value <= high or math.isinf(value):
        above = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
        raise ValueError(f"{name} must be {above} and finite, got {value}")
    return value  # type: ignore[return-value]


def _state(name: str, entries: Mapping[str, Any], fresh: dict, p: np.ndarray) -> dict[str, Any]:
    """A copy of `entries` in the form of `fresh`."""
    if set(entries) != set(fresh):
        raise ValueError(f"{name} has {sorted(entries)}, expected {sorted(fresh)}")
    state: dict[str, Any] = {}
    for key, value in entries.items():
        if isinstance(fresh[key], (int, float)):
            state[key] = type(fresh[key])(value)
        elif value is None and fresh[key] is None:
            state[key] = None
        elif np.shape(value) != p.shape:
            raise ValueError(f"{name}: {key} has shape {np.shape(value)}, expected {p.shape}")
        else:
            state[key] = np.array(value, p.dtype)
    return state
