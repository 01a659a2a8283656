"""RMSprop: steps divided by the root of a running mean of the squared gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer


class RMSprop(Optimizer):
    """g <- g + weight_decay p;  v <- alpha v + (1 - alpha) g^2;  u = g / (sqrt(v) + eps)
    p <- p - lr u;  with momentum:  b <- momentum b + u,  p <- p - lr b

    With centered, v - m^2 stands under the root, where m <- alpha m + (1 - alpha) g: the variance.
    Source: Hinton, Neural networks for machine learning, lecture 6e, 2012; centered: Graves,
    Generating sequences with recurrent neural networks, 2013.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "centered": centered, "maximize": maximize,
        })  # fmt: skip

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = {"step": 0, "square_avg": np.zeros_like(p)}
        if group["momentum"]:
            state["momentum_buffer"] = np.zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = np.zeros_like(p)
        return state

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        lr, alpha, momentum = group["lr"], group["alpha"], group["momentum"]
        buffer = state["momentum_buffer"] if momentum else grad
        mean = state["grad_avg"] if group["centered"] else grad
        blocks = self.blocks(param, grad, group, state["square_avg"], buffer, mean)
        for p, g, s, v, b, m in blocks:
            v *= alpha
            np.square(g, out=s)
            s *= 1 - alpha
            v += s
            if group["centered"]:
                m *= alpha
                m += np.multiply(g, 1 - alpha, out=s)
                np.square(m, out=s)
                np.subtract(v, s, out=s)
                np.maximum(s, 0, out=s)  # rounding may leave less
                np.sqrt(s, out=s)
            else:
                np.sqrt(v, out=s)
            s += group["eps"]
            np.divide(g, s, out=s)
            if momentum:
                b *= momentum
                b += s
                np.multiply(b, lr, out=s)
            else:
                s *= lr
            p -= s
