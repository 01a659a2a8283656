"""A recurrent kernel in little memory: piece by piece, and backward makes each piece anew.

Forward keeps the states that enter each piece and nothing else: h, which are rows of the output,
and an LSTM's c. Backward takes the last piece first: forward once more, now with all that backward
needs, then backward, into the piece's rows of gx. It costs one more forward, and holds the output,
gx and what is kept of one piece: with sqrt(T) steps, that and the states together are least.

The kernels are those of `kernels`, of a net whose weights are `weights`:
    forward(x, *states, *weights, batch_sizes, *form, keep) -> output, *c_n, saved
    backward(gy, *gradients of the last states, x, h0, *weights that are not biases, output, saved,
             batch_sizes, *form, need_x, reuse)
        -> gx, *gradients of the first states, *gradients of the weights
Letters: T steps, B batch, I inputs, H hidden units; x (T, B, I) or, packed, (N, I) with batch sizes
(T); b, of the B sequences, have steps in a piece.
Source: Chen et al., Training deep nets with sublinear memory cost, 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def pieces_of(x: Any, k: int, batch_sizes: Any) -> list[tuple[slice, Any]]:
    """Of each k steps, the rows of x and of the output, and the batch sizes, None as those of x"""
    if batch_sizes is None:
        return [(slice(t, min(t + k, len(x))), None) for t in range(0, len(x), k)]
    sizes = [batch_sizes[t : t + k] for t in range(0, len(batch_sizes), k)]
    ends = np.cumsum([s.sum() for s in sizes])
    return [(slice(end - s.sum(), end), s) for s, end in zip(sizes, ends, strict=True)]


def forward_in_pieces(
    forward: Callable,
    k: int,
    x: np.ndarray,
    states: Sequence[np.ndarray],
    weights: Sequence[Any],
    batch_sizes: Any,
    *form: Any,
) -> tuple:
    """output, *c_n, and the states (b, H) that enter each piece of k steps"""
    entering, output = [], None
    last = [s.copy() for s in states[1:]]  # c_n (B, H): sequences that have no step keep theirs
    for rows, sizes in pieces_of(x, k, batch_sizes):
        b = len(states[0]) if sizes is None else sizes[0]
        entering.append([s[:b] for s in states])
        y, *cells, _ = forward(x[rows], *entering[-1], *weights, sizes, *form, False)
        if output is None:
            output = np.empty((*x.shape[:-1], y.shape[-1]), y.dtype)
        output[rows] = y
        for c_n, c in zip(last, cells, strict=True):
            c_n[:b] = c
        h = output[rows][-1] if sizes is None else output[rows][len(y) - sizes[-1] :]
        states = [h, *cells]
    return output, *last, entering


def backward_in_pieces(
    forward: Callable,
    backward: Callable,
    gradients: Sequence[Any],
    k: int,
    x: np.ndarray,
    states: Sequence[np.ndarray],
    weights: tuple,
    output: np.ndarray,
    entering: Sequence[Sequence[np.ndarray]],
    batch_sizes: Any,
    need_x: bool,
    *form: Any,
) -> tuple:
    """gx (None unless needed), the gradients of the first states (B, H), and of the weights

    gradients: of the output and of the last states, each or None.
    """
    gy, *last = gradients
    back = [np.zeros_like(s) if g is None else g.copy() for s, g in zip(states, last, strict=True)]
    gx = np.empty(x.shape, x.dtype) if need_x else None
    matrices = weights[:2] + weights[4:]
    sums: list[Any] = []
    pieces = pieces_of(x, k, batch_sizes)
    for (rows, sizes), first in zip(reversed(pieces), reversed(entering), strict=True):
        *_, saved = forward(x[rows], *first, *weights, sizes, *form, True)
        given = (x[rows], first[0], *matrices, output[rows], saved, sizes, *form, need_x, True)
        at = [g[: len(first[0])] for g in back]  # (b, H), of the states that enter and leave
        gx_rows, *found = backward(None if gy is None else gy[rows], *at, *given)
        for g in at:
            g[...] = found.pop(0)
        if gx is not None:
            gx[rows] = gx_rows
        del gx_rows, saved, given  # the next piece is to have their memory
        for s, g in zip(sums, found, strict=True) if sums else ():
            if s is not None:
                s += g
        sums = sums or found
    return gx, *back, *sums
