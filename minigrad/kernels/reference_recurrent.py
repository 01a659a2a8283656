"""The recurrent half of `reference.py`: whole layers of RNN, LSTM and GRU over a sequence.

Letters: T steps, B batch, I inputs, H hidden units; a gate block of an LSTM is ordered i f g o.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .reference_elementwise import (
    Array,
    quiet,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    tanh,
    tanh_grad,
)


def steps_of(x: Array, batch_sizes: Array | None) -> list[slice]:
    """The rows of each step among the N of x (T, B, I), N = T B, or of packed x (N, I)."""
    sizes = [x.shape[1]] * len(x) if batch_sizes is None else batch_sizes.tolist()
    ends = np.cumsum(sizes, dtype=int).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _flat(a: Array) -> Array:
    """(T, B, n) as (N, n)."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _projected(x: Array, w_ih: Array, batch_sizes: Array | None) -> Array:
    """x W^T (N, gH), step by step: the bits of one do not depend on how many others there are."""
    flat = _flat(x)
    steps = [flat[rows] @ w_ih.T for rows in steps_of(x, batch_sizes)]
    return np.concatenate([flat[:0] @ w_ih.T, *steps])


def _before(h0: Array, output: Array, steps: list[slice]) -> Array:
    """h_{t-1} of each row of x (N, H)."""
    states = [h0, *(output[rows] for rows in steps)]
    pairs = zip(states, steps, strict=False)
    return np.concatenate([h0[:0], *(h[: rows.stop - rows.start] for h, rows in pairs)])


@quiet
def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    batch_sizes: Array | None,
    keep: bool,
) -> tuple[Array, Array, Any]:
    """One LSTM layer over a whole sequence, or over packed ones.

        i, f, o = sigmoid(W x_t + U h_{t-1} + b)      g = tanh(W x_t + U h_{t-1} + b)
        c_t = f c_{t-1} + i g                          h_t = o tanh(c_t)

    x (T, B, I), h0 and c0 (B, H), w_ih (4H, I), w_hh (4H, H), b_ih and b_hh (4H) or None.
    w_hr (P, H) or None: a projection, h_t = W_hr (o tanh(c_t)); then h0 is (B, P), w_hh (4H, P).
    Packed: x (N, I), the rows of one step after the other; batch_sizes (T): how many of the B
    sequences, always the first ones, have each step.
    Returns output (T, B, H) or (N, H), P for H with a projection, with h_t where x_t was, c_n
    (B, H), and what `lstm_backward` wants to find again (None unless `keep`): here the gates (N,
    4H), and the cell states (B+N, H), c0 before the others; N = T B where x is not packed.
    """
    steps, (B, H) = steps_of(x, batch_sizes), c0.shape
    gates = _projected(x, w_ih, batch_sizes)  # (N, 4H)
    for bias in (b_ih, b_hh):
        if bias is not None:
            gates += bias
    output = np.empty((len(gates), h0.shape[1]), gates.dtype)
    cells = np.empty((B + len(gates), H), gates.dtype)
    cells[:B] = c0
    h, c = h0.astype(gates.dtype), c0.astype(gates.dtype)  # (B, H)
    for rows in steps:
        b = rows.stop - rows.start
        a = gates[rows]  # (b, 4H): inputs of the gates, then, in place, their values
        a += h[:b] @ w_hh.T
        a[:, : 2 * H] = sigmoid(a[:, : 2 * H])
        a[:, 2 * H : 3 * H] = tanh(a[:, 2 * H : 3 * H])
        a[:, 3 * H :] = sigmoid(a[:, 3 * H :])
        i, f, g, o = np.split(a, 4, axis=1)
        cells[B:][rows] = c[:b] = f * c[:b] + i * g
        mid = o * tanh(c[:b])
        output[rows] = h[:b] = mid if w_hr is None else mid @ w_hr.T
    return output.reshape(*x.shape[:-1], h0.shape[1]), c, (gates, cells) if keep else None


