"""Adagrad and Adadelta: steps scaled by the gradients so far, without and with forgetting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer


class Adagrad(Optimizer):
    """g <- g + weight_decay p;  v <- v + g^2
    p <- p - lr_t g / (sqrt(v) + eps),  lr_t = lr / (1 + (t - 1) lr_decay), t = 1, 2, ...

    The first v is initial_accumulator_value.
    Source: Duchi, Hazan and Singer, Adaptive subgradient methods, 2011.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
        })  # fmt: skip

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "sum": np.full_like(p, group["initial_accumulator_value"])}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        lr = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        for p, g, s, v in self.blocks(param, grad, group, state["sum"]):
            v += np.square(g, out=s)
            np.sqrt(v, out=s)
            s += group["eps"]
            np.divide(g, s, out=s)
            s *= lr
            p -= s


class Adadelta(Optimizer):
    """g <- g + weight_decay p;  v <- rho v + (1 - rho) g^2
    d = g sqrt(u + eps) / sqrt(v + eps);  u <- rho u + (1 - rho) d^2;  p <- p - lr d

    Source: Zeiler, ADADELTA: an adaptive learning rate method, 2012.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        })  # fmt: skip

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "square_avg": np.zeros_like(p), "acc_delta": np.zeros_like(p)}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        lr, rho, eps = group["lr"], group["rho"], group["eps"]
        blocks = self.blocks(param, grad, group, state["square_avg"], state["acc_delta"])
        for p, g, s, v, u in blocks:
            v *= rho
            np.square(g, out=s)
            s *= 1 - rho
            v += s
            d = np.add(u, eps)
            d /= np.add(v, eps, out=s)
            np.sqrt(d, out=d)
            d *= g
            u *= rho
            np.square(d, out=s)
            s *= 1 - rho
            u += s
            d *= lr
            p -= d
