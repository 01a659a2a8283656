"""minigrad: reverse-mode differentiation to read in an evening, recurrent nets that train fast."""

from . import autograd, data, derivatives, nn, optim
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    primitive,
    set_grad_enabled,
)  # fmt: skip
from .config import get_num_threads, set_num_threads, show_config
from .function import Function
from .serialize import load, save
from .tensor import (
    Tensor,
    arange,
    cat,
    eye,
    from_numpy,
    full,
    generator,
    get_default_dtype,
    linspace,
    manual_seed,
    maximum,
    minimum,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    set_default_dtype,
    stack,
    tensor,
    where,
    zeros,
    zeros_like,
)  # fmt: skip

__version__ = "0.1.0"

# What stands above the engine here, but under torch.autograd there.
for _name in ("hessian", "hvp", "jacobian", "jvp", "vjp"):
    setattr(autograd, _name, getattr(derivatives, _name))
autograd.Function = Function  # type: ignore[attr-defined]

__all__ = [
    "Function",
    "Tensor",
    "arange",
    "autograd",
    "cat",
    "data",
    "derivatives",
    "enable_grad",
    "eye",
    "from_numpy",
    "full",
    "generator",
    "get_default_dtype",
    "get_num_threads",
    "inference_mode",
    "is_grad_enabled",
    "linspace",
    "load",
    "manual_seed",
    "maximum",
    "minimum",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "optim",
    "primitive",
    "rand",
    "randint",
    "randn",
    "save",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "show_config",
    "stack",
    "tensor",
    "where",
    "zeros",
    "zeros_like",
]