def lstm_backward(
    gy: Array | None,
    gh_n: Array | None,
    gc_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    w_hr: Array | None,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array, Array | None]:
    """Gradients of `lstm_forward`, backward through time.

    gy, as the output, gh_n, as h0, and gc_n (B, H) are the gradients of the output, of each
    sequence's last row of it and of c_n; None stands for zeros. `need_x` False leaves gx out
    (None). `reuse` True lets the gate gradients overwrite `saved`, which is then spent.
    Returns gx, as x, gh0, as h0, gc0 (B, H), gw_ih (4H, I), gw_hh (4H, H or P), gb (4H): the
    gradient of either bias, and gw_hr, as w_hr.
    """
    gates, cells = saved
    steps, c0, c = steps_of(x, batch_sizes), cells[: len(h0)], cells[len(h0) :]
    c_before = _before(c0, c, steps)  # (N, H): c_{t-1}
    ggates = gates if reuse else np.empty_like(gates)  # (N, 4H)
    gh = np.zeros_like(h0) if gh_n is None else gh_n.copy()
    gc = np.zeros_like(cells[: len(h0)]) if gc_n is None else gc_n.copy()
    mids, gh_t = np.empty_like(c), np.empty_like(_flat(output))  # (N, H), (N, P)
    for rows in reversed(steps):
        b = rows.stop - rows.start
        if gy is not None:
            gh[:b] += _flat(gy)[rows]
        i, f, g, o = np.split(gates[rows], 4, axis=1)
        tanh_c = tanh(c[rows])
        mids[rows], gh_t[rows] = o * tanh_c, gh[:b]
        gm = gh[:b] if w_hr is None else gh[:b] @ w_hr  # (b, H)
        gc[:b] += tanh_grad(gm * o, tanh_c)
        ga = np.concatenate(
            [
                sigmoid_grad(gc[:b] * g, i),
                sigmoid_grad(gc[:b] * c_before[rows], f),
                tanh_grad(gc[:b] * i, g),
                sigmoid_grad(gm * tanh_c, o),
            ],
            axis=1,
        )  # (b, 4H): gradient of the gates' inputs
        gc[:b] *= f
        gh[:b] = ga @ w_hh
        ggates[rows] = ga
    return (
        (ggates @ w_ih).reshape(x.shape) if need_x else None,
        gh,
        gc,
        ggates.T @ _flat(x),
        ggates.T @ _before(h0, _flat(output), steps),
        ggates.sum(axis=0),
        None if w_hr is None else gh_t.T @ mids,
    )


@quiet
def gru_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: Array | None,
    reset_after: bool,
    keep: bool,
) -> tuple[Array, Any]:
    """One GRU layer over a whole sequence, or over packed ones: see `lstm_forward`.

        r, z = sigmoid(W x_t + U h_{t-1} + b)
        n = tanh(W_n x_t + b_in + r s), s = U_n h_{t-1} + b_hn; or, where the reset is not after
        the product, n = tanh(W_n x_t + b_in + U_n (r h_{t-1}) + b_hn)
        h_t = (1 - z) n + z h_{t-1}

    x (T, B, I), h0 (B, H), w_ih (3H, I), w_hh (3H, H), b_ih and b_hh (3H) or None, blocks r z n.
    Returns output (T, B, H) or (N, H) with h_t where x_t was, and what `gru_backward` wants to find
    again (None unless `keep`): here gates (N, 4H), the blocks s r z n, or (N, 3H) without s.
    """
    H = w_hh.shape[1]
    from_x = _projected(x, w_ih, batch_sizes)  # (N, 3H)
    if b_ih is not None:
        from_x += b_ih
    w_rz, w_n = np.split(w_hh, [2 * H])
    b_rz, b_n = (0, 0) if b_hh is None else np.split(b_hh, [2 * H])
    output = np.empty((len(from_x), H), from_x.dtype)
    gates = np.empty((len(from_x), (4 if reset_after else 3) * H), from_x.dtype)
    h = h0.astype(from_x.dtype)  # (B, H)
    for rows in steps_of(x, batch_sizes):
        b = rows.stop - rows.start
        rz = sigmoid(from_x[rows, : 2 * H] + (h[:b] @ w_rz.T + b_rz))
        r, z = np.split(rz, 2, axis=1)
        if reset_after:
            s = h[:b] @ w_n.T + b_n
            n = tanh(from_x[rows, 2 * H :] + r * s)
            gates[rows, :H] = s
        else:
            n = tanh(from_x[rows, 2 * H :] + ((r * h[:b]) @ w_n.T + b_n))
        gates[rows, -3 * H :] = np.concatenate([rz, n], axis=1)
        output[rows] = h[:b] = (1 - z) * n + z * h[:b]
    return output.reshape(*x.shape[:-1], H), gates if keep else None


