"""Adam and its kin: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer


class Adam(Optimizer):
    """g <- g + weight_decay p;  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    p <- p - lr m' / (sqrt(v') + eps),  m' = m / (1 - b1^t),  v' = v / (1 - b2^t), t = 1, 2, ...

    betas = (b1, b2). With amsgrad the largest v so far stands in v'. With decoupled_weight_decay
    g stays as it is and p <- (1 - lr weight_decay) p comes first: AdamW.
    Source: Kingma and Ba 2015; amsgrad: Reddi, Kale and Kumar 2018.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay,
        })  # fmt: skip

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        names = ("exp_avg", "exp_avg_sq") + ("max_exp_avg_sq",) * group["amsgrad"]
        return {"step": 0, **{name: np.zeros_like(p) for name in names}}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        (b1, b2), t, amsgrad = group["betas"], state["step"], group["amsgrad"]
        correction = math.sqrt(1 - b2**t)  # applied to lr and eps, instead of to every v
        lr, eps = group["lr"] * correction / (1 - b1**t), group["eps"] * correction
        largest = state["max_exp_avg_sq"] if amsgrad else state["exp_avg_sq"]
        blocks = self.blocks(param, grad, group, state["exp_avg"], state["exp_avg_sq"], largest)
        for p, g, s, m, v, top in blocks:
            means(m, v, g, b1, b2, s)
            if amsgrad:
                np.maximum(top, v, out=top)
            np.sqrt(top, out=s)
            s += eps
            np.divide(m, s, out=s)
            s *= lr
            p -= s


class AdamW(Adam):
    """Adam with p <- (1 - lr weight_decay) p before each step, and nothing added to g

    Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad,
            maximize=maximize, decoupled_weight_decay=True,
        )  # fmt: skip


class NAdam(Optimizer):
    """m, v as in Adam;  mu_t = b1 (1 - 0.96^(t momentum_decay) / 2),  M_t = mu_1 ... mu_t
    p <- p - lr (mu_{t+1} m / (1 - M_{t+1}) + (1 - mu_t) g / (1 - M_t)) / (sqrt(v') + eps)

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        })  # fmt: skip

    def fresh(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": 0, "mu_product": 1.0, "exp_avg": np.zeros_like(p),
            "exp_avg_sq": np.zeros_like(p),
        }  # fmt: skip

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        (b1, b2), t, decay = group["betas"], state["step"], group["momentum_decay"]
        mu, mu_next = (b1 * (1 - 0.5 * 0.96 ** (n * decay)) for n in (t, t + 1))
        state["mu_product"] *= mu
        correction = math.sqrt(1 - b2**t)
        lr, eps = group["lr"] * correction, group["eps"] * correction
        of_g = lr * (1 - mu) / (1 - state["mu_product"])
        of_m = lr * mu_next / (1 - state["mu_product"] * mu_next)
        blocks = self.blocks(param, grad, group, state["exp_avg"], state["exp_avg_sq"])
        for p, g, s, m, v in blocks:
            means(m, v, g, b1, b2, s)
            step = m * of_m
            step += np.multiply(g, of_g, out=s)
            np.sqrt(v, out=s)
            s += eps
            step /= s
            p -= step


def means(m: np.ndarray, v: np.ndarray, g: np.ndarray, b1: float, b2: float, s: np.ndarray) -> None:
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  s is scratch"""
    m *= b1
    m += np.multiply(g, 1 - b1, out=s)
    v *= b2
    np.square(g, out=s)
    s *= 1 - b2
    v += s
