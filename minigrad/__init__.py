"""minigrad: reverse-mode differentiation to read in an evening, recurrent nets that train fast."""

from . import autograd, nn, optim
from .autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .config import get_num_threads, set_num_threads, show_config
from .tensor import (
    Tensor, arange, cat, eye, from_numpy, full, generator, get_default_dtype, linspace, manual_seed,
    maximum, minimum, ones, ones_like, rand, randint, randn, set_default_dtype, stack, tensor,
    where, zeros, zeros_like,
)  # fmt: skip

__version__ = "0.1.0"
