"""Activations as modules: the functions of the same names in `functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from minigrad.tensor import Tensor

from . import functional as F
from .module import Module


class _Activation(Module):
    """y = function(x, *options)"""

    function: ClassVar[Callable]
    options: ClassVar[tuple[str, ...]] = ()  # attributes, in the order that function takes them

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, *(getattr(self, name) for name in self.options))

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.options)


class Identity(Module):
    """y = x, whatever it was made with"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class ReLU(_Activation):
    """y = max(x, 0)"""

    function = staticmethod(F.relu)


class Sigmoid(_Activation):
    """y = 1 / (1 + e^-x)"""

    function = staticmethod(F.sigmoid)


class Tanh(_Activation):
    """y = tanh(x)"""

    function = staticmethod(F.tanh)


class SiLU(_Activation):
    """y = x sigmoid(x)"""

    function = staticmethod(F.silu)


class Softplus(_Activation):
    """y = ln(1 + e^x)"""

    function = staticmethod(F.softplus)


class Softsign(_Activation):
    """y = x / (1 + |x|)"""

    function = staticmethod(F.softsign)


class LogSigmoid(_Activation):
    """y = ln sigmoid(x)"""

    function = staticmethod(F.logsigmoid)


class Hardsigmoid(_Activation):
    """y = (x + 3) / 6 within [0, 1]"""

    function = staticmethod(F.hardsigmoid)


class LeakyReLU(_Activation):
    """y = x where x > 0, else negative_slope x"""

    function, options = staticmethod(F.leaky_relu), ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope


class ELU(_Activation):
    """y = x where x > 0, else alpha (e^x - 1)"""

    function, options = staticmethod(F.elu), ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha


class GELU(_Activation):
    """y = x (1 + erf(x / sqrt 2)) / 2; approximate='tanh': by a tanh instead"""

    function, options = staticmethod(F.gelu), ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be none or tanh, got {approximate!r}")
        self.approximate = approximate


class Hardtanh(_Activation):
    """y = x within [min_val, max_val]"""

    function, options = staticmethod(F.hardtanh), ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: min_val={min_val} must be below max_val={max_val}")
        self.min_val, self.max_val = min_val, max_val


class _AlongAxis(_Activation):
    """An activation that looks along one axis."""

    options = ("dim",)

    def __init__(self, dim: int) -> None:
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"{type(self).__name__}: dim must be an int, got {dim!r}")
        self.dim = dim


class Softmax(_AlongAxis):
    """y = e^x / sum e^x along `dim`"""

    function = staticmethod(F.softmax)


class LogSoftmax(_AlongAxis):
    """y = x - ln sum e^x along `dim`"""

    function = staticmethod(F.log_softmax)
