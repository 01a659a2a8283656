"""What optimisers share: groups of parameters, their options, and state per parameter."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.tensor import Tensor


class Optimizer:
    """p <- p - step(p.grad), for every parameter of every group

    params    parameters, or dicts {'params': ..., option: value}: groups with options of their own
    A subclass gives the default options and `update`, which changes one parameter in place.
    """

    def __init__(self, params: Iterable, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params: expected several parameters or groups, got one tensor")
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: no parameters to optimise")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Adds {'params': ..., option: value}; options not given are the optimiser's defaults."""
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor) or not p.is_leaf:
                raise TypeError("an optimiser takes leaf tensors")
            if id(p) in known:
                raise ValueError("a parameter appears twice")
            known.add(id(p))
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raises ValueError for options that make no sense."""
        for name in ("lr", "weight_decay", "eps", "momentum"):
            if name in group and not group[name] >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must be at least 0: {group[name]}")

    def update(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict) -> None:
        """Changes the array p in place, given its gradient; `state` is kept between steps."""
        raise TypeError(f"{type(self).__name__} defines no update")

    def step(self) -> None:
        """One step for every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad.data
                    if group.get("maximize"):
                        g = -g
                    self.update(p.data, g, self.state.setdefault(p, {}), group)
                    p.version[0] += 1

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, or sets them to 0."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = Tensor.box(np.zeros_like(p.data))

    def state_dict(self) -> dict[str, Any]:
        """Options and states; parameters stand as their index, counted through the groups."""
        order = {id(p): i for i, p in enumerate(self._all())}
        return {
            "state": {order[id(p)]: dict(s) for p, s in self.state.items()},
            "param_groups": [
                {**g, "params": [order[id(p)] for p in g["params"]]} for g in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over (a copy of) what `state_dict` gave; raises, unchanged, if it does not fit."""
        groups, params = state_dict["param_groups"], self._all()
        sizes = [len(g["params"]) for g in groups]
        if sizes != [len(g["params"]) for g in self.param_groups]:
            raise ValueError(f"load_state_dict: groups of {sizes} parameters do not fit this one's")
        state = {}
        for i, entries in state_dict["state"].items():
            for name, value in entries.items():
                if np.ndim(value) and np.shape(value) != params[int(i)].shape:
                    raise ValueError(
                        f"load_state_dict: {name} of parameter {i} has shape {np.shape(value)}, "
                        f"expected {params[int(i)].shape}"
                    )
            state[params[int(i)]] = {
                n: np.array(v, params[int(i)].dtype) if np.ndim(v) else v
                for n, v in entries.items()
            }
        for own, group in zip(self.param_groups, groups, strict=True):
            own.update({k: copy.deepcopy(v) for k, v in group.items() if k != "params"})
        self.state = state

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]
