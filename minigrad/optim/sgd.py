"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer, number


class SGD(Optimizer):
    """g <- g + weight_decay p;  v <- momentum v + (1 - dampening) g;  p <- p - lr v

    The first v is g. With nesterov the step is lr (g + momentum v).
    Source: Sutskever et al., On the importance of initialization and momentum, 2013.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        })  # fmt: skip

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        number("SGD: dampening", group["dampening"], -np.inf, np.inf)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov needs a momentum above 0 and a dampening of 0, got "
                f"momentum={group['momentum']}, dampening={group['dampening']}"
            )

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": None}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        lr, momentum = group["lr"], group["momentum"]
        if momentum == 0:
            for p, g, s in self.blocks(param, grad, group):
                p -= np.multiply(g, lr, out=s)
            return
        share = 1 - group["dampening"]
        if state["momentum_buffer"] is None:
            state["momentum_buffer"], share = np.zeros_like(param), 1
        for p, g, s, v in self.blocks(param, grad, group, state["momentum_buffer"]):
            v *= momentum
            v += g if share == 1 else np.multiply(g, share, out=s)
            if group["nesterov"]:
                np.multiply(v, momentum, out=s)
                s += g
                s *= lr
            else:
                np.multiply(v, lr, out=s)
            p -= s
