"""Whole sequences through a recurrent layer: RNN, LSTM, GRU.

Each stands here twice. The composed form is the textbook's, step by step, out of other operations.
The fused form is one primitive with one rule, a kernel on either side; it keeps what its kernel
asks to find again. Tests hold the two together, and where a second derivative is wanted (the rule
is given tensors), the composed form is the one that is differentiated.

Letters: T steps, B batch, I inputs, H hidden units. x (T, B, I); states (B, H); w_ih (gH, I),
w_hh (gH, H), biases (gH) or None, with g = 1, 4, 3 gates in the order -, i f g o, r z n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad import kernels
from minigrad.autograd import Value, grad, primitive, recording

from .elementwise import relu, sigmoid, tanh
from .linalg import linear
from .shape import alias, chunk, stack, unbind


def rnn_composed(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, nonlinearity: str
) -> tuple:
    """h_t = tanh(W x_t + U h_{t-1} + b), or relu; -> output (T, B, H), h_n (B, H)

    Source: Elman, Finding structure in time, 1990.
    """
    act = {"tanh": tanh, "relu": relu}[nonlinearity]
    h, hs = h0, []
    for wx in unbind(linear(x, w_ih, b_ih)):  # (B, H)
        h = act(wx + linear(h, w_hh, b_hh))
        hs.append(h)
    return stack(hs), h


def lstm_composed(
    x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any
) -> tuple:  # fmt: skip
    """i, f, o = sigmoid(W x_t + U h_{t-1} + b), g = tanh(same): each its own rows of W, U, b
    c_t = f c_{t-1} + i g, h_t = o tanh(c_t); -> output (T, B, H), h_n (B, H), c_n (B, H)

    Source: Hochreiter and Schmidhuber 1997; the forget gate: Gers, Schmidhuber and Cummins 2000.
    """
    h, c, hs = h0, c0, []
    for wx in unbind(linear(x, w_ih, b_ih)):  # (B, 4H)
        i, f, g, o = chunk(wx + linear(h, w_hh, b_hh), 4, dim=1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        hs.append(h)
    return stack(hs), h, c


def gru_composed(x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple:
    """r, z = sigmoid(W x_t + U h_{t-1} + b), n = tanh(W x_t + b + r (U h_{t-1} + b'))
    h_t = (1 - z) n + z h_{t-1}; -> output (T, B, H), h_n (B, H)

    Source: Cho et al. 2014, with the reset gate after the product, as in cuDNN and PyTorch.
    """
    h, hs = h0, []
    for wx in unbind(linear(x, w_ih, b_ih)):  # (B, 3H)
        xr, xz, xn = chunk(wx, 3, dim=1)
        hr, hz, hn = chunk(linear(h, w_hh, b_hh), 3, dim=1)
        z = sigmoid(xz + hz)
        n = tanh(xn + sigmoid(xr + hr) * hn)
        h = n + z * (h - n)
        hs.append(h)
    return stack(hs), h


@primitive(extra=True)
def lstm_fused(x, h0, c0, w_ih, w_hh, b_ih, b_hh, keep):
    """(output, h_n, c_n) of lstm_composed, in one kernel; `keep` what backward will need"""
    output, c_n, saved = kernels.lstm_forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, keep)
    return (output, output[-1].copy(), c_n), saved


@lstm_fused.joint_rule("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh")
def _lstm_rule(gy, needs, reuse, y, extra, x, h0, c0, w_ih, w_hh, b_ih, b_hh):
    if any(isinstance(g, Value) for g in gy):
        return _pull_composed(lstm_composed, (x, h0, c0, w_ih, w_hh, b_ih, b_hh), needs, gy)
    *gradients, gb = kernels.lstm_backward(
        *gy, x, h0, w_ih, w_hh, y[0], extra, needs[0], reuse
    )  # fmt: skip
    return *gradients, gb, gb


def lstm(x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """The LSTM of lstm_composed, fused; what backward needs is kept only if there may be one."""
    args = (x, h0, c0, w_ih, w_hh, b_ih, b_hh)
    return lstm_fused(*args, recording(*args))


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
