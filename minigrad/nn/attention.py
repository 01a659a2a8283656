"""Attention: a query looks at all keys, and takes their values in proportion to their scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.ops.elementwise import where
from minigrad.tensor import Tensor

from . import init
from .layers import parameter, positive
from .module import Module
from .parameter import Parameter


class Attention(Module):
    """a_t = softmax_t score(q, k_t),  context = sum_t a_t v_t

    kind  dot       score = q . k                (then query_size = key_size)
          general   score = q . W k              weight (Q, K)
          additive  score = v . tanh(W q + U k)  weight_q (A, Q), weight_k (A, K), weight_v (A)
    query (B, Q), or N of them at once (N, B, Q); keys (T, B, K); values (T, B, V), by default the
    keys; mask (T, B), True where there is a key: the others may hold anything, NaN too.
    Returns the context (B, V) and the weights a (B, T), or (N, B, V) and (N, B, T).
    Parameters: U(-s, s) with s = 1/sqrt of what each row is multiplied with.
    Sources: Bahdanau, Cho and Bengio 2015 (additive); Luong, Pham and Manning 2015.
    """

    weight: Parameter
    weight_q: Parameter
    weight_k: Parameter
    weight_v: Parameter

    def __init__(
        self,
        kind: str,
        query_size: int,
        key_size: int | None = None,
        hidden_size: int | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        key_size = query_size if key_size is None else key_size
        hidden_size = query_size if hidden_size is None else hidden_size
        positive("Attention", query_size=query_size, key_size=key_size, hidden_size=hidden_size)
        self.kind, self.query_size, self.key_size = kind, query_size, key_size
        if kind == "dot":
            if query_size != key_size:
                raise ValueError(
                    f"Attention: dot needs queries and keys of one size, got {query_size} and "
                    f"{key_size}"
                )
        elif kind == "general":
            self.weight = parameter(query_size, key_size, dtype=dtype)
        elif kind == "additive":
            self.weight_q = parameter(hidden_size, query_size, dtype=dtype)
            self.weight_k = parameter(hidden_size, key_size, dtype=dtype)
            self.weight_v = parameter(hidden_size, dtype=dtype)
        else:
            raise ValueError(f"Attention: kind is dot, general or additive, not {kind!r}")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew."""
        for p in self.parameters():
            s = 1 / math.sqrt(p.shape[-1])
            init.uniform_(p, -s, s)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """score(q, k): (B, N, Q), (B, T, K) -> (B, N, T)"""
        if self.kind == "dot":
            return query @ keys.mT
        if self.kind == "general":
            return query @ (keys @ self.weight.T).mT
        q, k = query @ self.weight_q.T, keys @ self.weight_k.T  # (B, N, A), (B, T, A)
        return (q.unsqueeze(2) + k.unsqueeze(1)).tanh() @ self.weight_v

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor | None = None, mask: Any = None
    ) -> tuple[Tensor, Tensor]:
        valid = self._checked(query, keys, values, mask)
        q = (query if query.ndim == 3 else query.unsqueeze(0)).transpose(0, 1)  # (B, N, Q)
        if valid is not None:
            keys = where(valid[..., None], keys, 0)
            values = None if values is None else where(valid[..., None], values, 0)
        k = keys.transpose(0, 1)  # (B, T, K)
        scores = self.scores(q, k)
        if valid is not None:
            scores = where(valid.T[:, None], scores, -np.inf)
        a = scores.softmax(-1)  # (B, N, T)
        context = (a @ (k if values is None else values.transpose(0, 1))).transpose(0, 1)
        a = a.transpose(0, 1)
        return (context, a) if query.ndim == 3 else (context[0], a[0])

    def _checked(self, query: Tensor, keys: Tensor, values: Any, mask: Any) -> Any:
        """The mask as an array, or None; raises where shapes do not belong together."""
        if query.ndim not in (2, 3) or query.shape[-1] != self.query_size:
            raise ValueError(
                f"Attention: expected queries (B, {self.query_size}) or (N, B, {self.query_size}), "
                f"got {query.shape}"
            )
        if keys.ndim != 3 or keys.shape[1:] != (query.shape[-2], self.key_size):
            raise ValueError(
                f"Attention: expected keys (T, B, K) = (T, {query.shape[-2]}, {self.key_size}), "
                f"got {keys.shape}"
            )
        if values is not None and values.shape[:2] != keys.shape[:2]:
            raise ValueError(f"Attention: values are {values.shape}, the keys {keys.shape}")
        if mask is None:
            return None
        valid = np.asarray(mask)
        if valid.dtype != bool or valid.shape != keys.shape[:2]:
            raise ValueError(
                f"Attention: expected a mask of booleans (T, B) = {keys.shape[:2]}, got "
                f"{valid.dtype} {valid.shape}"
            )
        if not valid.any(0).all():
            raise ValueError(f"Attention: no key for sequence {np.argmin(valid.any(0))}")
        return valid

    def extra_repr(self) -> str:
        return f"{self.kind!r}, {self.query_size}, {self.key_size}"
