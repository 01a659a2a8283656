"""Writing a sequence symbol by symbol: greedy, by chance, or with a beam.

All take `step(symbols (B), state) -> (scores (B, V), state)`: unnormalised scores of the next
symbol. The state is a tensor or nested tuples of them, each with its batch on axis 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.autograd import no_grad
from minigrad.creation import generator
from minigrad.tensor import Tensor

from .bptt import map_states

Step = Callable[[np.ndarray, Any], tuple[Tensor, Any]]
Choice = Callable[[np.ndarray], np.ndarray]


def greedy(scores: np.ndarray) -> np.ndarray:
    """The symbol of the highest score: (B, V) -> (B)"""
    return scores.argmax(-1)


def sampler(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Choice:
    """A choice by chance, with probability softmax(scores / temperature)

    top_k > 0 leaves only the k likeliest symbols; top_p < 1 the fewest likeliest ones that have
    this probability together (at least one). Source of top-p: Holtzman et al. 2020.
    """
    if not temperature > 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"sampler: expected temperature > 0, top_k >= 0, 0 < top_p <= 1, got {temperature}, "
            f"{top_k}, {top_p}"
        )

    def choose(scores: np.ndarray) -> np.ndarray:
        order = np.argsort(-scores, axis=-1, kind="stable")  # (B, V), likeliest first
        p = np.exp(log_softmax(np.take_along_axis(scores, order, -1) / temperature))
        if top_k:
            p[:, top_k:] = 0
        if top_p < 1:
            p[np.cumsum(p, -1) - p >= top_p * p.sum(-1, keepdims=True)] = 0
        edges = np.cumsum(p, -1)
        drawn = generator().random((len(p), 1)) * edges[:, -1:]
        return np.take_along_axis(order, (edges <= drawn).sum(-1, keepdims=True), -1)[:, 0]

    return choose


def log_softmax(x: np.ndarray) -> np.ndarray:
    """y = x - ln sum e^x over the last axis, in float64"""
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@no_grad()
def generate(
    step: Step, state: Any, start: Any, max_length: int, stop: int | None = None,
    choose: Choice = greedy,
) -> np.ndarray:  # fmt: skip
    """Symbols (B, L), L <= max_length, after the first ones `start` (B), which are not repeated

    A sequence ends with `stop`, and is filled up with it.
    """
    symbols, made = np.asarray(start), []
    ended = np.zeros(len(symbols), bool)
    for _ in range(max_length):
        scores, state = step(symbols, state)
        symbols = choose(scores.data)
        if stop is not None:
            symbols = np.where(ended, stop, symbols)
            ended |= symbols == stop
        made.append(symbols)
        if ended.all():
            break
    return np.stack(made, 1)


class Hypothesis(NamedTuple):
    """A sequence that a beam found: its symbols, up to `stop`, and its log probability"""

    symbols: np.ndarray
    score: float


@no_grad()
def beam_search(
    step: Step, state: Any, start: Any, max_length: int, stop: int, width: int,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:  # fmt: skip
    """For each of `start` (B), the `width` best sequences, best first, by log p / length^penalty

    Every step keeps the `width` likeliest of all that continue those before; an ended one stays as
    it is. With a width of V^max_length it is exhaustive.
    """
    if width < 1:
        raise ValueError(f"beam_search: width must be at least 1, got {width}")
    symbols = np.repeat(np.asarray(start), width)  # (B width)
    B = len(symbols) // width
    rows = np.repeat(np.arange(B), width)
    state = map_states(lambda s: s[:, rows], state)
    totals = np.full((B, width), -np.inf)
    totals[:, 0] = 0.0  # at first all beams are the same: one counts
    made = np.zeros((B, width, 0), symbols.dtype)
    ended, lengths = np.zeros((B, width), bool), np.zeros((B, width), int)
    for _ in range(max_length):
        scores, state = step(symbols, state)
        log_p = log_softmax(scores.data).reshape(B, width, -1)
        V = log_p.shape[2]
        log_p[ended] = np.where(np.arange(V) == stop, 0.0, -np.inf)
        every = (totals[:, :, None] + log_p).reshape(B, -1)  # (B, width V)
        best = np.argsort(-every, axis=-1, kind="stable")[:, :width]
        totals = np.take_along_axis(every, best, -1)
        beam, chosen = best // V, best % V
        made = np.concatenate([np.take_along_axis(made, beam[..., None], 1), chosen[..., None]], 2)
        ended, lengths = (np.take_along_axis(a, beam, 1) for a in (ended, lengths))
        lengths = lengths + ~ended
        ended = ended | (chosen == stop)
        rows = (np.arange(B)[:, None] * width + beam).ravel()
        state, symbols = map_states(lambda s, at=rows: s[:, at], state), chosen.ravel()
        if ended.all():
            break
    ranks = totals / lengths**length_penalty
    return [
        [
            Hypothesis(made[b, i, : lengths[b, i]], float(totals[b, i]))
            for i in np.argsort(-ranks[b], kind="stable")
            if np.isfinite(totals[b, i])
        ]
        for b in range(B)
    ]
