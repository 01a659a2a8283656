"""The activation functions that a recurrent cell can be given: ONNX's names and parameters.

`activations=("HardSigmoid", "Tanh", ("LeakyRelu", 0.1))` names one function for each activation of
the cell, in the order of its equations; alpha and beta may follow the name. A function of your own
(tensor -> tensor) stands as itself.

Source: ONNX, operators RNN, GRU and LSTM (opset 22).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minigrad.ops import elementwise
from minigrad.ops.elementwise import abs, exp, log, maximum, minimum, where

Activation = Callable[[Any], Any]


def relu(x: Any) -> Any:
    """y = max(x, 0)"""
    return elementwise.relu(x)


def tanh(x: Any) -> Any:
    """y = tanh(x)"""
    return elementwise.tanh(x)


def sigmoid(x: Any) -> Any:
    """y = 1 / (1 + e^-x)"""
    return elementwise.sigmoid(x)


def affine(x: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """y = alpha x + beta"""
    return alpha * x + beta


def leaky_relu(x: Any, alpha: float = 0.01) -> Any:
    """y = x where x >= 0, alpha x elsewhere"""
    return where(x >= 0, x, alpha * x)


def thresholded_relu(x: Any, alpha: float = 1.0) -> Any:
    """y = x where x >= alpha, 0 elsewhere"""
    return where(x >= alpha, x, 0 * x)


def scaled_tanh(x: Any, alpha: float = 1.0, beta: float = 1.0) -> Any:
    """y = alpha tanh(beta x)"""
    return alpha * tanh(beta * x)


def hard_sigmoid(x: Any, alpha: float = 0.2, beta: float = 0.5) -> Any:
    """y = min(max(alpha x + beta, 0), 1)"""
    return bounded(alpha * x + beta, 0.0, 1.0)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """y = x where x >= 0, alpha (e^x - 1) elsewhere"""
    return where(x >= 0, x, alpha * (exp(minimum(x, 0.0)) - 1))


def softsign(x: Any) -> Any:
    """y = x / (1 + |x|)"""
    return x / (1 + abs(x))


def softplus(x: Any) -> Any:
    """y = ln(1 + e^x)"""
    return maximum(x, 0.0) + log(1 + exp(-abs(x)))


def bounded(x: Any, low: float, high: float) -> Any:
    """y = x, brought into [low, high]; the gradient is 0 outside, 1 inside and on the border"""
    return where(x < low, low, where(x > high, high, x))


ACTIVATIONS: dict[str, tuple[Callable, int]] = {  # by name: the function, how many parameters
    "Relu": (relu, 0),
    "Tanh": (tanh, 0),
    "Sigmoid": (sigmoid, 0),
    "Affine": (affine, 2),
    "LeakyRelu": (leaky_relu, 1),
    "ThresholdedRelu": (thresholded_relu, 1),
    "ScaledTanh": (scaled_tanh, 2),
    "HardSigmoid": (hard_sigmoid, 2),
    "Elu": (elu, 1),
    "Softsign": (softsign, 0),
    "Softplus": (softplus, 0),
}


def resolve(name: str, activations: Any, default: Sequence[str]) -> tuple[Activation, ...]:
    """The functions of a cell called `name`; `activations` None stands for the default ones."""
    given = default if activations is None else activations
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != len(default):
        raise ValueError(
            f"{name}: expected {len(default)} activations (default {tuple(default)}), got {given!r}"
        )
    return tuple(_resolve(name, a) for a in given)


def _resolve(name: str, activation: Any) -> Activation:
    if callable(activation):
        return activation
    word, *parameters = (activation,) if isinstance(activation, str) else activation
    if word not in ACTIVATIONS:
        raise ValueError(f"{name}: no activation {word!r}; there are {', '.join(ACTIVATIONS)}")
    function, most = ACTIVATIONS[word]
    if len(parameters) > most:
        raise ValueError(
            f"{name}: {word} takes {most} parameters (alpha, beta), got {len(parameters)}"
        )
    names = ("alpha", "beta")
    return (
        partial(function, **dict(zip(names, parameters, strict=False))) if parameters else function
    )