def gru_backward(
    gy: Array | None,
    gh_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    reset_after: bool,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `gru_forward`, backward through time.

    gy, as the output, and gh_n (B, H) are the gradients of the output and of each sequence's last
    row of it; None stands for zeros. `need_x` False leaves gx out (None). `reuse` True lets `saved`
    be overwritten.
    Returns gx, as x, gh0 (B, H), gw_ih (3H, I), gw_hh (3H, H), gb_ih and gb_hh (3H), which
    differ in the block n where there b_hh comes in under r.
    """
    steps, N, H = steps_of(x, batch_sizes), len(saved), h0.shape[1]
    w_rz, w_n = np.split(w_hh, [2 * H])
    from_x = np.empty((N, 3 * H), output.dtype)  # gradients of W x + b_ih, and of U h + b_hh
    from_h = np.empty((N, 3 * H), output.dtype)
    h_before = _before(h0, _flat(output), steps)  # (N, H): h_{t-1}
    with_n = h_before if reset_after else saved[:, :H] * h_before  # (N, H): what U_n is given
    gh = np.zeros_like(h0) if gh_n is None else gh_n.copy()
    for rows in reversed(steps):
        b = rows.stop - rows.start
        if gy is not None:
            gh[:b] += _flat(gy)[rows]
        r, z, n = np.split(saved[rows, -3 * H :], 3, axis=1)
        gn = tanh_grad(gh[:b] * (1 - z), n)
        gz = sigmoid_grad(gh[:b] * (h_before[rows] - n), z)
        gh[:b] *= z
        if reset_after:
            gr, gs = sigmoid_grad(gn * saved[rows, :H], r), gn * r
            gh[:b] += gs @ w_n
        else:
            g, gs = gn @ w_n, gn  # (b, H): the gradient of r h_{t-1}
            gr = sigmoid_grad(g * h_before[rows], r)
            gh[:b] += g * r
        from_x[rows] = np.concatenate([gr, gz, gn], axis=1)
        from_h[rows] = np.concatenate([gr, gz, gs], axis=1)
        gh[:b] += from_h[rows, : 2 * H] @ w_rz
    return (
        (from_x @ w_ih).reshape(x.shape) if need_x else None,
        gh,
        from_x.T @ _flat(x),
        np.concatenate([from_h[:, : 2 * H].T @ h_before, from_h[:, 2 * H :].T @ with_n]),
        from_x.sum(axis=0),
        from_h.sum(axis=0),
    )


def is_relu(name: str, nonlinearity: str) -> bool:
    """True for relu, False for tanh; ValueError for any other nonlinearity."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
    return nonlinearity == "relu"


@quiet
def rnn_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    batch_sizes: Array | None,
    nonlinearity: str,
    keep: bool,
) -> tuple[Array, Any]:
    """One RNN layer over a whole sequence: h_t = tanh(W x_t + U h_{t-1} + b), or relu; or over
    packed ones: see `lstm_forward`.

    x (T, B, I), h0 (B, H), w_ih (H, I), w_hh (H, H), b_ih and b_hh (H) or None; nonlinearity
    'tanh' or 'relu'. Returns output (T, B, H) or (N, H) with h_t where x_t was, and None: backward
    needs only the output.
    """
    activation = relu if is_relu("rnn_forward", nonlinearity) else tanh
    output = _projected(x, w_ih, batch_sizes)  # (N, H): what tanh takes, then, in place, h_t
    for bias in (b_ih, b_hh):
        if bias is not None:
            output += bias
    h = h0
    for rows in steps_of(x, batch_sizes):
        b = rows.stop - rows.start
        output[rows] = h = activation(output[rows] + h[:b] @ w_hh.T)
    return output.reshape(*x.shape[:-1], output.shape[1]), None


def rnn_backward(
    gy: Array | None,
    gh_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    batch_sizes: Array | None,
    nonlinearity: str,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array]:
    """Gradients of `rnn_forward`, backward through time.

    gy, as the output, and gh_n (B, H) are the gradients of the output and of each sequence's last
    row of it; None stands for zeros. `need_x` False leaves gx out (None); `saved` and `reuse` are
    there for the likeness.
    Returns gx, as x, gh0 (B, H), gw_ih (H, I), gw_hh (H, H), gb (H): the gradient of either
    bias.
    """
    activation_grad = relu_grad if is_relu("rnn_backward", nonlinearity) else tanh_grad
    steps, h = steps_of(x, batch_sizes), _flat(output)  # (N, H)
    ga = np.empty_like(h)  # (N, H): gradient of the nonlinearity's input
    gh = np.zeros_like(h0) if gh_n is None else gh_n.copy()
    for rows in reversed(steps):
        b = rows.stop - rows.start
        if gy is not None:
            gh[:b] += _flat(gy)[rows]
        ga[rows] = activation_grad(gh[:b], h[rows])
        gh[:b] = ga[rows] @ w_hh
    return (
        (ga @ w_ih).reshape(x.shape) if need_x else None,
        gh,
        ga.T @ _flat(x),
        ga.T @ _before(h0, h, steps),
        ga.sum(axis=0),
    )


def panels(net: str, weights: Any, option: bool = False) -> None:
    """Nothing: numpy multiplies with the weights as they are."""
