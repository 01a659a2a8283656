"""minigrad: reverse-mode differentiation to read in an evening, recurrent nets that train fast."""

from . import autograd, creation, data, derivatives, functions, nn, optim, testing
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    primitive,
    set_grad_enabled,
)  # fmt: skip
from .config import get_num_threads, set_num_threads, show_config
from .creation import *  # noqa: F403
from .dtypes import (
    float32,
    float64,
    get_default_dtype,
    int32,
    int64,
    set_default_dtype,
    uint8,
)  # fmt: skip
from .function import Function
from .functions import *  # noqa: F403
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .serialize import load, save
from .tensor import Tensor

__version__ = "0.1.0"

# What stands above the engine here, but under torch.autograd there.
for _name in ("hessian", "hvp", "jacobian", "jvp", "vjp"):
    setattr(autograd, _name, getattr(derivatives, _name))
for _function in (Function, gradcheck, gradgradcheck):
    setattr(autograd, _function.__name__, _function)

__all__ = [
    "Function", "GradcheckError", "Tensor", "autograd", "data", "derivatives", "enable_grad",
    "float32", "float64", "get_default_dtype", "get_num_threads", "gradcheck", "gradgradcheck",
    "inference_mode", "int32", "int64", "is_grad_enabled", "load", "nn", "no_grad", "optim",
    "primitive", "save", "set_default_dtype", "set_grad_enabled", "set_num_threads", "show_config",
    "testing", "uint8",
]  # fmt: skip
__all__ += creation.__all__
__all__ += functions.__all__
