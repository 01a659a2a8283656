"""A whole sequence through a recurrent layer in one primitive, and the rows of packed sequences.

Each layer stands twice in this library: composed, step by step, out of the equations in
`nn/cells.py`; and fused, here: one primitive with one rule, a kernel on either side. Tests hold the
two together. Where a second derivative is wanted (the rule is given tensors) the composition is
differentiated instead; a fused primitive is handed it as its last argument, `composed`, a function
of the same tensors.

Letters: T steps, B batch, I inputs, H hidden units. x (T, B, I), or with batch_sizes (T), not None,
the N rows of packed sequences (N, I); states (B, H); w_ih (gH, I), w_hh (gH, H), biases (gH) or
None, with g = 1, 4, 3 gates in the order -, i f g o, r z n; w_hr (P, H) or None, of an LSTM whose h
has P units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.autograd import Value, grad, primitive, recording

from .pieces import backward_in_pieces, forward_in_pieces
from .shape import alias

# --------------------------------------------------------------------------- whole sequences


@primitive(extra=True)
def rnn_fused(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, nonlinearity, keep, composed):
    """(output, h_n) of the RNN in one kernel; `keep` what backward will need"""
    output, saved = kernels.rnn_forward(
        x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, nonlinearity, keep
    )
    return (output, _ends(output, h0, batch_sizes)), saved


@primitive(extra=True)
def lstm_fused(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, keep, piece, composed):
    """(output, h_n, c_n) of the LSTM in one kernel; `keep` what backward will need

    piece k, not None: in pieces of k steps, of which backward has to make anew what it needs.
    """
    weights, function = (w_ih, w_hh, b_ih, b_hh, w_hr), kernels.lstm_forward
    if keep and piece:
        made = forward_in_pieces(function, piece, x, (h0, c0), weights, batch_sizes)
    else:
        made = function(x, h0, c0, *weights, batch_sizes, keep)
    output, c_n, saved = made
    return (output, _ends(output, h0, batch_sizes), c_n), saved


@primitive(extra=True)
def gru_fused(x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reset_after, keep, piece, composed):
    """(output, h_n) of the GRU in one kernel; `keep` and `piece` as for the LSTM"""
    weights, function = (w_ih, w_hh, b_ih, b_hh), kernels.gru_forward
    if keep and piece:
        made = forward_in_pieces(function, piece, x, (h0,), weights, batch_sizes, reset_after)
    else:
        made = function(x, h0, *weights, batch_sizes, reset_after, keep)
    output, saved = made
    return (output, _ends(output, h0, batch_sizes)), saved


@rnn_fused.joint_rule("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")
def _rnn_rule(
    gy, needs, reuse, y, extra, x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, nonlinearity, composed
):
    if any(isinstance(g, Value) for g in gy):
        return _pull_composed(composed, (x, h0, w_ih, w_hh, b_ih, b_hh), needs, gy)
    *gradients, gb = kernels.rnn_backward(
        *gy, x, h0, w_ih, w_hh, y[0], extra, batch_sizes, nonlinearity, needs[0], reuse
    )
    return *gradients, gb, gb


@lstm_fused.joint_rule("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
def _lstm_rule(
    gy, needs, reuse, y, extra, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, batch_sizes, piece,
    composed,
):  # fmt: skip
    weights = (w_ih, w_hh, b_ih, b_hh, w_hr)
    if any(isinstance(g, Value) for g in gy):
        return _pull_composed(composed, (x, h0, c0, *weights), needs, gy)
    if piece:
        both = kernels.lstm_forward, kernels.lstm_backward
        found = backward_in_pieces(
            *both, gy, piece, x, (h0, c0), weights, y[0], extra, batch_sizes, needs[0]
        )
    else:
        found = kernels.lstm_backward(
            *gy, x, h0, w_ih, w_hh, w_hr, y[0], extra, batch_sizes, needs[0], reuse
        )
    *gradients, gb, gw_hr = found
    return *gradients, gb, gb, gw_hr


@gru_fused.joint_rule("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")
def _gru_rule(
    gy, needs, reuse, y, extra, x, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reset_after, piece,
    composed,
):  # fmt: skip
    weights = (w_ih, w_hh, b_ih, b_hh)
    if any(isinstance(g, Value) for g in gy):
        return _pull_composed(composed, (x, h0, *weights), needs, gy)
    if piece:
        both = kernels.gru_forward, kernels.gru_backward
        return backward_in_pieces(
            *both, gy, piece, x, (h0,), weights, y[0], extra, batch_sizes, needs[0], reset_after
        )
    return kernels.gru_backward(
        *gy, x, h0, w_ih, w_hh, y[0], extra, batch_sizes, reset_after, needs[0], reuse
    )


def rnn(
    x: Any,
    states: Sequence,
    weights: Sequence,
    composed: Callable,
    batch_sizes: Any = None,
    piece: int | None = None,
    nonlinearity: str = "tanh",
) -> tuple:
    """(output, h_n), fused; backward needs no more than the output, whatever the piece."""
    args = (x, *states, *weights)
    return rnn_fused(*args, batch_sizes, nonlinearity, recording(*args), composed)


def lstm(
    x: Any,
    states: Sequence,
    weights: Sequence,
    composed: Callable,
    batch_sizes: Any = None,
    piece: int | None = None,
) -> tuple:
    """(output, h_n, c_n), fused; what backward needs is kept only if there may be one

    weights: four, or five with w_hr (P, H). With pieces of `piece` steps only what enters each is
    kept, and backward makes the rest anew.
    """
    args = (x, *states, *weights, *[None] * (5 - len(weights)))
    return lstm_fused(*args, batch_sizes, recording(*args), piece, composed)


def gru(
    x: Any,
    states: Sequence,
    weights: Sequence,
    composed: Callable,
    batch_sizes: Any = None,
    piece: int | None = None,
    reset_after: bool = True,
) -> tuple:
    """(output, h_n), fused; what is kept is as for the LSTM."""
    args = (x, *states, *weights)
    return gru_fused(*args, batch_sizes, reset_after, recording(*args), piece, composed)


def _ends(output: np.ndarray, h0: np.ndarray, batch_sizes: Any) -> np.ndarray:
    """h_n (B, H): each sequence's last row of the output, h0 of those that have none."""
    if batch_sizes is None:
        return output[-1].copy()
    h_n, b = h0.copy(), np.arange(batch_sizes[0])
    h_n[: len(b)] = output[step_rows(batch_sizes)[lengths_of(batch_sizes) - 1] + b]
    return h_n


