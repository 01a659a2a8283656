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

from minigrad.ops.activation import elu, leaky_relu, softplus, softsign
from minigrad.ops.elementwise import clamp, relu, sigmoid, tanh, where

Activation = Callable[[Any], Any]


def affine(x: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """y = alpha x + beta"""
    return alpha * x + beta


def thresholded_relu(x: Any, alpha: float = 1.0) -> Any:
    """y = x where x >= alpha, 0 elsewhere"""
    return where(x >= alpha, x, 0 * x)


def scaled_tanh(x: Any, alpha: float = 1.0, beta: float = 1.0) -> Any:
    """y = alpha tanh(beta x)"""
    return alpha * tanh(beta * x)


def hard_sigmoid(x: Any, alpha: float = 0.2, beta: float = 0.5) -> Any:
    """y = min(max(alpha x + beta, 0), 1)"""
    return clamp(alpha * x + beta, 0.0, 1.0)


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
    return partial(_apply, function, tuple(parameters)) if parameters else function


def _apply(function: Callable, parameters: tuple, x: Any) -> Any:
    return function(x, *parameters)
