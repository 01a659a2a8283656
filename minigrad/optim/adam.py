"""Adam: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer


class Adam(Optimizer):
    """g <- g + weight_decay p;  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    p <- p - lr m' / (sqrt(v') + eps),  m' = m / (1 - b1^t),  v' = v / (1 - b2^t), t = 1, 2, ...

    betas = (b1, b2). With amsgrad the largest v so far stands in v'.
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
    ) -> None:
        super().__init__(params, {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize,
        })  # fmt: skip

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if not all(0 <= b < 1 for b in group["betas"]):
            raise ValueError(f"Adam: betas must lie in [0, 1): {group['betas']}")

    def update(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any], group: dict) -> None:
        (b1, b2), lr = group["betas"], group["lr"]
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(p), exp_avg_sq=np.zeros_like(p))
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = np.zeros_like(p)
        state["step"] += 1
        t, m, v = state["step"], state["exp_avg"], state["exp_avg_sq"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        m += (1 - b1) * (g - m)
        v *= b2
        v += (1 - b2) * (g * g)
        if group["amsgrad"]:
            v = np.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        scale = np.sqrt(v)
        scale /= math.sqrt(1 - b2**t)
        scale += group["eps"]
        np.divide(m, scale, out=scale)
        scale *= lr / (1 - b1**t)
        p -= scale