def _pull_composed(function: Callable, args: Sequence, needs: Sequence, gy: Sequence) -> list:
    """The gradients that a fused rule owes, as tensors: differentiates the composed form instead.

    The arguments may depend on one another; an alias of each keeps those paths out of this graph.
    """
    args = [alias(a) if isinstance(a, Value) else a for a in args]
    pairs = [(y, g) for y, g in zip(function(*args), gy, strict=True) if g is not None]
    inputs = [a for a, needed in zip(args, needs, strict=True) if needed]
    outputs, gradients = zip(*pairs, strict=True)
    found = iter(grad(outputs, inputs, gradients, create_graph=True, allow_unused=True))
    return [next(found) if needed else None for needed in needs]


# ------------------------------------------------------------------------------- packed rows


def lengths_of(batch_sizes: np.ndarray) -> np.ndarray:
    """How many steps each sequence has: batch sizes (T) 3 2 2 1 as lengths 4 3 1"""
    return np.searchsorted(-batch_sizes, -np.arange(batch_sizes[0]))


def step_rows(batch_sizes: np.ndarray) -> np.ndarray:
    """The row where each step begins: batch sizes (T) 3 2 2 1 as 0 3 5 7"""
    return np.cumsum(batch_sizes) - batch_sizes


def turned_rows(batch_sizes: np.ndarray) -> np.ndarray:
    """Where to take the rows of packed sequences from to turn each of them around."""
    first, T = step_rows(batch_sizes), len(batch_sizes)
    b = np.arange(batch_sizes.sum()) - np.repeat(first, batch_sizes)
    t = lengths_of(batch_sizes)[b] - 1 - np.repeat(np.arange(T), batch_sizes)
    return first[t] + b


@primitive
def take_rows(x, rows):
    """y = x[rows]: (N, ...) -> (M, ...); no row is taken twice"""
    return x[rows]


@primitive
def put_rows(g, rows, count):
    """y[rows] = g, 0 in the other rows: (M, ...) -> (count, ...); the rule of take_rows"""
    y = np.zeros((count, *g.shape[1:]), g.dtype)
    y[rows] = g
    return y


take_rows.rules(x=lambda gy, x_shape, rows: put_rows(gy, rows, x_shape[0]))
put_rows.rules(g=lambda gy, rows: take_rows(gy, rows))
