"""Fills a tensor in place with its first values; every function returns the tensor.

Chance comes from the one generator that `minigrad.manual_seed` starts. fan_in and fan_out of a
weight (out, in, ...) are in and out times the sizes of the further axes.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from minigrad.autograd import no_grad
from minigrad.creation import generator
from minigrad.tensor import Tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """U(a, b)"""
    if not a <= b:
        raise ValueError(f"uniform_: expected a <= b, got a={a}, b={b}")
    return _fill("uniform_", tensor, lambda shape: generator().uniform(a, b, shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """N(mean, std^2)"""
    _at_least_0("normal_", std=std)
    return _fill("normal_", tensor, lambda shape: generator().normal(mean, std, shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """N(mean, std^2), drawn again where it is not within [a, b]

    Raises ValueError if less than a thousandth of that distribution lies there.
    """
    if not std > 0:
        raise ValueError(f"trunc_normal_: std must be above 0, got {std}")
    share = NormalDist(mean, std).cdf(b) - NormalDist(mean, std).cdf(a)
    if not share >= 1e-3:
        raise ValueError(
            f"trunc_normal_: [a, b] = [{a}, {b}] holds {share:.2g} of the distribution"
        )

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        values = generator().normal(mean, std, shape)
        while (outside := (values < a) | (values > b)).any():
            values[outside] = generator().normal(mean, std, int(outside.sum()))
        return values

    return _fill("trunc_normal_", tensor, draw)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """val everywhere"""
    return _fill("constant_", tensor, lambda shape: np.full(shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere"""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere"""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal, 0 elsewhere: (n, m)"""
    _axes("eye_", tensor, 2, 2)
    return _fill("eye_", tensor, lambda shape: np.eye(*shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01) -> Tensor:
    """N(0, std^2), and 0 at ceil(sparsity * rows) places of every column: (rows, columns)

    Source: Martens, Deep learning via Hessian-free optimization, 2010.
    """
    _axes("sparse_", tensor, 2, 2)
    _at_least_0("sparse_", std=std)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity must lie in [0, 1], got {sparsity}")

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        values = generator().normal(0, std, shape)
        places = generator().random(shape).argsort(axis=0)[: math.ceil(sparsity * shape[0])]
        np.put_along_axis(values, places, 0, axis=0)
        return values

    return _fill("sparse_", tensor, draw)


# ------------------------------------------------------- by the size of what goes in and out


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """How much to widen the weights for what a nonlinearity takes away

    linear, sigmoid, conv...: 1; tanh: 5/3; relu: sqrt(2); selu: 3/4;
    leaky_relu of slope a (param, 0.01): sqrt(2 / (1 + a^2))
    """
    linear = ("linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)))
    gains = {**dict.fromkeys(linear, 1.0), "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise TypeError(f"calculate_gain: the slope param must be a number, got {param!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in gains:
        known = ", ".join([*gains, "leaky_relu"])
        raise ValueError(f"calculate_gain: expected one of {known}; got {nonlinearity!r}")
    return gains[nonlinearity]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """U(-k, k), k = gain sqrt(6 / (fan_in + fan_out))

    Source: Glorot and Bengio, Understanding the difficulty of training deep networks, 2010.
    """
    k = gain * math.sqrt(6 / max(1, sum(_fans("xavier_uniform_", tensor))))
    return uniform_(tensor, -k, k)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, s^2), s = gain sqrt(2 / (fan_in + fan_out)); source as for xavier_uniform_"""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(1, sum(_fans("xavier_normal_", tensor)))))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """U(-k, k), k = gain sqrt(3 / fan), with the fan that `mode` names

    gain: calculate_gain(nonlinearity, a); a is the slope of leaky_relu.
    Source: He et al., Delving deep into rectifiers, 2015.
    """
    k = math.sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -k, k)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """N(0, s^2), s = gain / sqrt(fan); the rest as for kaiming_uniform_"""
    return normal_(tensor, 0.0, _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """gain Q, where Q^T Q = 1 or (if there are fewer rows than columns) Q Q^T = 1

    Any such Q is as likely as any other. Axes after the first count as columns.
    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics, 2014.
    """
    return orthogonal_gates_(tensor, 1, gain)


# ----------------------------------------------------------------------- recurrent layers


def orthogonal_gates_(tensor: Tensor, gates: int, gain: float = 1.0) -> Tensor:
    """orthogonal_ for each gate's rows by themselves: (gates H, ...), as in weight_hh

    One orthogonal matrix over all gates together would shrink the state at each gate.
    """
    _axes("orthogonal_gates_", tensor, 2)
    if gates < 1 or tensor.shape[0] % gates:
        raise ValueError(f"orthogonal_gates_: {tensor.shape[0]} rows are not of {gates} gates")

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = shape[0] // gates, math.prod(shape[1:])
        values = [gain * _orthogonal(rows, columns) for _ in range(gates)]
        return np.concatenate(values).reshape(shape)

    return _fill("orthogonal_gates_", tensor, draw)


@no_grad()
def forget_bias_(lstm: Any, value: float = 1.0) -> Any:
    """b_f = value for every forget gate of an LSTM or LSTMCell; returns the module

    Rows H .. 2H (gates i f g o), or 0 .. H if coupled (f g o): value in bias_ih, 0 in bias_hh, as
    the two are added. A state then lives long at first.
    Source: Gers, Schmidhuber and Cummins 2000; Jozefowicz et al. 2015.
    """
    size = getattr(lstm, "hidden_size", 0)
    coupled = getattr(lstm, "coupled", getattr(lstm, "options", {}).get("coupled", False))
    gates, first = (3, 0) if coupled else (4, size)
    biases = [(n, p) for n, p in getattr(lstm, "named_parameters", dict)() if n.startswith("bias_")]
    if not biases or any(p.shape != (gates * size,) for _, p in biases):
        raise ValueError("forget_bias_: expected an LSTM or LSTMCell with biases")
    for name, bias in biases:
        bias[first : first + size] = value if name.startswith("bias_ih") else 0.0
    return lstm


# --------------------------------------------------------------------------------- helpers


@no_grad()
def _fill(name: str, tensor: Tensor, draw: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    return tensor.copy_(draw(tensor.shape))


def _axes(name: str, tensor: Tensor, least: int, most: int = 64) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if not least <= tensor.ndim <= most:
        raise ValueError(f"{name}: expected {least} axes{' or more' * (most > least)}, "
                         f"got shape {tensor.shape}")  # fmt: skip


def _at_least_0(name: str, **values: float) -> None:
    for argument, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name}: {argument} must be at least 0, got {value}")


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    _axes(name, tensor, 2)
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _kaiming(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(name, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"{name}: mode must be fan_in or fan_out, got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fans[mode]))


def _orthogonal(rows: int, columns: int) -> np.ndarray:
    if rows < columns:
        return _orthogonal(columns, rows).T
    q, r = np.linalg.qr(generator().standard_normal((rows, columns)))
    return q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # without it q would not be uniform
