"""The numpy backend: what every kernel computes, written to be read.

`native.py` has the same functions with the same arguments, computed in C; one test suite holds the
two together. Arrays in, arrays out: nothing here knows of tensors or derivatives. Every function
also takes complex arrays, so that the complex step can differentiate it.

Letters: T steps, B batch, I inputs, H hidden units; a gate block of an LSTM is ordered i f g o.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
quiet = np.errstate(all="ignore")  # as in C: inf and NaN come without a warning


def config() -> dict[str, Any]:
    """What `minigrad.show_config()` prints of this backend."""
    return {"backend": "numpy", "isa": None, "threads": 1, "compiler": None}


def get_num_threads() -> int:
    """1: this backend starts no threads of its own (numpy's BLAS may)."""
    return 1


def set_num_threads(n: int) -> None:
    """Accepted, so that a program runs unchanged on both backends; without effect on this one."""
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {n}")


@quiet
def log_softmax(x: Array) -> Array:
    """y = x - ln sum exp(x) along the last axis, which has at least one element."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@quiet
def log_softmax_grad(gy: Array, y: Array) -> Array:
    """gx = gy - exp(y) sum(gy) along the last axis, with y = log_softmax(x)."""
    return gy - np.exp(y) * gy.sum(axis=-1, keepdims=True)


@quiet
def matmul(a: Array, b: Array) -> Array:
    """y = a @ b: (..., M, K) @ (..., K, N) -> (..., M, N), the leading axes broadcast."""
    return np.matmul(a, b)


def tanh(x: Array) -> Array:
    """y = tanh(x), any shape."""
    return np.tanh(x)


def tanh_grad(gy: Array, y: Array) -> Array:
    """gx = gy (1 - y^2), with y = tanh(x)."""
    return gy * (1 - y * y)


def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x)), any shape; exp is only taken of what is not positive."""
    positive = x.real >= 0
    e = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1, e) / (1 + e)


def sigmoid_grad(gy: Array, y: Array) -> Array:
    """gx = gy y (1 - y), with y = sigmoid(x)."""
    return gy * y * (1 - y)


def relu(x: Array) -> Array:
    """y = max(x, 0), any shape; NaN stays NaN."""
    return np.where(x.real <= 0, np.zeros((), x.dtype), x)


def relu_grad(gy: Array, y: Array) -> Array:
    """gx = 0 where y <= 0, else gy, with y = relu(x): at the kink the gradient is 0."""
    return np.where(y.real <= 0, np.zeros((), gy.dtype), gy)


@quiet
def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    keep: bool,
) -> tuple[Array, Array, Any]:
    """One LSTM layer over a whole sequence.

        i, f, o = sigmoid(W x_t + U h_{t-1} + b)      g = tanh(W x_t + U h_{t-1} + b)
        c_t = f c_{t-1} + i g                          h_t = o tanh(c_t)

    x (T, B, I), h0 and c0 (B, H), w_ih (4H, I), w_hh (4H, H), b_ih and b_hh (4H) or None.
    Returns output (T, B, H) with h_t in row t, c_n (B, H), and what `lstm_backward` wants to
    find again (None unless `keep`): here the gates (T, B, 4H) and the cell states (T+1, B, H).
    """
    T, _, H = *x.shape[:2], w_hh.shape[1]
    gates = x @ w_ih.T  # (T, B, 4H)
    for bias in (b_ih, b_hh):
        if bias is not None:
            gates += bias
    output = np.empty((T, *h0.shape), gates.dtype)
    cells = np.empty((T + 1, *c0.shape), gates.dtype)
    cells[0], h = c0, h0
    for t in range(T):
        a = gates[t]  # (B, 4H): inputs of the gates, then, in place, their values
        a += h @ w_hh.T
        a[:, : 2 * H] = sigmoid(a[:, : 2 * H])
        a[:, 2 * H : 3 * H] = tanh(a[:, 2 * H : 3 * H])
        a[:, 3 * H :] = sigmoid(a[:, 3 * H :])
        i, f, g, o = np.split(a, 4, axis=1)
        cells[t + 1] = f * cells[t] + i * g
        output[t] = h = o * tanh(cells[t + 1])
    return output, cells[T].copy(), (gates, cells) if keep else None


