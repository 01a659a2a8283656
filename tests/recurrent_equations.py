"""Recurrent cells a second time, in numpy, from the papers and ONNX's and Keras's documents.

Nothing here is shared with the library. Every function takes complex arrays, so that the complex
step, Im f(x + ih) / h, gives derivatives to the last digit without anybody's rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ONNX: dict[str, Callable] = {
    "Relu": lambda x: np.where(x.real > 0, x, 0),
    "Tanh": np.tanh,
    "Sigmoid": sigmoid,
    "Affine": lambda x, a=1.0, b=0.0: a * x + b,
    "LeakyRelu": lambda x, a=0.01: np.where(x.real < 0, a * x, x),
    "ThresholdedRelu": lambda x, a=1.0: np.where(x.real >= a, x, 0),
    "ScaledTanh": lambda x, a=1.0, b=1.0: a * np.tanh(b * x),
    "HardSigmoid": lambda x, a=0.2, b=0.5: clamp(a * x + b, 0, 1),
    "Elu": lambda x, a=1.0: np.where(x.real < 0, a * (np.exp(x) - 1), x),
    "Softsign": lambda x: x / (1 + np.where(x.real < 0, -x, x)),
    "Softplus": lambda x: np.log(1 + np.exp(x)),
}


def clamp(x, low, high):
    return np.where(x.real < low, low, np.where(x.real > high, high, x))


def activation(given: Any) -> Callable:
    name, *parameters = (given,) if isinstance(given, str) else given
    return lambda x: ONNX[name](x, *parameters)


def layer_norm(x, gain):
    mean = x.sum(-1, keepdims=True) / x.shape[-1]
    var = ((x - mean) ** 2).sum(-1, keepdims=True) / x.shape[-1]
    return (x - mean) / np.sqrt(var + 1e-5) * gain


def products(x, w, p: Arrays, which: str, rows: slice, norm: bool):
    """x W^T of these rows, normalised together if `norm`, and the bias."""
    y = x @ w[rows].T
    if norm:
        y = layer_norm(y, p[f"gain_{which}"][rows])
    return y + p[f"bias_{which}"][rows] if f"bias_{which}" in p else y


def step(kind: str, p: Arrays, x, state: tuple, o: dict, drop) -> tuple:
    """One step of an RNN, LSTM or GRU with weights p and options o."""
    H, norm = o["H"], o.get("layer_norm", False)
    clip = o.get("clip")
    bound = (lambda a: a) if clip is None else (lambda a: clamp(a, -clip, clip))
    h = state[0]

    def from_x(a, b):
        return products(x, p["weight_ih"], p, "ih", slice(a * H, b * H), norm)

    def from_h(a, b, h=h):
        return products(h * drop, p["weight_hh"], p, "hh", slice(a * H, b * H), norm)

    if kind == "RNN":
        [f] = map(activation, o.get("activations") or ["Tanh"])
        return (f(bound(from_x(0, 1) + from_h(0, 1))),)
    if kind == "GRU":
        f, g = map(activation, o.get("activations") or ["Sigmoid", "Tanh"])
        rz = f(bound(from_x(0, 2) + from_h(0, 2)))
        r, z = rz[:, :H], rz[:, H:]
        inner = r * from_h(2, 3) if o.get("reset_after", True) else from_h(2, 3, r * h)
        n = g(bound(from_x(2, 3) + inner))
        return ((1 - z) * n + z * h,)
    f, g, k = map(activation, o.get("activations") or ["Sigmoid", "Tanh", "Tanh"])
    c = state[1]
    coupled = o.get("coupled", False)
    count = 3 if coupled else 4
    a = from_x(0, count) + from_h(0, count)
    parts = dict(zip("fgo" if coupled else "ifgo", np.split(a, count, axis=1), strict=True))
    peep = dict.fromkeys("ifo", 0.0)
    if "weight_peephole" in p:
        names = "fo" if coupled else "ifo"
        peep = dict(zip(names, np.split(p["weight_peephole"], len(names)), strict=True))
    forget = f(bound(parts["f"] + peep["f"] * c))
    enter = 1 - forget if coupled else f(bound(parts["i"] + peep["i"] * c))
    c = forget * c + enter * g(bound(parts["g"]))
    out = f(bound(parts["o"] + peep["o"] * c))
    shown = layer_norm(c, p["gain_c"]) + p["shift_c"] if norm else c
    h = out * k(bound(shown))
    return (h @ p["weight_hr"].T if "weight_hr" in p else h), c


def sequence(kind, p, x, state, o, drop=1.0, zone=None) -> list:
    """[output (T, B, S), last states]; zone[t]: for each state where it keeps its old value."""
    outputs = []
    for t in range(len(x)):
        new = step(kind, p, x[t], state, o, drop)
        if zone is not None:
            new = tuple(z * a + (1 - z) * b for a, b, z in zip(state, new, zone[t], strict=True))
        state = new
        outputs.append(state[0])
    return [np.stack(outputs), *state]


def complex_step(f: Callable[[Arrays], Any], arrays: Arrays, h: float = 1e-30) -> Arrays:
    """df/da of every element of every array; f gives one number."""
    gradients = {}
    for name, a in arrays.items():
        g = np.empty(a.shape)
        for i in np.ndindex(a.shape):
            moved = a.astype(complex)
            moved[i] += 1j * h
            g[i] = f({**arrays, name: moved}).imag / h
        gradients[name] = g
    return gradients