def lstm_backward(
    gy: Array | None,
    gh_n: Array | None,
    gc_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `lstm_forward`, backward through time.

    gy (T, B, H), gh_n and gc_n (B, H) are the gradients of the output, of its last row and of c_n;
    None stands for zeros. `need_x` False leaves gx out (None). `reuse` True lets the gate
    gradients overwrite `saved`, which is then spent.
    Returns gx (T, B, I), gh0 and gc0 (B, H), gw_ih (4H, I), gw_hh (4H, H), gb (4H): the gradient
    of either bias.
    """
    gates, cells = saved
    T, B, H = output.shape
    ggates = gates if reuse else np.empty_like(gates)  # (T, B, 4H)
    gh = np.zeros_like(h0) if gh_n is None else gh_n.copy()
    gc = np.zeros_like(h0) if gc_n is None else gc_n.copy()
    for t in reversed(range(T)):
        if gy is not None:
            gh += gy[t]
        i, f, g, o = np.split(gates[t], 4, axis=1)
        tanh_c = tanh(cells[t + 1])
        gc += tanh_grad(gh * o, tanh_c)
        ga = np.concatenate(
            [
                sigmoid_grad(gc * g, i),
                sigmoid_grad(gc * cells[t], f),
                tanh_grad(gc * i, g),
                sigmoid_grad(gh * tanh_c, o),
            ],
            axis=1,
        )  # (B, 4H): gradient of the gates' inputs
        gc = gc * f
        gh = ga @ w_hh
        ggates[t] = ga
    flat = ggates.reshape(T * B, 4 * H)
    h_before = np.concatenate([h0[None], output[: T - 1]])[:T]  # (T, B, H): h_{t-1}
    return (
        (flat @ w_ih).reshape(x.shape) if need_x else None,
        gh,
        gc,
        flat.T @ x.reshape(T * B, x.shape[2]),
        flat.T @ h_before.reshape(T * B, H),
        flat.sum(axis=0),
    )


@quiet
def gru_forward(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    keep: bool,
) -> tuple[Array, Any]:
    """One GRU layer over a whole sequence.

        r, z = sigmoid(W x_t + U h_{t-1} + b)      s = U_n h_{t-1} + b_hn
        n = tanh(W_n x_t + b_in + r s)             h_t = (1 - z) n + z h_{t-1}

    x (T, B, I), h0 (B, H), w_ih (3H, I), w_hh (3H, H), b_ih and b_hh (3H) or None, blocks r z n.
    Returns output (T, B, H) with h_t in row t, and what `gru_backward` wants to find again (None
    unless `keep`): here gates (T, B, 4H), the blocks s r z n.
    """
    T, B, H = *x.shape[:2], w_hh.shape[1]
    from_x = x @ w_ih.T  # (T, B, 3H)
    if b_ih is not None:
        from_x += b_ih
    output = np.empty((T, B, H), from_x.dtype)
    gates = np.empty((T, B, 4 * H), from_x.dtype)
    h = h0
    for t in range(T):
        from_h = h @ w_hh.T  # (B, 3H)
        if b_hh is not None:
            from_h += b_hh
        rz = sigmoid(from_x[t, :, : 2 * H] + from_h[:, : 2 * H])
        r, z = np.split(rz, 2, axis=1)
        s = from_h[:, 2 * H :]
        n = tanh(from_x[t, :, 2 * H :] + r * s)
        gates[t] = np.concatenate([s, r, z, n], axis=1)
        output[t] = h = (1 - z) * n + z * h
    return output, gates if keep else None


def gru_backward(
    gy: Array | None,
    gh_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array, Array]:
    """Gradients of `gru_forward`, backward through time.

    gy (T, B, H) and gh_n (B, H) are the gradients of the output and of its last row; None stands
    for zeros. `need_x` False leaves gx out (None). `reuse` True lets `saved` be overwritten.
    Returns gx (T, B, I), gh0 (B, H), gw_ih (3H, I), gw_hh (3H, H), gb_ih and gb_hh (3H), which
    differ in the block n: there b_hh comes in under r.
    """
    T, B, H = output.shape
    from_x = np.empty((T, B, 3 * H), output.dtype)  # gradients of W x + b_ih, and of U h + b_hh
    from_h = np.empty((T, B, 3 * H), output.dtype)
    h_before = np.concatenate([h0[None], output[: T - 1]])[:T]  # (T, B, H): h_{t-1}
    gh = np.zeros_like(h0) if gh_n is None else gh_n.copy()
    for t in reversed(range(T)):
        if gy is not None:
            gh = gh + gy[t]
        s, r, z, n = np.split(saved[t], 4, axis=1)
        gn = tanh_grad(gh * (1 - z), n)
        gz = sigmoid_grad(gh * (h_before[t] - n), z)
        gr = sigmoid_grad(gn * s, r)
        from_x[t] = np.concatenate([gr, gz, gn], axis=1)
        from_h[t] = np.concatenate([gr, gz, gn * r], axis=1)
        gh = gh * z + from_h[t] @ w_hh
    flat_x, flat_h = from_x.reshape(T * B, 3 * H), from_h.reshape(T * B, 3 * H)
    return (
        (flat_x @ w_ih).reshape(x.shape) if need_x else None,
        gh,
        flat_x.T @ x.reshape(T * B, x.shape[2]),
        flat_h.T @ h_before.reshape(T * B, H),
        flat_x.sum(axis=0),
        flat_h.sum(axis=0),
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
    nonlinearity: str,
    keep: bool,
) -> tuple[Array, Any]:
    """One RNN layer over a whole sequence: h_t = tanh(W x_t + U h_{t-1} + b), or relu.

    x (T, B, I), h0 (B, H), w_ih (H, I), w_hh (H, H), b_ih and b_hh (H) or None; nonlinearity
    'tanh' or 'relu'. Returns output (T, B, H) with h_t in row t, and None: backward needs only the
    output.
    """
    activation = relu if is_relu("rnn_forward", nonlinearity) else tanh
    output = x @ w_ih.T  # (T, B, H): inputs of the nonlinearity, then, in place, h_t
    for bias in (b_ih, b_hh):
        if bias is not None:
            output += bias
    h = h0
    for t in range(len(x)):
        output[t] = h = activation(output[t] + h @ w_hh.T)
    return output, None


def rnn_backward(
    gy: Array | None,
    gh_n: Array | None,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    output: Array,
    saved: Any,
    nonlinearity: str,
    need_x: bool,
    reuse: bool,
) -> tuple[Array | None, Array, Array, Array, Array]:
    """Gradients of `rnn_forward`, backward through time.

    gy (T, B, H) and gh_n (B, H) are the gradients of the output and of its last row; None stands
    for zeros. `need_x` False leaves gx out (None); `saved` and `reuse` are there for the likeness.
    Returns gx (T, B, I), gh0 (B, H), gw_ih (H, I), gw_hh (H, H), gb (H): the gradient of either
    bias.
    """
    activation_grad = relu_grad if is_relu("rnn_backward", nonlinearity) else tanh_grad
    T, B, H = output.shape
    ga = np.empty_like(output)  # (T, B, H): gradient of the nonlinearity's input
    gh = np.zeros_like(h0) if gh_n is None else gh_n.copy()
    for t in reversed(range(T)):
        if gy is not None:
            gh = gh + gy[t]
        ga[t] = activation_grad(gh, output[t])
        gh = ga[t] @ w_hh
    flat = ga.reshape(T * B, H)
    h_before = np.concatenate([h0[None], output[: T - 1]])[:T]  # (T, B, H): h_{t-1}
    return (
        (flat @ w_ih).reshape(x.shape) if need_x else None,
        gh,
        flat.T @ x.reshape(T * B, x.shape[2]),
        flat.T @ h_before.reshape(T * B, H),
        flat.sum(axis=0),
    )
